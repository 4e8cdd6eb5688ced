"""Command line of the model registry: ``python -m models list|show|activate|check`` and more."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from models.card import CARD_NAME
from models.check import Problem, check
from models.errors import ModelError, VersionRejected
from models.examination import EXAMINATION_NAME
from models.manifest import KERAS_NAME, MANIFEST_NAME, MODEL_NAME, REHEARSAL_NAME
from models.registry import ModelRegistry, open_registry, write_atomically

_RESTART = "A running app serves it after its next start."
_AS_IT_IS: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = _parser().parse_args(arguments)
    registry = open_registry(options.state_dir)
    run: Callable[[argparse.Namespace, ModelRegistry, Console], int | None] = options.run
    try:
        return run(options, registry, Console()) or 0
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped.")
        return 130
    except ModelError as error:
        Console(stderr=True).print(
            f"[red]{type(error).__name__}[/]: {escape(str(error))}", highlight=False
        )
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models", description=__doc__.replace("``", "'")
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=Path(os.environ.get("FRUIT_STATE_DIR") or "var"),
        help="folder of all mutable state (default: FRUIT_STATE_DIR or var)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("list", help="every published version").set_defaults(run=_list)
    show = commands.add_parser("show", help="the manifest of a version")
    show.add_argument("version")
    show.set_defaults(run=_show)
    activate = commands.add_parser("activate", help="choose the version that the app serves")
    activate.add_argument("version")
    activate.add_argument(
        "--override", metavar="REASON", default="", help="although the gate rejected it, and why"
    )
    activate.set_defaults(run=_activate)
    roll_back = commands.add_parser("roll-back", help="return to the version chosen before")
    roll_back.set_defaults(run=_roll_back)
    delete = commands.add_parser("delete", help="delete a version that is not active, for good")
    delete.add_argument("version")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    delete.set_defaults(run=_delete)
    copy = commands.add_parser("copy", help="copy a version to a folder, without its pictures")
    copy.add_argument("version")
    copy.add_argument("folder", type=Path)
    copy.set_defaults(run=_copy)
    checking = commands.add_parser(
        "check", help="compare every file with its checksum; status 1 where something is wrong"
    )
    checking.add_argument(
        "--mend", action="store_true", help="mend what can be mended; stop the app first"
    )
    checking.set_defaults(run=_check)
    return parser


def _list(options: argparse.Namespace, registry: ModelRegistry, console: Console) -> None:
    versions = registry.list()
    if not versions:
        console.print("No version is published. Make one with 'python -m training'.")
        return
    active = registry.present()
    metrics = sorted({name for v in versions for name in v.manifest.metrics if "/test" in name})
    table = Table()
    for column in ("Version", "Active", "Gate", "Created (UTC)", "Network", *metrics):
        table.add_column(column, overflow="fold")
    for found in versions:
        manifest = found.manifest
        scores = [manifest.metrics.get(name) for name in metrics]
        table.add_row(
            manifest.version,
            "yes" if manifest.version == active else "",
            "rejected" if manifest.rejected else "",
            f"{manifest.created_at:%Y-%m-%d %H:%M}",
            manifest.network,
            *(f"{score.accuracy:.2%}" if score else "-" for score in scores),
        )
    console.print(table)


def _show(options: argparse.Namespace, registry: ModelRegistry, console: Console) -> None:
    print(registry.get(options.version).manifest.to_json(), end="")


def _activate(options: argparse.Namespace, registry: ModelRegistry, console: Console) -> None:
    manifest = registry.get(options.version).manifest
    if manifest.rejected and not options.override:
        raise VersionRejected(options.version, manifest.problems)
    reason = f"overriding the gate: {options.override}" if options.override else "by hand"
    console.print(f"{registry.activate(options.version, reason).version} is active. {_RESTART}")


def _roll_back(options: argparse.Namespace, registry: ModelRegistry, console: Console) -> None:
    console.print(f"Back to {registry.roll_back().version}. {_RESTART}")


def _delete(options: argparse.Namespace, registry: ModelRegistry, console: Console) -> None:
    registry.get(options.version)
    if not options.yes and not _confirmed(f"Delete {options.version} for good? [y/N] "):
        console.print("Nothing was deleted.")
        return
    registry.delete(options.version)
    console.print(f"{options.version} is deleted.")


def _copy(options: argparse.Namespace, registry: ModelRegistry, console: Console) -> None:
    found = registry.get(options.version)
    found.verify()
    if options.folder.exists() and options.folder.samefile(found.folder):
        console.print(
            f"{found.version} is in {options.folder} already; nothing was copied.", markup=False
        )
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    kept: dict[str, str] = {}
    for name in (MODEL_NAME, KERAS_NAME, REHEARSAL_NAME, EXAMINATION_NAME, CARD_NAME):
        if not (found.folder / name).exists():
            (options.folder / name).unlink(missing_ok=True)  # of a version that was there before
            continue
        if name in found.manifest.files:
            found.verify(name)
            kept[name] = found.manifest.files[name]
        shutil.copyfile(found.folder / name, options.folder / name)
    # The pictures stay behind, so the copy's manifest does not promise them.
    manifest = found.manifest.model_copy(update={"files": kept})
    write_atomically(options.folder / MANIFEST_NAME, manifest.to_json().encode())
    console.print(f"{found.version} is copied to {options.folder}.", markup=False)


def _check(options: argparse.Namespace, registry: ModelRegistry, console: Console) -> int:
    columns = (TextColumn("Checking"), BarColumn(), MofNCompleteColumn(), TextColumn("versions"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("check", total=None)
        report = check(
            registry,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for problem in report.problems:
        console.print(f"{problem.where}: {problem.message}", style="red", **_AS_IT_IS)
        console.print(f"  {_mended(problem, options.mend)}", **_AS_IT_IS)
    console.print(f"Sound: {', '.join(report.sound) or 'no version'}.", highlight=False)
    if report.problems and not options.mend:
        console.print("Stop the app, then mend with 'python -m models check --mend'.")
    return 1 if report.problems else 0


def _mended(problem: Problem, mends: bool) -> str:
    """Mend a problem where that is wanted and can be done, and return what became of it."""
    if not mends or problem.mend is None:
        return f"To mend: {problem.remedy}"
    try:
        problem.mend()
    except (ModelError, OSError) as error:
        return f"Not mended: {error}"
    return f"Mended: {problem.remedy}"


def _confirmed(question: str) -> bool:
    try:
        return input(question).strip().lower() in {"y", "yes"}
    except EOFError:
        return False


if __name__ == "__main__":
    sys.exit(main())
