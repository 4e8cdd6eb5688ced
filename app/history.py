"""The figures over time, in a database that survives restarts and stays small.

Minutes are kept for a day, half hours for five weeks, half days for more than a year, and the sum
of everything for ever. So every chart is read from some sixty rows, and a year takes a few
megabytes.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table, delete, select
from sqlalchemy.dialects.sqlite import insert

from app.figures import Figures
from data.database import open_database

MINUTE_S: Final = 60
HALF_HOUR_S: Final = 1800
HALF_DAY_S: Final = 43_200
_EVER: Final = 0  # the length of the one span that holds everything
_KEPT: Final = {
    MINUTE_S: timedelta(days=1),
    HALF_HOUR_S: timedelta(days=35),
    HALF_DAY_S: timedelta(days=400),
}

_metadata = MetaData()
_spans = Table(
    "spans",
    _metadata,
    Column("length_s", Integer, primary_key=True),
    Column("start_s", Integer, primary_key=True),  # since 1970, UTC
    Column("figures", LargeBinary, nullable=False),
)
_answering = Table(
    "answering",  # one row
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("model", String, nullable=False),
    Column("since_s", Integer, nullable=False),
)


class History:
    """The figures in a database file.

    Args:
        path: of the file; made at once.
        now: aware UTC time.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._engine = open_database(path, _metadata)
        self._now = now
        self._pruned_at = datetime.min.replace(tzinfo=UTC)

    def add(self, moment: datetime, figures: Figures) -> None:
        """Add figures to the spans of every length that a moment falls into.

        All of that is one transaction: after a crash they are in all of them or in none.
        """
        second = int(moment.timestamp())
        keys = [(length, second - second % length) for length in _KEPT]
        with self._engine.begin() as connection:
            for length, start in (*keys, (_EVER, 0)):
                known = connection.execute(
                    select(_spans.c.figures).where(
                        _spans.c.length_s == length, _spans.c.start_s == start
                    )
                ).scalar_one_or_none()
                grown = (Figures.of_bytes(known) if known else Figures()).add(figures).to_bytes()
                connection.execute(
                    insert(_spans)
                    .values(length_s=length, start_s=start, figures=grown)
                    .on_conflict_do_update(
                        index_elements=["length_s", "start_s"], set_={"figures": grown}
                    )
                )
        if self._now() - self._pruned_at > timedelta(hours=1):
            self._prune()

    def since(self, moment: datetime, length_s: int) -> list[tuple[datetime, Figures]]:
        """Return the figures from a moment on, by the time that each span began.

        Args:
            moment: aware UTC time; the span that it falls into is the first.
            length_s: of the spans: ``MINUTE_S``, ``HALF_HOUR_S`` or ``HALF_DAY_S``.
        """
        first = int(moment.timestamp())
        query = (
            select(_spans.c.start_s, _spans.c.figures)
            .where(_spans.c.length_s == length_s, _spans.c.start_s >= first - first % length_s)
            .order_by(_spans.c.start_s)
        )
        with self._engine.connect() as connection:
            return [
                (datetime.fromtimestamp(start, UTC), Figures.of_bytes(content))
                for start, content in connection.execute(query)
            ]

    def ever(self) -> Figures:
        """Return the sum of everything."""
        query = select(_spans.c.figures).where(_spans.c.length_s == _EVER)
        with self._engine.connect() as connection:
            content = connection.execute(query).scalar_one_or_none()
        return Figures.of_bytes(content) if content else Figures()

    def answering_since(self, model: str, since: datetime) -> datetime:
        """Return when a model began to answer, also where the program was started again meanwhile.

        Args:
            model: what tells it from all others; remembered until another one is named.
            since: when this program began to answer with it; aware UTC time.
        """
        with self._engine.begin() as connection:
            query = select(_answering.c.since_s).where(_answering.c.model == model)
            known = connection.execute(query).scalar_one_or_none()
            if known is not None:
                return datetime.fromtimestamp(known, UTC)
            row = {"id": 1, "model": model, "since_s": int(since.timestamp())}
            connection.execute(
                insert(_answering)
                .values(row)
                .on_conflict_do_update(index_elements=["id"], set_=row)
            )
        return since

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def _prune(self) -> None:
        self._pruned_at = self._now()
        with self._engine.begin() as connection:
            for length, kept in _KEPT.items():
                oldest = int((self._pruned_at - kept).timestamp())
                connection.execute(
                    delete(_spans).where(_spans.c.length_s == length, _spans.c.start_s < oldest)
                )
