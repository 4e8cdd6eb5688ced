"""A Keras file is loaded only as it was published, and only if it brings no code along."""

import hashlib
from pathlib import Path

import keras
import numpy as np
import pytest

from models.errors import InvalidVersion
from models.manifest import KERAS_NAME, InputSpec, ModelManifest
from models.registry import ModelRegistry, ModelVersion
from training.saved import load_network, model_file

# Keras 3.15 reads variables in a way that NumPy 2 asks to change.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def network(*layers: keras.layers.Layer) -> keras.Model:
    image = keras.Input((4, 4, 3), name="image")
    x = image
    for layer in (*layers, keras.layers.GlobalAveragePooling2D()):
        x = layer(x)
    return keras.Model(image, keras.layers.Dense(2, name="logits")(x), name="tiny")


def publish(registry: ModelRegistry, saved: bytes) -> ModelVersion:
    return registry.publish(
        lambda name: b"onnx",
        lambda name, content: ModelManifest(
            version=name,
            labels=("kiwi", "lime"),
            input=InputSpec(side_px=4),
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            network="tiny",
            parameters=8,
        ),
        lambda manifest: {KERAS_NAME: saved},
    )


def test_a_published_network_is_loaded_as_it_was(registry: ModelRegistry) -> None:
    model = network()
    images = np.random.default_rng(0).random((2, 4, 4, 3), np.float32)

    loaded = load_network(publish(registry, model_file(model)))

    np.testing.assert_array_equal(loaded(images), model(images))


def test_a_network_with_code_of_its_own_is_refused_and_the_code_does_not_run(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    trace = tmp_path / "ran"
    path = str(trace)
    model = network(keras.layers.Lambda(lambda x: (open(path, "a").close(), x)[1]))
    trace.unlink()  # building the network ran it
    version = publish(registry, model_file(model))
    trace.unlink(missing_ok=True)

    with pytest.raises(
        InvalidVersion, match=r"model\.keras is no network that can be loaded safely"
    ):
        load_network(version)

    assert not trace.exists()


def test_a_network_that_was_exchanged_is_refused(registry: ModelRegistry) -> None:
    version = publish(registry, model_file(network()))
    other = model_file(network())
    (version.folder / KERAS_NAME).write_bytes(other)

    with pytest.raises(InvalidVersion) as refused:
        load_network(version)

    assert hashlib.sha256(other).hexdigest() in str(refused.value)
    assert version.manifest.files[KERAS_NAME] in str(refused.value)
    assert "'python -m models check' lists what is damaged" in str(refused.value)


def test_a_network_without_a_checksum_is_refused_with_what_to_do(registry: ModelRegistry) -> None:
    version = publish(registry, model_file(network())).with_checksums({})

    with pytest.raises(InvalidVersion, match=r"no checksum.*python -m models check --mend"):
        load_network(version)


def test_a_missing_network_is_named(registry: ModelRegistry) -> None:
    version = publish(registry, model_file(network()))
    (version.folder / KERAS_NAME).unlink()

    with pytest.raises(InvalidVersion, match=r"model\.keras of v0001 cannot be read"):
        load_network(version)


def test_what_is_no_keras_file_is_named(registry: ModelRegistry) -> None:
    with pytest.raises(InvalidVersion, match="is no network that can be loaded safely"):
        load_network(publish(registry, b"PK but not really a zip"))
