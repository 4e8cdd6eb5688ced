"""Alerts: raised once, acknowledged, raised again, and posted to a real webhook on loopback."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.alerts import AlertLog
from app.errors import AlertNotFound


class FakeNow:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def now() -> FakeNow:
    return FakeNow()


@pytest.fixture
def log(tmp_path: Path, now: FakeNow) -> Iterator[AlertLog]:
    log = AlertLog(tmp_path / "alerts.db", now=now)
    yield log
    log.close()


def test_the_same_trouble_is_one_alert_until_it_was_seen(log: AlertLog, now: FakeNow) -> None:
    log.report("disk", "state", "Nearly full.")
    log.report("disk", "state", "Nearly full.")
    (alert,) = log.open()
    assert (alert.kind, alert.message) == ("disk", "Nearly full.")

    seen = log.acknowledge(alert.id)
    assert seen.acknowledged_at == "2026-03-04T12:00:00+00:00"
    log.report("disk", "state", "Nearly full.")
    assert log.open() == []

    now.now += timedelta(days=1, minutes=1)
    log.report("disk", "state", "Still nearly full.")
    assert [a.message for a in log.open()] == ["Still nearly full."]
    assert len(log.latest()) == 2


def test_what_happened_once_is_told_once(log: AlertLog, now: FakeNow) -> None:
    log.report("retrain_failed", "7", "Failed.", once=True)
    log.acknowledge(log.open()[0].id)
    now.now += timedelta(days=9)
    log.report("retrain_failed", "7", "Failed.", once=True)
    log.report("retrain_failed", "8", "Failed too.", once=True)
    assert [a.subject for a in log.open()] == ["8"]


def test_what_happened_to_another_one_of_that_name_is_told_too(log: AlertLog, now: FakeNow) -> None:
    """Jobs are counted from 1 again where their table was damaged."""
    first = now.now - timedelta(minutes=5)
    log.report("retrain_failed", "1", "Failed.", once=True, since=first)
    now.now += timedelta(minutes=5)
    log.report("retrain_failed", "1", "Failed.", once=True, since=first)
    assert len(log.open()) == 1

    second = now.now - timedelta(minutes=1)
    for _ in range(2):
        log.report("retrain_failed", "1", "Failed again.", once=True, since=second)
    assert [a.message for a in log.open()] == ["Failed again.", "Failed."]


def test_a_subject_that_seems_to_come_from_the_future_is_told_once(
    log: AlertLog, now: FakeNow
) -> None:
    for _ in range(2):
        log.report("retrain_failed", "1", "Failed.", once=True, since=now.now + timedelta(days=1))
    assert len(log.open()) == 1


def test_an_open_alert_is_not_hidden_by_a_hundred_later_ones(log: AlertLog) -> None:
    log.report("disk", "state", "Nearly full.")
    for number in range(120):
        log.report("retrain_failed", str(number), "Failed.", once=True)
        log.acknowledge(log.latest(1)[0].id)

    assert [a.kind for a in log.open()] == ["disk"]
    assert log.latest()[-1].kind == "disk"
    assert len(log.latest()) == 101


def test_acknowledging_what_is_not_there_says_so(log: AlertLog) -> None:
    with pytest.raises(AlertNotFound, match="no alert 5"):
        log.acknowledge(5)


class _Hook(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []
        self.status = 500
        self.asked = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: _Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(json.loads(body))
        self.server.asked.set()
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[_Hook]:
    server = _Hook()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_gets_each_alert_once_also_after_a_failure(
    tmp_path: Path, now: FakeNow, hook: _Hook
) -> None:
    log = AlertLog(tmp_path / "a.db", f"http://127.0.0.1:{hook.server_port}/alerts", now)
    log.report("drift", "v0002", "Other photos.")
    log.post()
    hook.status = 200
    now.now += timedelta(minutes=1)
    log.post()
    log.post()
    log.close()

    assert [body["kind"] for body in hook.bodies] == ["drift", "drift"]
    assert hook.bodies[1]["text"] == hook.bodies[1]["content"] == "Other photos."


def test_nothing_more_is_posted_once_the_app_ends(tmp_path: Path, hook: _Hook) -> None:
    address = f"http://127.0.0.1:{hook.server_port}/alerts"
    log = AlertLog(tmp_path / "a.db", address)
    for number in range(3):
        log.report("retrain_failed", str(number), "Failed.")
    log.post(hook.asked)  # which the first of them sets
    log.close()
    assert [body["subject"] for body in hook.bodies] == ["0"]

    hook.status = 200
    again = AlertLog(tmp_path / "a.db", address)
    again.post()
    again.close()
    assert [body["subject"] for body in hook.bodies] == ["0", "0", "1", "2"]


def test_a_webhook_that_is_gone_is_asked_ever_more_rarely_and_given_up(
    tmp_path: Path, now: FakeNow, hook: _Hook
) -> None:
    log = AlertLog(tmp_path / "a.db", f"http://127.0.0.1:{hook.server_port}/alerts", now)
    log.report("drift", "v0002", "Other photos.")
    begun = now.now
    minutes = []
    for _ in range(3 * 24 * 60):
        asked = len(hook.bodies)
        log.post()
        if len(hook.bodies) > asked:
            minutes.append((now.now - begun) // timedelta(minutes=1))
        now.now += timedelta(minutes=1)
    log.close()
    assert minutes == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 2047]


def test_a_clock_that_was_ahead_keeps_no_alert_back(
    tmp_path: Path, now: FakeNow, hook: _Hook
) -> None:
    log = AlertLog(tmp_path / "a.db", f"http://127.0.0.1:{hook.server_port}/alerts", now)
    log.report("drift", "v0002", "Other photos.")
    log.post()
    now.now -= timedelta(days=400)
    log.post()
    log.close()
    assert len(hook.bodies) == 2


def test_the_address_of_the_webhook_is_not_logged(
    tmp_path: Path, now: FakeNow, hook: _Hook, caplog: pytest.LogCaptureFixture
) -> None:
    log = AlertLog(tmp_path / "a.db", f"http://127.0.0.1:{hook.server_port}/secret", now)
    log.report("drift", "v0002", "Other photos.")
    log.post()
    log.close()
    closed = AlertLog(tmp_path / "a.db", "http://127.0.0.1:1/secret", now)
    closed.post()
    closed.close()

    said = [r.getMessage() for r in caplog.records if r.name == "app.alerts"]
    assert said[1:] == [
        "alert 1 could not be posted: status 500",
        "alert 1 could not be posted: ConnectError",
    ]
