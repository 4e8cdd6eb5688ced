"""Keras to ONNX, as one file that says everything needed to use it."""

import json
from collections.abc import Sequence
from typing import Final

import keras
import onnx
import tensorflow as tf
import tf2onnx

from export.errors import ConversionError
from models.manifest import OUTPUT_NAME, InputSpec

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

    # Traced without training, so that augmentation and dropout vanish.
    @tf.function(input_signature=[signature])  # type: ignore[untyped-decorator]
    def predict(image: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = model(image, training=False)
        return outputs

    try:
        proto, _ = tf2onnx.convert.from_function(predict, input_signature=[signature], opset=OPSET)
        proto.producer_name = "fruit-classifier"
        onnx.helper.set_model_props(proto, metadata(labels, version, input_spec))
        onnx.checker.check_model(proto, full_check=True)
    except (ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        raise ConversionError(f"{model.name} cannot be exported to ONNX: {error}") from error
    return bytes(proto.SerializeToString())


def metadata(labels: Sequence[str], version: str, input_spec: InputSpec) -> dict[str, str]:
    """Return what the ONNX file says about itself: labels, version and preprocessing."""
    return {
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "version": version,
        "preprocessing": input_spec.model_dump_json(),
        "output": OUTPUT_NAME,
    }
