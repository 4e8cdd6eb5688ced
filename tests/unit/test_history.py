"""Figures over time, in their database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.figures import Figures
from app.history import HOUR_S, MINUTE_S, History

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class FakeNow:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def now() -> FakeNow:
    return FakeNow()


@pytest.fixture
def history(tmp_path: Path, now: FakeNow) -> Iterator[History]:
    history = History(tmp_path / "figures.db", now)
    yield history
    history.close()


def answered(count: int) -> Figures:
    figures = Figures()
    for _ in range(count):
        figures.add_prediction(
            "apple", 0.9, dict.fromkeys(("wait", "decode", "inference", "total"), 1.0), ()
        )
    return figures


def counts(spans: list[tuple[datetime, Figures]]) -> list[tuple[str, int]]:
    return [(moment.strftime("%H:%M"), figures.predictions) for moment, figures in spans]


def test_figures_go_to_their_minute_their_hour_and_the_sum(history: History) -> None:
    history.add(NOON + timedelta(seconds=5), answered(2))
    history.add(NOON + timedelta(seconds=59), answered(1))
    history.add(NOON + timedelta(seconds=61), answered(4))

    assert counts(history.since(NOON, MINUTE_S)) == [("12:00", 3), ("12:01", 4)]
    assert counts(history.since(NOON, HOUR_S)) == [("12:00", 7)]
    assert history.ever().predictions == 7


def test_they_are_there_after_a_restart(tmp_path: Path, now: FakeNow, history: History) -> None:
    history.add(NOON, answered(2))
    history.close()
    again = History(tmp_path / "figures.db", now)
    again.add(NOON, answered(1))
    assert again.ever().predictions == 3
    assert counts(again.since(NOON, MINUTE_S)) == [("12:00", 3)]
    again.close()


def test_old_minutes_and_hours_go_and_the_sum_stays(history: History, now: FakeNow) -> None:
    history.add(NOON, answered(1))
    now.now += timedelta(days=3)
    history.add(now.now, answered(1))
    assert counts(history.since(NOON, MINUTE_S)) == [("12:00", 1)]
    assert len(history.since(NOON, HOUR_S)) == 2

    now.now += timedelta(days=401)
    history.add(now.now, answered(1))
    assert len(history.since(NOON, HOUR_S)) == 1
    assert history.ever().predictions == 3


def test_a_span_that_has_begun_is_included(history: History) -> None:
    history.add(NOON + timedelta(minutes=10), answered(1))
    assert len(history.since(NOON + timedelta(minutes=10, seconds=30), MINUTE_S)) == 1
    assert history.since(NOON + timedelta(minutes=11), MINUTE_S) == []
