"""Decides when a retraining starts by itself: at a time, or after so many new photos."""

import logging
import re
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.errors import InvalidSchedule
from models.jobs import Mode
from models.registry import write_atomically

_log = logging.getLogger(__name__)

CHOICES: Final = {
    "off": "",
    "every night": "0 3 * * *",
    "every week": "0 3 * * 0",
    "every month": "0 3 1 * *",
}
_NAMES: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAYS: Final = re.compile(
    rf"(?P<first>\*|[0-7]|{'|'.join(_NAMES)})"
    rf"(-(?P<last>[0-7]|{'|'.join(_NAMES)}))?(/(?P<step>[1-7]))?"
)
_TIMED: Final = "timed"
_COUNTED: Final = "counted"
_MISSED: Final = "missed"
_COUNT_EVERY_S: Final = 30
# A start that is missed because the machine sleeps is made up for, once, however late.
_OPTIONS: Final = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}


class Schedule(BaseModel):
    """When a retraining starts by itself.

    Attributes:
        cron: five fields of crontab in UTC, such as ``0 3 * * *``; empty for never.
        after_images: start after so many new photos; 0 for never.
        mode: ``quick`` or ``thorough``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str = Field(default="", max_length=100)
    after_images: int = Field(default=0, ge=0, le=100_000, strict=True)
    mode: Mode = "quick"

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, cron: str) -> str:
        if cron.strip():
            trigger = _trigger(cron)
            if trigger.get_next_fire_time(None, datetime.now(UTC)) is None:
                raise ValueError("such a day never comes")
        return cron.strip()

    @classmethod
    def of(cls, **values: object) -> "Schedule":
        """Return the schedule with these values.

        Raises:
            InvalidSchedule: one of them cannot be used.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problem = error.errors()[0]
            name = problem["loc"][0] if problem["loc"] else "value"
            raise InvalidSchedule(
                f"{name} is {_shown(problem['input'])}: {problem['msg']:.300}. Give cron as five "
                "fields in UTC such as '0 3 * * *', after_images as a whole number (0 for never), "
                "and mode as 'quick' or 'thorough'."
            ) from error


def _trigger(cron: str) -> BaseTrigger:
    """Return when five fields of crontab say, in UTC; raises ValueError where they say nothing.

    Days of the week are given to APScheduler by name: it counts them from Monday, crontab from
    Sunday. Where both a day of the month and of the week are named, either is meant.
    """
    fields = cron.lower().split()
    if len(fields) == 5:
        fields[4] = ",".join(map(_days, fields[4].split(",")))
        if not (fields[2].startswith("*") or fields[4].startswith("*")):
            of_month, of_week = [*fields[:4], "*"], [*fields[:2], "*", *fields[3:]]
            return OrTrigger([_times(of_month), _times(of_week)])
    return _times(fields)


def _times(fields: Sequence[str]) -> CronTrigger:
    return CronTrigger.from_crontab(" ".join(fields), timezone=UTC)


def _days(part: str) -> str:
    """Return a day of the week of crontab, a range or a step of them, as names of days."""
    found = _DAYS.fullmatch(part)
    if found is None or part == "*":
        return part
    first, last, step = found["first"], found["last"], int(found["step"] or 1)
    begin = 0 if first == "*" else _day(first)
    end = _day(last) if last else begin if found["step"] is None else 6
    if last and end < begin:  # such as fri-sun
        end += 7
    return ",".join(_NAMES[day % 7] for day in range(begin, end + 1, step))


def _day(name: str) -> int:
    return _NAMES.index(name) if name in _NAMES else int(name)


