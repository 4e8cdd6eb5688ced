"""Shared by all tests: a tiny real model, published as a real version, and drawn photos."""

import errno
import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import data.images  # noqa: F401  registers the HEIC encoder with Pillow
from app.service import PredictionService
from data.drawings import EXAMPLE_LABELS, draw_fruit
from data.labels import BASE_LABELS, NONE_OF_THESE
from models.examination import Examination
from models.manifest import (
    MANIFEST_NAME,
    Calibration,
    EvaluationMetrics,
    InputSpec,
    ModelManifest,
)
from models.registry import ModelRegistry, ModelVersion, baseline_folder

# Mean colour (red, green, blue; 0..1) of each drawn fruit on its white ground.
COLOURS = {
    "apple": (0.796, 0.578, 0.558),
    "avocado": (0.687, 0.707, 0.643),
    "banana": (0.944, 0.927, 0.844),
    "cucumber": (0.856, 0.881, 0.852),
    "eggplant": (0.799, 0.772, 0.789),
    "mango": (0.837, 0.738, 0.59),
    "onion": (0.771, 0.658, 0.678),
    "orange": (0.832, 0.627, 0.388),
    NONE_OF_THESE: (0.1, 0.3, 0.9),  # of no fruit: blue
}
REFUSING_LABELS = (*BASE_LABELS, NONE_OF_THESE)
SIDE_PX = 100
SHARPNESS = 120.0
SHIPPED = ModelManifest.read(baseline_folder() / MANIFEST_NAME).version
NEXT = f"v{int(SHIPPED[1:]) + 1:04d}"  # numbers go on from the shipped version's
PLACES = 4  # a side, of the activation maps


def wait_until(holds: Callable[[], object], timeout_s: float = 30) -> None:
    """Wait until it holds, and fail if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class FullDisk:
    """A disk on which one of the files that are written atomically finds room for half of it.

    Args:
        monkeypatch: takes it back.
        at: which of them, counted from 1; 0 for none.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int = 0) -> None:
        self.at = at
        self.written = 0
        self._open = os.fdopen
        self._file: Any = None
        monkeypatch.setattr(os, "fdopen", self.open)

    def open(self, handle: int, mode: str) -> Any:
        self.written += 1
        self._file = self._open(handle, mode)
        return self if self.written == self.at else self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> None:
        self._file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def colour_model(labels: tuple[str, ...] = BASE_LABELS) -> bytes:
    """Return a small ONNX model that names the nearest mean colour: right on the drawn fruit.

    Its activation maps are the logits of 4 x 4 places, whose average is the picture's.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    k = len(labels)
    # -s |c - m|^2 is, but for a term that all classes share, 2 s c.m - s |m|^2.
    means = np.array([COLOURS[label] for label in labels], np.float32).T  # (3, K)
    weights, bias = 2 * SHARPNESS * means, -SHARPNESS * (means**2).sum(0)
    size, shape = SIDE_PX // PLACES, ["N", PLACES, PLACES, k]
    nodes = [
        helper.make_node("Cast", ["image"], ["as_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["as_float", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool",
            ["channels_first"],
            ["pooled"],
            kernel_shape=[size, size],
            strides=[size, size],
        ),
        helper.make_node("Transpose", ["pooled"], ["colours"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["colours", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["activation_maps"]),
        helper.make_node("ReduceMean", ["activation_maps", "axes"], ["logits"], keepdims=0),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "mean_colour",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE_PX, SIDE_PX, 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", k]),
            helper.make_tensor_value_info("activation_maps", TensorProto.FLOAT, shape),
        ],
        [
            numpy_helper.from_array(np.array(1 / 255, np.float32), "scale"),
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def local_client(app: FastAPI) -> TestClient:
    """Return a client that the app takes for the person at its machine."""
    return TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000))


def publish(
    registry: ModelRegistry,
    model: bytes,
    labels: tuple[str, ...] = BASE_LABELS,
    maps_output: str | None = None,
) -> ModelVersion:
    """Publish the model as the registry's next version; with none-of-these it can refuse."""
    refuses = NONE_OF_THESE in labels
    calibration = Calibration(
        temperature=1.0,
        none_threshold=0.4 if refuses else None,
        chosen_on="grocery/validation",
        images=142,
    )
    scores = EvaluationMetrics(
        images=4000, accuracy=0.991, macro_precision=0.99, macro_recall=0.99, macro_f1=0.99,
        weighted_precision=0.99, weighted_recall=0.99, weighted_f1=0.99, mean_confidence=0.98,
        per_class={},
        confusion=[[500 * (row == column) for column in labels] for row in labels],
    )  # fmt: skip
    shop = scores.model_copy(update={"images": 300, "accuracy": 0.52, "macro_f1": 0.41})

    def manifest(name: str, content: bytes) -> ModelManifest:
        return ModelManifest(
            version=name,
            labels=labels,
            none_label=NONE_OF_THESE if refuses else None,
            maps_output=maps_output,
            calibration=calibration,
            input=InputSpec(side_px=SIDE_PX),
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            network="mean_colour",
            parameters=3 * len(labels),
            metrics={"fruits-360/test": scores, "grocery/test": shop},
        )

    return registry.publish(lambda name: model, manifest)


