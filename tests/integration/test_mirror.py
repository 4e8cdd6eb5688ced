"""The app's side of the mirror, with the real process beside it and a Hub on loopback."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.mirror import Mirror, MirrorState, PartStatus
from app.settings import Settings
from data.store import DatasetStore
from tests.conftest import encode, wait_until
from tests.hub_server import HANG, TOKEN, HubServer, running_hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    with running_hub() as hub:
        yield hub


def settings(hub: HubServer, folder: Path, **others: Any) -> Settings:
    return Settings(
        state_dir=folder,
        hub_token=TOKEN,
        hub_dataset="orchard/photos",
        hub_endpoint=hub.url,
        **others,
    )


def add(folder: Path, label: str) -> DatasetStore:
    store = DatasetStore(folder / "store")
    store.add(encode(label), label=label, source="uploads", original_name="a.png")
    return store


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time enough for what waits when the app ends, also on a busy machine."""
    monkeypatch.setattr("app.mirror.FLUSH_S", 60.0)


def children() -> list[psutil.Process]:
    """Return the processes beside this one that mirror."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "app.mirroring" in _command(child)
    ]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # it ended meanwhile
        return []


def test_without_repositories_there_is_no_process_and_a_space_says_what_is_lost() -> None:
    here, space = Mirror(Settings()), Mirror(Settings(space="orchard/fruit"))
    here.begin()
    here.close()

    assert here.describe() == {"state": "off", "on_space": False, "note": "", "parts": {}}
    assert "loses its disk" in space.note()
    assert "FRUIT_HUB_DATASET and FRUIT_HUB_MODELS" in space.note()


def test_space_that_keeps_its_photos_alone_says_that_versions_are_lost() -> None:
    mirror = Mirror(Settings(space="orchard/fruit", hub_dataset="m/p", hub_token="hf_x"))

    assert "the versions that were added" in mirror.note()
    assert "FRUIT_HUB_DATASET" not in mirror.note()
    assert mirror.note("photos") == ""


def test_photos_on_a_public_repository_are_called_public() -> None:
    mirror = Mirror(Settings(hub_dataset="m/photos", hub_token="hf_x"))
    mirror.take(PartStatus("photos", "m/photos", MirrorState.MIRRORED, private=False))

    assert mirror.note() == "The photos that are added are public, as m/photos on the Hub is."


def test_what_waits_when_the_app_ends_is_mirrored_and_there_at_the_next_start(
    hub: HubServer, tmp_path: Path, patient: None
) -> None:
    # So long a wait that only the end can be what mirrors it.
    mirror = Mirror(settings(hub, tmp_path / "first", hub_wait_s=600.0))
    mirror.begin()
    wait_until(lambda: mirror.describe()["state"] == "mirrored")
    store = add(tmp_path / "first", "apple")
    wait_until(lambda: mirror.describe()["state"] == "waiting")
    waiting = mirror.describe()["parts"]["photos"]["waiting"]
    command, variables = children()[0].cmdline(), children()[0].environ()
    mirror.close()
    left = children()

    again = Mirror(settings(hub, tmp_path / "second"))
    again.begin()
    restored = DatasetStore(tmp_path / "second" / "store").images()
    described = again.describe()
    again.close()

    assert (waiting, left) == (1, [])
    assert restored == store.images()
    assert described["parts"]["photos"]["restored"] == 1
    assert TOKEN not in json.dumps([command, variables, described])


def test_hub_that_does_not_answer_holds_up_the_end_for_seconds_at_most(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.mirror.FLUSH_S", 0.5)
    mirror = Mirror(settings(hub, tmp_path, hub_wait_s=600.0))
    mirror.begin()
    wait_until(lambda: mirror.describe()["state"] == "mirrored")
    add(tmp_path, "apple")
    wait_until(lambda: mirror.describe()["state"] == "waiting")

    with hub.lock:  # every answer waits for it
        begun = time.monotonic()
        mirror.close()
        took_s = time.monotonic() - begun

    assert took_s < 5.0
    assert children() == []


def test_process_that_is_killed_is_told_and_started_again_without_a_restore(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.mirror._AGAIN_S", 0.1)
    mirror = Mirror(settings(hub, tmp_path, hub_wait_s=0.0))
    mirror.begin()
    wait_until(lambda: mirror.describe()["state"] == "mirrored")
    notes = []

    children()[0].kill()
    wait_until(lambda: bool(notes.append(mirror.note()) or notes[-1]))
    add(tmp_path, "apple")
    wait_until(lambda: any(path.endswith(".png") for path in hub.dataset().files))
    wait_until(lambda: mirror.describe()["state"] == "mirrored")
    mirror.close()

    assert "ended with status -9" in notes[-1]
    assert mirror.note() == ""


def test_app_starts_where_no_process_can_be_started(
    hub: HubServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    mirror = Mirror(settings(hub, tmp_path))

    mirror.begin()

    assert "No such file or directory" in mirror.note("photos")
    assert "no-python" not in mirror.note("photos")
    assert "no-python" in caplog.text
    mirror.close()


def test_restore_that_is_killed_leaves_nothing_half_and_goes_on_at_the_next_start(
    hub: HubServer, tmp_path: Path, patient: None
) -> None:
    first = Mirror(settings(hub, tmp_path / "first", hub_wait_s=600.0))
    first.begin()
    for label in ("apple", "banana", "mango"):
        store = add(tmp_path / "first", label)
    first.close()
    hub.fail("GET", "/resolve/.*png", HANG)
    second = Mirror(settings(hub, tmp_path / "second"))
    starting = threading.Thread(target=second.begin)

    starting.start()
    wait_until(lambda: not any(f.times for f in hub.failures))
    children()[0].kill()
    starting.join()
    note, half = second.note(), (tmp_path / "second" / "store").exists()
    second.close()
    third = Mirror(settings(hub, tmp_path / "second"))
    third.begin()
    third.close()

    assert "status -9" in note
    assert not half
    assert DatasetStore(tmp_path / "second" / "store").images() == store.images()
    assert [file.name for file in (tmp_path / "second" / "mirror").iterdir()] == ["photos.json"]
