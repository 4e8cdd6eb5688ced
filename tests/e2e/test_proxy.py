"""Behind a proxy that shows the server under a path of its own, and takes the path off."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from gradio_client import Client, handle_file
from playwright import sync_api
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from models.registry import ModelRegistry
from tests.conftest import REFUSING_LABELS, colour_model, publish
from tests.e2e.conftest import IN_A_BROWSER, running_server

pytestmark = IN_A_BROWSER

PREFIX = "/fruit"
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "content-encoding"}


class Proxy:
    """Passes on what lies under the prefix, as ``proxy_pass`` of nginx with a trailing slash."""

    def __init__(self, behind: str) -> None:
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        if not request.url.path.startswith(f"{PREFIX}/"):
            await PlainTextResponse("not ours", 404)(scope, receive, send)
            return
        url = self._behind + str(request.url).split(PREFIX, 1)[1]
        body = await request.body()
        async with (
            httpx.AsyncClient(timeout=None, verify=False) as client,
            client.stream(
                request.method, url, headers=request.headers.raw, content=body
            ) as response,
        ):
            headers = {k: v for k, v in response.headers.items() if k not in HOP_BY_HOP}

            async def chunks() -> AsyncIterator[bytes]:
                async for chunk in response.aiter_bytes():
                    yield chunk

            answer = StreamingResponse(chunks(), response.status_code, headers)
            await answer(scope, receive, send)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of a server with the small model, as the proxy shows it."""
    registry = ModelRegistry(tmp_path / "state" / "models")
    publish(registry, colour_model(REFUSING_LABELS), REFUSING_LABELS, "activation_maps")
    registry.activate("v0001")
    log = tmp_path / "stderr.log"
    with running_server(tmp_path / "state", log, GRADIO_ROOT_PATH=f"{PREFIX}/") as server:
        config = uvicorn.Config(
            Proxy(server.url), port=0, log_level="warning", lifespan="off",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        proxy = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(proxy.serve()))
        thread.start()
        while not proxy.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{proxy.servers[0].sockets[0].getsockname()[1]}{PREFIX}"
        proxy.should_exit = True
        thread.join(20)


def test_page_rest_documentation_and_client_work_under_the_prefix(
    address: str, browser: sync_api.Browser, photos: Path
) -> None:
    content = (photos / "mango.jpg").read_bytes()
    page = browser.new_page()
    outside: list[str] = []
    page.on(
        "request",
        lambda request: (
            outside.append(request.url)
            if request.url.startswith("http") and not request.url.startswith(f"{address}/")
            else None
        ),
    )

    page.goto(f"{address}/")
    page.set_input_files("#photos input[type=file]", photos / "mango.jpg")
    page.wait_for_selector(".fc-answer")

    assert page.inner_text(".fc-answer .fc-label") == "Mango"
    assert outside == []
    page.goto(f"{address}/docs")
    page.wait_for_selector("text=upload_retrain_data")
    assert outside == []
    page.close()
    assert httpx.post(f"{address}/api/predict", content=content).json()["label"] == "mango"
    missing = httpx.get(f"{address}/api/predict")
    assert (missing.status_code, missing.headers["Allow"]) == (405, "POST")
    document = httpx.get(f"{address}/openapi.json").json()
    assert document["servers"] == [{"url": PREFIX}]
    client = Client(f"{address}/", verbose=False)
    answer = client.predict(handle_file(photos / "mango.jpg"), api_name="/predict")
    assert answer["label"] == "mango"
    tools = httpx.get(f"{address}/gradio_api/mcp", follow_redirects=True)
    assert urlsplit(str(tools.url)).path == f"{PREFIX}/gradio_api/mcp/"
