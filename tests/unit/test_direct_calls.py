"""Which calls of Gradio's API are answered before Gradio looks at them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from app.direct_calls import CALL, Call, DirectCalls
from app.errors import BadRequest

META = {"_type": "gradio.FileData"}


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "a.png").write_bytes(b"photo")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "uploads" / "link.png").symlink_to(tmp_path / "secret.png")
    return tmp_path / "uploads"


@pytest.fixture
def client(uploads: Path) -> Iterator[TestClient]:
    page = FastAPI()

    @page.api_route("/{path:path}", methods=["GET", "POST"])
    async def passed_on(request: Request) -> dict[str, Any]:
        return {"body": (await request.body()).decode()}

    async def answer(call: Call, request_id: str) -> dict[str, Any]:
        if call.top_k == 0:
            raise BadRequest("top_k is 0 <b>")
        return {"path": call.path.name, "top_k": call.top_k, "explain": call.explain}

    with TestClient(DirectCalls(page, uploads, answer)) as client:
        yield client


def stream(client: TestClient, data: list[Any]) -> str:
    event_id = client.post(CALL, json={"data": data}).json()["event_id"]
    return client.get(f"{CALL}/{event_id}").text


def test_a_plain_call_is_answered_as_gradio_does(client: TestClient, uploads: Path) -> None:
    file = {"path": str(uploads / "a.png"), "meta": META}

    events = stream(client, [file]), stream(client, [file, 2, True]), stream(client, [file, 0])

    assert events == (
        'event: complete\ndata: [{"path":"a.png","top_k":null,"explain":false}]\n\n',
        'event: complete\ndata: [{"path":"a.png","top_k":2,"explain":true}]\n\n',
        'event: error\ndata: {"error":"top_k is 0 &lt;b&gt;"}\n\n',
    )


def test_an_answer_is_handed_out_once(client: TestClient, uploads: Path) -> None:
    data = [{"path": str(uploads / "a.png"), "meta": META}]
    event_id = client.post(CALL, json={"data": data}).json()["event_id"]

    assert client.get(f"{CALL}/{event_id}").text.startswith("event: complete")
    assert client.get(f"{CALL}/{event_id}").json() == {"body": ""}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"data": []}',
        b'{"data": [null]}',
        b'{"data": ["UPLOADS/a.png"]}',
        b'{"data": [{"path": "UPLOADS/a.png"}]}',
        b'{"data": [{"path": "UPLOADS/b.png", "meta": {"_type": "gradio.FileData"}}]}',
        b'{"data": [{"path": "UPLOADS/../secret.png", "meta": {"_type": "gradio.FileData"}}]}',
        b'{"data": [{"path": "UPLOADS/link.png", "meta": {"_type": "gradio.FileData"}}]}',
        b'{"data": [{"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}]}',
        b'{"data": [{"path": "http://127.0.0.1/x", "meta": {"_type": "gradio.FileData"}}]}',
        b'{"data": [{"path": "UPLOADS/a.png\\u0000", "meta": {"_type": "gradio.FileData"}}]}',
        b'{"data": [{"path": "UPLOADS/a.png", "meta": {"_type": "gradio.FileData"}}, "2"]}',
        b'{"data": [{"path": "UPLOADS/a.png", "meta": {"_type": "gradio.FileData"}}, true]}',
        b'{"data": [{"path": "UPLOADS/a.png", "meta": {"_type": "gradio.FileData"}}, 1, 1]}',
        b'{"data": [{"path": "UPLOADS/a.png", "meta": {"_type": "gradio.FileData"}}], "x": 1}',
        b" " * 40_000,
    ],
)
def test_any_other_call_is_passed_on_whole(client: TestClient, uploads: Path, body: bytes) -> None:
    body = body.replace(b"UPLOADS", str(uploads).encode())

    response = client.post(CALL, content=body)

    assert orjson.loads(response.content) == {"body": body.decode()}


def test_other_requests_are_passed_on(client: TestClient) -> None:
    assert client.get(f"{CALL}/unknown").json() == {"body": ""}
    assert client.post("/gradio_api/call/status", content=b"{}").json() == {"body": "{}"}
