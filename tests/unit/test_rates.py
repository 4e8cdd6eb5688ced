"""How many requests one client may send."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import HTTPConnection

from app.metrics import Metrics
from app.rates import ClientLimit, Pace, RateLimits, client_key

pytestmark = pytest.mark.usefixtures("held_minute")


def limited(metrics: Metrics, per_minute: int = 2, **options: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/{path:path}")
    def answer(path: str) -> str:
        return path

    is_exempt = options.get("is_exempt", lambda connection: False)
    app.add_middleware(RateLimits, limit=ClientLimit(per_minute, is_exempt, metrics))
    return app


def test_a_client_that_sends_too_many_is_told_when_to_come_back() -> None:
    metrics = Metrics()
    client = TestClient(limited(metrics), client=("192.0.2.7", 1))

    statuses = [client.get("/api/status").status_code for _ in range(3)]
    refused = client.get("/api/status", headers={"x-request-id": "mine"})

    assert statuses == [200, 200, 429]
    error = refused.json()["error"]
    assert (error["type"], error["request_id"]) == ("TooManyRequests", "mine")
    assert refused.headers["x-request-id"] == "mine"
    assert 1 <= int(refused.headers["retry-after"]) <= 120
    assert refused.headers["retry-after"] in error["message"]
    assert metrics.snapshot()["refusals"]["by_type"] == {"TooManyRequests": 2}


def test_other_clients_and_what_is_no_call_are_not_counted() -> None:
    app = limited(Metrics())
    first, second = (TestClient(app, client=(f"192.0.2.{n}", 1)) for n in (1, 2))

    for path in ("/", "/assets/x.js", "/api/health/live", "/gradio_api/heartbeat/x", "/metrics"):
        assert [first.get(path).status_code for _ in range(3)] == [200] * 3, path
    assert [first.get("/gradio_api/call/x").status_code for _ in range(3)] == [200, 200, 429]
    assert second.get("/gradio_api/call/x").status_code == 200


def test_who_is_exempt_is_not_counted() -> None:
    client = TestClient(limited(Metrics(), is_exempt=lambda connection: True))

    assert [client.get("/api/status").status_code for _ in range(4)] == [200] * 4


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::1", "::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("a-name", "a-name"),
    ],
)
def test_a_client_is_its_address_or_its_network(host: str, key: str) -> None:
    assert client_key(HTTPConnection({"type": "http", "client": (host, 1), "headers": []})) == key


def test_gradios_clients_and_the_page_are_told_where_they_look() -> None:
    client = TestClient(limited(Metrics(), per_minute=1))
    client.get("/gradio_api/call/x")

    call, upload = client.get("/gradio_api/call/x"), client.post("/gradio_api/upload")
    words = call.json()["detail"]
    assert words == call.json()["error"] == upload.text
    assert "minute" in words
    for response in (call, upload):
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) > 0


def test_a_pace_lets_a_burst_through_and_then_so_many_a_second() -> None:
    now = 100.0
    pace = Pace(burst=5, per_second=2, clock=lambda: now)

    assert [pace.take() for _ in range(7)] == [True] * 5 + [False] * 2
    now += 0.4
    assert not pace.take()
    now += 1.1  # three places since the burst
    assert [pace.take() for _ in range(4)] == [True] * 3 + [False]
    now += 1000
    assert [pace.take() for _ in range(7)] == [True] * 5 + [False] * 2
