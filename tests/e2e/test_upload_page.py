"""Collecting photos on the page: rehearsed, added, looked through, removed and put back."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from playwright import sync_api

from data.drawings import draw_fruit
from tests.e2e.conftest import IN_A_BROWSER, Server

pytestmark = IN_A_BROWSER


@pytest.fixture
def page(
    browser: sync_api.Browser, own_server: Server, request: pytest.FixtureRequest
) -> Iterator[sync_api.Page]:
    page = browser.new_page(viewport={"width": getattr(request, "param", 390), "height": 844})
    page.set_default_timeout(30_000)
    page.goto(own_server.url)
    page.get_by_role("tab", name="Upload").click()
    page.wait_for_selector("#new-photos input[type=file]", state="attached")
    yield page
    page.close()


@pytest.mark.parametrize("page", [1280, 390], ids=["wide", "phone"], indirect=True)
def test_a_new_class_is_rehearsed_added_browsed_removed_and_restored(
    page: sync_api.Page, own_server: Server, tmp_path: Path
) -> None:
    page.wait_for_selector("text=No photos yet")
    for seed in range(3):
        draw_fruit("mango", 120, seed).save(tmp_path / f"{seed}.png")
    (tmp_path / "notes.png").write_bytes(b"no picture")
    page.fill("#class-name input", "Dragon fruit")
    page.keyboard.press("Enter")

    page.set_input_files("#new-photos input[type=file]", sorted(tmp_path.glob("*.png")))
    page.wait_for_selector(".fc-file-added >> nth=2")

    assert "What will happen" in page.inner_text("#report")
    assert "not a picture" in page.inner_text(".fc-file-refused")
    assert httpx.get(f"{own_server.url}/api/classes").json() == []

    page.get_by_role("button", name="Add 3 photos").click()
    page.wait_for_selector("#report h3 >> text=Kept")
    (row,) = httpx.get(f"{own_server.url}/api/classes").json()
    assert (row["class_name"], row["photos"]) == ("dragon fruit", 3)
    page.wait_for_selector("#progress >> text=Dragon fruit")
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) == 0

    page.get_by_role("button", name="Look through the photos").click()
    page.wait_for_selector("#gallery img")
    assert page.locator("#gallery img").count() == 3
    page.locator("#gallery img").first.click()
    page.wait_for_selector("#gallery-details img")
    page.click("#gallery-remove")
    page.wait_for_selector("#gallery-count >> text=2 photos")
    page.click("#gallery-undo")
    page.wait_for_selector("#gallery-count >> text=3 photos")
    page.wait_for_selector("#gallery-erase", state="hidden")


def test_removed_photos_are_deleted_for_good_once_that_is_confirmed(
    page: sync_api.Page, own_server: Server, tmp_path: Path
) -> None:
    draw_fruit("mango", 120, 7).save(tmp_path / "m.png")
    httpx.post(
        f"{own_server.url}/api/upload_retrain_data",
        data={"class_name": "mango"},
        files={"file": ("m.png", (tmp_path / "m.png").read_bytes())},
    )
    page.get_by_role("button", name="Look through the photos").click()
    page.locator("#gallery img").first.click()
    page.wait_for_selector("#gallery-details img")
    page.click("#gallery-remove")
    images = own_server.state_dir / "store" / "images"

    page.once("dialog", lambda dialog: dialog.dismiss())
    page.click("#gallery-erase >> text=Delete 1 removed")
    assert len(list(images.glob("*/*"))) == 1

    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#gallery-erase")
    page.wait_for_selector("#gallery-details >> text=It is deleted.")
    page.wait_for_selector("#gallery-undo", state="hidden")
    assert list(images.glob("*/*")) == []


def test_a_photo_of_another_class_is_shown_beside_its_twin_and_relabelled(
    page: sync_api.Page, own_server: Server, tmp_path: Path
) -> None:
    draw_fruit("mango", 120, 5).save(tmp_path / "m.png")
    httpx.post(
        f"{own_server.url}/api/upload_retrain_data",
        data={"class_name": "none_of_these"},
        files={"file": ("m.png", (tmp_path / "m.png").read_bytes())},
    )
    page.fill("#class-name input", "Papaya")
    page.keyboard.press("Enter")
    page.set_input_files("#new-photos input[type=file]", tmp_path / "m.png")
    page.wait_for_selector(".fc-file-other_label .fc-beside img >> nth=1")
    assert "here: none of these" in page.inner_text(".fc-beside")

    page.get_by_label("Relabel photos that are here").check()
    page.wait_for_selector(".fc-file-relabelled")
    page.get_by_role("button", name="Add 1 photo").click()
    page.wait_for_selector("#report h3 >> text=Kept")
    (row,) = httpx.get(f"{own_server.url}/api/classes").json()
    assert row["class_name"] == "papaya"


def test_the_gradio_client_uploads_as_rest_does(own_server: Server, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    draw_fruit("mango", 120, 5).save(buffer, "PNG")
    (tmp_path / "m.png").write_bytes(buffer.getvalue())
    client = Client(own_server.url, verbose=False)

    rehearsed = client.predict(
        "kiwi", [handle_file(tmp_path / "m.png")], dry_run=True, api_name="/upload_retrain_data"
    )
    kept = client.predict(
        "kiwi", [handle_file(tmp_path / "m.png")], api_name="/upload_retrain_data"
    )
    rest = httpx.post(
        f"{own_server.url}/api/upload_retrain_data",
        data={"class_name": "kiwi"},
        files={"file": ("m.png", buffer.getvalue())},
    ).json()

    assert (rehearsed["kept"], rehearsed["counts"]) == (False, {"added": 1})
    assert (kept["kept"], kept["counts"]) == (True, {"added": 1})
    assert rest["counts"] == {"duplicate": 1}


def say_papaya(page: sync_api.Page, path: Path) -> None:
    """Drop a drawn mango on Predict, and answer that it is a papaya."""
    draw_fruit("mango", 120, 7).save(path)
    page.get_by_role("tab", name="Predict").click()
    page.set_input_files("#photos input[type=file]", path)
    page.wait_for_selector(".fc-answer")
    page.wait_for_selector("#was-right >> text=Was this right?")
    page.click("#truth input")
    page.fill("#truth input", "Papaya")
    page.keyboard.press("Enter")
    page.click("#send")
    page.wait_for_selector("#thanks >> text=It waits as papaya")


def test_a_visitors_correction_is_reviewed_and_accepted(
    page: sync_api.Page, own_server: Server, tmp_path: Path
) -> None:
    say_papaya(page, tmp_path / "mine.png")
    assert httpx.get(f"{own_server.url}/api/classes").json() == []

    page.get_by_role("tab", name="Upload").click()
    page.get_by_role("button", name="Review what visitors sent").click()
    page.wait_for_selector("#reviews img")
    page.click("#reviews-all")
    page.wait_for_selector("#reviews-ticked input:checked")
    page.click("#reviews-accept")
    page.wait_for_selector("#reviews-outcome >> text=Kept")

    (row,) = httpx.get(f"{own_server.url}/api/classes").json()
    assert (row["class_name"], row["photos"]) == ("papaya", 1)
    page.wait_for_selector("#reviews-count >> text=No photo waits")


def test_discarding_asks_first(page: sync_api.Page, own_server: Server, tmp_path: Path) -> None:
    say_papaya(page, tmp_path / "mine.png")
    page.get_by_role("tab", name="Upload").click()
    page.get_by_role("button", name="Review what visitors sent").click()
    page.wait_for_selector("#reviews img")

    for answer, words in ((False, "Nothing was discarded"), (True, "1 discarded")):
        page.click("#reviews-all")
        page.wait_for_selector("#reviews-ticked input:checked")
        page.once("dialog", lambda dialog, yes=answer: dialog.accept() if yes else dialog.dismiss())
        page.click("#reviews-discard")
        page.wait_for_selector(f"#reviews-outcome >> text={words}")
