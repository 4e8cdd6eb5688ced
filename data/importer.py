"""From an archive or a folder into the store, with a report of what became of every file."""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from data.archives import (
    DEFAULT_ARCHIVE_LIMITS,
    ArchiveLimits,
    UnreadableMember,
    open_archive,
    safe_parts,
)
from data.cores import available_cores
from data.errors import InvalidArchive, InvalidImage, InvalidLabel
from data.images import ACCEPTED, SUFFIXES, Looks
from data.sources import Placement, Source, detect_source
from data.splits import Split
from data.store import AddResult, DatasetStore, StoreBatch

_BATCH: Final = 100  # while they are decoded and added, nobody else can write
# Below, the threads wait for each other longer than decoding takes (measured with JPEGs of 200 px).
_LARGE_BYTES: Final = 50_000
_THREADS: Final = available_cores()  # that decode, beside the one that reads and writes


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


class _Member(NamedTuple):
    """A picture of an archive: its name there, what the layout says of it, and its bytes."""

    name: str
    placement: Placement
    content: bytes


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
        pictures = [name for name in names if _suffix(name) in SUFFIXES]
        layout = source or detect_source(parts[name] or () for name in pictures[:1000])
        report = ImportReport(layout)
        with ThreadPoolExecutor(_THREADS) as pool:
            for start in range(0, len(names), _BATCH):
                members = _members(archive.read, names[start : start + _BATCH], parts, report)
                with store.batch() as batch:
                    for member, looks in _looked_at(members, batch, pool):
                        _add(batch, member, looks, report)
                on_progress(min(start + _BATCH, len(names)), len(names))
    if not report.results:
        raise InvalidArchive(
            f"{path.resolve().name} holds {len(names):,} files but no picture in a known layout"
            f"{_first_reason(report)}. Expected one folder of pictures per class ({ACCEPTED}), or "
            "the archive of a public source as published."
        )
    return report


def _members(
    read: Callable[[str], bytes],
    names: Iterable[str],
    parts: Mapping[str, tuple[str, ...] | None],
    report: ImportReport,
) -> Iterator[_Member]:
    """Yield the pictures among the members, and note why others are none."""
    for name in names:
        inner = parts[name]
        try:
            if inner is None:
                raise UnreadableMember("its name points outside the archive")
            if not inner or inner[0] == "__MACOSX" or inner[-1].startswith("."):
                continue
            if _suffix(name) not in SUFFIXES:
                raise UnreadableMember("it is not a picture")
            placement = report.source.place(inner)
            if placement is None:
                raise UnreadableMember(f"its place is outside the layout of {report.source.name}")
            member = _Member(name, placement, read(name))
        except (UnreadableMember, InvalidLabel) as error:
            report.skipped.append((_printable(name), _printable(str(error))))
        else:
            yield member


def _looked_at(
    members: Iterable[_Member], batch: StoreBatch, pool: Executor
) -> Iterator[tuple[_Member, "Future[Looks] | None"]]:
    """Yield the members in their order, large ones of the next being decoded meanwhile.

    With None comes what the batch had better look at itself: small files, and those that it knows.
    """
    waiting: deque[tuple[_Member, Future[Looks] | None]] = deque()
    for member in members:
        alone = len(member.content) < _LARGE_BYTES or batch.knows(member.content)
        waiting.append((member, None if alone else pool.submit(batch.look_at, member.content)))
        if len(waiting) > _THREADS:
            yield waiting.popleft()
    yield from waiting


def _add(
    batch: StoreBatch, member: _Member, looks: "Future[Looks] | None", report: ImportReport
) -> None:
    source, placement = report.source, member.placement
    try:
        outcome = batch.add(
            member.content,
            label=placement.label,
            source=source.name,
            original_name=_printable(member.name),
            licence=source.licence,
            variety=placement.variety,
            scene=placement.group,
            split=placement.split,
            joins_scenes=source.joins_scenes,
            joins_by_form=source.joins_by_form,
            looks=looks.result() if looks else None,
        )
    except (InvalidImage, InvalidLabel) as error:
        report.skipped.append((_printable(member.name), _printable(str(error))))
        return
    report.results[outcome.result] += 1
    if outcome.result is AddResult.ADDED:
        report.added[outcome.image.label, outcome.image.split] += 1
    elif outcome.result is AddResult.OTHER_LABEL:
        report.other_label.append((_printable(member.name), placement.label, outcome.image.label))


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _first_reason(report: ImportReport) -> str:
    return (
        f" (for example {report.skipped[0][0]!r}: {report.skipped[0][1]})" if report.skipped else ""
    )


def _printable(name: str) -> str:
    """Return a file's name without what is no text: bytes of any kind, or what moves a cursor."""
    text = name.encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else "?" for letter in text)
