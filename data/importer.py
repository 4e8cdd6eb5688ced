"""From an archive or a folder into the store, with a report of what became of every file."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from data.archives import (
    DEFAULT_ARCHIVE_LIMITS,
    ArchiveLimits,
    UnreadableMember,
    open_archive,
    safe_parts,
)
from data.errors import InvalidArchive, InvalidImage, InvalidLabel
from data.images import ACCEPTED, SUFFIXES
from data.sources import Placement, Source, detect_source
from data.splits import Split
from data.store import AddResult, DatasetStore, StoreBatch

_BATCH = 1000


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        source: the layout that was recognised.
        results: how many images were added, duplicates, or known under another label.
        added: how many were added by label and split.
        skipped: name and reason of every file that was not taken.
        other_label: name, its label here and the label in the store.
    """

    source: Source
    results: Counter[AddResult] = field(default_factory=Counter)
    added: Counter[tuple[str, Split]] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    other_label: list[tuple[str, str, str]] = field(default_factory=list)


def import_archive(
    store: DatasetStore,
    path: Path,
    *,
    source: Source | None = None,
    limits: ArchiveLimits = DEFAULT_ARCHIVE_LIMITS,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportReport:
    """Import a zip or a folder into the store; a second import of the same changes nothing.

    Args:
        store: where the images go.
        path: the archive of a public source, or ``<class>/<image>`` as a zip or a folder.
        source: the layout; None to recognise it.
        limits: bounds on the archive.
        on_progress: called with the files done and the files in all.

    Returns:
        The report. Files that are no pictures are skipped and listed, not fatal.

    Raises:
        InvalidArchive: it is neither a zip nor a folder, it breaks a bound, or it holds no picture
            in a known layout. What was imported before a bound was met stays.
    """
    with open_archive(path, limits) as archive:
        names = archive.names()
        parts = {name: safe_parts(name) for name in names}
        pictures = [n for n in names if PurePosixPath(n.lower()).suffix in SUFFIXES]
        layout = source or detect_source(parts[name] or () for name in pictures[:1000])
        report = ImportReport(layout)
        for start in range(0, len(names), _BATCH):
            with store.batch() as batch:
                for name in names[start : start + _BATCH]:
                    _import_member(batch, archive.read, name, parts[name], report)
            on_progress(min(start + _BATCH, len(names)), len(names))
    if not report.results:
        raise InvalidArchive(
            f"{path.name} holds {len(names):,} files but no picture in a known layout"
            f"{_first_reason(report)}. Expected one folder of pictures per class ({ACCEPTED}), or "
            "the archive of a public source as published."
        )
    return report


def _import_member(
    batch: StoreBatch,
    read: Callable[[str], bytes],
    name: str,
    parts: tuple[str, ...] | None,
    report: ImportReport,
) -> None:
    source = report.source
    try:
        if parts is None:
            raise UnreadableMember("its name points outside the archive")
        if parts[0] == "__MACOSX" or parts[-1].startswith("."):
            return
        if PurePosixPath(name.lower()).suffix not in SUFFIXES:
            raise UnreadableMember("it is not a picture")
        placement = source.place(parts)
        if placement is None:
            raise UnreadableMember(f"its place is outside the layout of {source.name}")
        _add(batch, read(name), name, placement, report)
    except (UnreadableMember, InvalidImage, InvalidLabel) as error:
        report.skipped.append((name, str(error)))


def _add(
    batch: StoreBatch, content: bytes, name: str, placement: Placement, report: ImportReport
) -> None:
    source = report.source
    outcome = batch.add(
        content,
        label=placement.label,
        source=source.name,
        original_name=name,
        licence=source.licence,
        variety=placement.variety,
        scene=placement.group,
        split=placement.split,
        joins_scenes=source.joins_scenes,
    )
    report.results[outcome.result] += 1
    if outcome.result is AddResult.ADDED:
        report.added[outcome.image.label, outcome.image.split] += 1
    elif outcome.result is AddResult.OTHER_LABEL:
        report.other_label.append((name, placement.label, outcome.image.label))


def _first_reason(report: ImportReport) -> str:
    return (
        f" (for example {report.skipped[0][0]!r}: {report.skipped[0][1]})" if report.skipped else ""
    )
