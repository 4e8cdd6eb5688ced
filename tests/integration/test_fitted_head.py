"""A new last layer that begins fitted answers rightly before any other layer has learned, and what
the layers before it knew at the beginning can be mixed back or held on to.

TensorFlow runs in a process of its own, as it does in use.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json
import keras
import numpy as np
from keras import layers
from data.snapshot import SnapshotImage
from data.splits import Split
from training.columns import Columns
from training.config import TrainConfig
from training.dataset import LabelledImages, TrainingData, batches
from training.network import NETWORKS, backbone_of
from training.train import fit, predict_logits


def tiny(config, width):
    image = keras.Input((config.side_px, config.side_px, 3), dtype="uint8", name="image")
    x = layers.Conv2D(16, 3, activation="relu")(layers.Rescaling(1 / 255)(image))
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    return keras.Model(image, layers.Dense(width, name="logits")(x), name="tiny")


NETWORKS["tiny"] = tiny
COLOURS = {"lime": (40, 200, 60), "plum": (90, 20, 120), "rose": (230, 60, 90)}
columns = Columns.of_labels(tuple(COLOURS))
rng = np.random.default_rng(0)
targets = np.repeat(np.arange(3), 20)
noise = rng.normal(0, 10, (60, 8, 8, 3))
pixels = (np.array(list(COLOURS.values()))[targets][:, None, None] + noise).clip(0, 255)
images = tuple(
    SnapshotImage("", list(COLOURS)[t], f"{n:064d}", Split.TRAIN, "drawn", "", "")
    for n, t in enumerate(targets)
)
data = LabelledImages(pixels.astype(np.uint8), targets, images)
found = {}
for fitted in (False, True):
    config = TrainConfig(
        network="tiny", side_px=8, schedule="cosine", epochs=1, learning_rate=1e-7,
        fitted_head=fitted,
    )
    train = TrainingData(batches(data, columns, 20, shuffle_seed=1), 3, 60, None)
    trained = fit(config, train, None, columns)
    answers = predict_logits(trained.model, data, columns).argmax(axis=1)
    found[str(fitted)] = float((answers == targets).mean())
def last_layer(**settings):
    config = TrainConfig(
        network="tiny", side_px=8, schedule="cosine", epochs=1, fitted_head=True, **settings
    )
    train = TrainingData(batches(data, columns, 20, shuffle_seed=1), 3, 60, None)
    model = fit(config, train, None, columns).model
    return model.get_layer("logits").get_weights()[0], backbone_of(model)(data.pixels).numpy()


(before, known), (trained, moved) = last_layer(learning_rate=1e-12), last_layer(learning_rate=1e-2)
mixed, _ = last_layer(learning_rate=1e-2, start_share=0.25)
_, held = last_layer(learning_rate=1e-2, augmentation="scenes", feature_pull=100.0)
smaller = TrainConfig(
    network="tiny", side_px=16, train_side_px=8, schedule="cosine", augmentation="scenes",
    epochs=1,
)
train = TrainingData(batches(data, columns, 20, shuffle_seed=1), 3, 60, None)
found["side"] = fit(smaller, train, None, columns).model.input.shape[1]
model = tiny(smaller, 3)
config = TrainConfig(
    network="tiny", side_px=16, schedule="cosine", epochs=1, learning_rate=1e-2, networks=2
)
wide = LabelledImages(pixels.astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2), targets, images)
train = TrainingData(batches(wide, columns, 20, shuffle_seed=1), 3, 60, None)
weights = [model.get_weights()]
steps = []
fit(
    config, train, None, columns, model=model,
    on_epoch=lambda epoch: weights.append(model.get_weights()),
    on_step=lambda done, most: steps.append((done, most)),
)
begun, one, other = (np.concatenate([w.ravel() for w in ws]) for ws in weights)
mean = np.concatenate([w.ravel() for w in model.get_weights()])
found["networks"] = {
    "apart": float(np.abs(one - other).max()),
    "farthest": float(max(np.abs(one - begun).max(), np.abs(other - begun).max())),
    "off the mean": float(np.abs(mean - (one + other) / 2).max()),
    "steps": steps,
}
found["features moved"] = float(np.abs(moved - known).mean())
found["features held"] = float(np.abs(held - known).mean())
found["moved"] = float(np.abs(trained - before).max())
found["off"] = float(np.abs(mixed - (0.25 * before + 0.75 * trained)).max())
found["refused"] = []
scenes = {"augmentation": "scenes", "feature_pull": 0.3, "train_side_px": 32}
for settings in ({"fitted_head": True}, scenes):
    config = TrainConfig(side_px=48, schedule="cosine", **settings)
    try:
        fit(config, train, None, columns)
    except ValueError as error:
        found["refused"].append(str(error))
print(json.dumps(found))
"""


def test_a_fitted_head_begins_where_a_random_one_gets_to_and_its_beginning_can_be_kept() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["True"] == 1.0
    assert found["False"] < 0.9
    assert found["moved"] > 1e-3
    assert found["off"] < 1e-5  # the weights lie where the share says
    assert found["side"] == 16  # trained on pictures of 8 px
    networks = found["networks"]
    assert networks["off the mean"] < 1e-6 < 1e-4 < networks["apart"]
    assert networks["farthest"] < 0.031  # each took three steps of 0.01 from the same beginning
    assert networks["steps"] == [[done, 6] for done in range(1, 7)]
    assert found["features held"] < found["features moved"] / 2
    assert "--fitted-head cannot be used with seed_cnn" in found["refused"][0]
    assert "--feature-pull and --train-side-px cannot be used with seed_cnn" in found["refused"][1]
