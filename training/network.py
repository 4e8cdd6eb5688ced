"""The Keras networks, by name.

A network takes uint8 (N, H, W, 3) and scales it itself, so that serving and training cannot
disagree about preprocessing. Augmentation is part of it and vanishes when it is exported.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import keras
import numpy as np
from keras import layers, regularizers
from numpy.typing import NDArray

from models.manifest import (
    FEATURES_OUTPUT,
    MAPS_OUTPUT,
    OUTPUT_NAME,
    Calibration,
    ModelManifest,
)
from training.columns import Columns
from training.config import TrainConfig
from training.efficientnet_lite import efficientnet_lite
from training.errors import NoBackbone, UnknownNetwork
from training.pretrained import imagenet_weights, load_imagenet

_L2: Final = 1e-3
_EMBEDDING: Final = "embedding"  # the layer that averages the feature map
_LOGITS: Final = "logits"


def build_network(config: TrainConfig, width: int) -> keras.Model:
    """Return the named network, not yet trained.

    Args:
        config: names the network, its input side and the augmentation.
        width: of the output, in columns.

    Returns:
        A model from uint8 (N, side_px, side_px, 3), RGB, 0..255, to float32 (N, width) logits.

    Raises:
        UnknownNetwork: no network has that name.
        MissingExtra: it starts from weights whose package is not installed.
    """
    try:
        build = NETWORKS[config.network]
    except KeyError:
        raise UnknownNetwork(config.network, sorted(NETWORKS)) from None
    return build(config, width)


def serving_network(
    model: keras.Model, columns: Columns, calibration: Calibration | None = None
) -> keras.Model:
    """Return the network as it is exported: calibrated probabilities, and what they rest on.

    Args:
        model: a trained network of the table.
        columns: what its outputs stand for; those of other things are merged.
        calibration: the temperature and the shift; None leaves the logits as they are.

    Returns:
        A model with the outputs ``probabilities``, float32 (N, K), and, where the logits are an
        average over places, ``activation_maps``, float32 (N, h, w, K): the logits of each place,
        whose average over h and w is the picture's before other things are merged (B. Zhou et
        al., arXiv:1512.04150), and ``features``, float32 (N, h, w, D), from which both come.
    """
    if not has_backbone(model):
        return keras.Model(
            model.input, _answers(merged(model.output, columns), calibration), name=model.name
        )
    features = model.get_layer(_EMBEDDING).input
    outputs = _outputs(model, features, columns, calibration)
    return keras.Model(model.input, outputs | {FEATURES_OUTPUT: features}, name=model.name)


def serving_head(
    model: keras.Model, columns: Columns, calibration: Calibration | None = None
) -> keras.Model:
    """Return what ``serving_network`` makes of the features: a model from these to its outputs.

    Args:
        model: a trained network with a backbone.
        columns, calibration: as for ``serving_network``.
    """
    shape = model.get_layer(_EMBEDDING).input.shape[1:]
    features = keras.Input(shape, dtype="float32", name=FEATURES_OUTPUT)
    return keras.Model(features, _outputs(model, features, columns, calibration), name="head")


def _outputs(
    model: keras.Model,
    features: keras.KerasTensor,
    columns: Columns,
    calibration: Calibration | None,
) -> dict[str, keras.KerasTensor]:
    to_logits = model.get_layer(_LOGITS)
    logits = to_logits(model.get_layer(_EMBEDDING)(features))
    return {
        **_answers(merged(logits, columns), calibration),
        MAPS_OUTPUT: merged(to_logits(features), columns),
    }


def _answers(
    logits: keras.KerasTensor, calibration: Calibration | None
) -> dict[str, keras.KerasTensor]:
    if calibration:
        shift = np.zeros(logits.shape[-1], np.float32)
        shift[-1] = calibration.none_shift
        scale = 1 / calibration.temperature
        offset = (shift * scale).tolist()
        logits = layers.Rescaling(scale, offset, name="calibration")(logits)
    return {OUTPUT_NAME: layers.Softmax(name=OUTPUT_NAME)(logits)}


def merged(logits: keras.KerasTensor, columns: Columns) -> keras.KerasTensor:
    """Return a column a label, as ``Columns.merge`` does."""
    if len(columns.kinds) < 2:
        return logits
    classes = len(columns.classes)
    others = keras.ops.logsumexp(logits[..., classes:], axis=-1, keepdims=True)
    return keras.ops.concatenate([logits[..., :classes], others], axis=-1)


def has_backbone(model: keras.Model) -> bool:
    """Return whether the network averages a feature map before its last layer."""
    return any(layer.name == _EMBEDDING for layer in model.layers)


def backbone_of(model: keras.Model) -> keras.Model:
    """Return the network without its last layer: from images to float32 (N, D) features.

    Raises:
        NoBackbone: the network has no layer that averages a feature map.
    """
    if not has_backbone(model):
        raise NoBackbone(model.name)
    return keras.Model(model.input, model.get_layer(_EMBEDDING).output)


def at_side(model: keras.Model, side_px: int) -> keras.Model:
    """Return the network with the same weights for pictures of another side.

    Args:
        model: a network with a backbone; others only fit the side that they were built for.
        side_px: of the square input, in pixels.
    """
    if model.input.shape[1] == side_px:
        return model
    image = keras.Input((side_px, side_px, 3), dtype="uint8", name="image")
    # Without its loss, which a clone would take along: Keras cannot make a function of ours anew.
    bare = keras.Model(model.input, model.output, name=model.name)
    other = keras.models.clone_model(bare, input_tensors=image)
    other.set_weights(model.get_weights())
    return other


def backbone_digest(model: keras.Model) -> str:
    """Return SHA-256 of the weights before the last layer, by which features know their network."""
    digest = hashlib.sha256()
    for weight in backbone_of(model).weights:
        digest.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return digest.hexdigest()


def head_of(model: keras.Model) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the last layer's kernel, float32 (D, width), and bias, float32 (width,)."""
    kernel, bias = model.get_layer(_LOGITS).get_weights()
    return kernel, bias


