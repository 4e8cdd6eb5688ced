"""Score any version on any archive or folder: ``python -m training evaluate``.

Reads the pictures where they are; nothing goes into the store. Needs no TensorFlow, because it is
the published ONNX file that is scored.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.archives import Archive, UnreadableMember, open_archive, safe_parts
from data.errors import InvalidArchive, InvalidImage, InvalidLabel
from data.images import SUFFIXES, load_model_input
from data.snapshot import SnapshotImage
from data.sources import Placement, Source, detect_source
from data.splits import Split
from export.parity import onnx_predict
from models.manifest import EvaluationMetrics
from models.registry import ModelVersion
from training.evaluate import evaluate

_CHUNK = 256


@dataclass
class ScoreReport:
    """What a version answered.

    Attributes:
        metrics: by ``<source>/<split>`` for public archives, by ``<source>`` for one's own folders;
            over the pictures of classes that the version knows.
        others: by the same names, how many pictures of anything else there were. A version that
            cannot refuse gives each of them a name.
        skipped: name and reason of every picture that was not scored.
    """

    metrics: dict[str, EvaluationMetrics] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Scored:
    name: str
    placement: Placement
    row: NDArray[np.float32]  # (K,)


def score_archive(
    version: ModelVersion,
    path: Path,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ScoreReport:
    """Return how the version answers the pictures of an archive or folder.

    Args:
        version: a published version; its checksum is verified.
        path: a public archive, or ``<class>/<image>`` as a zip or a folder.
        on_progress: called with the pictures done and in all.

    Raises:
        InvalidArchive: it is neither, or it holds no picture of a class that the version knows.
        InvalidVersion: the version's files are damaged.
    """
    version.verify()
    report = ScoreReport()
    with open_archive(path) as archive:
        names = [n for n in archive.names() if Path(n.lower()).suffix in SUFFIXES]
        source = detect_source(safe_parts(name) or () for name in names[:1000])
        scored = list(_answers(version, archive, names, source, report, on_progress))
    labels = version.manifest.labels
    groups: dict[str, list[_Scored]] = {}
    for answer in scored:
        split = answer.placement.split
        groups.setdefault(f"{source.name}/{split}" if split else source.name, []).append(answer)
    for name, answers in sorted(groups.items()):
        known = [answer for answer in answers if answer.placement.label in labels]
        report.others[name] = len(answers) - len(known)
        if known:
            report.metrics[name] = _metrics(known, labels, source)
    if not report.metrics:
        raise InvalidArchive(
            f"{path.name} holds no picture of a class that {version.version} knows "
            f"({', '.join(labels)}). Name the folders after the classes."
        )
    return report


def _answers(
    version: ModelVersion,
    archive: Archive,
    names: Sequence[str],
    source: Source,
    report: ScoreReport,
    on_progress: Callable[[int, int], None],
) -> Iterator[_Scored]:
    predict = onnx_predict(version.model_path.read_bytes())
    side_px = version.manifest.input.side_px
    done = 0

    def decode(item: tuple[str, bytes]) -> NDArray[np.uint8] | InvalidImage:
        try:
            return load_model_input(item[1], side_px)
        except InvalidImage as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for chunk in _chunks(names):
            placed = [p for name in chunk if (p := _read(archive, name, source, report))]
            images = list(pool.map(decode, ((name, content) for name, content, _ in placed)))
            for (name, _, placement), image in zip(placed, images, strict=True):
                if isinstance(image, InvalidImage):
                    report.skipped.append((name, str(image)))
                else:
                    yield _Scored(name, placement, predict(image[None])[0])
            done += len(chunk)
            on_progress(done, len(names))


def _read(
    archive: Archive, name: str, source: Source, report: ScoreReport
) -> tuple[str, bytes, Placement] | None:
    parts = safe_parts(name)
    try:
        placement = source.place(parts) if parts else None
        if placement is None:
            raise UnreadableMember(f"its place is outside the layout of {source.name}")
        return name, archive.read(name), placement
    except (UnreadableMember, InvalidLabel) as error:
        report.skipped.append((name, str(error)))
        return None


def _metrics(
    answers: Sequence[_Scored], labels: Sequence[str], source: Source
) -> EvaluationMetrics:
    images = [
        SnapshotImage(
            path=answer.name,
            label=answer.placement.label,
            digest="",
            split=answer.placement.split or Split.TEST,
            source=source.name,
            variety=answer.placement.variety,
        )
        for answer in answers
    ]
    targets = np.array([labels.index(answer.placement.label) for answer in answers])
    return evaluate(np.stack([answer.row for answer in answers]), targets, images, labels)


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _CHUNK):
        yield names[start : start + _CHUNK]
