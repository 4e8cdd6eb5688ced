"""A known mix of requests, and the same numbers wherever one may read them."""

import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

import app
from app.access import Access
from app.learning import LearningService
from app.metrics import Metrics
from app.mirror import Mirror, MirrorState, PartStatus
from app.monitoring import MonitoringService
from app.rest import build_metrics_route, build_router
from app.service import PredictionService
from app.settings import Settings
from app.tabs.status_html import now_html
from data.state import monitoring_dir
from data.store import DatasetStore
from models.examination import EXAMINATION_NAME
from models.registry import ModelRegistry, ModelVersion
from tests.conftest import COLOURS, colour_model, encode, local_client, publish, wait_until
from tests.unit.test_drift import PAPER, SHOP, examination, pictures

SETTINGS = Settings()


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the disk has and what of it is free: not how full this machine's happens to be."""
    room = SimpleNamespace(total=100_000_000_000, free=50_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: room)
    return room


class FakeNow:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 4, 12, 0, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Watched:
    """The app's watching half over a fake clock."""

    def __init__(self, registry: ModelRegistry, folder: Path, now: FakeNow) -> None:
        self.now = now
        self.service = PredictionService(registry, metrics=Metrics(now, lambda: now().timestamp()))
        self.service.load()
        self.store = DatasetStore(folder / "store")
        self.learning = LearningService(
            self.service, registry, self.store, folder, command=("false",)
        )
        self.monitoring = MonitoringService(
            self.service, registry, folder, self.store, self.learning,
            now=now, clock=lambda: now().timestamp(),
        )  # fmt: skip
        api = FastAPI()
        api.include_router(
            build_router(
                self.service, SETTINGS, Access(SETTINGS), None, self.learning, self.monitoring
            )
        )
        api.include_router(build_metrics_route(self.service, self.monitoring))
        self.client = local_client(api)

    def send(self, label: str, count: int = 1) -> None:
        for _ in range(count):
            response = self.client.post("/api/predict", content=encode(label))
            assert response.status_code == 200

    def metrics(self) -> dict[tuple[str, str], float]:
        text = self.client.get("/metrics").text
        return {
            (sample.name, "/".join(v for k, v in sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def close(self) -> None:
        self.monitoring.close()
        self.learning.close()
        self.service.close()
        self.store.close()


@pytest.fixture
def now() -> FakeNow:
    return FakeNow()


@pytest.fixture
def watched(
    registry: ModelRegistry, refusing: ModelVersion, tmp_path: Path, now: FakeNow
) -> Iterator[Watched]:
    watched = Watched(registry, tmp_path, now)
    yield watched
    watched.close()


def test_every_place_tells_the_same_numbers(watched: Watched) -> None:
    watched.send("apple", 3)
    watched.send("mango", 2)
    for _ in range(2):
        watched.client.post("/api/predict", content=b"no picture")

    status = watched.client.get("/api/status").json()
    metrics = watched.metrics()

    assert status["predictions"]["by_label"] == {"apple": 3, "mango": 2}
    assert (status["predictions"]["today"], status["predictions"]["ever"]) == (5, 5)
    assert status["refusals"]["by_type"] == {"UnsupportedImage": 2}
    assert status["predictions_per_s"] == pytest.approx(5 / 60, abs=0.01)
    assert metrics["fruit_predictions_total", "apple"] == 3
    assert metrics["fruit_predictions_total", "mango"] == 2
    assert metrics["fruit_refusals_total", "UnsupportedImage"] == 2
    assert metrics["fruit_http_requests_total", "POST//api/predict/200"] == 5
    assert metrics["fruit_http_requests_total", "POST//api/predict/415"] == 2
    assert metrics["fruit_stage_seconds_count", "total"] == 5
    assert metrics["fruit_stage_seconds_bucket", "10.0/total"] == 5
    assert metrics["fruit_ready", ""] == 1
    assert metrics["fruit_model_info", "v0001"] == 1
    (*_, (moment, figures)) = watched.monitoring.over_time("hour")
    assert moment == datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
    assert dict(figures.labels) == {"apple": 3, "mango": 2}
    assert figures.refusals.total() == 2


def test_keeping_changes_no_number_and_a_restart_keeps_what_was(
    watched: Watched, registry: ModelRegistry, tmp_path: Path
) -> None:
    watched.send("apple", 2)
    watched.monitoring.keep()
    watched.send("apple")
    before = watched.client.get("/api/status").json()["predictions"]
    watched.monitoring.keep()
    assert watched.client.get("/api/status").json()["predictions"] == before
    assert before == {"total": 3, "by_label": {"apple": 3}, "today": 3, "ever": 3}

    watched.close()
    watched.now.now += timedelta(days=1)
    again = Watched(registry, tmp_path, watched.now)
    again.send("mango")
    after = again.client.get("/api/status").json()["predictions"]
    assert after == {"total": 1, "by_label": {"mango": 1}, "today": 1, "ever": 4}
    again.close()


def test_no_request_is_lost_or_counted_twice_while_figures_are_kept(watched: Watched) -> None:
    done = threading.Event()

    def keep() -> None:
        while not done.wait(0.01):
            watched.monitoring.keep()

    seen = []
    thread = threading.Thread(target=keep)
    thread.start()
    for _ in range(12):
        watched.send("apple")
        seen.append(watched.monitoring.status()["predictions"]["ever"])
    done.set()
    thread.join()
    assert seen == list(range(1, 13))


def test_steps_of_a_month_hold_every_photo_once(watched: Watched) -> None:
    for _ in range(40):
        watched.now.now += timedelta(days=1)
        watched.monitoring.keep()  # as it does every few seconds, also where nothing happens
        watched.send("apple")
        watched.monitoring.keep()
    month = watched.monitoring.over_time("month")
    assert len(month) == 60
    assert sum(figures.predictions for _, figures in month) == 30
    day = watched.monitoring.over_time("day")
    assert len(day) == 48
    assert sum(figures.predictions for _, figures in day) == 1


def test_photos_of_another_kind_raise_drift_and_an_alert(
    watched: Watched, refusing: ModelVersion
) -> None:
    # The drawn photos stand on white; a test in a dark shop knows nothing like them.
    reference = examination(shop=pictures(SHOP, 300, 1))
    (refusing.folder / EXAMINATION_NAME).write_bytes(reference.to_bytes())
    watched.now.now = datetime.now(UTC) + timedelta(seconds=5)
    for label in list(COLOURS)[:5]:
        watched.send(label, 10)
    watched.now.now += timedelta(minutes=1)

    watched.monitoring.check()

    status = watched.client.get("/api/status").json()
    assert status["drift"]["state"] == "drifted"
    assert status["drift"]["photos"] == 50
    (alert,) = status["alerts"]
    assert alert["kind"] == "drift"
    assert watched.metrics()["fruit_drifted", ""] == 1
    seen = watched.client.post(f"/api/alerts/{alert['id']}/acknowledge")
    assert seen.json()["acknowledged_at"]
    assert watched.client.get("/api/status").json()["alerts"] == []
    assert len(watched.client.get("/api/alerts").json()) == 1
    assert watched.client.post("/api/alerts/99/acknowledge").status_code == 404
    assert watched.client.post("/api/alerts/x/acknowledge").status_code == 400


def test_drift_remembers_the_day_after_a_restart(
    registry: ModelRegistry, watched: Watched, refusing: ModelVersion, tmp_path: Path, now: FakeNow
) -> None:
    reference = examination(shop=pictures(SHOP, 300, 1))
    (refusing.folder / EXAMINATION_NAME).write_bytes(reference.to_bytes())
    now.now = datetime.now(UTC) + timedelta(seconds=5)
    watched.monitoring.keep()  # what comes is counted from now on
    for label in list(COLOURS)[:5]:
        watched.send(label, 10)
    watched.monitoring.check()
    watched.close()
    now.now += timedelta(minutes=2)

    again = Watched(registry, tmp_path, now)
    # As a program that starts some time later has it.
    object.__setattr__(again.service.served, "since", now.now)
    try:
        drift = again.monitoring.drift()
    finally:
        again.close()
    assert (drift.state, drift.photos) == ("drifted", 50)


@pytest.mark.parametrize(
    ("total", "free"), [(100_000_000_000, 4_900_000_000), (10_000_000_000, 990_000_000)]
)
def test_a_disk_that_is_nearly_full_raises_an_alert(
    watched: Watched, room: SimpleNamespace, total: int, free: int
) -> None:
    watched.monitoring.check()
    assert watched.monitoring.alerts() == []
    room.total, room.free = total, free
    watched.now.now += timedelta(minutes=2)  # room is looked up once a minute

    watched.monitoring.check()

    (alert,) = watched.client.get("/api/status").json()["alerts"]
    assert alert["kind"] == "disk"
    assert f"{free / 1e9:.1f} of {total / 1e9:.1f} GB are free" in alert["message"]


def test_more_of_the_same_raises_nothing(watched: Watched, refusing: ModelVersion) -> None:
    reference = examination(paper=pictures(PAPER, 300, 1))
    (refusing.folder / EXAMINATION_NAME).write_bytes(reference.to_bytes())
    watched.now.now = datetime.now(UTC) + timedelta(seconds=5)
    watched.monitoring.check()
    assert watched.monitoring.alerts() == []
    assert watched.monitoring.drift().state == "unknown"


def test_a_job_with_the_number_of_one_that_is_forgotten_raises_an_alert_of_its_own(
    watched: Watched, registry: ModelRegistry, tmp_path: Path
) -> None:
    """A damaged table is set aside, and numbers begin at 1 again; the alerts are still there."""
    watched.now.now = datetime.now(UTC) - timedelta(minutes=1)
    failed_job(watched)
    watched.monitoring.check()
    watched.close()
    for file in (tmp_path / "jobs").glob("jobs.db*"):
        file.unlink()

    again = Watched(registry, tmp_path, watched.now)
    again.now.now = datetime.now(UTC) + timedelta(minutes=1)
    failed_job(again)
    for _ in range(2):
        again.monitoring.check()
    subjects = [(alert.kind, alert.subject) for alert in again.monitoring.alerts()]
    again.close()

    assert subjects == [("retrain_failed", "1")] * 2


def failed_job(watched: Watched) -> None:
    """Let a job fail, which every one here does."""
    watched.learning.start()
    job = watched.learning._runner.submit("quick", "by hand")
    wait_until(lambda: watched.learning.job(job.id)["state"] == "failed")


def test_a_webhook_that_does_not_answer_does_not_hold_up_the_end(
    registry: ModelRegistry, version: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.monitoring.KEEP_EVERY_S", 0.01)
    monkeypatch.setattr("app.monitoring.CHECK_EVERY_S", 0.0)
    monkeypatch.setattr("app.monitoring._END_S", 0.1)
    service = PredictionService(registry)
    service.load()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monitoring = MonitoringService(service, registry, tmp_path, webhook=address)
        for number in range(3):
            monitoring._alerts.report("retrain_failed", str(number), "Failed.")
        monitoring.start()
        connection, _ = silent.accept()
        begun_at = time.monotonic()

        monitoring.close()

        lasted_s = time.monotonic() - begun_at
        connection.close()  # so that the thread can end
        monitoring._thread.join(30)
    assert lasted_s < 5  # where each of three is waited for 10 s
    assert not monitoring._thread.is_alive()
    monitoring._alerts.close()
    service.close()


def test_a_failed_retraining_is_an_alert_once(watched: Watched) -> None:
    for side_px in range(60, 72):
        watched.store.add(
            encode("mango", side_px=side_px), label="mango", source="uploads",
            original_name=f"{side_px}.png",
        )  # fmt: skip
    watched.learning.start()
    job = watched.learning._runner.submit("quick", "by hand")
    deadline = time.monotonic() + 30
    while watched.learning.job(job.id)["state"] != "failed":
        assert time.monotonic() < deadline
        time.sleep(0.05)

    watched.monitoring.check()
    watched.monitoring.check()

    (alert,) = watched.monitoring.alerts()
    assert (alert.kind, alert.subject) == ("retrain_failed", str(job.id))
    # What the job left behind, with the server's paths, is not for everybody.
    assert alert.message == f"Retraining (job {job.id}) failed. The Retrain tab says why."


def test_many_errors_are_an_alert(watched: Watched) -> None:
    watched.send("apple", 18)
    for _ in range(2):
        watched.service.metrics.failed()
    watched.monitoring.keep()
    watched.monitoring.check()
    (alert,) = watched.monitoring.alerts()
    assert alert.message.startswith("2 of the last 20 predictions failed")


def test_a_version_that_cannot_be_served_is_an_alert(
    registry: ModelRegistry, watched: Watched, version: ModelVersion
) -> None:
    other = publish(registry, colour_model())
    registry.activate(other.version)
    other.model_path.write_bytes(b"damaged")
    watched.service.load()

    watched.monitoring.check()

    (alert,) = watched.monitoring.alerts()
    assert alert.kind == "model"
    assert f"{version.version} answers instead" in alert.message
    assert "SHA-256" in alert.message


def test_health_tells_live_from_ready(tmp_path: Path) -> None:
    service = PredictionService(ModelRegistry(tmp_path / "none"))
    service.load()
    api = FastAPI()
    api.include_router(build_router(service, SETTINGS, Access(SETTINGS)))
    client = TestClient(api)
    assert client.get("/api/health").status_code == 503
    assert client.get("/api/health/live").json() == {"live": True}


def test_a_version_that_no_longer_answers_is_not_ready(watched: Watched) -> None:
    assert watched.client.get("/api/health").json()["status"] == "ok"

    class Broken:
        def warm_up(self) -> None:
            raise RuntimeError("out of memory")

    served = watched.service.served
    watched.service._served = type(served)(Broken(), served.manifest, served.since)  # type: ignore[arg-type]
    watched.service._answered = ("", 0.0)
    response = watched.client.get("/api/health")
    assert response.status_code == 503
    assert response.json()["problem"] == "out of memory"


def test_a_year_of_hours_takes_a_few_megabytes(watched: Watched, tmp_path: Path) -> None:
    watched.send("apple", 3)
    watched.send("mango", 3)
    figures = watched.service.metrics.new()
    size = len(figures.to_bytes())
    assert size * 24 * 365 < 5_000_000
    assert (monitoring_dir(tmp_path) / "figures.db").exists()


def test_the_dashboard_asks_for_figures_that_there_are(watched: Watched) -> None:
    watched.send("apple")
    watched.client.post("/api/predict", content=b"no picture")
    text = watched.client.get("/metrics").text
    dashboard = (Path(app.__file__).parent / "grafana.json").read_text()
    asked = set(re.findall(r"\b(?:fruit|process)_[a-z_]+", dashboard))
    assert len(asked) > 15
    assert {name for name in asked if not re.search(rf"^(# TYPE )?{name}\b", text, re.M)} == set()


def test_mirror_that_stopped_or_keeps_failing_raises_an_alert(
    registry: ModelRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    now = FakeNow()
    service = PredictionService(registry)
    service.load()
    mirror = Mirror(Settings(hub_dataset="m/photos", hub_models="m/models", hub_token="hf_x"))
    monitoring = MonitoringService(service, registry, tmp_path, mirror=mirror, now=now)
    since = now().isoformat(timespec="seconds")
    mirror.take(
        PartStatus("photos", "m/photos", MirrorState.FAILING, 3, None, since, "It is away.")
    )
    mirror.take(PartStatus("versions", "m/models", MirrorState.STOPPED, problem="It is another's."))

    monitoring.check()
    at_once = [alert.message for alert in monitoring.alerts()]
    now.now += timedelta(minutes=11)
    monitoring.check()
    later = [alert.message for alert in monitoring.alerts()]
    status, page = monitoring.status()["mirror"], now_html(monitoring.status())
    monitoring.close()
    service.close()

    assert at_once == ["The versions are not kept on the Hub: It is another's."]
    assert later[0] == "The photos are not kept on the Hub: It is away."
    assert (status["state"], status["parts"]["photos"]["waiting"]) == ("stopped", 3)
    assert "Photos on <code>m/photos</code>: not at the moment" in page
    assert "New photos are not kept for now: It is away." in page
    assert "Versions on <code>m/models</code>: no longer" in page


def test_space_without_a_mirror_says_on_status_what_is_lost(
    registry: ModelRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    service = PredictionService(registry)
    service.load()
    mirror = Mirror(Settings(space="orchard/fruit"))
    monitoring = MonitoringService(service, registry, tmp_path, mirror=mirror)
    page = now_html(monitoring.status())
    monitoring.close()
    service.close()

    assert "This Space loses its disk" in page
