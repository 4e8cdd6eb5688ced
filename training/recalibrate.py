"""A version with the calibration of a cross-validation: ``python -m training calibrate``.

Folds take hours, and may be finished after the network that they judge was trained and published.
Nothing is trained here: temperature, shift, threshold and the figures of the folds are all that
changes.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.snapshot import Snapshot
from data.splits import Split
from export.parity import check_parity, onnx_predict
from models.manifest import FOLDS_PRECISION, KERAS_NAME, Calibration
from models.registry import ModelRegistry, ModelVersion
from training.calibration import calibrated
from training.columns import Columns
from training.config import HEAD_SHIFT
from training.console import publish_again
from training.cross_validation import CrossValidation
from training.dataset import judging_images
from training.errors import InvalidCrossValidation
from training.last_layer import known_images
from training.other_columns import head_shift
from training.publishing import publish_remade, reheaded, rehearsal_of
from training.saved import load_network
from training.train import use_threads

_ANYHOW = {"threads", FOLDS_PRECISION}  # by which no training differs
_PARITY_IMAGES = 24
_TINY = 1e-38


def recalibrate(
    start: ModelVersion,
    snapshot: Snapshot,
    registry: ModelRegistry,
    cross_validation: CrossValidation,
    *,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> ModelVersion:
    """Publish a version with the calibration of folds of its settings, and return it.

    It carries a comparison with the version that it came from; it is not made active.

    Args:
        start: a version of the table of networks, trained from these images.
        snapshot: the store's images; those of test judge.
        registry: where it is published.
        cross_validation: of the same images, labels and settings.
        on_stage: told in words what happens next.
        on_step: not called: nothing takes many steps.

    Raises:
        InvalidCrossValidation: it judged other images, labels or settings.
        NotEnoughData: the store lacks images to judge by.
        ParityError: the result answers otherwise than the calibration says.
        InvalidVersion: the version's files are missing or damaged.
    """
    before = start.manifest
    _check(start, cross_validation)
    on_stage(f"Reading {start.version}")
    model, columns = load_network(start), Columns.of_version(before)
    known = known_images(snapshot, before)
    test = judging_images(known, Split.TEST, before.labels, before.input.side_px)
    fitted_with = head_shift(before)
    calibration = cross_validation.calibration.model_copy(
        update={"none_shift": cross_validation.calibration.none_shift + fitted_with}
    )

    def make_content(version: str) -> tuple[bytes, dict[str, float]]:
        content = reheaded(start, model, columns, calibration, before.labels, version)
        old = onnx_predict(start.verify().read_bytes())
        errors = check_parity(
            lambda images: _moved(old(images), before.none_column, before.calibration, calibration),
            onnx_predict(content),
            test.pixels[:: max(1, len(test) // _PARITY_IMAGES)],
        )
        return content, errors

    changes = {
        "calibration": calibration,
        "training": before.training | {HEAD_SHIFT: fitted_with},
        "folds": cross_validation.training,
        "metrics": cross_validation.metrics,
        "others": cross_validation.others,
    }
    network, files = start.verify(KERAS_NAME).read_bytes(), rehearsal_of(start)
    return publish_remade(
        start, registry, test, make_content, changes, network, lambda content: files, on_stage
    )


def recalibrate_from_flags(
    options: argparse.Namespace, take_snapshot: Callable[[], Snapshot]
) -> int:
    """Run ``recalibrate`` with its progress on the terminal, and return the exit status."""

    def publish(
        start: ModelVersion, snapshot: Snapshot, registry: ModelRegistry, **told: Any
    ) -> ModelVersion:
        use_threads(options.threads)
        found = CrossValidation.read(options.file)
        return recalibrate(start, snapshot, registry, found, **told)

    return publish_again(options, take_snapshot, publish)


def _check(start: ModelVersion, cross_validation: CrossValidation) -> None:
    own, judged = start.manifest.training, cross_validation.training
    if cross_validation.snapshot != start.manifest.snapshot:
        raise InvalidCrossValidation(
            f"The cross-validation judged the images of snapshot {cross_validation.snapshot[:16]}; "
            f"{start.version} was trained from {start.manifest.snapshot[:16]}. Make one of those "
            "with 'python -m training cross-validate'."
        )
    differing = [
        f"{name} {value} instead of {own.get(name, 'not recorded')}"
        for name, value in judged.items()
        if name not in _ANYHOW and own.get(name) != value
    ]
    if cross_validation.labels != start.manifest.labels:
        differing.append(f"the labels {', '.join(cross_validation.labels)}")
    if differing:
        raise InvalidCrossValidation(
            f"The cross-validation judged other networks than {start.version}: "
            f"{', '.join(differing)}. Make one of its settings with 'python -m training "
            "cross-validate'."
        )


def _moved(
    probabilities: NDArray[np.float32],
    none_column: int | None,
    old: Calibration | None,
    new: Calibration,
) -> NDArray[np.float32]:
    """Return float32 (N, K) probabilities with another calibration than they were given."""
    logits = np.log(probabilities.clip(_TINY))
    if old:
        logits *= old.temperature
        if none_column is not None:
            logits[:, none_column] -= old.none_shift
    moved = calibrated(logits, new.temperature, none_column, new.none_shift)
    return np.exp(moved).astype(np.float32)