def with_head(
    model: keras.Model, kernel: NDArray[np.float32], bias: NDArray[np.float32]
) -> keras.Model:
    """Return the network with another last layer; all other layers are shared with the given one.

    Args:
        model: a trained network of the table.
        kernel: float32 (D, width), another width than before perhaps.
        bias: float32 (width,).
    """
    head = layers.Dense(len(bias), name=_LOGITS)
    other = keras.Model(model.input, head(model.get_layer(_LOGITS).input), name=model.name)
    head.set_weights([kernel, bias])
    return other


def widened_head(
    model: keras.Model,
    manifest: ModelManifest,
    classes: Sequence[str],
    looks: Mapping[str, NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return kernel and bias of the last layer for other classes.

    Known classes and other things keep their columns. A new class begins as the other thing that
    the network took it for; where it cannot refuse or has no features, as the mean of all columns.

    Args:
        model: the network that the manifest describes.
        manifest: its labels and calibration.
        classes: of the new columns; those of other things stay behind them.
        looks: the mean features of each new class, float32 (D,); empty for a network without.
    """
    kernel, bias = head_of(model)
    known = Columns.of_version(manifest)
    first = len(known.classes)
    shift = manifest.calibration.none_shift if manifest.calibration else 0.0

    def column(label: str) -> tuple[NDArray[np.float32], float]:
        if label in known.classes:
            row = known.classes.index(label)
            return kernel[:, row], float(bias[row])
        if not known.kinds or label not in looks:
            return kernel.mean(axis=1), float(bias.mean())
        row = first + int((looks[label] @ kernel[:, first:] + bias[first:]).argmax())
        return kernel[:, row], float(bias[row]) + shift

    starts, offsets = zip(*map(column, classes), strict=True)
    return (
        np.concatenate([np.stack(starts, axis=1), kernel[:, first:]], axis=1),
        np.concatenate([np.array(offsets, np.float32), bias[first:]]),
    )


def _augmentation(config: TrainConfig) -> list[layers.Layer]:
    if config.augmentation != "turns":
        return []
    turn = config.rotation_degrees / 360.0
    chosen: list[layers.Layer] = []
    if config.flip:
        chosen.append(layers.RandomFlip("horizontal", seed=config.seed))
    if turn:
        chosen.append(layers.RandomRotation(turn, fill_mode="nearest", seed=config.seed + 1))
    if config.zoom:
        chosen.append(layers.RandomZoom(config.zoom, fill_mode="nearest", seed=config.seed + 2))
    return chosen


def _seed_cnn(config: TrainConfig, width: int) -> keras.Model:
    """Three blocks of convolution and a dense head; 3,374,280 parameters at 100 px, 8 classes."""
    decay = regularizers.L2(_L2)
    image = keras.Input((config.side_px, config.side_px, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255)(image)  # (N, 100, 100, 3), 0..1
    for layer in _augmentation(config):
        x = layer(x)
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, activation="relu", kernel_regularizer=decay)(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D()(x)  # H and W: 49, 23, 10
        x = layers.Dropout(0.25)(x)
    x = layers.Flatten()(x)  # (N, 10 * 10 * 128)
    x = layers.Dense(256, activation="relu", kernel_regularizer=decay)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.5)(x)
    logits = layers.Dense(width, name=_LOGITS)(x)
    return keras.Model(image, logits, name="seed_cnn")


def _efficientnet_lite(size: int, config: TrainConfig, width: int) -> keras.Model:
    """EfficientNet-Lite with ImageNet weights and a new head; the first stages may stay fixed.

    Lite0, 1 and 2 have 3,423,272, 4,199,592 and 4,879,416 parameters with 8 columns, at any side.
    Needs the extra ``pretrained``.
    """
    image = keras.Input((config.side_px, config.side_px, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(image)  # as the weights were trained
    for layer in _augmentation(config):
        x = layer(x)
    stages = efficientnet_lite(size, x)
    x = layers.GlobalAveragePooling2D(name=_EMBEDDING)(stages[-1])  # of (N, side/32, side/32, 1280)
    x = layers.Dropout(0.2)(x)  # as in the paper, for B0
    logits = layers.Dense(width, name=_LOGITS)(x)
    model = keras.Model(image, logits, name=f"efficientnet_lite{size}")
    load_imagenet(model, imagenet_weights(size))
    if config.frozen_stages:
        keras.Model(image, stages[config.frozen_stages - 1]).trainable = False
    return model


NETWORKS: Final[dict[str, Callable[[TrainConfig, int], keras.Model]]] = {
    **{f"efficientnet_lite{size}": partial(_efficientnet_lite, size) for size in range(3)},
    "seed_cnn": _seed_cnn,
}
