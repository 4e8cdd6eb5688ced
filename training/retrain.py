"""The retrain flow: snapshot, train, export, parity, evaluate, publish.

Reads a snapshot file and publishes a version; what the app does with either is not its business.
Run it as ``python -m training.retrain SNAPSHOT``.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from data.labels import NONE_OF_THESE
from data.snapshot import Snapshot, SnapshotImage, thin
from data.sources import PUBLIC_SOURCES
from data.splits import Split
from data.state import cross_validations_dir, state_dir
from export.parity import onnx_predict
from export.quantize import quantized
from models.card import CARD_NAME, model_card
from models.examination import EXAMINATION_NAME
from models.manifest import (
    KERAS_NAME,
    MAPS_OUTPUT,
    REHEARSAL_NAME,
    DataSource,
    EvaluationMetrics,
    GateReport,
    InputSpec,
    ModelManifest,
    OtherMetrics,
)
from models.registry import ModelRegistry, ModelVersion, open_registry, write_atomically
from training.calibration import calibrate
from training.columns import Columns
from training.config import HEAD_SHIFT, REFITTED_ANEW, TrainConfig, add_refit_flag
from training.console import ConsoleProgress, print_cross_validation, print_version, run_command
from training.cross_validation import CrossValidation, cross_validate, name_of, record_of
from training.dataset import (
    LabelledImages,
    judging_images,
    labels_of,
    training_columns,
    training_data,
    typical_images,
)
from training.epoch import Epoch
from training.errors import NotEnoughData, RehearsesAlready
from training.evaluate import none_column, score
from training.examine import examination, statistics_of
from training.features import (
    REHEARSING,
    Backbone,
    learned_from,
    make_rehearsal,
    photo_features,
)
from training.folds import KeptFolds
from training.gate import Judged, judge
from training.namesakes import without_namesakes
from training.network import (
    has_backbone,
    serving_network,
    widened_head,
    with_head,
)
from training.other_columns import head_shift, with_fitted_others
from training.pictures import confusion_pictures, history_picture
from training.publishing import exported_network, library_versions, predict_all
from training.sampling import tell_left_out
from training.saved import load_network, model_file
from training.train import fit, predict_logits, use_threads

_LOOKED_AT = 100  # photos of a new class, for the column that it begins with


def retrain(
    snapshot: Snapshot,
    config: TrainConfig,
    registry: ModelRegistry,
    cross_validation: CrossValidation | None = None,
    *,
    start: ModelVersion | None = None,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> ModelVersion:
    """Train a version from the snapshot, publish it, and return it.

    Pictures of none of the classes whose publisher calls them as an added class is called are left
    out: they show it. So is what memory has no room for: 2 GB hold pictures to learn from
    (``load_pool``), 1 GB those to choose by and another those to judge by (``judging_images``). An
    exception or Ctrl-C before the end leaves nothing published.

    Args:
        snapshot: the images, their labels and splits.
        config: every setting of the run.
        registry: where the version is published. It is not made active.
        cross_validation: of these images, with these settings but for ``REFITTED_ANEW``;
            then the validation images train too, and the calibration is taken from it. None
            calibrates on the validation images, or keeps the calibration of ``start``.
        start: the active version, whose weights it starts from and which the gate compares it with;
            None starts anew and compares nothing.
        on_stage: told in words what happens next.
        on_epoch: told what each epoch gave.
        on_step: told how many steps are done, and how many there are at most.

    Raises:
        NotEnoughData: the snapshot cannot teach or judge a class.
        InvalidCrossValidation: the cross-validation is of other images.
        ParityError: the exported model answers differently.
    """
    labels = labels_of(snapshot, with_none=config.none_of_these)
    snapshot = without_namesakes(snapshot, labels)
    if start:
        columns = Columns.of_version(start.manifest, labels)
    else:
        columns = training_columns(config, snapshot, labels)
    on_stage(f"Reading {len(snapshot.images):,} images of {len(labels)} labels")
    learned = list(thin(snapshot.select(split=Split.TRAIN), config.max_per_variety))
    splits = (Split.TEST,) if cross_validation else (Split.VALIDATION, Split.TEST)
    *choosing, test = (judging_images(snapshot, s, labels, config.side_px) for s in splits)
    if not len(test):
        raise NotEnoughData(
            f"The store holds no test image of {', '.join(labels)}, by which the result would be "
            "judged. Import photographs first: python -m data fetch grocery."
        )
    if cross_validation:
        cross_validation.check(snapshot)
        learned += snapshot.select(split=Split.VALIDATION)
    data = training_data(config, snapshot.root, learned, columns)
    notes = tell_left_out(on_stage, "to learn from", data.images, data.left_out)
    notes += tell_left_out(on_stage, "to judge by", len(test), test.left_out)
    for validation in choosing:
        notes += tell_left_out(on_stage, "to choose by", len(validation), validation.left_out)
    on_stage(f"Training {config.network} on {data.images:,} images")
    begun = _started_from(start, columns, snapshot.root, learned) if start else None
    judged_by = choosing[0] if choosing else None
    trained = fit(config, data, judged_by, columns, on_epoch, on_step, begun)
    shift = head_shift(start.manifest) if start else 0.0
    model = with_fitted_others(trained.model, data, config, on_stage, on_step, shift)
    judged = [*choosing, test]
    if cross_validation:
        calibration = cross_validation.calibration
    elif start and start.manifest.calibration:
        # The version that it goes on from may have learned from the validation images, as one that
        # was refitted has, and is surer of them than of others: a threshold chosen on them let
        # 28 instead of 21 % of other fruit pass. So what was chosen honestly before stays.
        calibration = start.manifest.calibration
    else:
        (validation,) = choosing
        logits = predict_logits(model, validation, columns)
        named = " and ".join(sorted({f"{i.source}/{i.split}" for i in validation.images}))
        calibration = calibrate(logits, validation.targets, none_column(labels), named)

    on_stage("Exporting to ONNX and comparing with Keras")
    serving = serving_network(model, columns, calibration)
    input_spec = InputSpec(side_px=config.side_px)
    parity: dict[str, float] = {}
    metrics: dict[str, EvaluationMetrics] = {}
    others: dict[str, OtherMetrics] = {}
    if cross_validation:
        metrics.update(cross_validation.metrics)
        others.update(cross_validation.others)
    answers: list[NDArray[np.float32]] = []
    precision = start.manifest.precision if start else "float32"
    exported: list[bytes] = []

    def make_model(version: str) -> bytes:
        content, errors = exported_network(serving, labels, version, input_spec, test.pixels)
        parity.update(errors)
        if precision == "int8":
            on_stage("Quantizing")
            content = quantized(content, typical_images(snapshot, labels, config.side_px).pixels)
        predict = onnx_predict(content)
        on_stage("Judging the exported model on images it never learned from")
        for part in judged:
            answers.append(predict_all(predict, part.pixels))
            found = score(part.images, answers[-1], labels, calibration.none_threshold)
            metrics.update({n: m for n, m in found.items() if not start or n.endswith("/test")})
        exported.append(content)
        return content

    def make_manifest(version: str, content: bytes) -> ModelManifest:
        manifest = ModelManifest(
            version=version,
            labels=labels,
            none_label=NONE_OF_THESE if NONE_OF_THESE in labels else None,
            kinds=columns.kinds if len(columns.kinds) > 1 else (),
            input=input_spec,
            maps_output=MAPS_OUTPUT if MAPS_OUTPUT in serving.output else None,
            precision=precision,
            calibration=calibration,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            network=config.network,
            parameters=model.count_params(),
            training=config.record()
            | ({"mode": "thorough", HEAD_SHIFT: shift} if start else {})
            | ({"notes": notes} if notes else {}),
            folds=cross_validation.training if cross_validation else {},
            history=trained.history,
            metrics=metrics,
            others=others,
            snapshot=snapshot.digest,
            sources=_sources(snapshot),
            parity=parity,
            libraries=library_versions(),
            parent=start.version if start else None,
        )
        if start is None:
            return manifest
        on_stage(f"Comparing the candidate with {start.version}")
        return manifest.model_copy(update={"gate": _gate(start, manifest, judged, answers)})

    def make_attachments(manifest: ModelManifest) -> dict[str, bytes]:
        rehearsal = {}
        if has_backbone(model):
            on_stage(REHEARSING)
            backbone = Backbone.of(model, exported[-1] if precision == "int8" else None)
            rehearsal[REHEARSAL_NAME] = make_rehearsal(backbone, snapshot, on_step).to_bytes()
        # The test images are judged last.
        examined = examination(test.images, answers[-1], manifest, statistics_of(test.pixels))
        return confusion_pictures(metrics, labels) | {
            "history.png": history_picture(trained.history),
            CARD_NAME: model_card(manifest).encode(),
            EXAMINATION_NAME: examined.to_bytes(),
            KERAS_NAME: model_file(model),
            **rehearsal,
        }

    return registry.publish(make_model, make_manifest, make_attachments)


def _started_from(
    start: ModelVersion, columns: Columns, root: Path, learned: Sequence[SnapshotImage]
) -> keras.Model:
    """Return the network of a version, with a column for each class that is new."""
    model = load_network(start)
    new = set(columns.classes) - set(start.manifest.classes) if has_backbone(model) else ()
    looks = {
        label: photo_features(
            Backbone.of(model), root, [i for i in learned if i.label == label][:_LOOKED_AT]
        ).values.mean(axis=0)
        for label in new
    }
    return with_head(model, *widened_head(model, start.manifest, columns.classes, looks))


def _gate(
    start: ModelVersion,
    manifest: ModelManifest,
    judged: Sequence[LabelledImages],
    answers: Sequence[NDArray[np.float32]],
) -> GateReport:
    """Compare on the test images, and on the validation images of classes that are new."""
    images = [image for part in judged for image in part.images]
    rows = [
        row
        for row, image in enumerate(images)
        if image.split == Split.TEST or image.label not in start.manifest.labels
    ]
    predict = onnx_predict(start.verify().read_bytes())
    before = np.concatenate([predict_all(predict, part.pixels) for part in judged])[rows]
    return judge(
        [images[row] for row in rows],
        Judged(np.concatenate(answers)[rows], manifest),
        Judged(before, start.manifest),
        # A network that has learned a label does not doubt it any more.
        suspects=start.manifest.gate.suspects if start.manifest.gate else (),
    )


def _sources(snapshot: Snapshot) -> list[DataSource]:
    known = {source.name: source for source in PUBLIC_SOURCES}
    images: dict[str, dict[str, int]] = {}
    for (name, _, split), count in sorted(snapshot.counts().items()):
        by_split = images.setdefault(name, {})
        by_split[split] = by_split.get(split, 0) + count
    return [
        DataSource(
            name=name,
            licence=known[name].licence if name in known else "",
            citation=known[name].citation if name in known else "",
            images=by_split,
        )
        for name, by_split in images.items()
    ]


def rehearse(version: ModelVersion, snapshot: Snapshot, progress: ConsoleProgress) -> Path:
    """Write the features of the images that a version knows into its folder, and return the file.

    Raises:
        NotEnoughData: the store has nothing to learn a label of the version from.
        RehearsesAlready: it has such a file, with features of images that the store may lack.
        NoBackbone: the version's network has no features.
        InvalidVersion: the version's Keras file is missing, or not what was published.
    """
    if REHEARSAL_NAME in version.checksums:
        raise RehearsesAlready(version.version)
    backbone = Backbone.of_version(version, load_network(version))
    known = learned_from(version, snapshot)
    rehearsal = make_rehearsal(backbone, known, progress.on_step)
    return version.attach(REHEARSAL_NAME, rehearsal.to_bytes()).folder / REHEARSAL_NAME


def rehearse_from_flags(options: argparse.Namespace, take_snapshot: Callable[[], Snapshot]) -> int:
    """Run ``rehearse`` with its progress on the terminal, and return the exit status."""

    def run(progress: ConsoleProgress) -> Callable[[Console], None]:
        use_threads(options.threads)
        version = open_registry(options.state_dir).changeable(options.version)
        path = rehearse(version, take_snapshot(), progress)
        return lambda console: console.print(f"Written to {path}.", markup=False, highlight=False)

    return run_command(run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.retrain", description=__doc__)
    parser.add_argument("snapshot", type=Path, help="the snapshot file to train from")
    parser.add_argument("--state-dir", type=Path, default=state_dir())
    TrainConfig.add_flags(parser)
    add_refit_flag(parser)
    options = parser.parse_args(arguments)
    return retrain_from_flags(options, lambda: Snapshot.load(options.snapshot))


def retrain_from_flags(options: argparse.Namespace, take_snapshot: Callable[[], Snapshot]) -> int:
    """Run the flow with its progress on the terminal, and return the exit status.

    Args:
        options: the flags of ``TrainConfig``, ``refit`` and ``state_dir``.
        take_snapshot: returns the images to train from; called once the flags are checked.
    """

    def run(progress: ConsoleProgress) -> Callable[[Console], None]:
        judged = CrossValidation.read(options.refit) if options.refit else None
        if judged:
            given = {name: getattr(options, name) for name in REFITTED_ANEW}
            changes = {name: value for name, value in given.items() if value is not None}
            config = replace(judged.config, **changes)
            config.check()
        else:
            config = TrainConfig.from_flags(options)
        use_threads(options.threads)
        published = retrain(
            take_snapshot(),
            config,
            open_registry(options.state_dir),
            judged,
            on_stage=progress.on_stage,
            on_epoch=progress.on_epoch,
            on_step=progress.on_step,
        )
        return lambda console: print_version(published, console)

    return run_command(run)


def cross_validate_from_flags(
    options: argparse.Namespace, take_snapshot: Callable[[], Snapshot]
) -> int:
    """Run a cross-validation with its progress on the terminal, and return the exit status.

    Args:
        options: the flags of ``TrainConfig``, ``folds``, ``precision`` and ``state_dir``.
        take_snapshot: as for ``retrain_from_flags``.
    """

    def run(progress: ConsoleProgress) -> Callable[[Console], None]:
        config = TrainConfig.from_flags(options)
        use_threads(config.threads)
        snapshot, folder = take_snapshot(), cross_validations_dir(options.state_dir)
        name = name_of(snapshot.digest, record_of(config, options.precision))
        kept = KeptFolds(folder / f"{name}-in-{options.folds}")
        found = cross_validate(
            snapshot,
            config,
            options.folds,
            kept,
            precision=options.precision,
            on_stage=progress.on_stage,
            on_epoch=progress.on_epoch,
            on_step=progress.on_step,
        )
        path = folder / f"{name}.json"
        write_atomically(path, (found.model_dump_json(indent=2) + "\n").encode())
        kept.forget()
        return lambda console: print_cross_validation(
            found.metrics, found.others, found.folds, path, console
        )

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
