"""How a version answers each test image, kept in a file: ``python -m training examine``.

The command asks the published ONNX file, so it needs no TensorFlow. Both retrain flows attach the
same file from the answers that they have anyway.
"""

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from data.cores import available_cores
from data.images import STORED_LIMITS, load_model_input
from data.labels import NONE_OF_THESE
from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split
from export.parity import onnx_predict, use_threads
from models.decision import decide
from models.errors import InvalidVersion
from models.examination import (
    EXAMINATION_NAME,
    STATISTICS,
    Examination,
    ExaminedImage,
    picture_statistics,
)
from models.manifest import ModelManifest
from models.registry import ModelVersion, open_registry
from training.console import ConsoleProgress, run_command
from training.errors import NotEnoughData

_BATCH: Final = 64


def examination(
    images: Sequence[SnapshotImage],
    probabilities: NDArray[np.float32],
    manifest: ModelManifest,
    statistics: NDArray[np.float32],
) -> Examination:
    """Return how a version answered the test images among these; the others are left out.

    What the version has no label for counts as none of these, as a person would expect of it.

    Args:
        images: the N images.
        probabilities: float32 (N, K), what the version says of them.
        manifest: its K labels and the threshold.
        statistics: float32 (N, S), of each picture; NaN where the picture is not there.
    """
    rows = [row for row, image in enumerate(images) if image.split == Split.TEST]
    columns = decide(probabilities[rows], manifest.none_column, manifest.none_threshold)
    return Examination(
        tuple(
            ExaminedImage(
                digest=images[row].digest,
                source=images[row].source,
                split=str(images[row].split),
                label=images[row].label if images[row].label in manifest.labels else NONE_OF_THESE,
                answer=manifest.labels[column],
            )
            for row, column in zip(rows, columns.tolist(), strict=True)
        ),
        probabilities[rows, columns],
        statistics[rows],
    )


def statistics_of(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the statistics of pictures, float32 (N, S).

    Args:
        pixels: uint8 (N, side_px, side_px, 3), RGB, 0..255.
    """
    found = [picture_statistics(picture) for picture in pixels]
    return np.array(found, np.float32).reshape(len(pixels), len(STATISTICS))


def statistics_since(
    start: ModelVersion, root: Path, images: Sequence[SnapshotImage]
) -> NDArray[np.float32]:
    """Return the statistics of pictures of which a version that came before knows most.

    Args:
        start: the version; of images without a path its examination file is asked.
        root: the snapshot's root folder; images with a path are looked at there.
        images: the N images.

    Returns:
        float32 (N, S); NaN where neither says anything.

    Raises:
        OSError: a file of the snapshot is gone.
        InvalidImage: a file of the snapshot is damaged.
    """
    found = np.full((len(images), len(STATISTICS)), np.nan, np.float32)
    known = _known_statistics(start)
    for row, image in enumerate(images):
        if image.digest in known:
            found[row] = known[image.digest]
    here = [row for row, image in enumerate(images) if image.path]
    for rows in (here[at : at + _BATCH] for at in range(0, len(here), _BATCH)):
        pictures = _load(root, [images[row] for row in rows], start.manifest.input.side_px)
        found[rows] = statistics_of(pictures)
    return found


def _known_statistics(version: ModelVersion) -> dict[str, NDArray[np.float32]]:
    try:
        known = Examination.read(version.folder / EXAMINATION_NAME)
    except InvalidVersion:
        # Versions of before have no such file, or one of another format. A retraining that is as
        # good as done must not fail for it.
        return {}
    digests = (image.digest for image in known.images)
    return dict(zip(digests, known.statistics, strict=True))


def examine(version: ModelVersion, snapshot: Snapshot, progress: ConsoleProgress) -> Path:
    """Write how a version answers a snapshot's test images into its folder, and return the file.

    Raises:
        NotEnoughData: the snapshot has no test image.
        InvalidVersion: the version's ONNX file is damaged.
        OSError: a file of the snapshot is gone.
        InvalidImage: a file of the snapshot is damaged.
    """
    model_path = version.verify()
    images = snapshot.select(split=Split.TEST)
    if not images:
        raise NotEnoughData(
            "The store holds no test image to examine a version by. Import photographs first: "
            "python -m data fetch grocery."
        )
    predict = onnx_predict(model_path.read_bytes())
    probabilities, statistics = [], []
    for start in range(0, len(images), _BATCH):
        some = images[start : start + _BATCH]
        pictures = _load(snapshot.root, some, version.manifest.input.side_px)
        probabilities.append(predict(pictures))
        statistics.append(statistics_of(pictures))
        progress.on_step(start + len(some), len(images))
    found = examination(
        images, np.concatenate(probabilities), version.manifest, np.concatenate(statistics)
    )
    return version.attach(EXAMINATION_NAME, found.to_bytes()).folder / EXAMINATION_NAME


def _load(root: Path, images: Sequence[SnapshotImage], side_px: int) -> NDArray[np.uint8]:
    """Return pictures as the network sees them, uint8 (N, side_px, side_px, 3)."""

    def load(image: SnapshotImage) -> NDArray[np.uint8]:
        return load_model_input((root / image.path).read_bytes(), side_px, limits=STORED_LIMITS)

    with ThreadPoolExecutor(available_cores()) as pool:
        return np.stack(list(pool.map(load, images)))


def examine_from_flags(options: argparse.Namespace, take_snapshot: Callable[[], Snapshot]) -> int:
    """Run ``examine`` with its progress on the terminal, and return the exit status."""

    def run(progress: ConsoleProgress) -> Callable[[Console], None]:
        use_threads(options.threads)
        version = open_registry(options.state_dir).changeable(options.version)
        path = examine(version, take_snapshot(), progress)
        return lambda console: console.print(f"Written to {path}.", markup=False, highlight=False)

    return run_command(run)
