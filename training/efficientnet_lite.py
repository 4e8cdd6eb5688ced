"""EfficientNet-Lite0 to 2, the backbones of the transfer networks.

The architecture is that of the TensorFlow TPU repository's ``efficientnet/lite``: EfficientNet-B0
without squeeze-and-excitation, with ReLU6 for swish (M. Tan, Q. Le, arXiv:1905.11946; R. Liu,
"Higher accuracy on vision models with EfficientNet-Lite", TensorFlow Blog, 2020).
"""

import math
from dataclasses import dataclass, replace
from typing import Final

import keras
from keras import layers

FEATURES: Final = 1280  # channels of the last convolution


@dataclass(frozen=True)
class _Stage:
    """Blocks of one shape: only the first one strides and changes the channels."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STEM_CHANNELS: Final = 32
_LITE0: Final = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


# Width and depth beside Lite0's (arXiv:1905.11946); 75.1, 76.7 and 77.6 % top-1 on ImageNet at
# 224, 240 and 260 px.
_SCALES: Final = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))


def efficientnet_lite(size: int, image: keras.KerasTensor) -> list[keras.KerasTensor]:
    """Return what each of the stages makes of the images; the last is the feature map.

    Args:
        size: 0, 1 or 2, for EfficientNet-Lite0, -Lite1 or -Lite2.
        image: float32 (N, H, W, 3), RGB, (x - 127) / 128.

    Returns:
        The seven stages' outputs, then float32 (N, ceil(H / 32), ceil(W / 32), 1280), not negative.
    """
    x = layers.Conv2D(_STEM_CHANNELS, 3, strides=2, padding="same", use_bias=False)(image)
    x = _normalise(x, activate=True)
    channels = _STEM_CHANNELS
    outputs = []
    for stage in _stages(*_SCALES[size]):
        for block in range(stage.blocks):
            x = _block(x, stage, channels, stage.stride if block == 0 else 1)
            channels = stage.channels
        outputs.append(x)
    x = layers.Conv2D(FEATURES, 1, use_bias=False)(x)
    return [*outputs, _normalise(x, activate=True)]


def _stages(width: float, depth: float) -> list[_Stage]:
    """Scale Lite0's stages; the first and the last keep their number of blocks."""
    inner = range(1, len(_LITE0) - 1)
    return [
        replace(
            stage,
            blocks=math.ceil(stage.blocks * depth) if number in inner else stage.blocks,
            channels=int(stage.channels * width / 8 + 0.5) * 8,
        )
        for number, stage in enumerate(_LITE0)
    ]


def _block(x: keras.KerasTensor, stage: _Stage, channels: int, stride: int) -> keras.KerasTensor:
    """Inverted bottleneck: widen, filter each channel, narrow; added to its input where it fits."""
    y = x
    if stage.expansion != 1:
        y = layers.Conv2D(channels * stage.expansion, 1, use_bias=False)(y)
        y = _normalise(y, activate=True)
    y = layers.DepthwiseConv2D(stage.kernel, strides=stride, padding="same", use_bias=False)(y)
    y = _normalise(y, activate=True)
    y = layers.Conv2D(stage.channels, 1, use_bias=False)(y)
    y = _normalise(y, activate=False)
    if stride == 1 and channels == stage.channels:
        y = layers.Add()([x, y])
    return y


def _normalise(x: keras.KerasTensor, *, activate: bool) -> keras.KerasTensor:
    # Fixed, so ImageNet's statistics scale the channels in training as in serving: batches of 32
    # from a few hundred photos give none that are better, and a step takes a third less time.
    x = layers.BatchNormalization(epsilon=1e-3, trainable=False)(x)
    return layers.ReLU(max_value=6.0)(x) if activate else x
