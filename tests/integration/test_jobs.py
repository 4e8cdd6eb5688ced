"""Jobs are real processes: they end, fail, are cancelled, and outlive no app that was killed."""

import errno
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.errors import JobNotFound
from app.job_table import Job, JobState, JobTable
from app.jobs import JobRunner
from models.jobs import JobResult
from tests.conftest import wait_until

RESULT = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / "result.json").write_text(json.dumps({"version": "v0007", "message": "Published."}))
"""
ENDLESS = "import time\nprint('working', flush=True)\ntime.sleep(600)"
BROKEN = "import sys\nprint('the last words')\nsys.exit(7)"
REFUSING = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / "result.json").write_text(json.dumps({"failed": True, "message": "Too few photos."}))
sys.exit(1)
"""

MakeRunner = Callable[[str], JobRunner]


class Finish:
    """Takes results as the learning service does, and remembers them."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str | None]] = []

    def __call__(self, job: Job, result: JobResult) -> tuple[JobState, str]:
        self.seen.append((job.id, result.version))
        return JobState.SUCCEEDED, f"{result.version} is live."


@pytest.fixture
def table(tmp_path: Path) -> Iterator[JobTable]:
    table = JobTable(tmp_path / "jobs" / "jobs.db")
    yield table
    table.close()


@pytest.fixture
def finish() -> Finish:
    return Finish()


@pytest.fixture
def make(table: JobTable, finish: Finish, tmp_path: Path) -> Iterator[MakeRunner]:
    runners: list[JobRunner] = []

    def make(program: str) -> JobRunner:
        path = tmp_path / f"job{len(runners)}.py"
        path.write_text(textwrap.dedent(program))
        command = (sys.executable, str(path))
        runners.append(
            JobRunner(table, tmp_path / "jobs", lambda j, f: None, finish, command=command)
        )
        return runners[-1]

    yield make
    for runner in runners:
        runner.close()


def until(table: JobTable, job: Job, *states: JobState) -> Job:
    deadline = time.monotonic() + 30
    while (now := table.get(job.id)).state not in states or (
        JobState.RUNNING in states and now.pid is None
    ):
        assert time.monotonic() < deadline, now
        time.sleep(0.02)
    return now


def test_a_job_that_publishes_is_finished(
    make: MakeRunner, table: JobTable, finish: Finish
) -> None:
    runner = make(RESULT)
    runner.start()
    job = until(table, runner.submit("quick", "by hand"), JobState.SUCCEEDED)

    assert (job.version, job.message, job.pid) == ("v0007", "v0007 is live.", None)
    assert finish.seen == [(job.id, "v0007")]
    assert job.queued_at <= (job.started_at or "") <= (job.ended_at or "")


def test_a_job_without_result_fails_with_its_last_words(make: MakeRunner, table: JobTable) -> None:
    runner = make(BROKEN)
    runner.start()
    job = until(table, runner.submit("quick", "by hand"), JobState.FAILED)

    assert "status 7" in job.message
    assert "the last words" in job.message


def test_a_job_that_says_why_fails_with_that_sentence(
    make: MakeRunner, table: JobTable, finish: Finish
) -> None:
    runner = make(REFUSING)
    runner.start()
    job = until(table, runner.submit("quick", "by hand"), JobState.FAILED)

    assert job.message == "Too few photos."
    assert finish.seen == []


def test_cancel_ends_the_process(make: MakeRunner, table: JobTable) -> None:
    runner = make(ENDLESS)
    runner.start()
    job = until(table, runner.submit("quick", "by hand"), JobState.RUNNING)

    cancelled = runner.cancel(job.id)

    assert cancelled.state == JobState.CANCELLED
    assert job.pid is not None
    assert not psutil.pid_exists(job.pid)
    assert runner.cancel(job.id) == cancelled


def test_one_job_at_a_time_and_the_rest_wait(make: MakeRunner, table: JobTable) -> None:
    runner = make(ENDLESS)
    runner.start()
    first = until(table, runner.submit("quick", "by hand"), JobState.RUNNING)
    second = runner.submit("thorough", "by hand")

    assert runner.submit("thorough", "again").id == second.id  # it waits already
    assert runner.cancel(second.id).state == JobState.CANCELLED
    assert table.get(first.id).state == JobState.RUNNING


def test_two_who_submit_at_once_get_one_job(table: JobTable) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = {job.id for job in threads.map(lambda _: table.submit("quick", "both"), range(16))}

    assert len(found) == len(table.list()) == 1


def test_how_many_are_new_does_not_follow_a_clock_that_was_ahead(table: JobTable) -> None:
    first = table.submit("quick", "ahead")
    table.update(first.id, state=JobState.SUCCEEDED, queued_at="2036-01-01T00:00:00+00:00")
    second = table.submit("quick", "now")

    assert table.last_queued_at(["quick"]) == second.queued_at


def test_a_killed_job_is_marked_failed(make: MakeRunner, table: JobTable) -> None:
    runner = make(ENDLESS)
    runner.start()
    job = until(table, runner.submit("quick", "by hand"), JobState.RUNNING)
    psutil.Process(job.pid).kill()

    assert "status -9" in until(table, job, JobState.FAILED).message


def test_closing_puts_the_running_job_back_into_the_queue(
    make: MakeRunner, table: JobTable
) -> None:
    runner = make(ENDLESS)
    runner.start()
    job = until(table, runner.submit("quick", "by hand"), JobState.RUNNING)

    runner.close()

    after = table.get(job.id)
    assert (after.state, after.attempts) == (JobState.QUEUED, 0)
    assert job.pid is not None
    assert not psutil.pid_exists(job.pid)


def test_after_a_crash_an_orphan_is_ended_and_begins_again(
    make: MakeRunner, table: JobTable
) -> None:
    orphan = subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.DEVNULL)
    try:
        job = table.submit("quick", "by hand")
        started = psutil.Process(orphan.pid).create_time()
        table.update(
            job.id, state=JobState.RUNNING, pid=orphan.pid, pid_started=started, attempts=1
        )
        make(RESULT).start()

        assert until(table, job, JobState.SUCCEEDED).attempts == 2
        assert not psutil.pid_exists(orphan.pid)
    finally:
        orphan.kill()
        orphan.wait()


def test_a_pid_that_went_to_another_process_is_left_alone(
    make: MakeRunner, table: JobTable
) -> None:
    job = table.submit("quick", "by hand")
    table.update(job.id, state=JobState.RUNNING, pid=os.getpid(), pid_started=1.0, attempts=1)
    make(RESULT).start()

    assert until(table, job, JobState.SUCCEEDED).attempts == 2


def test_a_result_that_nobody_took_is_taken_after_a_crash(
    make: MakeRunner, table: JobTable, finish: Finish
) -> None:
    runner = make(BROKEN)
    job = table.submit("quick", "by hand")
    table.update(job.id, state=JobState.RUNNING, attempts=1)
    folder = runner.folder_of(job.id)
    folder.mkdir(parents=True)
    JobResult(version="v0009", message="Published.").write(folder)

    runner.start()

    until(table, job, JobState.SUCCEEDED)
    assert finish.seen == [(job.id, "v0009")]


def test_a_job_interrupted_three_times_is_given_up(make: MakeRunner, table: JobTable) -> None:
    job = table.submit("quick", "by hand")
    table.update(job.id, state=JobState.RUNNING, attempts=3)
    make(RESULT).start()

    assert "interrupted 3 times" in until(table, job, JobState.FAILED).message


class FullTable:
    """Lets a table write no more, from one call on or at one call alone."""

    def __init__(self, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.at = 0
        self.refused = 0
        self._calls = 0
        self._update = table.update
        monkeypatch.setattr(table, "update", self.update)

    def update(self, job_id: int, **values: Any) -> bool:
        self._calls += 1
        if self.full or self._calls == self.at:
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._update(job_id, **values)


@pytest.mark.parametrize("at", [1, 2, 3])  # it begins, has a process, is over
def test_a_disk_that_is_full_at_any_write_of_the_table_loses_no_result(
    make: MakeRunner, table: JobTable, finish: Finish, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    disk = FullTable(table, monkeypatch)
    disk.at = at
    runner = make(RESULT)
    runner.start()
    job = until(table, runner.submit("quick", "by hand"), JobState.SUCCEEDED)

    assert disk.refused == 1
    assert (job.version, job.attempts) == ("v0007", 1)
    assert finish.seen == [(job.id, "v0007")]


def test_a_job_that_ends_while_the_disk_is_full_is_settled_once_there_is_room(
    make: MakeRunner, table: JobTable, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullTable(table, monkeypatch)
    runner = make(ENDLESS)
    runner.start()
    job = until(table, runner.submit("quick", "by hand"), JobState.RUNNING)
    disk.full = True
    JobResult(version="v0007", message="Published.").write(runner.folder_of(job.id))
    psutil.Process(job.pid).kill()
    wait_until(lambda: finish.seen and disk.refused)
    assert table.get(job.id).state == JobState.RUNNING

    disk.full = False
    until(table, job, JobState.SUCCEEDED)
    following = runner.submit("quick", "by hand")
    psutil.Process(until(table, following, JobState.RUNNING).pid).kill()
    until(table, following, JobState.FAILED)
    assert finish.seen == [(job.id, "v0007")]


def test_an_app_that_ends_while_the_disk_is_full_leaves_the_job_to_the_next_start(
    make: MakeRunner, table: JobTable, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullTable(table, monkeypatch)
    runner = make(ENDLESS)
    runner.start()
    job = until(table, runner.submit("quick", "by hand"), JobState.RUNNING)
    disk.full = True
    psutil.Process(job.pid).kill()
    wait_until(lambda: disk.refused)
    begun = time.monotonic()
    runner.close()
    assert time.monotonic() - begun < 5
    assert table.get(job.id).state == JobState.RUNNING

    disk.full = False
    make(RESULT).start()
    assert until(table, job, JobState.SUCCEEDED).attempts == 2


def test_a_job_that_the_disk_does_not_let_begin_fails_in_words(
    table: JobTable, finish: Finish, tmp_path: Path
) -> None:
    def prepare(job: Job, folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    runner = JobRunner(table, tmp_path / "jobs", prepare, finish)
    runner.start()
    try:
        job = until(table, runner.submit("quick", "by hand"), JobState.FAILED)
    finally:
        runner.close()
    assert "(No space left on device)" in job.message
    assert "make room" in job.message


def test_a_job_that_could_not_even_write_its_log_is_explained(
    make: MakeRunner, table: JobTable
) -> None:
    runner = make("import sys; sys.exit(1)")
    runner.start()
    job = until(table, runner.submit("quick", "by hand"), JobState.FAILED)
    assert job.message == "The job ended with status 1. It left no word; is the disk full?"


def test_an_unknown_job_is_named(table: JobTable) -> None:
    with pytest.raises(JobNotFound, match="no job 42"):
        table.get(42)
