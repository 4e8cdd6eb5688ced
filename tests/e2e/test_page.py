"""The page in a real browser, as people use it."""

import csv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image
from playwright import sync_api

from tests.e2e.conftest import IN_A_BROWSER, Server, running_server

PHOTOS = "#photos input[type=file]"

pytestmark = IN_A_BROWSER


@pytest.fixture(params=[1280, 390], ids=["wide", "phone"])
def page(
    browser: sync_api.Browser, server: Server, request: pytest.FixtureRequest
) -> Iterator[sync_api.Page]:
    viewport = {"width": request.param, "height": 844}
    context = browser.new_context(viewport=viewport, permissions=["camera"])
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(server.url)
    page.wait_for_selector(PHOTOS, state="attached")
    yield page
    context.close()


def shown(page: sync_api.Page) -> dict[str, float]:
    """Return the probabilities that the answer shows, in full."""
    bars = page.query_selector_all(".fc-answer .fc-bars li")
    return {
        bar.get_attribute("data-label") or "": float(bar.get_attribute("data-probability") or "nan")
        for bar in bars
    }


@pytest.mark.parametrize("name", ["orange.jpg", "phone.heic"])
def test_photo_is_named_at_once_with_the_digits_of_rest(
    page: sync_api.Page, server: Server, photos: Path, name: str
) -> None:
    page.set_input_files(PHOTOS, photos / name)
    page.wait_for_selector(".fc-answer")

    rest = httpx.post(f"{server.url}/api/predict", content=(photos / name).read_bytes()).json()
    assert page.inner_text(".fc-answer .fc-label").lower() == rest["label"]
    assert shown(page) == {p["label"]: p["probability"] for p in rest["probabilities"]}
    assert page.inner_text(".fc-version") == "v0001"
    # The photo is shown by a preview of our own, so that HEIC shows in every browser.
    page.wait_for_function("document.querySelector('.fc-photo').naturalWidth > 0")


def test_why_shows_a_heat_map_over_the_photo(page: sync_api.Page, photos: Path) -> None:
    page.set_input_files(PHOTOS, photos / "mango.jpg")
    page.wait_for_selector(".fc-answer")

    picture = page.locator(".fc-why img")
    assert not picture.is_visible()
    page.get_by_text("Why?").click()
    sync_api.expect(picture).to_be_visible()
    page.wait_for_function("document.querySelector('.fc-why img').naturalWidth > 0")


def test_what_is_no_fruit_gets_no_name(page: sync_api.Page, tmp_path: Path) -> None:
    Image.new("RGB", (80, 80), (25, 77, 230)).save(tmp_path / "sky.png")

    page.set_input_files(PHOTOS, tmp_path / "sky.png")
    page.wait_for_selector(".fc-answer.fc-none")

    assert page.inner_text(".fc-answer .fc-label") == "None of these"
    assert "The nearest guess is " in page.inner_text(".fc-sure")


def test_status_holds_the_model_card(page: sync_api.Page) -> None:
    page.get_by_role("tab", name="Status").click()
    page.get_by_role("button", name="Look into a version").click()
    page.get_by_role("button", name="Model card").click()

    page.wait_for_selector("#card-text h1")
    assert "Fruit classifier v0001" in page.inner_text("#card-text")


