"""What somebody should look at: kept until it is acknowledged, and posted to a webhook."""

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    or_,
    select,
    update,
)

from app.errors import AlertNotFound
from data.database import open_database

_log = logging.getLogger(__name__)

# After an alert was acknowledged the same trouble may go on; it is told again, but not at once.
_AGAIN_AFTER: Final = timedelta(days=1)
# A webhook that does not take an alert is asked again after a minute, then two, then four, until it
# would be more than a day: for a day and a half in all.
_FIRST_WAIT: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(days=1)
_DONE: Final = 5  # as earlier releases wrote; a smaller number waits to be posted
_POST_TIMEOUT_S: Final = 10.0

_metadata = MetaData()
_alerts = Table(
    "alerts",
    _metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("subject", String(40), nullable=False),
    Column("message", String(1000), nullable=False),
    Column("raised_at", String(32), nullable=False),  # ISO 8601, UTC
    Column("acknowledged_at", String(32)),
    Column("posts", Integer, nullable=False),  # _DONE once it was taken or given up
    sqlite_autoincrement=True,
)
_IS_OPEN: Final = _alerts.c.acknowledged_at.is_(None)


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to look at.

    Attributes:
        id: counted from 1.
        kind: ``retrain_failed``, ``drift``, ``errors``, ``disk``, ``model`` or ``mirror``.
        subject: what it is about, such as a job; the same trouble has the same.
        message: what is wrong and what to do.
        raised_at, acknowledged_at: ISO 8601, UTC; None until then.
    """

    id: int
    kind: str
    subject: str
    message: str
    raised_at: str
    acknowledged_at: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the alert as the REST routes give it."""
        return asdict(self)


class AlertLog:
    """The alerts in a database file.

    Args:
        path: of the file; made at once.
        webhook: address that new alerts are posted to; empty for none.
        now: aware UTC time.
    """

    def __init__(
        self,
        path: Path,
        webhook: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = open_database(path, _metadata)
        self._webhook = webhook
        self._now = now
        # Of those that the webhook did not take: how often not, and when to ask it again.
        self._failures: dict[int, tuple[int, datetime]] = {}

    def report(
        self,
        kind: str,
        subject: str,
        message: str,
        *,
        once: bool = False,
        since: datetime | None = None,
    ) -> None:
        """Raise an alert, unless the same is open or was acknowledged within a day.

        Args:
            kind, subject, message: as of ``Alert``.
            once: never raise the same again.
            since: when the subject came to be, aware UTC time; what was raised before is of
                another one with that name. None where there is one alone.
        """
        now = self._now()
        same = [_alerts.c.kind == kind, _alerts.c.subject == subject]
        if since is not None:
            # Nothing comes to be later than now, though a clock that was ahead may say so.
            begun_at = min(since, now).isoformat(timespec="seconds")
            same.append(_alerts.c.raised_at >= begun_at)
        latest = select(_alerts).where(*same).order_by(_alerts.c.id.desc()).limit(1)
        with self._engine.begin() as connection:
            row = connection.execute(latest).first()
            if row and (
                once
                or row.acknowledged_at is None
                or now - datetime.fromisoformat(row.acknowledged_at) < _AGAIN_AFTER
            ):
                return
            values = {
                "kind": kind,
                "subject": subject[:40],
                "message": message[:1000],
                "raised_at": now.isoformat(timespec="seconds"),
                "posts": 0,
            }
            connection.execute(insert(_alerts).values(values))
        _log.warning("alert: %s", message)

    def latest(self, limit: int = 100) -> list[Alert]:
        """Return the newest alerts and all that are open, the newest first."""
        newest = select(_alerts.c.id).order_by(_alerts.c.id.desc()).limit(limit)
        return self._read(or_(_alerts.c.id.in_(newest), _IS_OPEN))

    def open(self) -> list[Alert]:
        """Return those that nobody acknowledged, the newest first."""
        return self._read(_IS_OPEN)

    def acknowledge(self, alert_id: int) -> Alert:
        """Say that an alert was seen, and return it.

        Raises:
            AlertNotFound: there is none of that number.
        """
        seen_at = self._now().isoformat(timespec="seconds")
        mine = _alerts.c.id == alert_id
        with self._engine.begin() as connection:
            connection.execute(
                update(_alerts)
                .where(mine, _alerts.c.acknowledged_at.is_(None))
                .values(acknowledged_at=seen_at)
            )
            columns = [_alerts.c[name] for name in Alert.__slots__]
            row = connection.execute(select(*columns).where(mine)).mappings().first()
        if row is None:
            raise AlertNotFound(alert_id)
        return Alert(**row)

    def post(self, closing: threading.Event | None = None) -> None:
        """Post what was not posted yet to the webhook; what fails is tried again later.

        The body has the message under ``text`` and ``content`` too, where Slack, Mattermost and
        Discord look for it.

        Args:
            closing: once it is set, what is left waits for the next start.
        """
        if not self._webhook:
            return
        query = select(_alerts).where(_alerts.c.posts < _DONE).order_by(_alerts.c.id)
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        for row in rows:
            if closing and closing.is_set():
                return
            number, now = row["id"], self._now()
            failures, again_at = self._failures.get(number, (0, now))
            if now < again_at <= now + _LONGEST_WAIT:  # the clock may have been ahead
                continue
            body = {key: row[key] for key in ("id", "kind", "subject", "message", "raised_at")}
            body |= {"text": row["message"], "content": row["message"]}
            wait = _FIRST_WAIT * 2**failures
            if not self._takes(number, body) and wait <= _LONGEST_WAIT:
                self._failures[number] = (failures + 1, now + wait)
                continue
            self._failures.pop(number, None)
            mine = update(_alerts).where(_alerts.c.id == number).values(posts=_DONE)
            with self._engine.begin() as connection:
                connection.execute(mine)

    def _takes(self, number: int, body: dict[str, Any]) -> bool:
        """Post an alert, and return whether the webhook took it."""
        try:
            response = httpx.post(self._webhook, json=body, timeout=_POST_TIMEOUT_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = type(error).__name__  # its words may hold the address, which is a secret
        else:
            if response.is_success:
                return True
            problem = f"status {response.status_code}"
        _log.warning("alert %d could not be posted: %s", number, problem)
        return False

    def _read(self, which: ColumnElement[bool]) -> list[Alert]:
        columns = [_alerts.c[name] for name in Alert.__slots__]
        query = select(*columns).where(which).order_by(_alerts.c.id.desc())
        with self._engine.connect() as connection:
            return [Alert(**row) for row in connection.execute(query).mappings()]

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()
