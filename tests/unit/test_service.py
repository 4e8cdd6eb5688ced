"""The predict flow and the swap, over a predictor that returns fixed rows."""

import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import takewhile

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.errors import AnotherIsLive, BadRequest, ModelMismatch, NoModel, Overloaded
from app.results import ImageFile, Prediction, Refusal
from app.service import PredictionService
from app.workers import WorkerPool
from data.errors import InvalidImage
from models.errors import InvalidVersion, VersionNotFound
from models.registry import ModelRegistry, ModelVersion
from tests.conftest import publish

LABELS = ("apple", "mango")


class FakePredictor:
    """Answers every image with the same row; can be held while it runs."""

    def __init__(self, row: tuple[float, ...] = (0.25, 0.75)) -> None:
        self.row = np.array(row, np.float32)
        self.warmed = False
        self.running = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.running.set()
        self.go_on.wait(10)
        return np.repeat(self.row[None], len(batch), 0)

    def run_with_maps(
        self, batch: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        return self.run(batch), None

    def warm_up(self) -> None:
        self.warmed = True


class FakeLoader:
    """Loads what a test put there for a version; raises where it put an exception."""

    def __init__(self) -> None:
        self.outcomes: dict[str, FakePredictor | Exception] = {}

    def __call__(self, version: ModelVersion) -> FakePredictor:
        outcome = self.outcomes.setdefault(version.version, FakePredictor())
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def loader() -> FakeLoader:
    return FakeLoader()


@pytest.fixture
def service(registry: ModelRegistry, loader: FakeLoader) -> Iterator[PredictionService]:
    publish(registry, b"one", LABELS)
    service = PredictionService(registry, load_predictor=loader, pool=WorkerPool(2, 8, 60))
    service.load()
    yield service
    service.close()


def png(colour: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_predict_names_the_most_probable_label(service: PredictionService) -> None:
    answer = service.predict(png(), request_id="mine")

    assert (answer.label, answer.probability) == ("mango", 0.75)
    assert answer.probabilities == (("mango", 0.75), ("apple", 0.25))
    assert (answer.version, answer.request_id) == ("v0001", "mine")
    timing = answer.timing_ms
    assert 0 < timing.decode + timing.inference <= timing.total + 0.002


def test_what_pictures_are_like_is_looked_at_in_a_part_of_very_many(
    service: PredictionService,
) -> None:
    # How many beyond 500 depends on how long they take: twenty a second are looked at in any case.
    looked = sum(
        1 for _ in takewhile(bool, (service.predict(png()).statistics for _ in range(5000)))
    )

    assert 500 <= looked < 5000


def test_top_k_cuts_the_list_and_below_one_is_refused(service: PredictionService) -> None:
    assert service.predict(png(), top_k=1).probabilities == (("mango", 0.75),)
    assert len(service.predict(png(), top_k=99).probabilities) == 2
    with pytest.raises(BadRequest, match="top_k is 0"):
        service.predict(png(), top_k=0)


def test_refused_image_spoils_no_other(service: PredictionService) -> None:
    early = Refusal("gone.jpg", {"message": "no", "type": "BadRequest", "request_id": "r"})
    answers = service.predict_many(
        [ImageFile("a.png", png()), ImageFile("b.txt", b"text"), early, ImageFile("c.png", png())]
    )

    assert [answer.name for answer in answers] == ["a.png", "b.txt", "gone.jpg", "c.png"]
    assert [isinstance(answer, Prediction) for answer in answers] == [True, False, False, True]
    assert isinstance(answers[1], Refusal)
    assert answers[1].error["type"] == "UnsupportedImage"
    counts = service.status()
    assert counts["predictions"]["total"] == 2
    assert counts["refusals"]["by_type"] == {"UnsupportedImage": 1, "BadRequest": 1}


def test_refusal_of_one_image_is_raised_and_counted(service: PredictionService) -> None:
    with pytest.raises(InvalidImage):
        service.predict(b"")

    assert service.status()["refusals"]["by_type"] == {"InvalidImage": 1}


def predict_one(service: PredictionService) -> None:
    service.predict(png())


def predict_two(service: PredictionService) -> None:
    service.predict_many([ImageFile("a.png", png()), ImageFile("b.png", png())])


@pytest.mark.parametrize("ask", [predict_one, predict_two])
def test_a_request_that_waited_too_long_is_counted_as_refused_once(
    registry: ModelRegistry, loader: FakeLoader, ask: Callable[[PredictionService], None]
) -> None:
    publish(registry, b"one", LABELS)
    with closing(
        PredictionService(registry, pool=WorkerPool(1, 9, 0.0), load_predictor=loader)
    ) as service:
        service.load()
        with pytest.raises(Overloaded):
            ask(service)

    # Closed, so that the worker is through with what it does after the answer.
    assert service.status()["refusals"]["by_type"] == {"Overloaded": 1}
    assert service.status()["predictions"]["total"] == 0


def test_each_answer_says_how_long_it_waited_for_a_worker_whether_alone_or_of_several(
    registry: ModelRegistry, loader: FakeLoader
) -> None:
    publish(registry, b"one", LABELS)
    loader.outcomes["v0001"] = predictor = FakePredictor()
    now_s = 0.0
    pool = WorkerPool(1, 9, 60, clock=lambda: now_s)
    service = PredictionService(registry, load_predictor=loader, pool=pool)
    service.load()
    predictor.go_on.clear()

    async def ask() -> list[Prediction | Refusal]:
        nonlocal now_s
        calls = [
            asyncio.create_task(service.predict_async(png())),
            asyncio.create_task(service.predict_async(png())),
            asyncio.create_task(service.predict_many_async([ImageFile("a.png", png())])),
        ]
        await asyncio.to_thread(predictor.running.wait, 10)  # the others wait
        now_s = 3.0
        predictor.go_on.set()
        answers = await asyncio.gather(*calls)
        return [answers[0], answers[1], *answers[2]]

    with closing(service):
        timings = [a.timing_ms for a in asyncio.run(ask()) if isinstance(a, Prediction)]

    assert [timing.wait for timing in timings] == [0, 3000, 3000]
    assert all(timing.total >= timing.wait + timing.inference for timing in timings)


@pytest.mark.parametrize(("top_k", "message"), [(None, "empty"), (0, "top_k")])
def test_what_fails_one_image_of_several_is_counted_once(
    service: PredictionService, loader: FakeLoader, top_k: int | None, message: str
) -> None:
    predictor = loader.outcomes["v0001"]
    assert isinstance(predictor, FakePredictor)
    predictor.row = np.zeros(0, np.float32)

    with pytest.raises(ValueError, match=message):
        service.predict_many([ImageFile("a.png", png())], top_k=top_k)

    counts = service.status()
    assert counts["errors"] + counts["refusals"]["total"] == 1


def test_swap_answers_with_the_new_version_and_activates_it(
    service: PredictionService, registry: ModelRegistry, loader: FakeLoader
) -> None:
    publish(registry, b"two", LABELS)
    loader.outcomes["v0002"] = new = FakePredictor((0.9, 0.1))

    service.swap("v0002")

    assert new.warmed
    assert service.predict(png()).version == "v0002"
    assert registry.active().version == "v0002"


@pytest.mark.parametrize("failure", [ModelMismatch("odd"), InvalidVersion("checksum")])
def test_failed_swap_leaves_the_served_version_unchanged(
    service: PredictionService, registry: ModelRegistry, loader: FakeLoader, failure: Exception
) -> None:
    registry.activate("v0001")
    publish(registry, b"two", LABELS)
    loader.outcomes["v0002"] = failure

    with pytest.raises(type(failure)):
        service.swap("v0002")

    assert service.predict(png()).version == "v0001"
    assert registry.active().version == "v0001"


def test_a_swap_that_is_meant_for_another_live_version_changes_nothing(
    service: PredictionService, registry: ModelRegistry
) -> None:
    publish(registry, b"two", LABELS)
    publish(registry, b"three", LABELS)
    service.swap("v0002")

    with pytest.raises(AnotherIsLive, match="v0002 was put live meanwhile"):
        service.swap("v0003", instead_of=("v0001", "v0003"))

    assert service.predict(png()).version == registry.active().version == "v0002"


def test_what_is_wrong_with_a_version_is_told_without_its_folder(
    registry: ModelRegistry, loader: FakeLoader
) -> None:
    version = publish(registry, b"one", LABELS)
    loader.outcomes["v0001"] = ModelMismatch(f"{version.model_path} cannot be loaded")
    service = PredictionService(registry, load_predictor=loader)

    service.load()

    assert service.health()["problem"] == "versions/v0001/model.onnx cannot be loaded"
    service.close()


def test_swap_to_an_unknown_version_is_refused(service: PredictionService) -> None:
    with pytest.raises(VersionNotFound, match="v0042"):
        service.swap("v0042")


def test_request_in_flight_finishes_on_the_version_it_began_with(
    service: PredictionService, registry: ModelRegistry, loader: FakeLoader
) -> None:
    publish(registry, b"two", LABELS)
    old = loader.outcomes["v0001"]
    assert isinstance(old, FakePredictor)
    old.running.clear()
    old.go_on.clear()
    answers: list[Prediction] = []
    caller = threading.Thread(target=lambda: answers.append(service.predict(png())))
    caller.start()
    assert old.running.wait(10)

    service.swap("v0002")
    assert service.predict(png()).version == "v0002"
    old.go_on.set()
    caller.join(10)

    assert [answer.version for answer in answers] == ["v0001"]


def test_without_any_version_the_service_says_what_is_missing(registry: ModelRegistry) -> None:
    service = PredictionService(registry)

    assert service.load() is False
    assert service.health()["status"] == "no model"
    assert "none is published" in service.health()["problem"]
    with pytest.raises(NoModel, match="No model is loaded"):
        service.predict(png())
    with pytest.raises(NoModel):
        service.predict_many([ImageFile("a", png())])
    service.close()


def test_broken_active_version_falls_back_to_the_newest_that_loads(
    registry: ModelRegistry, loader: FakeLoader
) -> None:
    for content in (b"one", b"two", b"three"):
        publish(registry, content, LABELS)
    registry.activate("v0003")
    loader.outcomes["v0003"] = ModelMismatch("v0003 is odd")
    service = PredictionService(registry, load_predictor=loader)

    assert service.load() is True

    health = service.health()
    assert (health["version"], health["status"]) == ("v0002", "degraded")
    assert health["problem"] == "v0003 is odd"
    service.close()
