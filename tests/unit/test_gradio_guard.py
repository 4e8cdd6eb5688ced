"""What reaches the page, and what is answered before it."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from app.bodies import Intake
from app.gradio_guard import GradioGuard

JOIN = "/gradio_api/queue/join"
JSON = {"content-type": "application/json"}


class FakePage:
    """Answers as it is told to, and remembers what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.answer: Response | Exception = JSONResponse({"event_id": "1"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.bodies.append(await Request(scope, receive).body())
        if isinstance(self.answer, Exception):
            raise self.answer
        await self.answer(scope, receive, send)


@pytest.fixture
def page() -> FakePage:
    return FakePage()


@pytest.fixture
def client(page: FakePage, tmp_path: Path) -> TestClient:
    return TestClient(GradioGuard(page, tmp_path, min_free_bytes=0, max_bytes=1000))


def refusal(response: Any, status: int) -> str:
    """Return the words of a refusal, which stand where both kinds of clients look."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body["error"] == body["detail"]
    return str(body["error"])


def test_a_good_call_passes(client: TestClient, page: FakePage) -> None:
    body = {"data": ["é", 1.5, None], "fn_index": 3, "session_hash": "abc"}

    assert client.post(JOIN, json=body).json() == {"event_id": "1"}
    assert orjson.loads(page.bodies[0]) == body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "no JSON that can be read"),
        (b'{"data": [NaN]}', "no JSON that can be read"),
        (b'{"data": ["\\ud800"]}', "no JSON that can be read"),
        (b'{"data": ' + b"[" * 300 + b"]" * 300 + b"}", "no JSON that can be read"),
        (b'{"data": "\xff"}', "no JSON that can be read"),
        (b'{"data": [' + b"9" * 500 + b"]}", "no JSON that can be read"),
        (b"[]", "The body is a list; it must be a JSON object"),
        (b'{"session_hash": {}}', "session_hash is an object; it must be a text"),
    ],
)
def test_a_body_that_is_none_is_refused_before_the_page_sees_it(
    client: TestClient, page: FakePage, body: bytes, words: str
) -> None:
    assert words in refusal(client.post(JOIN, content=body, headers=JSON), 400)
    assert page.bodies == []


def test_a_call_that_is_too_large_is_refused_and_an_upload_is_not(
    client: TestClient, page: FakePage
) -> None:
    assert "the limit is 1,000. Send less." in refusal(client.post(JOIN, content=b"x" * 1001), 413)
    assert page.bodies == []

    client.post("/gradio_api/upload", content=b"x" * 5000)
    assert len(page.bodies[0]) == 5000


def test_calls_that_all_requests_together_leave_no_room_for_are_told_to_come_back(
    page: FakePage, tmp_path: Path
) -> None:
    intake = Intake(1000)
    client = TestClient(GradioGuard(page, tmp_path, 0, intake))
    body = {"data": ["x" * 600]}

    with intake.request() as take:
        take(600)
        refused = client.post(JOIN, json=body)

    assert "The server is busy" in refusal(refused, 429)
    assert refused.headers["retry-after"] == "5"
    assert page.bodies == []
    for _ in range(3):
        assert client.post(JOIN, json=body).status_code == 200
    assert intake.held_bytes == 0


def test_numbers_beyond_64_bits_become_floats(client: TestClient, page: FakePage) -> None:
    client.post(JOIN, content=b'{"data": [123456789012345678901234567890]}', headers=JSON)

    assert page.bodies == [b'{"data":[1.2345678901234568e+29]}']


@pytest.mark.parametrize("name", ["host", "x-forwarded-host"])
@pytest.mark.parametrize("host", ["[", "a b", "<script>", "a:b:c", "x" * 300])
def test_a_host_that_is_none_is_refused_on_the_page_too(
    client: TestClient, page: FakePage, name: str, host: str
) -> None:
    assert "it must be a host" in refusal(client.get("/", headers={name: host}), 400)
    assert page.bodies == []


@pytest.mark.parametrize(
    "host", ["localhost:7860", "127.0.0.1", "[::1]:80", "a-b.example.org", "a, b:1"]
)
def test_a_good_host_passes(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("path", ["component_server", "proxy=http://a/", "deep_link", "vibe-edit"])
def test_what_the_page_does_not_use_is_closed(
    client: TestClient, page: FakePage, path: str
) -> None:
    assert "is not used by this page" in refusal(client.post(f"/gradio_api/{path}"), 400)
    assert page.bodies == []


def test_what_gradio_refuses_with_a_500_is_a_400_in_its_words(
    client: TestClient, page: FakePage
) -> None:
    page.answer = JSONResponse({"error": "There is no job 7."}, 500)

    assert refusal(client.post("/gradio_api/run/job", json={}), 400) == "There is no job 7."


def test_what_gradio_fails_at_is_a_400_and_logged(
    client: TestClient, page: FakePage, caplog: pytest.LogCaptureFixture
) -> None:
    page.answer = KeyError("fn_index 99999")

    words = refusal(client.post(JOIN, json={"data": []}), 400)

    assert "not put together as it should be" in words
    assert "KeyError('fn_index 99999')" in caplog.text


def test_a_failure_of_the_page_itself_stays_one(client: TestClient, page: FakePage) -> None:
    page.answer = RuntimeError("a template is gone")

    with pytest.raises(RuntimeError, match="template"):
        client.get("/")


def test_a_stream_that_breaks_off_is_ended(client: TestClient, page: FakePage) -> None:
    def lines() -> Any:
        yield "data: first\n\n"
        raise KeyError("no such session")

    page.answer = StreamingResponse(lines(), media_type="text/event-stream")

    response = client.get("/gradio_api/queue/data?session_hash=none")

    assert (response.status_code, response.text) == (200, "data: first\n\n")


@pytest.mark.parametrize(
    ("total", "free", "passes"),
    [
        (100_000_000, 1_500_100, True),
        (100_000_000, 1_499_900, False),  # it would leave less than asked
        (10_000_000, 1_000_100, True),  # of a small disk a twentieth is enough
        (10_000_000, 999_900, False),
    ],
)
def test_an_upload_leaves_room_on_the_disk(
    page: FakePage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    total: int,
    free: int,
    passes: bool,
) -> None:
    usage = shutil._ntuple_diskusage(total, total - free, free)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    client = TestClient(GradioGuard(page, tmp_path, min_free_bytes=1_000_000))

    response = client.post("/gradio_api/upload", content=bytes(500_000))
    if passes:
        assert response.status_code == 200
    else:
        assert response.status_code == 507
        assert f"only {free / 1e6:.0f} MB are free" in response.text
        assert page.bodies == []
    assert client.post(JOIN, json={}).status_code == 200


def test_a_disk_that_is_full_is_no_fault_of_the_call(client: TestClient, page: FakePage) -> None:
    page.answer = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert "make room" in refusal(client.post(JOIN, json={}), 507)
    response = client.post("/gradio_api/upload", content=b"x")
    assert response.status_code == 507
    assert response.text == (  # the page shows it as it is
        "Nothing was kept: the server's disk does not take it (No space left on device). Its "
        "operator has to make room; then try again."
    )
