"""When a retraining starts by itself, and what is kept of that."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.errors import InvalidSchedule, NotReady
from app.scheduler import Schedule, Scheduler, _trigger
from tests.conftest import wait_until


class Submitted:
    """Remembers what was asked for."""

    def __init__(self, new: int = 0) -> None:
        self.new = new
        self.asked: list[tuple[str, str]] = []

    def submit(self, mode: str, reason: str) -> None:
        self.asked.append((mode, reason))

    def count(self) -> int:
        return self.new


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cron": "every day"}, "cron is 'every day'"),
        ({"cron": "0 3 * *"}, "five fields"),
        ({"after_images": -1}, "after_images is -1"),
        ({"mode": "slow"}, "mode is 'slow'"),
        ({"cron": "0 0 31 2 *"}, "such a day never comes"),
        ({"cron": "*/0 * * * *"}, "cron is"),
        ({"cron": "0 3 * * 8"}, "cron is"),
        ({"cron": "0 3 * * sat-x"}, "cron is"),
        ({"after_images": float("nan")}, "after_images is nan"),
        ({"after_images": 10**5000}, "after_images is a very large number"),
        ({"mode": "x" * 10_000}, "mode is 'xxx"),
    ],
)
def test_what_cannot_be_kept_is_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidSchedule, match=words):
        Schedule.of(**values)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("1", ["Mon"]),
        ("0", ["Sun"]),
        ("7", ["Sun"]),
        ("1-5", ["Mon", "Tue", "Wed", "Thu", "Fri"]),
        ("fri-sun", ["Fri", "Sat", "Sun"]),
        ("sat,3", ["Wed", "Sat"]),
        ("*/3", ["Sun", "Wed", "Sat"]),
        ("4/2", ["Thu", "Sat"]),
        ("SUN", ["Sun"]),
    ],
)
def test_days_of_the_week_are_those_of_crontab(days: str, expected: list[str]) -> None:
    """There, Sunday is 0 and 7."""
    trigger = _trigger(Schedule.of(cron=f"0 3 * * {days}").cron)
    found, moment = set(), datetime(2026, 11, 1, tzinfo=UTC)
    for _ in range(7):
        moment = trigger.get_next_fire_time(None, moment + timedelta(seconds=1))
        found.add(f"{moment:%a}")

    assert found == set(expected)


def test_a_day_of_the_month_or_one_of_the_week_is_meant_where_both_are_named() -> None:
    trigger = _trigger(Schedule.of(cron="0 3 15 * mon").cron)
    found, moment = [], datetime(2026, 11, 1, tzinfo=UTC)
    for _ in range(4):
        moment = trigger.get_next_fire_time(None, moment + timedelta(seconds=1))
        found.append(f"{moment:%a %d}")

    assert found == ["Mon 02", "Mon 09", "Sun 15", "Mon 16"]


def test_the_schedule_survives_a_restart(tmp_path: Path) -> None:
    path, submitted = tmp_path / "schedule.json", Submitted()
    Scheduler(path, submitted.submit, submitted.count).set(
        Schedule.of(cron="0 3 * * *", after_images=20, mode="thorough")
    )

    again = Scheduler(path, submitted.submit, submitted.count)
    again.start()
    try:
        assert again.schedule == Schedule(cron="0 3 * * *", after_images=20, mode="thorough")
        start = again.next_start()
        assert start is not None
        assert (start.hour, start.minute) == (3, 0)
        again.set(Schedule())
        assert again.next_start() is None
    finally:
        again.close()


def test_a_damaged_schedule_starts_nothing(tmp_path: Path) -> None:
    path, submitted = tmp_path / "schedule.json", Submitted()
    path.write_text('{"cron": "nonsense"}')
    assert Scheduler(path, submitted.submit, submitted.count).schedule == Schedule()


def test_enough_new_photos_start_a_job_and_fewer_do_not(tmp_path: Path) -> None:
    submitted = Submitted(new=19)
    scheduler = Scheduler(tmp_path / "s.json", submitted.submit, submitted.count)
    scheduler.set(Schedule(after_images=20))

    scheduler.check_count()
    assert submitted.asked == []
    submitted.new = 20
    scheduler.check_count()
    assert submitted.asked == [("quick", "after 20 new photos")]


def test_what_keeps_a_retraining_from_starting_ends_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    problems = ["Too few.", "Too few.", "No model.", "", "No model."]

    def submit(mode: str, reason: str) -> None:
        if problem := problems.pop(0):
            raise NotReady(problem)

    scheduler = Scheduler(tmp_path / "s.json", submit, lambda: 90 + len(problems))
    scheduler.set(Schedule(after_images=1))
    while problems:
        scheduler.check_count()

    assert [record.getMessage() for record in caplog.records] == [
        "no retraining after 95 new photos: Too few.",
        "no retraining after 93 new photos: No model.",
        "no retraining after 91 new photos: No model.",
    ]


def test_two_schedules_at_once_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted = Submitted()
    scheduler = Scheduler(tmp_path / "s.json", submitted.submit, submitted.count)
    scheduler.start()
    scheduler.set(Schedule.of(cron="0 3 * * *"))
    second = threading.Thread(target=scheduler.set, args=(Schedule.of(cron="0 5 * * *"),))
    add = scheduler._scheduler.add_job

    def add_while_another_begins(*arguments: Any, **options: Any) -> None:
        if not second.ident:
            second.start()
            second.join(0.2)  # it waits for its turn, so this waits in vain
        add(*arguments, **options)

    monkeypatch.setattr(scheduler._scheduler, "add_job", add_while_another_begins)
    try:
        scheduler.set(Schedule.of(cron="0 4 * * *"))
        second.join()
        start = scheduler.next_start()
    finally:
        scheduler.close()
    assert scheduler.schedule.cron == "0 5 * * *"
    assert start is not None
    assert start.hour == 5


def far_off() -> Schedule:
    """Daily, some twelve hours away from now, so that no start of its own comes meanwhile."""
    return Schedule.of(cron=f"0 {(datetime.now(UTC).hour + 12) % 24} * * *")


def test_a_start_that_came_while_the_app_was_off_is_made_up_for_once(tmp_path: Path) -> None:
    path, submitted = tmp_path / "schedule.json", Submitted()
    Scheduler(path, submitted.submit, submitted.count).set(far_off())
    following = datetime.fromisoformat((tmp_path / "schedule.next").read_text())
    assert datetime.now(UTC) < following <= datetime.now(UTC) + timedelta(days=1)
    (tmp_path / "schedule.next").write_text("2026-01-05T03:00:00+00:00")

    for _ in range(2):  # the second start of the app finds nothing missed
        scheduler = Scheduler(path, submitted.submit, submitted.count)
        scheduler.start()
        wait_until(lambda: submitted.asked)
        time.sleep(0.1)
        scheduler.close()
    assert submitted.asked == [("quick", "by the schedule, missed on 2026-01-05 at 03:00 UTC")]


def test_a_start_that_came_while_the_machine_slept_is_made_up_for_once(tmp_path: Path) -> None:
    submitted = Submitted()
    scheduler = Scheduler(tmp_path / "schedule.json", submitted.submit, submitted.count)
    scheduler.start()
    scheduler.set(far_off())
    try:
        # As if the clock had gone on by ten days while nothing ran.
        slept = datetime.now(UTC) - timedelta(days=10)
        scheduler._scheduler.modify_job("timed", next_run_time=slept)
        wait_until(lambda: submitted.asked)
        time.sleep(0.1)
    finally:
        scheduler.close()
    assert submitted.asked == [("quick", "by the schedule")]


@pytest.mark.parametrize("kept", ["", "soon", "2026-01-05T03:00:00", "2999-01-05T03:00:00+00:00"])
def test_what_is_no_missed_start_starts_nothing(tmp_path: Path, kept: str) -> None:
    path, submitted = tmp_path / "schedule.json", Submitted()
    Scheduler(path, submitted.submit, submitted.count).set(far_off())
    (tmp_path / "schedule.next").write_text(kept)

    scheduler = Scheduler(path, submitted.submit, submitted.count)
    scheduler.start()
    time.sleep(0.1)
    scheduler.close()
    assert submitted.asked == []
    assert datetime.fromisoformat((tmp_path / "schedule.next").read_text()) > datetime.now(UTC)


def test_a_schedule_that_is_turned_off_misses_nothing(tmp_path: Path) -> None:
    path, submitted = tmp_path / "schedule.json", Submitted()
    scheduler = Scheduler(path, submitted.submit, submitted.count)
    scheduler.set(far_off())
    scheduler.set(Schedule())
    assert not (tmp_path / "schedule.next").exists()


def test_where_the_next_start_cannot_be_kept_the_schedule_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "schedule.next").mkdir()  # nothing can be put in its place
    scheduler = Scheduler(tmp_path / "schedule.json", Submitted().submit, lambda: 0)
    scheduler.start()
    scheduler.set(far_off())
    try:
        assert scheduler.next_start()
        assert "will stay missed" in caplog.text
    finally:
        scheduler.close()
