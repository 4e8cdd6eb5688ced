"""When a retraining starts by itself, and what is kept of that."""

from pathlib import Path

import pytest

from app.errors import InvalidSchedule, TooManyJobs
from app.scheduler import Schedule, Scheduler


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
        ({"after_images": float("nan")}, "after_images is nan"),
        ({"after_images": 10**5000}, "after_images is a very large number"),
        ({"mode": "x" * 10_000}, "mode is 'xxx"),
    ],
)
def test_what_cannot_be_kept_is_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidSchedule, match=words):
        Schedule.of(**values)


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


def test_a_full_queue_ends_nothing(tmp_path: Path) -> None:
    def full(mode: str, reason: str) -> None:
        raise TooManyJobs(5)

    scheduler = Scheduler(tmp_path / "s.json", full, lambda: 99)
    scheduler.set(Schedule(after_images=1))
    scheduler.check_count()
