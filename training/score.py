"""Score any version on any archive or folder: ``python -m training evaluate``.

Reads the pictures where they are; nothing goes into the store. Needs no TensorFlow, because it is
the published ONNX file that is scored.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.archives import Archive, UnreadableMember, open_archive, safe_parts
from data.cores import available_cores
from data.errors import InvalidArchive, InvalidImage, InvalidLabel
from data.images import SUFFIXES, load_model_input
from data.labels import NONE_OF_THESE, same_class
from data.snapshot import SnapshotImage
from data.sources import Placement, Source, detect_source
from data.splits import Split
from export.parity import onnx_predict
from models.decision import decide
from models.manifest import EvaluationMetrics, ModelManifest, OtherMetrics
from models.registry import ModelVersion
from training.evaluate import columns_of, evaluate

_CHUNK = 256


@dataclass
class ScoreReport:
    """What a version answered.

    Attributes:
        metrics: by ``<source>/<split>`` for public archives, by ``<source>`` for one's own folders;
            over the pictures of classes that the version knows.
        others: by the same names, how pictures of anything else fared. A version that cannot refuse
            gives each of them a name.
        read_as: the class of each label that means one in other words, such as ``apples``.
        unknown: how many pictures of each label that the version does not know; they count as
            pictures of anything else.
        skipped: name and reason of every picture that was not scored.
    """

    metrics: dict[str, EvaluationMetrics] = field(default_factory=dict)
    others: dict[str, OtherMetrics] = field(default_factory=dict)
    read_as: dict[str, str] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
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
        InvalidArchive: it is neither, or it holds no picture that can be scored.
        InvalidVersion: the version's files are damaged.
    """
    version.verify()
    report = ScoreReport()
    with open_archive(path) as archive:
        names = [n for n in archive.names() if Path(n.lower()).suffix in SUFFIXES]
        source = detect_source(safe_parts(name) or () for name in names[:1000])
        scored = list(_answers(version, archive, names, source, report, on_progress))
    groups: dict[str, list[_Scored]] = {}
    for answer in scored:
        split = answer.placement.split
        groups.setdefault(f"{source.name}/{split}" if split else source.name, []).append(answer)
    for name, answers in sorted(groups.items()):
        _judge(answers, version.manifest, source, name, report)
    if not scored:
        raise InvalidArchive(
            f"{path.name} holds no picture that can be scored. Put pictures into folders that are "
            f"named after the classes ({', '.join(version.manifest.classes)}); any other name, "
            f"such as {NONE_OF_THESE}, stands for none of these."
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

    with ThreadPoolExecutor(available_cores()) as pool:
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


def _judge(
    answers: Sequence[_Scored],
    manifest: ModelManifest,
    source: Source,
    name: str,
    report: ScoreReport,
) -> None:
    """Add the scores of one source and split to the report."""
    labels = Counter(answer.placement.label for answer in answers)
    known = {label: label for label in (*manifest.classes, NONE_OF_THESE)}
    for label in labels.keys() - known.keys():
        if meant := same_class(label, manifest.classes):
            known[label] = report.read_as[label] = meant
    report.unknown += Counter({label: n for label, n in labels.items() if label not in known})
    images = [
        SnapshotImage(
            path=answer.name,
            label=known.get(answer.placement.label, NONE_OF_THESE),
            digest="",
            split=answer.placement.split or Split.TEST,
            source=source.name,
            variety=answer.placement.variety,
        )
        for answer in answers
    ]
    probabilities = np.stack([answer.row for answer in answers])
    if all(image.label == NONE_OF_THESE for image in images):
        decided = decide(probabilities, manifest.none_column, manifest.none_threshold)
        refused = float((decided == manifest.none_column).mean()) if manifest.none_label else 0.0
        report.others[name] = OtherMetrics(images=len(images), refused=refused)
        return
    metrics = evaluate(
        probabilities,
        columns_of(images, manifest.labels),
        images,
        manifest.labels,
        manifest.none_threshold,
    )
    report.metrics[name] = metrics
    if metrics.others:
        report.others[name] = metrics.others


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _CHUNK):
        yield names[start : start + _CHUNK]
