"""The base set, fetched by the app from a mirror on loopback, in a job of its own."""

import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

import data.__main__
from app.access import Access
from app.learning import LearningService
from app.rest import build_router
from app.service import PredictionService
from app.settings import Settings
from data.splits import Split
from data.store import DatasetStore
from models.registry import ModelRegistry
from tests.conftest import (
    REFUSING_LABELS,
    colour_model,
    encode,
    local_client,
    publish,
    wait_until,
)
from tests.integration.test_learning import finished

SETTINGS = Settings()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    ).start()
    yield f"http://127.0.0.1:{server.server_port}/", folder
    server.shutdown()
    server.server_close()


@pytest.fixture
def fetch(
    mirror: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], int]:
    """The command that fetches a set from the mirror into a store of its own."""
    monkeypatch.setenv("FRUIT_BASE_SET_MIRROR", mirror[0])
    state = str(tmp_path / "own")
    return lambda name: data.__main__.main(["--state-dir", state, "fetch", name])


@pytest.fixture
def learning(
    tmp_path: Path, registry: ModelRegistry, mirror: tuple[str, Path]
) -> Iterator[LearningService]:
    publish(registry, colour_model(REFUSING_LABELS), REFUSING_LABELS)
    service = PredictionService(registry)
    service.load()
    store = DatasetStore(tmp_path / "store")
    learning = LearningService(service, registry, store, tmp_path, mirror=mirror[0])
    learning.start()
    yield learning
    learning.close()
    service.close()
    store.close()


def put_archives(folder: Path) -> None:
    with zipfile.ZipFile(folder / "fruits-360.zip", "w") as archive:
        archive.writestr("f/Training/Apple Red 1/a.png", encode("apple", side_px=100))
        archive.writestr("f/Test/Apple Red 1/b.png", encode("apple", side_px=110))
    with zipfile.ZipFile(folder / "grocery.zip", "w") as archive:
        archive.writestr("g/dataset/val/Fruit/Mango/Mango_001.png", encode("mango"))
        archive.writestr("g/dataset/README.md", "no picture")


def test_the_base_set_is_downloaded_and_imported(
    learning: LearningService, mirror: tuple[str, Path]
) -> None:
    put_archives(mirror[1])
    app = FastAPI()
    app.include_router(build_router(learning._service, SETTINGS, Access(SETTINGS), None, learning))
    assert learning.lacks_base_set()

    response = local_client(app).post("/api/fetch_base_set")

    assert response.status_code == 202
    job = finished(learning, response.json()["job_id"])
    assert (job["state"], job["mode"]) == ("succeeded", "fetch")
    assert "2 of Fruits-360" in job["message"]
    assert job["progress"]["stages"][-1] == "Importing Grocery Store Dataset"
    assert learning._store.counts() == {
        ("fruits-360", "apple", Split.TRAIN): 1,
        ("fruits-360", "apple", Split.TEST): 1,
        ("grocery", "mango", Split.VALIDATION): 1,
    }
    assert not learning.lacks_base_set()
    # It is no retraining, so photos added before it still wait for one.
    assert learning._table.last_queued_at(("quick", "thorough")) == ""


def test_the_command_line_downloads_from_the_mirror_too(
    fetch: Callable[[str], int], mirror: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    put_archives(mirror[1])

    assert fetch("fruits-360") == 0

    assert "2 added" in capsys.readouterr().out


def test_what_a_server_sends_in_place_of_an_archive_is_not_kept(
    fetch: Callable[[str], int], mirror: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (mirror[1] / "grocery.zip").write_text("<html>Sign in first</html>")
    assert fetch("grocery") == 1
    assert "InvalidArchive" in capsys.readouterr().err
    put_archives(mirror[1])
    assert fetch("grocery") == 0


def test_a_second_press_joins_the_download_that_runs(
    tmp_path: Path, registry: ModelRegistry
) -> None:
    publish(registry, colour_model())
    service = PredictionService(registry)
    service.load()
    store = DatasetStore(tmp_path / "store")
    endless = (sys.executable, "-c", "import time; time.sleep(600)")
    learning = LearningService(service, registry, store, tmp_path, command=endless)
    assert learning.fetching() is None

    first = learning.fetch_base_set()
    assert learning.fetch_base_set().id == first.id  # it waits
    learning.start()
    wait_until(lambda: learning.job(first.id)["state"] == "running")
    assert learning.fetch_base_set().id == first.id
    assert [job["job_id"] for job in learning.jobs()] == [first.id]

    learning.cancel(first.id)
    assert learning.fetching() is None
    assert learning.fetch_base_set().id > first.id
    learning.close()
    service.close()
    store.close()


def test_a_download_that_fails_says_so_and_can_be_repeated(
    learning: LearningService, mirror: tuple[str, Path]
) -> None:
    put_archives(mirror[1])
    (mirror[1] / "grocery.zip").rename(mirror[1] / "elsewhere.zip")

    job = finished(learning, learning.fetch_base_set().id)

    assert job["state"] == "failed"
    assert "grocery.zip could not be fetched" in job["message"]
    assert learning.lacks_base_set()  # although Fruits-360 is there
    (mirror[1] / "elsewhere.zip").rename(mirror[1] / "grocery.zip")
    assert finished(learning, learning.fetch_base_set().id)["state"] == "succeeded"
    assert not learning.lacks_base_set()