def manifest_of(
    version: str, labels: tuple[str, ...], calibration: Calibration | None = None, side_px: int = 8
) -> ModelManifest:
    """Return what stands for a version that can refuse and has no files."""
    return ModelManifest(
        version=version,
        labels=labels,
        none_label=NONE_OF_THESE,
        input=InputSpec(side_px=side_px),
        calibration=calibration,
        sha256="0" * 64,
        size_bytes=1,
        network="tiny",
        parameters=1,
    )


def encode(label: str, format: str = "PNG", side_px: int = 160, **options: object) -> bytes:
    """Return a drawn fruit as an encoded file."""
    buffer = io.BytesIO()
    draw_fruit(label, side_px).save(buffer, format, **options)
    return buffer.getvalue()


def confusion_of(examination: Examination, source: str, manifest: ModelManifest) -> list[list[int]]:
    """Return a source's examined images, counted as the manifest's confusion matrix counts them."""
    counts = [[0] * len(manifest.labels) for _ in manifest.labels]
    for image in examination.images:
        if image.source == source and image.label in manifest.labels:
            counts[manifest.labels.index(image.label)][manifest.labels.index(image.answer)] += 1
    return counts


@pytest.fixture
def held_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the clock by which clients are counted in the middle of a minute.

    A new window begins with each minute, and lets one more through.
    """
    held = time.time() // 60 * 60 + 30
    monkeypatch.setattr("limits.storage.memory.time", SimpleNamespace(time=lambda: held))


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    """An empty registry without a baseline."""
    return ModelRegistry(tmp_path / "models")


@pytest.fixture
def version(registry: ModelRegistry) -> ModelVersion:
    """A published version of the small model."""
    return publish(registry, colour_model())


@pytest.fixture
def service(registry: ModelRegistry, version: ModelVersion) -> Iterator[PredictionService]:
    """What answers with it."""
    service = PredictionService(registry)
    service.load()
    yield service
    service.close()


@pytest.fixture
def refusing(registry: ModelRegistry) -> ModelVersion:
    """A published version that can refuse and has activation maps."""
    return publish(registry, colour_model(REFUSING_LABELS), REFUSING_LABELS, "activation_maps")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one drawn JPEG per class, a HEIC, and a text file that claims to be a JPEG."""
    folder = tmp_path_factory.mktemp("photos")
    for label in EXAMPLE_LABELS:
        (folder / f"{label}.jpg").write_bytes(encode(label, "JPEG", 200, quality=90))
    (folder / "phone.heic").write_bytes(encode("banana", "HEIF", 200))
    (folder / "notes.jpg").write_bytes(b"this is no picture at all")
    return folder
