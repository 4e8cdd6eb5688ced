"""Figures over time, in their database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.figures import Figures
from app.history import HALF_DAY_S, HALF_HOUR_S, MINUTE_S, History

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


def test_figures_go_to_spans_of_every_length(history: History) -> None:
    history.add(NOON + timedelta(seconds=5), answered(2))
    history.add(NOON + timedelta(seconds=59), answered(1))
    history.add(NOON + timedelta(seconds=61), answered(4))

    assert counts(history.since(NOON, MINUTE_S)) == [("12:00", 3), ("12:01", 4)]
    assert counts(history.since(NOON, HALF_HOUR_S)) == [("12:00", 7)]
    assert counts(history.since(NOON, HALF_DAY_S)) == [("12:00", 7)]
    assert history.ever().predictions == 7


def test_they_are_there_after_a_restart(tmp_path: Path, now: FakeNow, history: History) -> None:
    history.add(NOON, answered(2))
    history.close()
    again = History(tmp_path / "figures.db", now)
    again.add(NOON, answered(1))
    assert again.ever().predictions == 3
    assert counts(again.since(NOON, MINUTE_S)) == [("12:00", 3)]
    again.close()


def test_short_spans_go_with_time_and_the_sum_stays(history: History, now: FakeNow) -> None:
    left = {}
    for days in (0, 2, 36, 401):
        now.now = NOON + timedelta(days=days)
        history.add(now.now, answered(1))
        left[days] = [len(history.since(NOON, s)) for s in (MINUTE_S, HALF_HOUR_S, HALF_DAY_S)]
    assert left == {0: [1, 1, 1], 2: [1, 2, 2], 36: [1, 2, 3], 401: [1, 1, 3]}
    assert history.ever().predictions == 4


def test_a_span_that_has_begun_is_included(history: History) -> None:
    history.add(NOON + timedelta(minutes=10), answered(1))
    assert len(history.since(NOON + timedelta(minutes=10, seconds=30), MINUTE_S)) == 1
    assert history.since(NOON + timedelta(minutes=11), MINUTE_S) == []


def test_a_model_answers_since_it_was_first_named(
    tmp_path: Path, now: FakeNow, history: History
) -> None:
    assert history.answering_since("one", NOON) == NOON
    history.close()
    later = NOON + timedelta(hours=2)

    again = History(tmp_path / "figures.db", now)
    assert again.answering_since("one", later) == NOON
    assert again.answering_since("two", later) == later
    assert again.answering_since("one", later + timedelta(hours=1)) == later + timedelta(hours=1)
    again.close()
