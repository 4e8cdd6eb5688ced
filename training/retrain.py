"""The retrain flow, on one screen: snapshot, train, evaluate, export, parity, publish.

Reads a snapshot file and publishes a version; what the app does with either is not its business.
Run it as ``python -m training.retrain SNAPSHOT``.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version as library_version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.snapshot import Snapshot, thin
from data.sources import PUBLIC_SOURCES
from data.splits import Split
from data.state import state_dir
from export.convert import to_onnx
from export.parity import Predict, check_parity, onnx_predict
from models.manifest import DataSource, EvaluationMetrics, InputSpec, ModelManifest
from models.registry import ModelRegistry, ModelVersion, open_registry
from training.config import TrainConfig
from training.console import ConsoleProgress, run_command
from training.dataset import LabelledImages, labels_of, load_images
from training.evaluate import by_source_and_split, evaluate
from training.pictures import confusion_picture, history_picture
from training.train import Epoch, fit, use_threads

_PARITY_IMAGES = 24
_EVALUATION_BATCH = 64
_LIBRARIES = ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "numpy", "pillow")


def retrain(
    snapshot: Snapshot,
    config: TrainConfig,
    registry: ModelRegistry,
    *,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> ModelVersion:
    """Train a version from the snapshot, publish it, and return it.

    An exception or Ctrl-C before the end leaves nothing published.

    Args:
        snapshot: the images, their labels and splits.
        config: every setting of the run.
        registry: where the version is published. It is not made active.
        on_stage: told in words what happens next.
        on_epoch: told what each epoch gave.
        on_step: told how many steps are done, and how many there are at most.

    Raises:
        NotEnoughData: the snapshot cannot teach or judge a class.
        ParityError: the exported model answers differently.
    """
    labels = labels_of(snapshot)
    on_stage(f"Reading {len(snapshot.images):,} images of {len(labels)} classes")
    rows = {split: snapshot.select(split=split) for split in Split}
    rows[Split.TRAIN] = thin(rows[Split.TRAIN], config.max_per_variety)
    train, validation, test = (
        load_images(snapshot.root, rows[split], labels, config.side_px)
        for split in (Split.TRAIN, Split.VALIDATION, Split.TEST)
    )
    on_stage(f"Training {config.network} on {len(train):,} images")
    trained = fit(config, train, validation, len(labels), on_epoch, on_step)

    on_stage("Exporting to ONNX and comparing with Keras")
    input_spec = InputSpec(side_px=config.side_px)
    parity: dict[str, float] = {}
    metrics: dict[str, EvaluationMetrics] = {}

    def make_model(version: str) -> bytes:
        content = to_onnx(trained.model, labels=labels, version=version, input_spec=input_spec)
        predict = onnx_predict(content)
        parity.update(
            check_parity(
                lambda images: np.asarray(trained.model(images, training=False)),
                predict,
                validation.pixels[:: max(1, len(validation) // _PARITY_IMAGES)],
            )
        )
        on_stage("Judging the exported model on images it never learned from")
        metrics.update(score(predict, labels, validation, test))
        return content

    def make_manifest(version: str, content: bytes) -> ModelManifest:
        return ModelManifest(
            version=version,
            labels=labels,
            input=input_spec,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            network=config.network,
            parameters=trained.model.count_params(),
            training=asdict(config),
            history=trained.history,
            metrics=metrics,
            snapshot=snapshot.digest,
            sources=_sources(snapshot),
            parity=parity,
            libraries={name: _library(name) for name in _LIBRARIES},
        )

    def make_attachments() -> dict[str, bytes]:
        pictures = {
            f"confusion-{name.replace('/', '-')}.png": confusion_picture(name, scores, labels)
            for name, scores in metrics.items()
        }
        return {**pictures, "history.png": history_picture(trained.history)}

    return registry.publish(make_model, make_manifest, make_attachments)


def score(
    predict: Predict, labels: Sequence[str], *parts: LabelledImages
) -> dict[str, EvaluationMetrics]:
    """Return the metrics of each source and split among the images, by ``<source>/<split>``."""
    metrics: dict[str, EvaluationMetrics] = {}
    for part in parts:
        for name, rows in by_source_and_split(part.images).items():
            metrics[name] = evaluate(
                _predict_all(predict, part.pixels[rows]),
                part.targets[rows],
                [part.images[row] for row in rows],
                labels,
            )
    return metrics


def _predict_all(predict: Predict, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    starts = range(0, len(pixels), _EVALUATION_BATCH)
    return np.concatenate([predict(pixels[s : s + _EVALUATION_BATCH]) for s in starts])


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


def _library(name: str) -> str:
    # The same TensorFlow release goes by two names.
    for package in (name, f"{name}-cpu"):
        try:
            return library_version(package)
        except ModuleNotFoundError:
            continue
    return "unknown"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.retrain", description=__doc__)
    parser.add_argument("snapshot", type=Path, help="the snapshot file to train from")
    parser.add_argument("--state-dir", type=Path, default=state_dir())
    TrainConfig.add_flags(parser)
    options = parser.parse_args(arguments)
    return retrain_from_flags(options, lambda: Snapshot.load(options.snapshot))


def retrain_from_flags(options: argparse.Namespace, take_snapshot: Callable[[], Snapshot]) -> int:
    """Run the flow with its progress on the terminal, and return the exit status.

    Args:
        options: the flags of ``TrainConfig`` and ``state_dir``.
        take_snapshot: returns the images to train from; called once the flags are checked.
    """

    def run(progress: ConsoleProgress) -> ModelVersion:
        config = TrainConfig.from_flags(options)
        use_threads(config.threads)
        return retrain(
            take_snapshot(),
            config,
            open_registry(options.state_dir),
            on_stage=progress.on_stage,
            on_epoch=progress.on_epoch,
            on_step=progress.on_step,
        )

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
