"""The table of jobs: what was asked for, when, and what became of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    select,
    update,
)

from app.errors import JobNotFound
from data.database import open_database


class JobState(StrEnum):
    """``queued`` → ``running`` → one of the others."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"  # the candidate was worse; that is no failure
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


_metadata = MetaData()
_jobs = Table(
    "jobs",
    _metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("mode", String(20), nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("reason", String(200), nullable=False),
    Column("queued_at", String(32), nullable=False),  # ISO 8601, UTC, as all times here
    Column("started_at", String(32)),
    Column("heartbeat_at", String(32)),
    Column("ended_at", String(32)),
    Column("pid", Integer),
    Column("pid_started", Float),  # s since 1970: a pid alone may have gone to another process
    Column("attempts", Integer, nullable=False, default=0),
    Column("version", String(20)),
    Column("message", String(4000), nullable=False, default=""),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the table.

    Attributes:
        id: counted from 1.
        mode: ``quick`` or ``thorough`` retraining, or ``fetch``.
        state: where it stands.
        reason: who or what asked for it.
        queued_at, started_at, heartbeat_at, ended_at: ISO 8601, UTC; None before that.
        pid, pid_started: of the process, and when that began, in seconds since 1970.
        attempts: how often it was begun.
        version: that it published, None for none.
        message: what came of it, in a sentence.
    """

    id: int
    mode: str
    state: JobState
    reason: str
    queued_at: str
    started_at: str | None
    heartbeat_at: str | None
    ended_at: str | None
    pid: int | None
    pid_started: float | None
    attempts: int
    version: str | None
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Return the job as the REST routes and the Gradio API give it."""
        known = asdict(self)
        known["job_id"] = known.pop("id")
        del known["pid_started"]
        return known


class JobTable:
    """The jobs in a database file.

    Args:
        path: of the file; made at once.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = open_database(path, _metadata)

    def submit(self, mode: str, reason: str) -> Job:
        """Queue a job, and return it; one of that mode that waits already is returned instead."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # two at once must not both find none
            waiting = select(_jobs).where(_jobs.c.state == JobState.QUEUED, _jobs.c.mode == mode)
            if row := connection.execute(waiting.order_by(_jobs.c.id)).first():
                return _job(row._mapping)
            values = {
                "mode": mode,
                "state": JobState.QUEUED,
                "reason": reason[:200],
                "queued_at": now(),
                "attempts": 0,
                "message": "",
            }
            job_id = connection.execute(insert(_jobs).values(values)).lastrowid
        return self.get(job_id)

    def get(self, job_id: int) -> Job:
        """Return the job of that number.

        Raises:
            JobNotFound: there is none.
        """
        with self._engine.connect() as connection:
            row = connection.execute(select(_jobs).where(_jobs.c.id == job_id)).first()
        if row is None:
            raise JobNotFound(job_id)
        return _job(row._mapping)

    def list(self, limit: int = 100) -> list[Job]:
        """Return the jobs, the newest first."""
        query = select(_jobs).order_by(_jobs.c.id.desc()).limit(limit)
        with self._engine.connect() as connection:
            return [_job(row._mapping) for row in connection.execute(query)]

    def in_state(self, *states: JobState) -> "tuple[Job, ...]":
        """Return the jobs in these states, the oldest first."""
        query = select(_jobs).where(_jobs.c.state.in_(states)).order_by(_jobs.c.id)
        with self._engine.connect() as connection:
            return tuple(_job(row._mapping) for row in connection.execute(query))

    def update(self, job_id: int, *, only_if: JobState | None = None, **values: Any) -> bool:
        """Change columns of a job, and return whether there was one to change.

        Args:
            job_id: of the job.
            only_if: the state that it must be in.
            values: by column.
        """
        query = update(_jobs).where(_jobs.c.id == job_id)
        if only_if:
            query = query.where(_jobs.c.state == only_if)
        with self._engine.begin() as connection:
            return connection.execute(query.values(values)).rowcount > 0

    def last_queued_at(self, modes: Sequence[str]) -> str:
        """Return when a job of these modes was last queued; empty before the first."""
        # Not the highest time: the clock may have been ahead once.
        query = select(_jobs.c.queued_at).where(_jobs.c.mode.in_(modes)).order_by(_jobs.c.id.desc())
        with self._engine.connect() as connection:
            return connection.execute(query.limit(1)).scalar() or ""

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()


def now() -> str:
    """Return the time as the table keeps it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _job(row: Any) -> Job:
    return Job(**{**row, "state": JobState(row["state"])})
