"""One job, run by the app in a process of its own: ``python -m training.job FOLDER``.

Files are all that both sides share. The folder holds the request when the job starts; the job adds
its progress line by line, and the result last. A job whose parent is gone ends itself, so that no
training goes on for an app that no longer waits for it.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final, TextIO

from data.fetch import download, kept_if_valid
from data.importer import import_archive
from data.sources import find_source
from data.state import downloads_dir, store_dir
from data.store import AddResult, DatasetStore, take_snapshot
from models.jobs import (
    PROGRESS_NAME,
    FetchRequest,
    JobProgress,
    JobRequest,
    JobResult,
    read_request,
)
from models.registry import open_registry
from training.errors import MissingExtra
from training.failures import EXPECTED, in_words
from training.memory import keep_freed_memory

_SESSION_NICENESS: Final = 5  # a third of the weight that a session has
_PARENT_CHECK_S: Final = 1.0
_STEP_EVERY_S: Final = 0.5


class _ProgressFile:
    """Appends what happens to the job's progress file, one JSON object a line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._last_step = 0.0

    def on_stage(self, stage: str) -> None:
        print(stage, flush=True)
        self._write(JobProgress(stage=stage))

    def on_step(self, step: int, steps: int) -> None:
        now = time.monotonic()
        if step == steps or now - self._last_step >= _STEP_EVERY_S:
            self._last_step = now
            self._write(JobProgress(step=step, steps=steps))

    def on_epoch(self, epoch: Any) -> None:
        self._write(JobProgress(epoch=epoch.number, epochs=epoch.epochs, metrics=epoch.metrics))

    def _write(self, progress: JobProgress) -> None:
        self._file.write(progress.model_dump_json(exclude_defaults=True) + "\n")
        self._file.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job in the folder that the command line names, and return the exit status."""
    (folder_name,) = sys.argv[1:] if arguments is None else arguments
    folder = Path(folder_name)
    request = read_request(folder)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    signal.signal(signal.SIGTERM, _interrupt)
    _step_back(request.niceness)
    keep_freed_memory()
    with (folder / PROGRESS_NAME).open("a") as file:
        result = _run(request, _ProgressFile(file))
    try:
        result.write(folder)
    except OSError as error:
        print(f"{result.message} The disk does not take this result: {error.strerror}.", flush=True)
        return 1
    print(result.message, flush=True)
    return int(result.failed)


def _run(request: JobRequest | FetchRequest, progress: _ProgressFile) -> JobResult:
    """Return what came of the job; an error becomes a sentence, with its traceback in the log."""
    try:
        if isinstance(request, FetchRequest):
            return JobResult(message=_fetch(request, progress))
        progress.on_stage("Starting TensorFlow")
        version = _retrain(request, progress)
    except ModuleNotFoundError as error:
        return JobResult(message=str(MissingExtra(error.name or "tensorflow")), failed=True)
    except EXPECTED as error:
        traceback.print_exc()
        return JobResult(message=in_words(error), failed=True)
    return JobResult(version=version, message=f"Published {version}.")


def _fetch(request: FetchRequest, progress: _ProgressFile) -> str:
    """Fetch public archives into the store, and return what came of it in a sentence.

    The job writes the store in the app's place, as ``python -m data fetch`` does: the index lets
    one writer wait for the other.
    """
    state = Path(request.state_dir)
    store = DatasetStore(store_dir(state))
    added: list[str] = []
    try:
        for source in map(find_source, request.sources):
            progress.on_stage(f"Downloading {source.title} (MB)")
            archive = download(
                source.url_from(request.mirror),
                downloads_dir(state) / f"{source.name}.zip",
                on_progress=lambda done, total: progress.on_step(
                    done // 1_000_000, (total or 0) // 1_000_000
                ),
            )
            progress.on_stage(f"Importing {source.title}")
            with kept_if_valid(archive):
                report = import_archive(store, archive, source=source, on_progress=progress.on_step)
            added.append(f"{report.results[AddResult.ADDED]:,} of {source.title}")
    finally:
        store.close()
    return f"New in the store: {', '.join(added)}."


def _retrain(request: JobRequest, progress: _ProgressFile) -> str:
    # TensorFlow takes seconds to import; a request that cannot be read does not wait for it.
    from training.quick import quick_retrain
    from training.thorough import thorough_retrain
    from training.train import use_threads

    use_threads(request.threads)
    registry = open_registry(Path(request.state_dir))
    flow = {"quick": quick_retrain, "thorough": thorough_retrain}[request.mode]
    published = flow(
        take_snapshot(Path(request.state_dir)),
        registry.get(request.start),
        registry,
        on_stage=progress.on_stage,
        on_epoch=progress.on_epoch,
        on_step=progress.on_step,
    )
    return published.version


def _step_back(niceness: int) -> None:
    """Let everything else go first.

    A job is a session of its own, and where Linux shares the cores out by session (``autogroup``,
    see sched(7)) niceness counts only within one: the job would take half of the cores however
    nice it is. So its session is made nice, too, but not so much that a job stands still for as
    long as the app is busy.
    """
    if os.name == "nt":
        return
    os.nice(niceness)
    if os.getsid(0) == os.getpid():  # else the session is somebody's terminal
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(f"{min(niceness, _SESSION_NICENESS)}\n")


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # the registry then takes back what it has not finished


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_S)
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main())
