"""The training commands on the terminal: stages, a bar of epochs, the scores, short errors."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from data.snapshot import Snapshot
from models.manifest import EvaluationMetrics, OtherMetrics
from models.registry import ModelRegistry, ModelVersion, open_registry
from training.errors import INTERRUPTED
from training.evaluate import class_table, others_table, summary_table, variety_table
from training.failures import EXPECTED, in_words
from training.score import ScoreReport, score_archive

if TYPE_CHECKING:
    from training.epoch import Epoch

_SHOWN = 10


class ConsoleProgress:
    """What a run tells of itself, as lines and a bar of steps."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("Training"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"))
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self._task: TaskID | None = None

    def on_stage(self, stage: str) -> None:
        """Print what happens next."""
        self.close()
        self._console.print(f"[bold]{escape(stage)}[/]")

    def on_step(self, step: int, steps: int) -> None:
        """Move the bar."""
        if self._task is None:
            self._task = self._bar.add_task("train", total=steps)
            self._bar.start()
        self._bar.update(self._task, completed=step)

    def on_epoch(self, epoch: "Epoch") -> None:
        """Print what an epoch gave."""
        shown = "  ".join(f"{name} {value:.4g}" for name, value in epoch.metrics.items())
        self._console.print(
            f"epoch {epoch.number}/{epoch.epochs}  {epoch.duration_s:.0f} s  {shown}",
            highlight=False,
        )

    def close(self) -> None:
        """Take the bar away, if there is one."""
        if self._task is not None:
            self._bar.stop()
            self._bar.remove_task(self._task)
            self._task = None


def run_command(run: Callable[[ConsoleProgress], Callable[[Console], None]]) -> int:
    """Run a training with its progress on the terminal, and return the exit status.

    Args:
        run: does the work and returns what prints its result.
    """
    console = Console()
    progress = ConsoleProgress(console)
    try:
        print_result = run(progress)
    except EXPECTED as error:
        progress.close()
        return _print_error(error)
    except KeyboardInterrupt:
        progress.close()
        print("Stopped. Nothing was published.", file=sys.stderr)
        return INTERRUPTED
    progress.close()
    print_result(console)
    return 0


def publish_again(
    options: argparse.Namespace,
    take_snapshot: Callable[[], Snapshot],
    publish: Callable[..., ModelVersion],
) -> int:
    """Make another version of one that is published, and return the exit status.

    Args:
        options: ``state_dir``, and ``version`` or None for the active one.
        take_snapshot: gives the images.
        publish: called with the version, the images, the registry, and whom it tells of its
            progress.
    """

    def run(progress: ConsoleProgress) -> Callable[[Console], None]:
        registry = open_registry(options.state_dir)
        version = registry.get(options.version) if options.version else registry.active()
        told = {"on_stage": progress.on_stage, "on_step": progress.on_step}
        published = publish(version, take_snapshot(), registry, **told)
        return lambda console: print_version(published, console)

    return run_command(run)


def run_evaluation(
    registry: ModelRegistry, version: str | None, path: Path, *, as_json: bool
) -> int:
    """Score a version on an archive or folder, print the scores, and return the exit status."""
    console = Console()
    columns = (TextColumn("Scoring"), BarColumn(), MofNCompleteColumn())
    try:
        found = registry.get(version) if version else registry.active()
        with Progress(*columns, TimeRemainingColumn(), transient=True) as bar:
            task = bar.add_task("score", total=None)
            report = score_archive(
                found,
                path,
                on_progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except EXPECTED as error:
        return _print_error(error)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
    if as_json:
        print(json.dumps(_as_json(report), indent=2))
    else:
        console.print(f"{found.version} on {path.name}", markup=False)
        _print_report(report, console)
    return 0


def _as_json(report: ScoreReport) -> dict[str, object]:
    metrics = {name: scores.model_dump() for name, scores in report.metrics.items()}
    others = {name: scores.model_dump() for name, scores in report.others.items()}
    return {
        "metrics": metrics,
        "others": others,
        "read_as": report.read_as,
        "unknown": report.unknown,
        "skipped": report.skipped,
    }


def _print_report(report: ScoreReport, console: Console) -> None:
    _print_tables(report.metrics, console, report.others)
    for name, scores in report.metrics.items():
        console.print(class_table(name, scores))
        if scores.per_group:
            console.print(variety_table(name, scores))
    for label, meant in sorted(report.read_as.items()):
        console.print(f"Counted as {meant}: {label}.", markup=False)
    if report.unknown:
        named = ", ".join(f"{label} ({n:,})" for label, n in sorted(report.unknown.items()))
        console.print(f"Counted as pictures of none of the classes: {named}.", markup=False)
    if report.skipped:
        console.print(f"{len(report.skipped):,} pictures were skipped:")
    for name, reason in report.skipped[:_SHOWN]:
        console.print(f"  {name}: {reason}", markup=False)


def print_cross_validation(
    metrics: dict[str, EvaluationMetrics],
    others: dict[str, OtherMetrics],
    folds: list[dict[str, float]],
    path: Path,
    console: Console,
) -> None:
    """Print what a cross-validation found, and how to train with it."""
    _print_tables(metrics, console, others)
    for name, scores in metrics.items():
        console.print(class_table(name, scores))
        console.print(variety_table(name, scores))
        spread = ", ".join(f"{fold[name]:.1%}" for fold in folds if name in fold)
        console.print(f"{name}: accuracy of the folds {spread}.", highlight=False)
    console.print(
        f"Written to {path}. Train on all of them with 'python -m training --refit {path}'.",
        markup=False,
        highlight=False,
    )


def _print_tables(
    metrics: dict[str, EvaluationMetrics],
    console: Console,
    others: Mapping[str, OtherMetrics],
) -> None:
    if metrics:
        console.print(summary_table(metrics))
    found = {name: scores.others for name, scores in metrics.items() if scores.others}
    found.update(others)
    if found:
        console.print(others_table(found, metrics))


def _print_error(error: Exception) -> int:
    Console(stderr=True).print(
        f"[red]{type(error).__name__}[/]: {escape(in_words(error))}", highlight=False
    )
    return 1


def print_version(published: ModelVersion, console: Console) -> None:
    """Print the scores of a version just published, and how to serve it."""
    metrics = published.manifest.metrics
    _print_tables(metrics, console, published.manifest.others)
    for name, scores in metrics.items():
        if name.endswith("/test"):
            console.print(class_table(name, scores))
    said, flag = "", ""
    if published.manifest.rejected:
        said = f" The gate rejected it: {' '.join(published.manifest.problems)}"
        flag = " --override REASON"
    console.print(
        f"Published {published.version} in {published.folder}.{said} Serve it with "
        f"'python -m models activate {published.version}{flag}'.",
        highlight=False,
        markup=False,
    )