def test_many_photos_give_a_table_with_the_refused_one_and_a_csv(
    page: sync_api.Page, photos: Path, tmp_path: Path
) -> None:
    page.set_input_files(PHOTOS, sorted(photos.iterdir()))
    page.wait_for_selector(".fc-many")

    assert page.locator(".fc-row").count() == 10
    assert page.locator(".fc-row img").count() == 9
    assert "not a picture" in page.inner_text(".fc-refused")
    with page.expect_download() as download:
        page.click(".fc-download")
    download.value.save_as(tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == sorted(path.name for path in photos.iterdir())
    assert rows[0]["label"] == "apple"


def test_page_never_scrolls_sideways(page: sync_api.Page, photos: Path) -> None:
    page.set_input_files(PHOTOS, sorted(photos.iterdir()))
    page.wait_for_selector(".fc-many")
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

    assert page.evaluate(width) == 0
    page.get_by_role("tab", name="Status").click()
    page.wait_for_selector(".fc-tiles")
    page.wait_for_selector(".fc-chart >> nth=3")
    page.get_by_role("button", name="Look into a version").click()
    page.wait_for_selector(".fc-confusion")
    assert page.evaluate(width) == 0


def test_zip_example_paste_and_camera_are_answered(
    browser: sync_api.Browser, server: Server, photos: Path, tmp_path: Path
) -> None:
    context = browser.new_context(permissions=["camera"])
    page = context.new_page()
    page.set_default_timeout(30_000)
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname or ""))
    page.goto(server.url)
    page.wait_for_selector(PHOTOS, state="attached")
    assert "Your answer appears here" in page.inner_text("#result")

    page.locator("#examples img").nth(1).click()
    page.wait_for_selector(".fc-answer")
    assert page.inner_text(".fc-answer .fc-label") == "Avocado"

    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for name in ("mango.jpg", "onion.jpg"):
            archive.write(photos / name, name)
    page.set_input_files(PHOTOS, tmp_path / "some.zip")
    page.wait_for_selector(".fc-many")
    assert page.locator(".fc-row").count() == 2

    page.wait_for_selector(PHOTOS, state="attached")  # it is back once the last answer is shown
    page.evaluate(
        """async () => {
          const image = document.querySelector("#examples img");
          const blob = await (await fetch(image.src)).blob();
          const data = new DataTransfer();
          data.items.add(new File([blob], "pasted.png", { type: "image/png" }));
          document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
        }"""
    )
    page.wait_for_selector(".fc-answer")
    assert page.inner_text(".fc-answer .fc-label") == "Apple"
    page.wait_for_selector("#was-right >> text=Was this right?")

    page.wait_for_selector(PHOTOS, state="attached")
    page.set_input_files(PHOTOS, photos / "notes.jpg")
    page.wait_for_selector(".fc-refusal")
    page.wait_for_selector("#was-right", state="hidden")  # there is nothing to say of it
    page.get_by_role("button", name="Use the camera").click()
    page.locator("#camera").get_by_text("Click to Access Webcam").click()
    # The camera's first frame has to be there before it can be taken.
    page.wait_for_function("document.querySelector('#camera video')?.videoWidth > 0")
    page.locator(
        "#camera button[title='capture photo'], #camera button[aria-label*='capture']"
    ).first.click()
    page.wait_for_selector(".fc-answer")
    page.wait_for_selector("#was-right >> text=Was this right?")

    assert hosts - {""} == {"127.0.0.1"}
    context.close()


def test_photo_that_comes_while_an_answer_is_under_way_is_answered_too(
    page: sync_api.Page, photos: Path
) -> None:
    held: list[sync_api.Route] = []

    def hold(route: sync_api.Route) -> None:
        if ".jpg" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/gradio_api/queue/join**", hold)
    for count, name in enumerate(("mango.jpg", "orange.jpg"), start=1):
        page.set_input_files(PHOTOS, photos / name)
        for _ in range(300):  # the first is not answered yet, and the second is asked for
            if len(held) == count:
                break
            page.wait_for_timeout(100)
    first, second = held

    first.continue_()
    page.wait_for_selector(".fc-answer >> text=Mango")
    second.continue_()
    page.wait_for_selector(".fc-many")
    assert page.locator(".fc-row").count() == 2
    page.wait_for_selector("#photos >> text=Drop File Here")


def test_text_that_is_copied_with_a_picture_of_it_is_pasted_into_a_field(
    page: sync_api.Page,
) -> None:
    """As a spreadsheet and a word processor copy it."""
    page.get_by_role("tab", name="Retrain").click()
    page.wait_for_selector("#why")
    is_taken = """(withText) => {
        const data = new DataTransfer();
        data.items.add(new File(["a picture"], "image.png", { type: "image/png" }));
        if (withText) data.setData("text/plain", "the shop photos are old");
        const options = { clipboardData: data, bubbles: true, cancelable: true };
        const field = document.querySelector("#why input, #why textarea");
        return !field.dispatchEvent(new ClipboardEvent("paste", options));
    }"""

    assert page.evaluate(is_taken, True) is False
    assert page.evaluate(is_taken, False) is True  # a screenshot is no text


def test_status_refreshes_itself_while_it_is_open(
    browser: sync_api.Browser, server: Server, photos: Path
) -> None:
    page = browser.new_page()
    page.goto(server.url)
    page.get_by_role("tab", name="Status").click()
    tile = page.locator(".fc-tile", has_text="Photos today").locator("b")
    before = int(tile.inner_text())

    httpx.post(f"{server.url}/api/predict", content=(photos / "apple.jpg").read_bytes())

    sync_api.expect(tile).to_have_text(str(before + 1))
    page.close()


def test_an_open_page_does_not_hold_up_the_end_of_the_server(
    browser: sync_api.Browser, tmp_path: Path
) -> None:
    page = browser.new_page()
    with (
        running_server(tmp_path / "state", tmp_path / "log") as server,
        page.expect_request("**/heartbeat/**"),
    ):
        page.goto(server.url)
    page.close()

    assert "graceful shutdown exceeded" not in (tmp_path / "log").read_text()
