"""Status in a real browser: a known mix of requests, an alert, and the photos of a figure."""

from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from playwright import sync_api
from prometheus_client.parser import text_string_to_metric_families

from app.alerts import AlertLog
from data.splits import Split
from data.state import monitoring_dir, store_dir
from data.store import DatasetStore
from models.examination import EXAMINATION_NAME, Examination, ExaminedImage
from models.registry import ModelRegistry
from tests.conftest import REFUSING_LABELS, colour_model, encode, publish
from tests.e2e.conftest import IN_A_BROWSER, Server, running_server

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two versions, one test photo in its store, and an alert that nobody saw."""
    folder = tmp_path_factory.mktemp("watched")
    state = folder / "state"
    store = DatasetStore(store_dir(state))
    store.add(encode("apple"), label="apple", source="grocery", original_name="a.png",
              split=Split.TEST)  # fmt: skip
    (photo,) = store.images()
    store.close()
    registry = ModelRegistry(state / "models")
    model = colour_model(REFUSING_LABELS)
    for _ in range(2):
        version = publish(registry, model, REFUSING_LABELS, "activation_maps")
        answer = ExaminedImage(photo.digest, "grocery", "test", "apple", "apple")
        (version.folder / EXAMINATION_NAME).write_bytes(
            Examination((answer,), np.array([0.9], np.float32), np.zeros((1, 5), np.float32))
            .to_bytes()
        )  # fmt: skip
    registry.activate("v0001")
    alerts = AlertLog(monitoring_dir(state) / "alerts.db")
    alerts.report("retrain_failed", "3", "Retraining 3 failed: <b>no memory</b>.", once=True)
    alerts.close()
    with running_server(state, folder / "stderr.log") as server:
        yield server


@pytest.fixture
def page(browser: sync_api.Browser, watched: Server) -> Iterator[sync_api.Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(30_000)
    page.goto(watched.url)
    yield page
    page.close()


def tile(page: sync_api.Page, title: str) -> sync_api.Locator:
    return page.locator(f".fc-tile:has(> span:text-is('{title}')) b")


def test_a_known_mix_reads_the_same_on_the_page_in_json_and_in_prometheus(
    page: sync_api.Page, watched: Server
) -> None:
    for label, count in (("apple", 3), ("mango", 2), ("none_of_these", 0)):
        for _ in range(count):
            httpx.post(f"{watched.url}/api/predict", content=encode(label))
    httpx.post(f"{watched.url}/api/predict", content=b"no picture")
    page.get_by_role("tab", name="Status").click()

    sync_api.expect(tile(page, "Photos today")).to_have_text("5")
    sync_api.expect(tile(page, "Refused")).to_have_text("1")
    bars = page.locator("#figures .fc-bars li")
    shown = {
        bar.locator(".fc-bar-label").inner_text(): bar.locator(".fc-bar-value").inner_text()
        for bar in bars.all()
    }
    assert (shown["Apple"], shown["Mango"], shown["Onion"]) == ("3", "2", "0")
    page.wait_for_selector("#charts .fc-chart >> nth=2", state="attached")
    tips = page.locator("#charts .fc-chart").nth(2).locator("title").all_text_contents()
    assert sum("Apple 3" in tip or "Apple 2" in tip or "Apple 1" in tip for tip in tips) >= 1

    status = httpx.get(f"{watched.url}/api/status").json()
    assert status["predictions"]["by_label"] == {"apple": 3, "mango": 2}
    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(httpx.get(f"{watched.url}/metrics").text)
        for sample in family.samples
    }
    assert samples["fruit_predictions_total", ("apple",)] == 3
    assert samples["fruit_stage_seconds_count", ("total",)] == 5
    assert samples["process_resident_memory_bytes", ()] > 1e7


def test_an_alert_stands_on_top_until_it_was_seen(page: sync_api.Page, watched: Server) -> None:
    page.get_by_role("tab", name="Status").click()
    alert = page.locator("#alerts .fc-alerts")
    sync_api.expect(alert).to_contain_text("Retraining 3 failed: <b>no memory</b>.")
    page.click("#acknowledge")
    sync_api.expect(alert).to_have_count(0)
    sync_api.expect(page.locator("#acknowledge")).to_be_hidden()
    assert httpx.get(f"{watched.url}/api/alerts").json()[0]["acknowledged_at"]


def test_a_version_is_looked_into_down_to_its_photos_and_beside_another(
    page: sync_api.Page,
) -> None:
    def is_look(response: sync_api.Response) -> bool:
        return "/run/" in response.url and len(response.request.post_data_json["data"]) == 3

    with page.expect_response(is_look):  # opening the tab looks too, which may undo a choice
        page.get_by_role("tab", name="Status").click()
    page.get_by_role("button", name="Look into a version").click()
    page.wait_for_selector(".fc-confusion")
    assert page.locator(".fc-confusion button").count() == 0  # Fruits-360 comes first, of files
    page.click("#inspect-part input")
    page.get_by_role("option", name="grocery/test").click()
    page.click(".fc-confusion button[data-label=apple][data-answer=apple]")
    page.wait_for_selector("#cell-photos img")
    assert page.locator("#cell-photos img").count() == 1
    assert "Apple, answered as apple: 1 photo" in page.inner_text("#cell-words")

    page.click("#inspect-other input")
    page.get_by_role("option", name="v0002").click()
    page.wait_for_selector("#inspect-about th:text-is('v0002')")
    assert "v0001" in page.inner_text("#inspect-about")
