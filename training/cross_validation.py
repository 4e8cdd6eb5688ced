"""How good a configuration is, judged on every photo that may be trained on.

A few dozen validation photos cannot tell two networks apart. So the photos of training and
validation are dealt into folds by whole scenes; each fold is judged by a network that never saw any
of it. The same answers calibrate the network that is then trained on all of them.

The folds also differ in their seed, so that what they answer alike does not hang on one.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from sklearn.model_selection import StratifiedGroupKFold

from data.labels import NONE_OF_THESE
from data.snapshot import Snapshot, SnapshotImage, thin
from data.splits import Split
from export.convert import to_onnx
from export.quantize import quantized
from models.decision import decide, named_score
from models.manifest import (
    FOLDS_PRECISION,
    Calibration,
    EvaluationMetrics,
    InputSpec,
    OtherMetrics,
    Precision,
)
from training.calibration import calibrate, calibrated
from training.columns import Columns
from training.config import TrainConfig
from training.dataset import (
    labels_of,
    load_images,
    training_columns,
    training_data,
    typical_images,
)
from training.epoch import Epoch
from training.errors import InvalidCrossValidation
from training.evaluate import auroc, columns_of, evaluate, none_column, rows_by
from training.features import Backbone, photo_features
from training.folds import KeptFolds
from training.namesakes import without_namesakes
from training.network import build_network, head_of, serving_network
from training.other_columns import with_fitted_others
from training.sampling import tell_left_out
from training.train import check_features, fit, predict_logits

SPLIT_NAME = "cross-validation"
_JUDGED_AT_ONCE: Final = 2_000  # images in memory: 150 MB of 160 px


class CrossValidation(BaseModel):
    """What a cross-validation found.

    Attributes:
        snapshot: digest of the list of images.
        training: every setting of the run, as ``record_of`` returns them.
        labels: the K labels.
        calibration: fitted to the answers of all folds together, of the sources in ``metrics``.
        metrics: by ``<source>/cross-validation``, over the answers of all folds together.
        others: by the same, for sources of which only pictures of other things were dealt out;
            their AUROC is against the pictures of the classes of the sources in ``metrics``.
        folds: accuracy of each fold, by the names of ``metrics``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: str
    training: dict[str, Any]
    labels: tuple[str, ...]
    calibration: Calibration
    metrics: dict[str, EvaluationMetrics]
    others: dict[str, OtherMetrics]
    folds: list[dict[str, float]]

    @property
    def config(self) -> TrainConfig:
        """The settings that were judged."""
        return TrainConfig.of_record(self.training)

    def check(self, snapshot: Snapshot) -> None:
        """Check that it judged these images.

        Raises:
            InvalidCrossValidation: it judged others.
        """
        if self.snapshot != snapshot.digest:
            raise InvalidCrossValidation(
                f"The cross-validation judged the images of snapshot {self.snapshot[:16]}; the "
                f"store is at {snapshot.digest[:16]}. Make a new one with "
                "'python -m training cross-validate'."
            )

    @classmethod
    def read(cls, path: Path) -> "CrossValidation":
        """Return the result in the file.

        Raises:
            InvalidCrossValidation: the file cannot be read or holds no such result.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise InvalidCrossValidation(
                f"{path} is not the result of a cross-validation: {error}. Make one with "
                "'python -m training cross-validate'."
            ) from error


def record_of(config: TrainConfig, precision: Precision) -> dict[str, Any]:
    """Return what is recorded of the settings of a cross-validation.

    Args:
        config: every setting of a run.
        precision: in which the networks judge; floats are not mentioned.
    """
    return config.record() | ({} if precision == "float32" else {FOLDS_PRECISION: precision})


def name_of(snapshot: str, training: Mapping[str, Any]) -> str:
    """Return what the files of a cross-validation are called.

    Args:
        snapshot: digest of the list of images.
        training: the record of the settings.
    """
    settings = json.dumps(training, sort_keys=True).encode()
    return f"{snapshot[:16]}-{hashlib.sha256(settings).hexdigest()[:8]}"


def cross_validate(
    snapshot: Snapshot,
    config: TrainConfig,
    folds: int,
    kept: KeptFolds,
    *,
    precision: Precision = "float32",
    on_stage: Callable[[str], None] = lambda stage: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> CrossValidation:
    """Train once a fold and return what the networks answered about their own folds.

    Sources with validation images take part in the dealing: there the scenes are independent. Of
    the others, whose scenes are filmed objects, only none-of-these does, which has objects enough:
    it shows how things are taken that no network was taught to refuse. A class would lose much of
    what it can be learned from, so its frames train in every fold. Left out is what ``retrain``
    leaves out.

    Args:
        snapshot: the images, their labels and splits; those of the test split are left alone.
        config: every setting of a run; the schedule must be ``cosine``, which needs no choice of
            epoch.
        folds: how many, at least 2.
        kept: folds of these images, settings and number that are finished, which are not trained
            again; each that is finished now is added to them.
        precision: in which the networks judge. ``int8`` is what ``quantize`` makes of one, by
            images that the fold learned from, and with ``head_drawn`` ``fit-head`` after it.
        on_stage: told in words what happens next.
        on_epoch: told what each epoch gave.
        on_step: told how many steps of the fold are done.

    Raises:
        NotEnoughData: the snapshot cannot teach or judge a class.
        InvalidCrossValidation: a fold that was kept cannot be read.
        ParityError: in eight bits, a fold's network answers too differently.
        ValueError: the schedule is another, or the network has no layer of features and eight bits
            are asked for.
    """
    if config.schedule != "cosine":
        raise ValueError(f"schedule is {config.schedule!r}; cross-validation needs 'cosine'.")
    labels = labels_of(snapshot, with_none=config.none_of_these)
    snapshot = without_namesakes(snapshot, labels)
    columns = training_columns(config, snapshot, labels)
    if precision == "int8":
        check_features(build_network(config, columns.width), ["--precision int8"])
    dealt, others = _parts(snapshot, labels)
    fixed = thin(others, config.max_per_variety)
    logits = np.zeros((len(dealt), len(labels)), np.float32)
    fold_of = np.zeros(len(dealt), np.int64)
    for fold, (learned, judged) in enumerate(_deal(dealt, folds, config.seed)):
        fold_of[judged] = fold
        known = kept.read(fold, judged, len(labels))
        if known is not None:
            on_stage(f"Fold {fold + 1} of {folds}: finished before, its answers are kept")
            logits[judged] = known
            continue
        on_stage(f"Fold {fold + 1} of {folds}: judging {len(judged):,} of {len(dealt):,} images")
        seeded = replace(config, seed=config.seed + fold)
        learning = [*fixed, *_thinned([dealt[r] for r in learned], config)]
        data = training_data(seeded, snapshot.root, learning, columns)
        tell_left_out(on_stage, "to learn from", data.images, data.left_out)
        trained = fit(seeded, data, None, columns, on_epoch, on_step)
        small = None
        if precision == "int8":
            on_stage("Quantizing")
            small = _in_eight_bits(trained.model, Snapshot.of(snapshot.root, learning), columns)
        model = with_fitted_others(
            trained.model, data, seeded, on_stage, on_step, quantized_file=small
        )
        logits[judged] = _answers(model, small, snapshot.root, [dealt[r] for r in judged], columns)
        kept.keep(fold, judged, logits[judged])
        if fold + 1 < folds:
            on_stage("Its answers are kept: if it is stopped, the same command goes on here")
    record = record_of(config, precision)
    return _judge(snapshot.digest, record, labels, dealt, logits, fold_of)


def _in_eight_bits(model: keras.Model, learned: Snapshot, columns: Columns) -> bytes:
    """Return the ONNX file in eight bits that ``quantize`` makes of a network."""
    labels, side_px = columns.labels, model.input.shape[1]
    content = to_onnx(
        serving_network(model, columns),
        labels=labels,
        version="fold",
        input_spec=InputSpec(side_px=side_px),
    )
    return quantized(content, typical_images(learned, labels, side_px).pixels)


def _answers(
    model: keras.Model,
    quantized_file: bytes | None,
    root: Path,
    images: Sequence[SnapshotImage],
    columns: Columns,
) -> NDArray[np.float32]:
    """Return float32 (N, K) logits of N images, in eight bits where the network has a file so."""
    if quantized_file is not None:
        kernel, bias = head_of(model)
        found = photo_features(Backbone.of(model, quantized_file), root, images)
        return columns.merge(found.values @ kernel + bias)
    parts = []
    for start in range(0, len(images), _JUDGED_AT_ONCE):
        some = images[start : start + _JUDGED_AT_ONCE]
        pixels = load_images(root, some, columns.labels, model.input.shape[1])
        parts.append(predict_logits(model, pixels, columns))
    return np.concatenate(parts)


def _thinned(images: Sequence[SnapshotImage], config: TrainConfig) -> list[SnapshotImage]:
    """Return the images of a fold that train, thinned as ``retrain`` does: of training alone."""
    train = [image for image in images if image.split == Split.TRAIN]
    others = [image for image in images if image.split != Split.TRAIN]
    return [*thin(train, config.max_per_variety), *others]


def _parts(
    snapshot: Snapshot, labels: Sequence[str]
) -> tuple[list[SnapshotImage], list[SnapshotImage]]:
    """Return the images that are dealt into folds, and those that train in each of them."""
    known = [i for i in snapshot.images if i.label in labels and i.split != Split.TEST]
    independent = {i.source for i in known if i.split == Split.VALIDATION}

    def is_dealt(image: SnapshotImage) -> bool:
        return image.source in independent or image.label == NONE_OF_THESE

    return [i for i in known if is_dealt(i)], [i for i in known if not is_dealt(i)]


def _deal(
    images: Sequence[SnapshotImage], folds: int, seed: int
) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    dealer = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    rows = np.zeros(len(images))
    scenes = [f"{i.source}/{i.scene}" for i in images]
    yield from dealer.split(rows, [f"{i.source}/{i.label}" for i in images], scenes)


def _judge(
    snapshot: str,
    record: dict[str, Any],
    labels: tuple[str, ...],
    images: Sequence[SnapshotImage],
    logits: NDArray[np.float32],
    fold_of: NDArray[np.int64],
) -> CrossValidation:
    nothing, targets = none_column(labels), columns_of(images, labels)
    by_source = rows_by(image.source for image in images)
    sources = {s: rows for s, rows in by_source.items() if (targets[rows] != nothing).any()}
    name = " and ".join(f"{source}/{SPLIT_NAME}" for source in sources)
    rows = np.concatenate(list(sources.values()))
    calibration = calibrate(logits[rows], targets[rows], nothing, name)
    probabilities = np.exp(
        calibrated(logits, calibration.temperature, nothing, calibration.none_shift)
    ).astype(np.float32)

    decided = decide(probabilities, nothing, calibration.none_threshold)
    named = named_score(probabilities, nothing)
    shown = rows[targets[rows] != nothing]

    def other_scores(rows: NDArray[np.int64]) -> OtherMetrics:
        is_class = np.arange(len(shown) + len(rows)) < len(shown)
        return OtherMetrics(
            images=len(rows),
            refused=float((decided[rows] == nothing).mean()),
            auroc=auroc(np.concatenate([named[shown], named[rows]]), is_class),
        )

    def scores(rows: NDArray[np.int64]) -> EvaluationMetrics:
        return evaluate(
            probabilities[rows],
            targets[rows],
            [images[row] for row in rows],
            labels,
            calibration.none_threshold,
        )

    return CrossValidation(
        snapshot=snapshot,
        training=record,
        labels=labels,
        calibration=calibration,
        metrics={f"{source}/{SPLIT_NAME}": scores(rows) for source, rows in sources.items()},
        others={
            f"{source}/{SPLIT_NAME}": other_scores(rows)
            for source, rows in by_source.items()
            if source not in sources
        },
        folds=[
            {
                f"{source}/{SPLIT_NAME}": scores(rows[fold_of[rows] == fold]).accuracy
                for source, rows in sources.items()
                if (targets[rows[fold_of[rows] == fold]] != nothing).any()
            }
            for fold in range(int(fold_of.max()) + 1)
        ],
    )
