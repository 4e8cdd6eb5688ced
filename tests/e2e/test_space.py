"""The app as a Space runs it: its variables, its launcher, its proxy, and a disk that is lost."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import uvicorn
from gradio_client import Client, handle_file
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from models.registry import ModelRegistry
from tests.conftest import REFUSING_LABELS, colour_model, encode, publish, wait_until
from tests.e2e.conftest import running_server
from tests.hub_server import TOKEN, running_hub

# What https://huggingface.co/docs/hub/spaces-overview lists; SYSTEM is how Gradio tells a Space.
OPERATOR = "the operator's own token"
AS_OPERATOR = {"X-Operator-Token": OPERATOR}
SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "orchard/fruit",
    "SPACE_HOST": "orchard-fruit.hf.space",
    "SPACE_AUTHOR_NAME": "orchard",
    "SPACE_REPO_NAME": "fruit",
    "SPACE_TITLE": "Fruit classifier",
}
_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "upgrade"}


@contextmanager
def reverse_proxy(target: str, prefix: str = "") -> Iterator[str]:
    """A proxy before the server, which takes a prefix off each path; gives its address."""

    async def forward(request: Request) -> StreamingResponse:
        client: httpx.AsyncClient = request.app.state.client
        headers = [(n, v) for n, v in request.headers.items() if n not in _OF_ONE_HOP]
        headers += [
            ("host", "10.0.0.1:7860"),  # inside, a server has another name
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-host", request.headers["host"]),
            ("x-forwarded-proto", "http"),
        ]
        path = request.url.path.removeprefix(prefix) or "/"
        query = f"?{request.url.query}" if request.url.query else ""
        answer = await client.send(
            client.build_request(
                request.method, f"{target}{path}{query}", headers=headers,
                content=await request.body(),
            ),
            stream=True,
        )  # fmt: skip
        return StreamingResponse(
            answer.aiter_raw(),
            answer.status_code,
            {n: v for n, v in answer.headers.items() if n not in _OF_ONE_HOP},
            background=BackgroundTask(answer.aclose),
        )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=60) as app.state.client:
            yield

    methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]
    routes = [Route(f"{prefix}/{{path:path}}", forward, methods=methods)]
    config = uvicorn.Config(
        Starlette(routes=routes, lifespan=lifespan), port=0, log_level="error", ws="none",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}{prefix}"
    server.should_exit = True
    thread.join()


def upload(url: str, label: str, drawn: str) -> dict[str, int]:
    answer = httpx.post(
        f"{url}/api/upload_retrain_data",
        data={"class_name": label},
        files={"file": (f"{label}.png", encode(drawn))},
        headers=AS_OPERATOR,
        timeout=30,
    )
    return dict(answer.json()["counts"])


def test_space_answers_through_its_proxy_and_its_next_disk_holds_what_the_lost_one_held(
    tmp_path: Path, photos: Path
) -> None:
    registry = ModelRegistry(tmp_path / "first" / "models")
    for _ in range(2):
        publish(registry, colour_model(REFUSING_LABELS), REFUSING_LABELS, "activation_maps")
    with running_hub() as hub:
        space = SPACE | {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "FRUIT_HUB_DATASET": "orchard/photos",
            "FRUIT_HUB_MODELS": "orchard/models",
            "FRUIT_HUB_WAIT_S": "0",
            "FRUIT_ADMIN_TOKEN": OPERATOR,
        }
        launcher = (sys.executable, "space.py")
        log = tmp_path / "log"
        # Behind a folder of another site, which is more than the Hub's own proxy asks for.
        inside = space | {"GRADIO_ROOT_PATH": "/fruit"}
        first = running_server(tmp_path / "first", log, launcher, **inside)
        with first as server, reverse_proxy(server.url, "/fruit") as url:
            page = httpx.get(f"{url}/")
            config = httpx.get(f"{url}/config").json()
            rest = httpx.post(f"{url}/api/predict", content=encode("mango")).json()
            client = Client(url, verbose=False)
            named = client.predict(handle_file(photos / "banana.jpg"), api_name="/predict")
            client.close()
            assert (page.status_code, "Fruit classifier" in page.text) == (200, True)
            assert config["root"] == url
            assert rest["label"] == "mango"
            assert named["label"] == "banana"
            assert upload(url, "kiwi", "banana") == {"added": 1}
            activated = httpx.post(
                f"{url}/api/models/v0001/activate", json={"reason": "older"}, headers=AS_OPERATOR
            )
            assert activated.status_code == 200, activated.text
            made = ("model", "orchard/models")
            wait_until(
                lambda: (
                    made in hub.repositories
                    and b"older" in hub.model().files.get("active.json", b"")
                ),
                60,
            )

            # A Hub that is away harms nobody, and gets everything later.
            hub.stop()
            assert upload(url, "apple", "apple") == {"added": 1}
            assert httpx.post(f"{url}/api/predict", content=encode("mango")).status_code == 200
            hub.start()
            wait_until(lambda: sum(p.endswith(".png") for p in hub.dataset().files) == 2, 60)
            assert TOKEN not in httpx.get(f"{url}/api/status").text
            os.kill(server.pid, signal.SIGKILL)  # no time to say goodbye

        # Nothing but the repositories is left.
        second = running_server(tmp_path / "second", log, launcher, page=False, **space)
        with second as server:
            rows = httpx.get(f"{server.url}/api/classes", headers=AS_OPERATOR).json()
            status = httpx.get(f"{server.url}/api/status").json()
            os.kill(server.pid, signal.SIGKILL)

    assert {row["class_name"]: row["photos"] for row in rows} == {"apple": 1, "kiwi": 1}
    assert status["version"] == "v0001"
    assert {n: p["restored"] for n, p in status["mirror"]["parts"].items()} == {
        "photos": 2,
        "versions": 2,
    }
    after = ModelRegistry(tmp_path / "second" / "models")
    assert [version.version for version in after.list()] == ["v0001", "v0002"]
    assert [(a.version, a.reason) for a in after.activations()] == [("v0001", "older")]
    words = log.read_text()
    assert TOKEN not in words
    assert "/lfs/" not in words  # addresses of uploads are signed, so they are secrets too
