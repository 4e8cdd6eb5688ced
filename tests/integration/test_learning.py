"""From a finished job to the served version: passed, rejected, overridden, rolled back."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access import Access
from app.errors import BadRequest, NotReady
from app.learning import LearningService
from app.rest import build_router
from app.service import PredictionService
from app.settings import Settings
from data.splits import Split
from data.store import DatasetStore
from models.errors import VersionInUse, VersionNotFound, VersionRejected
from models.manifest import KERAS_NAME, REHEARSAL_NAME
from models.registry import ModelRegistry
from models.rehearsal import Rehearsal, RehearsedImage
from tests.conftest import REFUSING_LABELS, FullDisk, colour_model, encode, local_client, publish

# A job that publishes the model that lies in the state directory, with a gate that passes or not.
PROGRAM = """
import json, sys, time
from pathlib import Path
from models.jobs import JobResult, read_request
from models.manifest import GateCheck, GateReport, Suspect
from models.registry import ModelRegistry
folder = Path(sys.argv[1])
request = read_request(folder)
state = Path(request.state_dir)
while (state / "wait").exists():
    time.sleep(0.05)
registry = ModelRegistry(state / "models")
start = registry.get(request.start)
passed = not (state / "refuse").exists()
suspects = [Suspect(**s) for s in json.loads((state / "suspects.json").read_text())] if (
    state / "suspects.json").exists() else []
