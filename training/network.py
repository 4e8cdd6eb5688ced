"""The Keras networks, by name.

A network takes uint8 (N, H, W, 3) and scales it itself, so that serving and training cannot
disagree about preprocessing. Augmentation is part of it and vanishes when it is exported.
"""

from collections.abc import Callable
from typing import Final

import keras
from keras import layers, regularizers

from training.config import TrainConfig
from training.efficientnet_lite import efficientnet_lite0
from training.errors import UnknownNetwork
from training.pretrained import imagenet_weights, load_imagenet

_L2: Final = 1e-3


def build_network(config: TrainConfig, classes: int) -> keras.Model:
    """Return the named network, not yet trained.

    Args:
        config: names the network, its input side and the augmentation.
        classes: K, the width of the output.

    Returns:
        A model from uint8 (N, side_px, side_px, 3), RGB, 0..255, to float32 (N, K) probabilities.

    Raises:
        UnknownNetwork: no network has that name.
        MissingExtra: it starts from weights whose package is not installed.
    """
    try:
        build = NETWORKS[config.network]
    except KeyError:
        raise UnknownNetwork(config.network, sorted(NETWORKS)) from None
    return build(config, classes)


def _augmentation(config: TrainConfig) -> list[layers.Layer]:
    turn = config.rotation_degrees / 360.0
    chosen: list[layers.Layer] = []
    if config.flip:
        chosen.append(layers.RandomFlip("horizontal", seed=config.seed))
    if turn:
        chosen.append(layers.RandomRotation(turn, fill_mode="nearest", seed=config.seed + 1))
    if config.zoom:
        chosen.append(layers.RandomZoom(config.zoom, fill_mode="nearest", seed=config.seed + 2))
    return chosen


def _seed_cnn(config: TrainConfig, classes: int) -> keras.Model:
    """Three blocks of convolution and a dense head; 3,374,280 parameters at 100 px, 8 classes."""
    decay = regularizers.L2(_L2)
    image = keras.Input((config.side_px, config.side_px, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255)(image)  # (N, 100, 100, 3), 0..1
    for augment in _augmentation(config):
        x = augment(x)
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, activation="relu", kernel_regularizer=decay)(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D()(x)  # H and W: 49, 23, 10
        x = layers.Dropout(0.25)(x)
    x = layers.Flatten()(x)  # (N, 10 * 10 * 128)
    x = layers.Dense(256, activation="relu", kernel_regularizer=decay)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.5)(x)
    probabilities = layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(image, probabilities, name="seed_cnn")


def _efficientnet_lite0(config: TrainConfig, classes: int) -> keras.Model:
    """EfficientNet-Lite0 with ImageNet weights and a new head, all of it trained.

    3,423,272 parameters with 8 classes, at any side. Needs the extra ``pretrained``.
    """
    image = keras.Input((config.side_px, config.side_px, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(image)  # as the weights were trained
    for augment in _augmentation(config):
        x = augment(x)
    x = efficientnet_lite0(x)  # (N, side / 32, side / 32, 1280)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)  # as in the paper, for B0
    probabilities = layers.Dense(classes, activation="softmax", name="probabilities")(x)
    model = keras.Model(image, probabilities, name="efficientnet_lite0")
    load_imagenet(model, imagenet_weights())
    return model


NETWORKS: Final[dict[str, Callable[[TrainConfig, int], keras.Model]]] = {
    "efficientnet_lite0": _efficientnet_lite0,
    "seed_cnn": _seed_cnn,
}
