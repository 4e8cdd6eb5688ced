"""Eight-bit integers instead of 32-bit floats for most of a network: smaller, and faster."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from export.errors import ConversionError, ParityError
from export.parity import Predict, onnx_predict
from models.manifest import FEATURES_OUTPUT

# The first layers stay in floats: they cost little time, and their errors go through all others.
# Measured in training/EXPERIMENTS.md.
FLOAT_CONVOLUTIONS: Final = 6
CHECKED: Final = 64  # images
# Largest difference of a picture's probabilities, averaged over pictures; 0.004 was measured.
TOLERANCE: Final = 0.1

_CONVOLUTION: Final = "Conv"
_QUANTIZED: Final = (_CONVOLUTION, "Add", "Clip")


def quantized(content: bytes, images: NDArray[np.uint8]) -> bytes:
    """Return the model with integers before its features: static, per channel, QDQ.

    Weights are int8, of depthwise convolutions in full and of others in seven bits: two products
    of an eight-bit weight and activation overflow the 16 bits in which processors without VNNI add
    them (``reduce_range``, https://onnxruntime.ai/docs/performance/model-optimizations/
    quantization.html). Activations are uint8.

    Args:
        content: an ONNX file with the output ``features``; what comes after them stays as it is.
        images: uint8 (N, H, W, 3), whose activations set the ranges.

    Raises:
        ConversionError: it has no such output, or ONNX Runtime cannot quantize it.
        ParityError: it answers these images too differently afterwards.
    """
    model = onnx.load_from_string(content)
    (image,) = model.graph.input
    with tempfile.TemporaryDirectory() as folder:
        given, prepared, small = (Path(folder, f"{name}.onnx") for name in ("given", "fused", "q"))
        given.write_bytes(content)
        try:
            # Folds batch normalisation into the convolutions before them.
            quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
            graph = onnx.load(prepared).graph
            convolutions = [node for node in graph.node if node.op_type == _CONVOLUTION]
            in_floats = [node.name for node in convolutions[:FLOAT_CONVOLUTIONS]]
            quantize_static(
                str(prepared),
                str(small),
                _Images(image.name, images),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=list(_QUANTIZED),
                nodes_to_exclude=[*in_floats, *_behind_features(graph)],
                extra_options={
                    "TensorQuantOverrides": {
                        node.input[1]: [
                            {"quant_type": QuantType.QInt8, "axis": 0, "reduce_range": False}
                        ]
                        for node in convolutions[FLOAT_CONVOLUTIONS:]
                        if _groups(node) > 1
                    }
                },
            )
            result = onnx.load(small)
            onnx.checker.check_model(result, full_check=True)
        except (ValueError, RuntimeError, onnx.checker.ValidationError) as error:
            raise ConversionError(f"The model cannot be quantized: {error}") from error
    onnx.helper.set_model_props(result, {p.key: p.value for p in model.metadata_props})
    found = bytes(result.SerializeToString())
    _check_agreement(onnx_predict(content), onnx_predict(found), images[:CHECKED])
    return found


def _check_agreement(reference: Predict, candidate: Predict, images: NDArray[np.uint8]) -> None:
    difference = float(np.abs(reference(images) - candidate(images)).max(axis=-1).mean())
    if not difference <= TOLERANCE:
        raise ParityError(
            f"In eight bits the probabilities differ by {difference:.2f} on average; the limit is "
            f"{TOLERANCE}. The version is not published."
        )


class _Images(CalibrationDataReader):  # type: ignore[misc]
    """Hands out one image at a time, as ONNX Runtime wants it."""

    def __init__(self, name: str, images: NDArray[np.uint8]) -> None:
        self._rows: Iterator[dict[str, NDArray[np.uint8]]] = iter(
            [{name: image[None]} for image in images]
        )

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        return next(self._rows, None)


def _behind_features(graph: onnx.GraphProto) -> list[str]:
    """Return the names of all nodes that the features go into."""
    reached = {FEATURES_OUTPUT}
    names = []
    if FEATURES_OUTPUT not in {output.name for output in graph.output}:
        raise ConversionError(f"The model has no output {FEATURES_OUTPUT!r}.")
    for node in graph.node:  # in the order in which they run
        if reached.intersection(node.input):
            reached.update(node.output)
            names.append(node.name)
    return names


def _groups(convolution: onnx.NodeProto) -> int:
    return next((a.i for a in convolution.attribute if a.name == "group"), 1)
