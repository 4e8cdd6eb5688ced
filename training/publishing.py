"""What the flows share that publish a version: its ONNX file, its answers and further files."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from export.convert import on_backbone_of, to_onnx
from export.parity import Predict, check_parity, onnx_predict
from models.card import CARD_NAME, model_card
from models.examination import EXAMINATION_NAME
from models.manifest import (
    KERAS_NAME,
    OUTPUT_NAME,
    REHEARSAL_NAME,
    Calibration,
    InputSpec,
    ModelManifest,
)
from models.registry import ModelRegistry, ModelVersion
from training.columns import Columns
from training.cross_validation import SPLIT_NAME
from training.dataset import LabelledImages
from training.evaluate import score
from training.examine import examination, statistics_of
from training.gate import Judged, judge
from training.network import serving_head, serving_network
from training.pictures import confusion_pictures

_PARITY_IMAGES: Final = 24
_EVALUATION_BATCH: Final = 64
_LIBRARIES: Final = ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "numpy", "pillow")


def exported_network(
    serving: keras.Model,
    labels: tuple[str, ...],
    version: str,
    input_spec: InputSpec,
    pixels: NDArray[np.uint8],
) -> tuple[bytes, dict[str, float]]:
    """Return a network as an ONNX file in floats, and how far its answers are from Keras's.

    Args:
        serving: what ``serving_network`` returns.
        labels, version, input_spec: of the file's metadata.
        pixels: uint8 (N, side_px, side_px, 3); a few of them are compared.

    Raises:
        ConversionError: it cannot be exported.
        ParityError: the file answers differently.
    """
    content = to_onnx(serving, labels=labels, version=version, input_spec=input_spec)
    errors = check_parity(
        lambda images: np.asarray(serving(images, training=False)[OUTPUT_NAME]),
        onnx_predict(content),
        pixels[:: max(1, len(pixels) // _PARITY_IMAGES)],
    )
    return content, errors


def reheaded(
    start: ModelVersion,
    model: keras.Model,
    columns: Columns,
    calibration: Calibration | None,
    labels: tuple[str, ...],
    version: str,
) -> bytes:
    """Return the ONNX file of a version with another last layer or calibration, in its precision.

    Args:
        start: the version.
        model: its network with that layer.
        columns: what the layer's outputs stand for.
        calibration: the temperature and the shift.
        labels, version: of the file's metadata.

    Raises:
        ConversionError: it cannot be exported.
        InvalidVersion: the version's ONNX file is damaged.
    """
    told: dict[str, Any] = {
        "labels": labels, "version": version, "input_spec": start.manifest.input
    }  # fmt: skip
    if start.manifest.precision == "float32":
        return to_onnx(serving_network(model, columns, calibration), **told)
    last = serving_head(model, columns, calibration)
    return on_backbone_of(start.verify().read_bytes(), last, **told)


def predict_all(predict: Predict, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities of all images, float32 (N, K), a batch at a time.

    Args:
        predict: as ``onnx_predict`` returns it.
        pixels: uint8 (N, side_px, side_px, 3).
    """
    starts = range(0, len(pixels), _EVALUATION_BATCH)
    return np.concatenate([predict(pixels[s : s + _EVALUATION_BATCH]) for s in starts])


def publish_remade(
    start: ModelVersion,
    registry: ModelRegistry,
    test: LabelledImages,
    make_content: Callable[[str], tuple[bytes, dict[str, float]]],
    changes: Mapping[str, Any],
    network: bytes,
    make_files: Callable[[bytes], Mapping[str, bytes]],
    on_stage: Callable[[str], None],
) -> ModelVersion:
    """Publish a version that is made of another one, and return it.

    Its labels are the other's. It carries a comparison with it. Scores that were not measured anew
    are left out, but for those of the folds, which are of other networks anyway.

    Args:
        start: what it is made of.
        registry: where it is published.
        test: N images to judge both by.
        make_content: given its name, returns its ONNX file and how far that is from Keras.
        changes: further fields of the manifest; of ``metrics`` those of folds are kept.
        network: its Keras file.
        make_files: given the ONNX file, returns files beside pictures, card, examination and
            network, by name.
        on_stage: told in words what happens next.

    Raises:
        ParityError: the result answers too differently.
        InvalidVersion: a file of the version is damaged.
    """
    before = start.manifest
    parity: dict[str, float] = {}
    contents: list[bytes] = []
    answers: list[NDArray[np.float32]] = []

    def make_model(version: str) -> bytes:
        on_stage("Exporting to ONNX and comparing with Keras")
        content, errors = make_content(version)
        parity.update(errors)
        contents.append(content)
        return content

    def make_manifest(version: str, content: bytes) -> ModelManifest:
        on_stage(f"Judging it on {len(test):,} test images beside {start.version}")
        answers.append(predict_all(onnx_predict(content), test.pixels))
        changed = before.model_copy(update=dict(changes))
        scores = score(test.images, answers[-1], changed.labels, changed.none_threshold)
        of_folds = {n: m for n, m in changed.metrics.items() if n.endswith(f"/{SPLIT_NAME}")}
        manifest = changed.model_copy(
            update={
                "version": version,
                "created_at": datetime.now(UTC),
                "sha256": hashlib.sha256(content).hexdigest(),
                "size_bytes": len(content),
                "metrics": of_folds | scores,
                "parity": parity,
                "libraries": library_versions(),
                "parent": start.version,
                "files": {},
            }
        )
        gate = judge(
            test.images,
            Judged(answers[-1], manifest),
            Judged(predict_all(onnx_predict(start.verify().read_bytes()), test.pixels), before),
            # It has learned no photo anew, so whose label was doubted still is.
            suspects=before.gate.suspects if before.gate else (),
        )
        return manifest.model_copy(update={"gate": gate})

    def make_attachments(manifest: ModelManifest) -> dict[str, bytes]:
        examined = examination(test.images, answers[-1], manifest, statistics_of(test.pixels))
        return {
            **make_files(contents[-1]),
            **confusion_pictures(manifest.metrics, manifest.labels),
            CARD_NAME: model_card(manifest).encode(),
            EXAMINATION_NAME: examined.to_bytes(),
            KERAS_NAME: network,
        }

    return registry.publish(make_model, make_manifest, make_attachments)


def rehearsal_of(start: ModelVersion) -> dict[str, bytes]:
    """Return a version's file of features by its name, where it has one.

    It holds for another version with the same layers before the last.

    Raises:
        InvalidVersion: the file is missing or damaged.
    """
    rehearsal = {REHEARSAL_NAME} & start.checksums.keys()
    return {name: start.verify(name).read_bytes() for name in rehearsal}


def library_versions() -> dict[str, str]:
    """Return the versions of what trains and exports, for the manifest."""
    return {name: _library(name) for name in _LIBRARIES}


def _library(name: str) -> str:
    # The same TensorFlow release goes by two names.
    for package in (name, f"{name}-cpu"):
        try:
            return library_version(package)
        except ModuleNotFoundError:
            continue
    return "unknown"