class Scheduler:
    """The one APScheduler of the app, and the schedule that it keeps in a file.

    When it starts next by the clock is kept in a file beside, so that a start which comes while the
    app is off is made up for.

    Args:
        path: where the schedule is kept.
        submit: starts a job of a mode, for a reason.
        count_new: returns how many photos are new since the last job.
    """

    def __init__(
        self, path: Path, submit: Callable[[str, str], object], count_new: Callable[[], int]
    ) -> None:
        self._path = path
        self._next_path = path.with_suffix(".next")
        self._submit = submit
        self._count_new = count_new
        self._schedule = _read(path)
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._setting = threading.Lock()  # one schedule takes the place of another in several steps
        self._told = ""  # why photos that were enough started nothing

    @property
    def schedule(self) -> Schedule:
        """The present schedule."""
        return self._schedule

    def start(self) -> None:
        """Keep the schedule from now on, in a thread."""
        self._scheduler.start()
        due = self._missed()
        self._apply()
        if due:
            reason = f"by the schedule, missed on {due:%Y-%m-%d at %H:%M} UTC"
            self._scheduler.add_job(self._start, args=[reason], id=_MISSED, **_OPTIONS)

    def set(self, schedule: Schedule) -> None:
        """Keep another schedule, also after a restart."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._setting:
            write_atomically(self._path, schedule.model_dump_json(indent=2).encode())
            self._schedule = schedule
            self._apply()

    def next_start(self) -> datetime | None:
        """Return when a retraining starts next by the clock, in UTC; None for never."""
        job = self._scheduler.get_job(_TIMED)
        found: datetime | None = job.next_run_time if job else None
        return found

    def close(self) -> None:
        """End the thread."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _apply(self) -> None:
        if self._scheduler.get_job(_TIMED):
            self._scheduler.remove_job(_TIMED)
        if self._schedule.cron:
            self._scheduler.add_job(
                self._start_timed, _trigger(self._schedule.cron), id=_TIMED, **_OPTIONS
            )
        # Even with nothing to count: a scheduler notices only when it wakes that the machine slept.
        self._scheduler.add_job(
            self.check_count,
            "interval",
            seconds=_COUNT_EVERY_S,
            id=_COUNTED,
            replace_existing=True,
            **_OPTIONS,
        )
        self._remember()

    def _remember(self) -> None:
        """Keep when a retraining starts next by the clock."""
        try:
            if self._schedule.cron:
                due = _trigger(self._schedule.cron).get_next_fire_time(None, datetime.now(UTC))
                write_atomically(self._next_path, due.isoformat().encode())
            else:
                self._next_path.unlink(missing_ok=True)
        except OSError as error:
            _log.error("a retraining missed while the app is off will stay missed: %s", error)

    def _missed(self) -> datetime | None:
        """Return when a retraining should have started while the app was off, None for never."""
        try:
            due = datetime.fromisoformat(self._next_path.read_text())
            return due if self._schedule.cron and due <= datetime.now(UTC) else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            _log.error("%s cannot be read, so no missed start is known: %s", self._next_path, error)
            return None

    def _start_timed(self) -> None:
        self._start("by the schedule")
        self._remember()

    def check_count(self) -> None:
        """Start a job if enough photos are new; called every half minute."""
        wanted = self._schedule.after_images
        if wanted and (count := self._count_new()) >= wanted:
            self._told = self._start(f"after {count} new photos", self._told)

    def _start(self, reason: str, told: str = "") -> str:
        """Start a job, or return why that cannot be; it is logged unless it was ``told`` before."""
        try:
            self._submit(self._schedule.mode, reason)
        except Exception as error:  # too little data, or a full disk: the next time may be better
            if str(error) != told:
                _log.warning("no retraining %s: %s", reason, error)
            return str(error)
        return ""


def _shown(given: object) -> str:
    try:
        return f"{given!r:.100}"
    except ValueError:  # Python refuses to write numbers of thousands of digits
        return "a very large number"


def _read(path: Path) -> Schedule:
    try:
        return Schedule.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Schedule()
    except (OSError, ValidationError) as error:
        _log.error("%s cannot be read, so nothing starts by itself: %s", path, error)
        return Schedule()
