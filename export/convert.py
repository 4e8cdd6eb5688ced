"""Keras to ONNX, as one file that says everything needed to use it."""

import json
from collections.abc import Sequence
from typing import Final

import keras
import onnx
import tensorflow as tf
import tf2onnx

from export.errors import ConversionError
from models.manifest import FEATURES_OUTPUT, OUTPUT_NAME, InputSpec

OPSET: Final = 18  # the newest that tf2onnx 1.17 writes


def to_onnx(
    model: keras.Model, *, labels: Sequence[str], version: str, input_spec: InputSpec
) -> bytes:
    """Return the model as an ONNX file with a dynamic batch.

    Labels, version and preprocessing go into the file's metadata, so that it suffices alone.

    Args:
        model: from uint8 (N, side_px, side_px, 3) to named outputs, ``probabilities`` float32
            (N, K) among them.
        labels: the K labels.
        version: the name under which it is published.
        input_spec: the name, side and treatment of the input.

    Raises:
        ConversionError: tf2onnx or the check by onnx refuses it.
    """
    side_px = input_spec.side_px
    signature = tf.TensorSpec((None, side_px, side_px, 3), tf.uint8, name=input_spec.name)
    return _finished(_converted(model, signature), metadata(labels, version, input_spec))


def on_backbone_of(
    base: bytes, head: keras.Model, *, labels: Sequence[str], version: str, input_spec: InputSpec
) -> bytes:
    """Return an ONNX file that computes its features just as another does, bit by bit.

    Args:
        base: an ONNX file with the output ``features``, float32 (N, h, w, D), quantized or not.
        head: from such features to named outputs.
        labels, version, input_spec: as for ``to_onnx``.

    Raises:
        ConversionError: the file has no such output, or the two do not fit together.
    """
    signature = tf.TensorSpec((None, *head.input.shape[1:]), tf.float32, name=FEATURES_OUTPUT)
    behind = onnx.compose.add_prefix(
        _converted(head, signature), "head/", rename_inputs=False, rename_outputs=False
    )
    try:
        whole = onnx.load_from_string(base)
        extractor = onnx.utils.Extractor(whole)
        before = extractor.extract_model([input_spec.name], [FEATURES_OUTPUT])
        behind.ir_version = before.ir_version
        names = [output.name for output in behind.graph.output]
        joined = onnx.compose.merge_models(
            before,
            behind,
            io_map=[(FEATURES_OUTPUT, FEATURES_OUTPUT)],
            outputs=[*names, FEATURES_OUTPUT],
        )
    except (ValueError, KeyError, onnx.checker.ValidationError) as error:
        raise ConversionError(f"The two models do not fit together: {error}") from error
    return _finished(joined, metadata(labels, version, input_spec))


def _converted(model: keras.Model, signature: tf.TensorSpec) -> onnx.ModelProto:
    # Traced without training, so that augmentation and dropout vanish.
    @tf.function(input_signature=[signature])  # type: ignore[untyped-decorator]
    def predict(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = model(inputs, training=False)
        return outputs

    try:
        proto, _ = tf2onnx.convert.from_function(predict, input_signature=[signature], opset=OPSET)
    except (ValueError, RuntimeError) as error:
        raise ConversionError(f"{model.name} cannot be exported to ONNX: {error}") from error
    return proto


def _finished(proto: onnx.ModelProto, props: dict[str, str]) -> bytes:
    proto.producer_name = "fruit-classifier"
    onnx.helper.set_model_props(proto, props)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ConversionError(f"What was exported is no valid ONNX model: {error}") from error
    return bytes(proto.SerializeToString())


def metadata(labels: Sequence[str], version: str, input_spec: InputSpec) -> dict[str, str]:
    """Return what the ONNX file says about itself: labels, version and preprocessing."""
    return {
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "version": version,
        "preprocessing": input_spec.model_dump_json(),
        "output": OUTPUT_NAME,
    }