gate = GateReport(against=start.version, suspects=suspects, checks=[
    GateCheck(name="Accuracy", passed=passed, message="Fine." if passed else "On shop it loses.")
])
content = start.model_path.read_bytes()
published = registry.publish(
    lambda name: content,
    lambda name, bytes_: start.manifest.model_copy(update={"version": name, "gate": gate}),
)
JobResult(version=published.version, message="Published.").write(folder)
"""

SETTINGS = Settings()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def learning(state: Path, registry: ModelRegistry) -> Iterator[LearningService]:
    """Over a version that a quick retraining can start from, and a store with one new class."""
    start = publish(registry, colour_model(REFUSING_LABELS), REFUSING_LABELS)
    for name in (KERAS_NAME, REHEARSAL_NAME):
        (start.folder / name).write_bytes(b"read by the training side only")
    service = PredictionService(registry)
    service.load()
    store = DatasetStore(state / "store")
    command = (sys.executable, "-c", PROGRAM)
    learning = LearningService(service, registry, store, state, command=command)
    learning.start()
    yield learning
    learning.close()
    service.close()
    store.close()


def add_photos(
    learning: LearningService, count: int = 3, label: str = "mango", split: Split | None = None
) -> None:
    for side_px in range(60, 60 + count):
        learning._store.add(
            encode("mango", side_px=side_px), label=label, source="uploads",
            original_name=f"{side_px}.png", joins_scenes=False, scene=f"s{side_px}", split=split,
        )  # fmt: skip


def finished(learning: LearningService, job_id: int) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while (job := learning.job(job_id))["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    return job


def retrained(learning: LearningService) -> dict[str, Any]:
    add_photos(learning)
    return finished(learning, learning.retrain().id)


def live(learning: LearningService) -> str:
    (version,) = (m["version"] for m in learning.models() if m["active"])
    return str(version)


def test_a_candidate_that_passed_is_served(learning: LearningService) -> None:
    job = retrained(learning)

    assert (job["state"], job["message"]) == ("succeeded", "v0002 went live.")
    assert job["gate"]["passed"]
    assert live(learning) == "v0002"
    assert learning.activations()[0]["reason"] == f"job {job['job_id']}, by hand"


def test_a_candidate_that_a_full_disk_keeps_from_going_live_waits_to_be_put_live(
    learning: LearningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    FullDisk(monkeypatch, at=2)  # the first is what the job is asked for
    job = retrained(learning)

    assert job["state"] == "failed"
    assert "v0002 passed, but the disk does not take that it goes live" in job["message"]
    assert live(learning) == "v0001"
    learning.activate("v0002")
    assert live(learning) == "v0002"


def test_a_rejected_candidate_is_kept_and_not_served(
    learning: LearningService, state: Path
) -> None:
    (state / "refuse").touch()
    job = retrained(learning)

    assert job["state"] == "rejected"
    assert "On shop it loses." in job["message"]
    assert live(learning) == "v0001"
    assert learning.models()[0]["state"] == "rejected"
    with pytest.raises(VersionRejected, match=r"On shop it loses\..*say why"):
        learning.activate("v0002")
    with pytest.raises(BadRequest, match="say why"):
        learning.activate("v0002", override=True)

    learning.activate("v0002", override=True, reason="the shop photos are old")

    assert live(learning) == "v0002"
    assert "overriding the gate: the shop photos" in learning.activations()[0]["reason"]


def test_a_version_that_passed_is_not_said_to_override_the_gate(learning: LearningService) -> None:
    job = retrained(learning)
    learning.activate("v0001", override=True, reason="to compare")

    assert learning.activations()[0]["reason"] == "to compare"
    assert learning.delete("v0002")["state"] == "published"
    assert learning.job(job["job_id"])["gate"] is None


def test_doubtful_labels_are_told_until_they_are_relabelled(
    learning: LearningService, state: Path
) -> None:
    add_photos(learning)
    first, second, _ = learning._store.images(label="mango")
    suspects = [
        {"digest": i.digest, "label": "mango", "suggested": "apple", "probability": 0.9}
        for i in (first, second)
    ]
    (state / "suspects.json").write_text(json.dumps(suspects))
    finished(learning, learning.retrain().id)

    assert [(i.digest, s.suggested) for i, s in learning.suspects()] == [
        (first.digest, "apple"),
        (second.digest, "apple"),
    ]
    learning._store.relabel([first.digest], "apple")
    learning._store.remove([second.digest])
    assert learning.suspects() == []


def doubt(learning: LearningService, state: Path, digest: str) -> None:
    """Retrain; that doubts that a photo shows a mango."""
    suspect = {"digest": digest, "label": "mango", "suggested": "apple", "probability": 0.9}
    (state / "suspects.json").write_text(json.dumps([suspect]))
    (state / "refuse").touch()  # so that the next one can start from the same version
    finished(learning, learning.retrain().id)


def doubted(learning: LearningService) -> list[str]:
    return [image.digest for image, _ in learning.suspects()]


def test_a_confirmed_label_is_doubtful_no_more_whatever_a_later_retraining_finds(
    learning: LearningService, state: Path, registry: ModelRegistry
) -> None:
    add_photos(learning)
    first, second, _ = learning._store.images(label="mango")
    doubt(learning, state, first.digest)

    assert learning.confirm([first.digest, second.digest, "unknown"]) == 1

    assert doubted(learning) == []
    restarted = LearningService(learning._service, registry, learning._store, state)
    assert doubted(restarted) == []
    restarted.close()
    doubt(learning, state, first.digest)
    assert doubted(learning) == []
    doubt(learning, state, second.digest)
    assert doubted(learning) == [second.digest]


def test_another_label_makes_a_confirmation_void(learning: LearningService, state: Path) -> None:
    add_photos(learning)
    photo, *_ = learning._store.images(label="mango")
    doubt(learning, state, photo.digest)
    learning.confirm([photo.digest])

    learning._store.relabel([photo.digest], "kiwi")
    learning._store.relabel([photo.digest], "mango")

    assert doubted(learning) == [photo.digest]


def test_roll_back_returns_to_the_version_before(learning: LearningService) -> None:
    retrained(learning)
    assert learning.roll_back()["version"] == "v0001"
    assert live(learning) == "v0001"
    assert learning.activations()[0]["reason"] == "rolled back"


def test_a_candidate_is_not_put_live_over_another_choice(
    learning: LearningService, state: Path, registry: ModelRegistry
) -> None:
    other = publish(registry, colour_model(REFUSING_LABELS), REFUSING_LABELS)
    (state / "wait").touch()
    add_photos(learning)
    job = learning.retrain()
    while not learning.job(job.id)["pid"]:
        time.sleep(0.02)
    time.sleep(0.3)
    learning.activate(other.version)
    (state / "wait").unlink()

    assert "was put live meanwhile" in finished(learning, job.id)["message"]
    assert live(learning) == other.version


def test_without_photos_a_quick_retraining_says_what_to_do(learning: LearningService) -> None:
    with pytest.raises(NotReady, match=r"no new photo to learn from\. Add some on the Upload tab"):
        learning.retrain()


def test_a_new_class_with_few_photos_is_told_beforehand(learning: LearningService) -> None:
    add_photos(learning, 4, "kiwi")
    readiness = learning.readiness("quick")
    assert not readiness.ready
    assert readiness.notes[0].startswith("kiwi is left out: ")


def test_photos_that_a_version_rehearses_are_not_new_to_it(
    learning: LearningService, registry: ModelRegistry
) -> None:
    """One that was trained thoroughly with the photos that were there."""
    add_photos(learning, 5, split=Split.TRAIN)
    stored = learning._store.images(label="mango")
    known = [RehearsedImage("mango", "train", "uploads", "", i.scene, i.digest) for i in stored[:3]]
    gone = RehearsedImage("mango", "train", "uploads", "", "s9", "0" * 64)  # removed since
    rehearsal = Rehearsal("b", np.zeros((4, 2), np.float16), (*known, gone))
    (registry.get("v0001").folder / REHEARSAL_NAME).write_bytes(rehearsal.to_bytes())

    assert learning.readiness("quick").learns == {"mango": 2}
    assert learning.readiness("thorough").learns == {"mango": 5}


def test_a_thorough_retraining_without_photos_offers_the_base_set(
    learning: LearningService,
) -> None:
    add_photos(learning)
    with pytest.raises(NotReady, match=r"there are too few here\. Fetch the base data set"):
        learning.retrain("thorough")
    with pytest.raises(BadRequest, match="'fast'; it must be one of quick, thorough"):
        learning.retrain("fast")


def test_a_thorough_retraining_wants_a_photo_of_a_new_class_to_judge_it_by(
    learning: LearningService,
) -> None:
    add_photos(learning, 12, "kiwi", Split.TRAIN)
    assert learning.readiness("quick").learns == {"kiwi": 12}
    with pytest.raises(NotReady, match="All photos of kiwi are to learn from, and none is left"):
        learning.retrain("thorough")


def test_a_thorough_retraining_promises_no_class_that_it_leaves_out(
    learning: LearningService,
) -> None:
    """It keeps photos of validation to choose by, from which a quick one learns."""
    add_photos(learning, 9, "kiwi", Split.TRAIN)
    learning._store.add(
        encode("mango", side_px=99), label="kiwi", source="uploads", original_name="v.png",
        joins_scenes=False, scene="v", split=Split.VALIDATION,
    )  # fmt: skip

    quick, thorough = learning.readiness("quick"), learning.readiness("thorough")

    assert (quick.learns, quick.notes) == ({"kiwi": 10}, ())
    assert thorough.learns == {}
    assert thorough.notes == ("kiwi is left out: 9 of 10 photos to learn from.",)


def test_a_version_that_is_not_live_is_deleted(learning: LearningService) -> None:
    add_photos(learning)
    finished(learning, learning.retrain().id)
    with pytest.raises(VersionInUse, match="v0002 is live"):
        learning.delete("v0002")

    assert learning.delete("v0001")["version"] == "v0001"

    assert [m["version"] for m in learning.models()] == ["v0002"]
    with pytest.raises(VersionNotFound):
        learning.delete("v0001")


def test_nothing_is_deleted_under_a_running_job(
    learning: LearningService, registry: ModelRegistry, state: Path
) -> None:
    publish(registry, colour_model(REFUSING_LABELS), REFUSING_LABELS)
    (state / "wait").touch()
    add_photos(learning)
    job = learning.retrain()
    while learning.job(job.id)["state"] == "queued":
        time.sleep(0.02)

    with pytest.raises(VersionInUse, match="running"):
        learning.delete("v0002")

    (state / "wait").unlink()
    finished(learning, job.id)


@pytest.fixture
def client(learning: LearningService) -> TestClient:
    app = FastAPI()
    app.include_router(build_router(learning._service, SETTINGS, Access(SETTINGS), None, learning))
    return local_client(app)


def test_rest_retrains_lists_and_rolls_back(client: TestClient, learning: LearningService) -> None:
    add_photos(learning)
    response = client.post("/api/retrain", json={"mode": "quick"})
    assert response.status_code == 202
    job_id = response.json()["job_id"]
    finished(learning, job_id)

    assert client.get(f"/api/jobs/{job_id}").json()["state"] == "succeeded"
    assert [j["job_id"] for j in client.get("/api/jobs").json()] == [job_id]
    assert [m["version"] for m in client.get("/api/models").json()] == ["v0002", "v0001"]
    assert client.post("/api/models/roll_back").json()["version"] == "v0001"
    assert client.post("/api/models/v0002/activate").json()["active"] is True
    assert client.post(f"/api/jobs/{job_id}/cancel").json()["state"] == "succeeded"
    assert client.delete("/api/models/v0001").json()["version"] == "v0001"
    assert [m["version"] for m in client.get("/api/models").json()] == ["v0002"]


def test_rest_keeps_a_schedule(client: TestClient) -> None:
    response = client.put("/api/schedule", json={"cron": "30 4 * * 1", "after_images": 50})
    assert response.status_code == 200
    assert response.json()["next_start"].endswith("04:30:00+00:00")
    assert client.get("/api/schedule").json()["after_images"] == 50


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("PUT", "/api/schedule", {"cron": "30 4 * * 1"}),
        ("POST", "/api/models/v0001/activate", None),
        ("POST", "/api/models/roll_back", None),
    ],
)
def test_what_the_disk_does_not_take_is_answered_507_and_changes_nothing(
    client: TestClient,
    learning: LearningService,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    asked: dict[str, str] | None,
) -> None:
    retrained(learning)
    before = [client.get(f"/api/{what}").json() for what in ("schedule", "models", "health")]
    disk = FullDisk(monkeypatch, at=1)

    response = client.request(method, path, json=asked)
    assert response.status_code == 507
    assert "Nothing was kept" in response.json()["error"]["message"]
    assert disk.written == 1
    after = [client.get(f"/api/{what}").json() for what in ("schedule", "models", "health")]
    for answers in (before, after):
        for key in ("uptime_s", "request_id"):
            answers[2].pop(key, None)
    assert after == before
    assert client.request(method, path, json=asked).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/api/retrain", b"", 409, "no new photo"),
        ("POST", "/api/retrain", b'{"mode": "fast"}', 400, "must be one of quick, thorough"),
        ("POST", "/api/retrain", b'{"speed": 9}', 400, "Its fields are mode"),
        ("POST", "/api/retrain", b"[1]", 400, "cannot be used"),
        ("POST", "/api/retrain", b"{" * 70_000, 413, "64,000. Send less."),
        ("GET", "/api/jobs/99", b"", 404, "no job 99"),
        ("GET", "/api/jobs/one", b"", 400, "'one' is no job number"),
        ("POST", "/api/models/v0099/activate", b"", 404, "v0099"),
        ("DELETE", "/api/models/v0099", b"", 404, "v0099"),
        ("DELETE", "/api/models/v0001", b"", 409, "is live"),
        ("POST", "/api/models/roll_back", b"", 404, "before v0001"),
        ("PUT", "/api/schedule", b'{"cron": "x"}', 400, "Wrong number of fields"),
        ("DELETE", "/api/jobs/3", b"", 405, "use GET"),
    ],
)
def test_rest_says_what_is_wrong(
    client: TestClient, method: str, path: str, body: bytes, status: int, words: str
) -> None:
    headers = {"content-type": "application/json"}
    response = client.request(method, path, content=body, headers=headers)
    assert response.status_code == status, response.text
    assert words in response.json()["error"]["message"]


def test_json_under_another_name_is_refused(client: TestClient) -> None:
    response = client.post("/api/retrain", content=b"{}", headers={"content-type": "text/plain"})
    assert response.status_code == 415
