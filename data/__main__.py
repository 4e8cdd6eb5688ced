"""Command line of the dataset store: ``python -m data fetch|import|audit|check``."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import Timeout
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from data.audit import Audit, audit
from data.check import SETTLED_S, Problem, check
from data.errors import DataError
from data.fetch import download, kept_if_valid
from data.importer import ImportReport, import_archive
from data.sources import MIRROR_VARIABLE, PUBLIC_SOURCES, SOURCES, Source, find_source
from data.splits import Split
from data.state import app_lock, downloads_dir, state_dir, store_dir, users_of
from data.store import AddResult, DatasetStore

_SHOWN = 10
_AS_IT_IS: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = _parser().parse_args(arguments)
    console = Console()
    try:
        run: Callable[[argparse.Namespace, Console], int | None] = options.run
        return run(options, console) or 0
    except DataError as error:
        Console(stderr=True).print(
            f"[red]{type(error).__name__}[/]: {escape(str(error))}", highlight=False
        )
        return 1
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped. What was imported stays; run it again to go on.")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data", description=__doc__.replace("``", "'"))
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=state_dir(),
        help="folder of all mutable state (default: FRUIT_STATE_DIR or var)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fetch = commands.add_parser("fetch", help="download a public data set and import it")
    fetch.add_argument("name", choices=[source.name for source in PUBLIC_SOURCES])
    fetch.add_argument(
        "--url",
        help=f"another address of the same archive; a folder with both may be in {MIRROR_VARIABLE}",
    )
    fetch.set_defaults(run=_fetch)

    importing = commands.add_parser("import", help="import an archive or an unpacked folder")
    importing.add_argument("path", type=Path, nargs="+", help="a zip, or a folder of class folders")
    importing.add_argument(
        "--source", choices=[s.name for s in SOURCES], help="its layout, if not recognised"
    )
    importing.set_defaults(run=_import)

    auditing = commands.add_parser("audit", help="count what is there and look for trouble")
    auditing.set_defaults(run=_audit)

    checking = commands.add_parser(
        "check", help="compare every photo with its digest; status 1 where something is wrong"
    )
    checking.add_argument(
        "--mend", action="store_true", help="mend what can be mended; stop the app first"
    )
    checking.set_defaults(run=_check)
    return parser


def _fetch(options: argparse.Namespace, console: Console) -> None:
    source = find_source(options.name)
    target = downloads_dir(options.state_dir) / f"{source.name}.zip"
    console.print(f"{source.title} ({source.licence})")
    columns = (TextColumn("Downloading"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("download", total=None)
        download(
            options.url or source.url_from(os.environ.get(MIRROR_VARIABLE, "").strip()),
            target,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    with kept_if_valid(target):
        _import_one(options.state_dir, target, source, console)


def _import(options: argparse.Namespace, console: Console) -> None:
    for path in options.path:
        _import_one(
            options.state_dir,
            path,
            find_source(options.source) if options.source else None,
            console,
        )


def _import_one(state: Path, path: Path, source: Source | None, console: Console) -> None:
    store = DatasetStore(store_dir(state))
    columns = (TextColumn("Importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("import", total=None)
            report = import_archive(
                store,
                path,
                source=source,
                on_progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
    finally:
        store.close()
    _print_report(path, report, console)


def _print_report(path: Path, report: ImportReport, console: Console) -> None:
    console.print(
        f"{path.resolve().name}: read as {report.source.title}.", markup=False, highlight=False
    )
    if report.added:
        console.print(
            _by_split("Added", {(label,): _row(report.added, label) for label, _ in report.added})
        )
    console.print(
        f"{report.results[AddResult.ADDED]:,} added, {report.results[AddResult.DUPLICATE]:,} "
        f"duplicates, {len(report.other_label):,} known under another label, "
        f"{len(report.skipped):,} skipped."
    )
    for name, label, known in report.other_label[:_SHOWN]:
        console.print(f"  {name}: {label} here, {known} in the store", markup=False)
    for name, reason in report.skipped[:_SHOWN]:
        console.print(f"  skipped {name}: {reason}", markup=False)
    if len(report.skipped) > _SHOWN:
        console.print(f"  ... and {len(report.skipped) - _SHOWN:,} more")


def _audit(options: argparse.Namespace, console: Console) -> None:
    store = DatasetStore(store_dir(options.state_dir))
    try:
        result = audit(store)
    finally:
        store.close()
    if not result.counts:
        console.print("The store is empty. Fill it with 'python -m data fetch fruits-360'.")
        return
    _print_audit(result, console)


def _print_audit(result: Audit, console: Console) -> None:
    rows = {
        (source, label): [result.counts.get((source, label, split), 0) for split in Split]
        for source, label, _ in result.counts
    }
    console.print(_by_split("Images in the store", rows))
    console.print(f"Files: {result.size_bytes / 1e6:,.1f} MB.")
    for source, (low, middle, high) in result.sides_px.items():
        console.print(f"Shorter side, {source}: {low} to {high} px, median {middle} px.")
    console.print(f"Largest class against smallest, in training: {result.imbalance:.1f} to 1.")
    for label, missing in result.rare.items():
        console.print(f"[yellow]{label}[/] has no image in {', '.join(missing)}.")
    for (source, split, other), count in sorted(result.near_duplicate_counts.items()):
        console.print(f"{source}: {count:,} {split} images nearly equal one in {other}.")
    for pair in [n for n in result.near_duplicates if n.image.source != "fruits-360"][:_SHOWN]:
        console.print(
            f"  {pair.image.original_name} ({pair.image.split}) ~ {pair.other.original_name} "
            f"({pair.other.split}), {pair.distance_bits} of 64 bits",
            markup=False,
            highlight=False,
        )


def _check(options: argparse.Namespace, console: Console) -> int:
    if not options.mend or not options.state_dir.exists():
        return _checked(options, console)
    users = users_of(options.state_dir)
    if not users:
        try:
            with app_lock(options.state_dir).acquire(timeout=0):
                return _checked(options, console)
        except Timeout:  # in another container, whose processes are not seen from here
            users = ["an app"]
    message = (
        f"The store is in use by {', '.join(users)}. Stop the app and what else writes the "
        "store, then run it again; looking without --mend may be done at any time."
    )
    Console(stderr=True).print(message, **_AS_IT_IS)
    return 2


def _checked(options: argparse.Namespace, console: Console) -> int:
    columns = (TextColumn("Checking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("check", total=None)
        report = check(
            options.state_dir,
            settled_s=0 if options.mend else SETTLED_S,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    for problem in report.problems:
        console.print(f"{problem.where}: {problem.message}", style="red", **_AS_IT_IS)
        console.print(f"  {_mended(problem, options.mend)}", **_AS_IT_IS)
    console.print(f"{report.sound:,} photos are what was added.")
    if report.problems and not options.mend:
        console.print("Stop the app, then mend with 'python -m data check --mend'.")
    return 1 if report.problems else 0


def _mended(problem: Problem, mends: bool) -> str:
    """Mend a problem where that is wanted and can be done, and return what became of it."""
    if not mends or problem.mend is None:
        return f"To mend: {problem.remedy}"
    try:
        problem.mend()
    except (DataError, OSError) as error:
        return f"Not mended: {error}"
    return f"Mended: {problem.remedy}"


def _row(added: dict[tuple[str, Split], int], label: str) -> list[int]:
    return [added.get((label, split), 0) for split in Split]


def _by_split(title: str, rows: Mapping[Any, list[int]]) -> Table:
    table = Table(title=title)
    width = max(len(names) for names in rows)
    for name in ("Source", "Class")[-width:]:
        table.add_column(name)
    for split in (*Split, "total"):
        table.add_column(str(split), justify="right")
    for names, counts in sorted(rows.items()):
        table.add_row(*names, *(f"{n:,}" for n in counts), f"{sum(counts):,}")
    return table


if __name__ == "__main__":
    sys.exit(main())
