"""The Status tab over a real log of alerts and real photos."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from app.inspection import InspectionService
from app.monitoring import MonitoringService
from app.service import PredictionService
from app.tabs import status
from data.images import ImageLimits
from data.splits import Split
from data.store import DatasetStore
from models.examination import EXAMINATION_NAME, Examination, ExaminedImage
from models.registry import ModelRegistry, ModelVersion
from tests.conftest import encode

LARGE_BYTES = 21_000_000  # more than a photo may have by default


@pytest.fixture
def monitoring(
    service: PredictionService, registry: ModelRegistry, tmp_path: Path
) -> Iterator[MonitoringService]:
    monitoring = MonitoringService(service, registry, tmp_path)
    yield monitoring
    monitoring.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DatasetStore]:
    store = DatasetStore(tmp_path / "store", ImageLimits(max_bytes=30_000_000))
    yield store
    store.close()


@pytest.fixture
def page(
    service: PredictionService,
    monitoring: MonitoringService,
    store: DatasetStore,
    registry: ModelRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> gr.Blocks:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))

    async def build() -> gr.Blocks:  # without a running loop, Gradio opens some and closes none
        with gr.Blocks(analytics_enabled=False) as page, gr.Tab() as tab:
            inspection = InspectionService(registry, store)
            status.build_tab(service, monitoring, inspection, tab, [])
        return page

    return asyncio.run(build())


def block_of(page: gr.Blocks, name: str) -> Any:
    found: list[Any] = [block for block in page.fns.values() if block.fn]
    wanted = name.replace(".", ".<locals>.")
    return next(block for block in found if block.fn.__qualname__ == wanted)


def handler(page: gr.Blocks, name: str) -> Callable[..., Any]:
    return block_of(page, name).fn  # type: ignore[no-any-return]


def report(monitoring: MonitoringService, message: str) -> None:
    monitoring._alerts.report("disk", message, message)


def test_only_the_alerts_that_were_shown_are_acknowledged(
    page: gr.Blocks, monitoring: MonitoringService
) -> None:
    report(monitoring, "The first.")
    report(monitoring, "The second.")
    *_, shown_ids = handler(page, "_build_now.show")()
    report(monitoring, "The third.")

    html, _, button, ids_now = handler(page, "_build_now.acknowledge")(shown_ids)

    third, second, first = monitoring.alerts()
    assert (third.acknowledged_at, third.message) == (None, "The third.")
    assert second.acknowledged_at
    assert first.acknowledged_at
    assert "The third." in html
    assert "The first." not in html
    assert button.visible
    assert ids_now == [third.id]


def test_what_was_shown_goes_from_the_page_to_the_button(page: gr.Blocks) -> None:
    show, acknowledge = (block_of(page, f"_build_now.{n}") for n in ("show", "acknowledge"))

    assert acknowledge.inputs == [show.outputs[-1]]
    assert isinstance(show.outputs[-1], gr.State)
    assert acknowledge.outputs == show.outputs


def test_a_photo_of_a_cell_that_cannot_be_shown_hides_no_other(
    page: gr.Blocks, store: DatasetStore, version: ModelVersion
) -> None:
    large = encode("apple", "JPEG") + bytes(LARGE_BYTES)
    images = [
        store.add(content, label="apple", source="grocery", original_name="a", split=Split.TEST)
        for content in (encode("apple", side_px=60), encode("apple", side_px=61), large)
    ]
    gone, damaged = (store.images_dir / outcome.image.path for outcome in images[:2])
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:100])
    examined = tuple(
        ExaminedImage(outcome.image.digest, "grocery", "test", "apple", "mango")
        for outcome in images
    )
    confidence = np.array([0.9, 0.8, 0.7], np.float32)
    examination = Examination(examined, confidence, np.zeros((3, 5), np.float32))
    (version.folder / EXAMINATION_NAME).write_bytes(examination.to_bytes())

    event = gr.SelectData(None, {"value": "apple", "index": "mango"})
    words, gallery = handler(page, "_build_versions.open_cell")("v0001", "grocery/test", event)

    files = [shown["image"]["path"] for shown in gallery.value]
    pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    assert "3 photos" in words
    assert [np.ptp(picture) == 0 for picture in pictures] == [True, True, False]
    assert [shown["caption"] for shown in gallery.value] == ["90%", "80%", "70%"]


def test_a_damaged_examination_hides_no_scores(page: gr.Blocks, version: ModelVersion) -> None:
    (version.folder / EXAMINATION_NAME).write_bytes(b"damaged")

    *_, about, confusion, _, reliability, _, _, _, _ = handler(page, "_build_versions.look")(
        "v0001", "no other", "grocery/test"
    )

    assert "52.0%" in about
    assert "What is taken for what" in confusion
    assert "does not say how sure each answer was" in reliability


def test_who_looks_before_the_choices_are_drawn_sees_the_served_version(
    page: gr.Blocks, version: ModelVersion
) -> None:
    chosen, other, part, about, *_, card, _, _ = handler(page, "_build_versions.look")(
        None, None, None
    )

    assert (chosen.value, other.value, part.value) == ("v0001", "no other", "fruits-360/test")
    assert "v0001" in about
    assert card.startswith("# ")
