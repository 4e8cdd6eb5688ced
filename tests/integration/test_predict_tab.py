"""The Predict tab over real files: how many are held at a time, and what is answered of them."""

import asyncio
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from app.errors import Overloaded
from app.results import ImageFile, Prediction, Refusal
from app.service import PredictionService
from app.settings import Settings
from app.tabs import predict
from models.registry import ModelRegistry, ModelVersion
from tests.conftest import encode

SETTINGS = Settings(max_files=20)


class Watched(PredictionService):
    """Notes how many files come at a time; is busy from some call on."""

    def __init__(self, registry: ModelRegistry) -> None:
        super().__init__(registry)
        self.held: list[int] = []
        self.busy_from = 99

    def predict_many(
        self, files: Sequence[ImageFile | Refusal], **options: Any
    ) -> list[Prediction | Refusal]:
        self.held.append(len(files))
        if len(self.held) > self.busy_from:
            raise Overloaded(3)
        return super().predict_many(files, **options)


class Blocked(PredictionService):
    """Answers nothing before it is released, and says when two wait."""

    def __init__(self, registry: ModelRegistry) -> None:
        super().__init__(registry)
        self.both = threading.Barrier(3)
        self.released = threading.Event()

    def predict_many(
        self, files: Sequence[ImageFile | Refusal], **options: Any
    ) -> list[Prediction | Refusal]:
        self.both.wait(30)
        self.released.wait(30)
        return super().predict_many(files, **options)


@pytest.fixture
def service(registry: ModelRegistry, version: ModelVersion) -> Iterator[Watched]:
    service = Watched(registry)
    service.load()
    yield service
    service.close()


def answer_of(service: PredictionService, settings: Settings) -> Callable[..., Any]:
    """Return the handler of the tab that answers what is dropped."""

    async def build() -> gr.Blocks:  # without a running loop, Gradio opens some and closes none
        with gr.Blocks(analytics_enabled=False) as page:
            predict.build_tab(service, None, settings, [])
        return page

    found: list[Any] = [block.fn for block in asyncio.run(build()).fns.values() if block.fn]
    return next(fn for fn in found if fn.__qualname__ == "build_tab.<locals>.answer")


def zip_of(path: Path, count: int) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.png", encode("apple", side_px=60))
    return str(path)


def test_of_many_photos_a_few_are_held_at_a_time(service: Watched, tmp_path: Path) -> None:
    html, *_ = answer_of(service, SETTINGS)([zip_of(tmp_path / "a.zip", 18)])

    assert service.held == [8, 8, 2]
    assert "18 of 18 photos named" in html
    assert html.count('<img src="data:image/jpeg') == 18


def test_as_many_photos_as_are_held_at_a_time_are_answered_once(
    service: Watched, tmp_path: Path
) -> None:
    html, *_ = answer_of(service, SETTINGS)([zip_of(tmp_path / "a.zip", 8)])

    assert service.held == [8]
    assert "8 of 8 photos named" in html


def test_the_last_of_many_photos_is_shown_as_the_others(service: Watched, tmp_path: Path) -> None:
    html, *_ = answer_of(service, SETTINGS)([zip_of(tmp_path / "a.zip", 9)])

    assert service.held == [8, 1]
    assert "9 of 9 photos named" in html


def test_a_lone_photo_is_shown_with_its_heat(service: Watched, tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(encode("mango"))

    html, _, asked, *_ = answer_of(service, SETTINGS)([str(tmp_path / "m.png")])

    assert "Mango" in html
    assert html.count('src="data:image/jpeg') == 2
    assert asked == ""  # nobody keeps photos here


def test_more_photos_than_a_request_may_have_are_refused(service: Watched, tmp_path: Path) -> None:
    zips = [zip_of(tmp_path / f"{name}.zip", 10) for name in "abc"]
    of_two_and_a_half = Settings(max_files=30, max_zip_bytes=25 * len(encode("apple", side_px=60)))

    with pytest.raises(gr.Error, match="too many images; the limit is 20"):
        answer_of(service, SETTINGS)(zips)
    with pytest.raises(gr.Error, match="The selection has too many bytes"):
        answer_of(service, of_two_and_a_half)(zips)
    service.held.clear()
    with pytest.raises(gr.Error, match="too many images; the limit is 20"):
        answer_of(service, SETTINGS)([zips[0]] * 21)
    assert service.held == []


def test_what_was_answered_before_the_server_got_busy_is_shown(
    service: Watched, tmp_path: Path
) -> None:
    service.busy_from = 1

    html, *_ = answer_of(service, SETTINGS)([zip_of(tmp_path / "a.zip", 9)])

    assert "8 of 9 photos named" in html
    assert "The server is busy with other images; try again in 3 s." in html
    with pytest.raises(gr.Error, match="The server is busy"):
        answer_of(service, SETTINGS)([zip_of(tmp_path / "a.zip", 9)])


def test_no_more_than_two_visitors_have_photos_in_memory(
    registry: ModelRegistry, version: ModelVersion, tmp_path: Path
) -> None:
    service = Blocked(registry)
    service.load()
    answer = answer_of(service, replace(SETTINGS, max_wait_s=2.0))
    (tmp_path / "m.png").write_bytes(encode("mango"))
    photo = [str(tmp_path / "m.png")]

    with ThreadPoolExecutor(2) as visitors:
        first = [visitors.submit(answer, photo) for _ in range(2)]
        service.both.wait(30)
        try:
            with pytest.raises(gr.Error, match="The server is busy with other images"):
                answer(photo)
        finally:
            service.released.set()

    assert ["Mango" in future.result()[0] for future in first] == [True, True]
    assert service.metrics.snapshot()["refusals"]["by_type"] == {"Overloaded": 1}
    service.close()
