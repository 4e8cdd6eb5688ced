"""A real server: a subprocess on a free loopback port, over a state directory of its own."""

import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright import sync_api

from models.registry import ModelRegistry
from tests.conftest import REFUSING_LABELS, colour_model, publish

ROOT = Path(__file__).parents[2]

# Two busy cores may take longer than the libraries wait by default; gradio_client waits as httpx.
sync_api.expect.set_options(timeout=30_000)
_patience = inspect.signature(httpx.get).parameters["timeout"].default
for _name in ("connect", "read", "write", "pool"):
    setattr(_patience, _name, 60.0)

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip
IN_A_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}"),
]
LIMITS = {
    "FRUIT_MAX_FILE_BYTES": "400000",
    "FRUIT_MAX_REQUEST_BYTES": "1000000",
    "FRUIT_MAX_FILES": "12",
}


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    state_dir: Path
    environment: dict[str, str]
    pid: int


@contextmanager
def running_server(
    state_dir: Path,
    log: Path,
    command: Sequence[str] = (sys.executable, "-m", "app"),
    *,
    page: bool = True,
    **settings: str,
) -> Iterator[Server]:
    """Start the app, wait until it answers, and end it by its pid.

    Args:
        state_dir: its state.
        log: gets its standard error.
        command: what is run.
        page: wait for the page too, and not for the routes alone.
        settings: environment variables.
    """
    environment = (
        os.environ
        | LIMITS
        | {
            "FRUIT_STATE_DIR": str(state_dir),
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": "0",
            # A call home would go to this port, where nothing listens, and show in the log.
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "HTTP_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        | settings
    )
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("Running on http://"), log.read_text()
            url = line.split()[2]
            # The routes answer from now on; the page comes some seconds later.
            path = "/" if page else "/api/health/live"
            assert httpx.get(url + path, timeout=60).status_code == 200, log.read_text()
            yield Server(url, state_dir, environment, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                process.kill()
                process.stdout.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server with an empty store and the shipped baseline."""
    with running_server(tmp_path / "state", tmp_path / "stderr.log") as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    """Headless Chromium."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the small model, which can refuse, as its only published version."""
    folder = tmp_path_factory.mktemp("server")
    registry = ModelRegistry(folder / "state" / "models")
    model = colour_model(REFUSING_LABELS)
    version = publish(registry, model, REFUSING_LABELS, "activation_maps")
    registry.activate(version.version)
    with running_server(folder / "state", folder / "stderr.log") as server:
        yield server
