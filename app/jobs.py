"""Runs jobs one at a time, each in a process of its own, and finds the truth at start.

Knows processes, files and the job table; knows nothing of models. What a job needs is written by
``prepare`` before it starts, and what its result means is decided by ``finish``.
"""

import logging
import os
import subprocess  # nosec B404 # starts our own module only
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
from sqlalchemy.exc import OperationalError
from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_fixed,
)

import app
from app.errors import in_words
from app.job_table import Job, JobState, JobTable, now
from models.errors import InvalidJob
from models.jobs import LOG_NAME, PROGRESS_NAME, RESULT_NAME, JobResult

_log = logging.getLogger(__name__)

COMMAND: Final = (sys.executable, "-m", "training.job")
_ENVIRONMENT: Final = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "CUDA_VISIBLE_DEVICES": "",
}
_MAX_ATTEMPTS: Final = 3
_POLL_S: Final = 0.2
_HEARTBEAT_S: Final = 2.0
_PATIENCE_S: Final = 10.0  # from the wish that a process ends to making it
_IDLE_S: Final = 5.0
_AGAIN_S: Final = 2.0  # to the next try to write to the table, while the disk takes nothing
_LOG_LINES: Final = 8


class JobRunner:
    """Runs the queued jobs of a table, the oldest first.

    Args:
        table: the jobs.
        folder: where each job gets a folder.
        prepare: writes what the job needs into its folder; an error from it fails the job.
        finish: given the job and its result, makes the result live or not, and returns the state
            and a sentence.
        command: started with the job's folder as its last argument.
        threads: of the numeric libraries in the job.
    """

    def __init__(
        self,
        table: JobTable,
        folder: Path,
        prepare: Callable[[Job, Path], None],
        finish: Callable[[Job, JobResult], tuple[JobState, str]],
        *,
        command: Sequence[str] = COMMAND,
        threads: int = 1,
    ) -> None:
        self._table = table
        self._folder = folder
        self._prepare = prepare
        self._finish = finish
        self._command = tuple(command)
        self._threads = threads
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._cancelled: set[int] = set()
        self._retrying = Retrying(
            retry=retry_if_exception_type((OSError, OperationalError)),
            stop=stop_when_event_set(self._closing),
            wait=wait_fixed(_AGAIN_S),
            sleep=sleep_using_event(self._closing),
            before_sleep=before_sleep_log(_log, logging.ERROR),
            retry_error_callback=lambda state: False,
        )
        self._thread = threading.Thread(target=self._loop, name="jobs", daemon=True)

    def start(self) -> None:
        """Settle what a crash left behind, then run what is queued, in a thread."""
        self._thread.start()

    def submit(self, mode: str, reason: str) -> Job:
        """Queue a job, and return it; one of that mode that waits already is returned instead."""
        job = self._table.submit(mode, reason)
        self._wake.set()
        return job

    def cancel(self, job_id: int) -> Job:
        """End a job that waits or runs, and return it; one that is over stays as it is.

        Raises:
            JobNotFound: there is none of that number.
        """
        job = self._table.get(job_id)
        ended = {"state": JobState.CANCELLED, "ended_at": now(), "message": "Cancelled."}
        if (
            not self._table.update(job_id, only_if=JobState.QUEUED, **ended)
            and not job.state.is_over
        ):
            self._cancelled.add(job_id)
            deadline = time.monotonic() + 2 * _PATIENCE_S
            while not self._table.get(job_id).state.is_over and time.monotonic() < deadline:
                time.sleep(_POLL_S / 4)
        return self._table.get(job_id)

    def folder_of(self, job_id: int) -> Path:
        """Return the folder with a job's files."""
        return self._folder / f"{job_id:05d}"

    def close(self) -> None:
        """End what runs and put it back into the queue, for the next start."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(2 * _PATIENCE_S)

    def _loop(self) -> None:
        recovered = False
        while not self._closing.is_set():
            try:
                if not recovered:
                    self._recover()
                    recovered = True
                waiting = self._table.in_state(JobState.QUEUED)
                if waiting:
                    self._run(waiting[0])
                    continue
            except Exception:  # without this thread no job would run until the next start
                _log.exception("the jobs cannot go on now; trying again")
            self._wake.wait(timeout=_IDLE_S)
            self._wake.clear()

    def _recover(self) -> None:
        """Settle the jobs that ran when the app ended: finish, queue again, or fail them."""
        for job in self._table.in_state(JobState.RUNNING):
            _end_orphan(job)
            result = _result(self.folder_of(job.id))
            if result:
                self._settle(job, result)
            elif job.attempts < _MAX_ATTEMPTS:
                self._record(
                    job.id, state=JobState.QUEUED, pid=None, message="Begins again after a restart."
                )
            else:
                self._end(job, JobState.FAILED, f"It was interrupted {job.attempts} times.")

    def _run(self, job: Job) -> None:
        folder = self.folder_of(job.id)
        begun = {"started_at": now(), "heartbeat_at": now(), "attempts": job.attempts + 1}
        if not self._record(
            job.id, only_if=JobState.QUEUED, state=JobState.RUNNING, message="", **begun
        ):
            return  # cancelled a moment ago
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in (PROGRESS_NAME, RESULT_NAME):
                (folder / name).unlink(missing_ok=True)
            self._prepare(job, folder)
            with (folder / LOG_NAME).open("ab") as log:
                process = self._start(folder, log.fileno())
        except Exception as error:
            _log.exception("job %d could not be started", job.id)
            self._end(job, JobState.FAILED, in_words(error))
            return
        with suppress(psutil.Error):  # gone already
            started = psutil.Process(process.pid).create_time()
            self._note(job.id, pid=process.pid, pid_started=started)
        self._watch(job, process)
        self._conclude(job, process, folder)

    def _start(self, folder: Path, log: int) -> "subprocess.Popen[bytes]":
        threads = str(self._threads)
        # No shell, and nothing in it comes from a request.
        return subprocess.Popen(  # nosec B603
            [*self._command, str(folder.resolve())],
            cwd=Path(app.__file__).parents[1],  # where `python -m training` finds the packages
            env=os.environ | _ENVIRONMENT | {"OMP_NUM_THREADS": threads},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the app's terminal is not for the job
        )

    def _watch(self, job: Job, process: "subprocess.Popen[bytes]") -> None:
        """Wait for the process to end, or end it where somebody wants that."""
        beat = time.monotonic()
        while process.poll() is None:
            if job.id in self._cancelled or self._closing.is_set():
                _end(process)
                return
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
            if time.monotonic() - beat >= _HEARTBEAT_S:
                beat = time.monotonic()
                self._note(job.id, heartbeat_at=now())

    def _conclude(self, job: Job, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        result = _result(folder)
        if job.id in self._cancelled:
            self._cancelled.discard(job.id)
            self._end(job, JobState.CANCELLED, "Cancelled.")
        elif result:
            self._settle(job, result)
        elif self._closing.is_set():
            # The app's end is no fault of the job's, so it does not count as an attempt.
            self._note(
                job.id,
                state=JobState.QUEUED,
                pid=None,
                attempts=job.attempts,
                message="Begins again after a restart.",
            )
        else:
            lines = (folder / LOG_NAME).read_text(errors="replace").splitlines()[-_LOG_LINES:]
            tail = (
                "\n".join(("Its last lines:", *lines))
                if lines
                else "It left no word; is the disk full?"
            )
            message = f"The job ended with status {process.returncode}. {tail}"
            self._end(job, JobState.FAILED, message)

    def _settle(self, job: Job, result: JobResult) -> None:
        if result.failed:
            self._end(job, JobState.FAILED, result.message)
            return
        try:
            state, message = self._finish(job, result)
        except Exception as error:
            _log.exception("the result of job %d could not be used", job.id)
            state, message = JobState.FAILED, in_words(error)
        self._end(job, state, message, version=result.version)

    def _end(self, job: Job, state: JobState, message: str, version: str | None = None) -> None:
        _log.info("job %d %s: %s", job.id, state, message)
        self._record(
            job.id, state=state, message=message[:4000], version=version, ended_at=now(), pid=None
        )

    def _record(self, job_id: int, **values: Any) -> bool:
        """Change a job as ``JobTable.update`` does, and wait where the disk does not take it.

        Returns False, too, if the app ends before; the next start then settles the job.
        """
        return bool(self._retrying(self._table.update, job_id, **values))

    def _note(self, job_id: int, **values: Any) -> None:
        """Change a job if the disk takes it; nothing depends on it."""
        try:
            self._table.update(job_id, **values)
        except (OSError, OperationalError) as error:
            _log.error("job %d goes on, but its row does not change: %s", job_id, error)


def _result(folder: Path) -> JobResult | None:
    try:
        return JobResult.read(folder)
    except InvalidJob:
        _log.exception("the result in %s is damaged", folder)
        return None


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_orphan(job: Job) -> None:
    """End the process of a job whose app is gone, if it is still that process."""
    if job.pid is None:
        return
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(job.pid)
        if job.pid_started is None or abs(process.create_time() - job.pid_started) < 1.0:
            process.kill()
            process.wait(_PATIENCE_S)
