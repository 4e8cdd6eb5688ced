"""The training commands on the terminal: stages, a bar of epochs, the scores, short errors."""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from data.errors import DataError
from export.errors import ExportError
from models.errors import ModelError
from models.registry import ModelVersion
from training.errors import TrainingError
from training.evaluate import class_table, summary_table
from training.train import Epoch

Run = Callable[[Callable[[str], None], Callable[[Epoch], None]], ModelVersion]


def run_command(run: Run) -> int:
    """Run a training with its progress on the terminal, and return the exit status."""
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
    task: TaskID | None = None

    def on_epoch(epoch: Epoch) -> None:
        nonlocal task
        if task is None:
            task = progress.add_task("Epochs", total=epoch.epochs)
        progress.update(task, completed=epoch.number)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in epoch.metrics.items())
        console.print(
            f"epoch {epoch.number}/{epoch.epochs}  {epoch.duration_s:.0f} s  {shown}",
            highlight=False,
        )

    try:
        with progress:
            published = run(lambda stage: console.print(f"[bold]{stage}[/]"), on_epoch)
    except (DataError, ExportError, ModelError, TrainingError, ValueError) as error:
        Console(stderr=True).print(f"[red]{type(error).__name__}[/]: {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        print("Stopped. Nothing was published.", file=sys.stderr)
        return 130
    _print_scores(published, console)
    return 0


def _print_scores(published: ModelVersion, console: Console) -> None:
    metrics = published.manifest.metrics
    console.print(summary_table(metrics))
    for name, scores in metrics.items():
        if name.endswith("/test"):
            console.print(class_table(name, scores))
    console.print(
        f"Published {published.version} in {published.folder}. Serve it with "
        f"'python -m models activate {published.version}'.",
        highlight=False,
    )
