"""Whether all is well: the figures now and over time, drift, alerts, and what machines read.

Counting is the metrics' work. Here a thread takes what was counted every few seconds and keeps it,
so that a crash loses no more than that and no prediction waits for the disk.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from app.alerts import Alert, AlertLog
from app.drift import Drift, Reference, assess, references
from app.figures import Figures, total
from app.history import HALF_DAY_S, HALF_HOUR_S, MINUTE_S, History
from app.job_table import JobState
from app.learning import LearningService
from app.mirror import Mirror, MirrorState
from app.service import PredictionService
from data.state import monitoring_dir
from data.store import DatasetStore
from models.errors import ModelError
from models.examination import EXAMINATION_NAME, read_examination
from models.jobs import FETCH
from models.registry import ModelRegistry

_log = logging.getLogger(__name__)

KEEP_EVERY_S: Final = 5.0
CHECK_EVERY_S: Final = 30.0
_DISK_EVERY_S: Final = 60.0
_END_S: Final = 2.0  # for what the thread is at when the app ends
_DRIFT_WINDOW: Final = timedelta(days=1)
_MANY_MINUTES: Final = timedelta(hours=3)
_ERRORS_WINDOW: Final = timedelta(minutes=10)
_ERRORS_SHARE: Final = 0.05
_ERRORS_FEWEST: Final = 20  # requests: of fewer, one error is no rate
_DISK_FREE_SHARE: Final = 0.05
_DISK_FREE_BYTES: Final = 1_000_000_000
_MIRROR_FAILS: Final = timedelta(minutes=10)  # the Hub is away for minutes now and then
SPANS: Final = {
    "hour": (60, MINUTE_S),  # how many steps of how many seconds
    "day": (48, HALF_HOUR_S),
    "month": (60, HALF_DAY_S),
}


class MonitoringService:
    """Watches the service and remembers.

    Args:
        service: what is watched.
        registry: knows what the served version was tested on.
        state_dir: everything the program writes.
        store: the photos; None where collecting is off.
        learning: the jobs; None where retraining is off.
        webhook: address that alerts are posted to; empty for none.
        mirror: what outlives this disk; None for nothing.
        now: aware UTC time.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        service: PredictionService,
        registry: ModelRegistry,
        state_dir: Path,
        store: DatasetStore | None = None,
        learning: LearningService | None = None,
        *,
        webhook: str = "",
        mirror: Mirror | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._registry = registry
        self._state_dir = state_dir
        self._store = store
        self._learning = learning
        self._mirror = mirror
        self._now = now
        self._clock = clock
        folder = monitoring_dir(state_dir)
        self._history = History(folder / "figures.db", now)
        self._alerts = AlertLog(folder / "alerts.db", webhook, now)
        self._disk: tuple[float, dict[str, int]] | None = None
        self._drift: tuple[float, str | None, Drift] | None = None
        self._keeping = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="monitoring", daemon=True)

    def start(self) -> None:
        """Keep the figures and look for trouble, in a thread."""
        self._thread.start()

    def status(self) -> dict[str, Any]:
        """Return every figure of now, ready for JSON."""
        status = self._service.status()
        with self._keeping:  # else what is being kept would be counted twice, or not at all
            new = self._service.metrics.new()
            ever = self._history.ever().add(new)
            midnight = self._now().replace(hour=0, minute=0, second=0, microsecond=0)
            today = self._since(midnight, HALF_HOUR_S).add(new)
        status["predictions"] |= {"today": today.predictions, "ever": ever.predictions}
        return status | {
            "disk": self.disk(),
            "jobs": self._jobs(),
            "drift": self.drift().to_dict(),
            "mirror": self._mirror.describe() if self._mirror else None,
            "alerts": [alert.to_dict() for alert in self._alerts.open()],
        }

    def over_time(self, span: str) -> list[tuple[datetime, Figures]]:
        """Return the figures of the last hour, day or month, in steps of equal length.

        Args:
            span: one of ``SPANS``.

        Returns:
            The start of each step and its figures, the oldest first; the last step is now's.
        """
        count, step_s = SPANS[span]
        last = int(self._now().timestamp()) // step_s * step_s
        first = last - (count - 1) * step_s
        steps = {
            datetime.fromtimestamp(start, UTC): Figures()
            for start in range(first, last + 1, step_s)
        }
        with self._keeping:
            steps |= dict(self._history.since(min(steps), step_s))
            steps[max(steps)].add(self._service.metrics.new())
        return list(steps.items())

    def swaps(self) -> list[tuple[datetime, str]]:
        """Return when the served version changed, and to which."""
        return [(datetime.fromisoformat(a.at), a.version) for a in self._registry.activations()]

    def drift(self) -> Drift:
        """Return whether what was sent is like what the served version was tested on.

        Of the last day, but only since the version answers. Computed twice a minute at most.
        """
        version = self._service.health()["version"]
        kept = self._drift
        if kept is None or kept[1] != version or self._clock() - kept[0] > CHECK_EVERY_S:
            kept = self._drift = (self._clock(), version, self._assess())
        return kept[2]

    def disk(self) -> dict[str, int]:
        """Return the bytes of the photos and versions, and those that are free; not looked up anew
        more than once a minute.
        """
        if self._disk is None or self._clock() - self._disk[0] > _DISK_EVERY_S:
            usage = shutil.disk_usage(self._state_dir)
            used = {
                "photos_bytes": self._store.size_bytes() if self._store else 0,
                "versions_bytes": _folder_bytes(self._state_dir / "models"),
                "free_bytes": usage.free,
                "total_bytes": usage.total,
            }
            self._disk = (self._clock(), used)
        return self._disk[1]

    def alerts(self) -> list[Alert]:
        """Return the alerts, the newest first, also those that were acknowledged."""
        return self._alerts.latest()

    def acknowledge(self, alert_id: int) -> Alert:
        """Say that an alert was seen, and return it.

        Raises:
            AlertNotFound: there is none of that number.
        """
        return self._alerts.acknowledge(alert_id)

    def keep(self) -> None:
        """Keep what was counted since the last time."""
        with self._keeping:
            self._service.metrics.hand_over(
                lambda since, new: self._history.add(since, new) if new.requests else None
            )

    def check(self) -> None:
        """Look for trouble, and raise alerts."""
        self._check_model()
        self._check_jobs()
        self._check_errors()
        self._check_disk()
        self._check_mirror()
        drift = self.drift()
        if drift.state == "drifted":
            self._alerts.report("drift", self._service.served.manifest.version, drift.sentence)
        self._alerts.post(self._closing)

    def close(self) -> None:
        """Keep what is left, and end; a webhook that does not answer is not waited for."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(_END_S)
        self.keep()
        self._history.close()
        self._alerts.close()

    def _loop(self) -> None:
        checked_at = self._clock()
        while not self._closing.wait(KEEP_EVERY_S):
            # The next round may go well: a full disk is emptied, a busy database is free again.
            try:
                self.keep()
            except Exception:
                _log.exception("the figures could not be kept")
            if self._clock() - checked_at < CHECK_EVERY_S:
                continue
            checked_at = self._clock()
            try:
                self.check()
            except Exception:
                _log.exception("what may be wrong could not be looked for")

    def _since(self, moment: datetime, length_s: int) -> Figures:
        return total(figures for _, figures in self._history.since(moment, length_s))

    def _assess(self) -> Drift:
        if not self._service.health()["ready"]:
            return Drift("unknown", "No model is loaded.")
        served = self._service.served
        answering = self._history.answering_since(served.manifest.sha256, served.since)
        since = max(answering, self._now() - _DRIFT_WINDOW)
        with self._keeping:
            # Minutes tell best what a version answered that is new; of a day there are many. The
            # half hour in which it began is partly another's.
            if self._now() - since < _MANY_MINUTES:
                live = self._since(since, MINUTE_S)
            else:
                live = self._since(since + timedelta(seconds=HALF_HOUR_S - 1), HALF_HOUR_S)
            live.add(self._service.metrics.new())
        return assess(live, self._references(served.manifest.version))

    def _references(self, version: str) -> list[Reference]:
        try:
            path = self._registry.get(version).folder / EXAMINATION_NAME
            return _read_references(path) if path.exists() else []
        except ModelError as error:
            _log.error("drift cannot be told: %s", error)
            return []

    def _jobs(self) -> dict[str, Any]:
        """Return what runs, what waits and what starts next by itself."""
        if self._learning is None:
            return {"running": None, "queued": 0, "next_start": None, "after_images": 0}
        jobs = self._learning.jobs()
        schedule = self._learning.describe_schedule()
        return {
            "running": next((j["job_id"] for j in jobs if j["state"] == JobState.RUNNING), None),
            "queued": sum(job["state"] == JobState.QUEUED for job in jobs),
            "next_start": schedule["next_start"],
            "after_images": schedule["after_images"],
        }

    def _check_model(self) -> None:
        health = self._service.health()
        if health["problem"]:
            served = f"{health['version']} answers instead" if health["ready"] else "none answers"
            self._alerts.report(
                "model", str(health["version"]),
                f"The version that should be live cannot be served, and {served}: "
                f"{health['problem']} Look at the versions on the Retrain tab, and put one live.",
            )  # fmt: skip

    def _check_jobs(self) -> None:
        for job in self._learning.jobs(10) if self._learning else []:
            if job["state"] == JobState.FAILED:
                # Anybody may read alerts; what a job left behind is the operator's.
                what = "Fetching the base set" if job["mode"] == FETCH else "Retraining"
                message = f"{what} (job {job['job_id']}) failed. The Retrain tab says why."
                # Numbers begin anew where a damaged table was set aside.
                since = datetime.fromisoformat(job["queued_at"])
                number = str(job["job_id"])
                self._alerts.report("retrain_failed", number, message, once=True, since=since)

    def _check_errors(self) -> None:
        recent = self._since(self._now() - _ERRORS_WINDOW, MINUTE_S)
        if recent.requests >= _ERRORS_FEWEST and recent.errors > _ERRORS_SHARE * recent.requests:
            self._alerts.report(
                "errors", "server",
                f"{recent.errors} of the last {recent.requests} predictions failed by the server's "
                "own fault. The log says why.",
            )  # fmt: skip

    def _check_disk(self) -> None:
        disk = self.disk()
        free, size = disk["free_bytes"], disk["total_bytes"]
        if free < _DISK_FREE_BYTES or free < _DISK_FREE_SHARE * size:
            self._alerts.report(
                "disk", "state",
                f"The disk is nearly full: {free / 1e9:.1f} of {size / 1e9:.1f} GB are free. "
                "Remove versions that are not needed, or give it more room.",
            )  # fmt: skip

    def _check_mirror(self) -> None:
        parts = self._mirror.describe()["parts"].values() if self._mirror else ()
        for part in parts:
            since = part["failing_since"]
            lasts = since and self._now() - datetime.fromisoformat(since) > _MIRROR_FAILS
            if part["state"] == MirrorState.STOPPED or lasts:
                message = f"The {part['name']} are not kept on the Hub: {part['problem']}"
                self._alerts.report("mirror", part["name"], message)


@lru_cache(maxsize=4)
def _read_references(path: Path) -> list[Reference]:
    return references(read_examination(path))


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
