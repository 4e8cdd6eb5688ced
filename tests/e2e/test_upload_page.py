"""Collecting photos on the page: rehearsed, added, looked through, removed and put back."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from playwright import sync_api

from app.job_table import JobState, JobTable
from data.drawings import draw_fruit
from data.reviews import ReviewQueue
from data.state import jobs_dir, reviews_dir, store_dir
from data.store import DatasetStore
from models.manifest import GateReport, Suspect
from models.registry import ModelRegistry
from tests.conftest import colour_model, encode, publish
from tests.e2e.conftest import IN_A_BROWSER, Server, running_server

pytestmark = IN_A_BROWSER


@pytest.fixture
def page(
    browser: sync_api.Browser, own_server: Server, request: pytest.FixtureRequest
) -> Iterator[sync_api.Page]:
    page = opened(browser, own_server, getattr(request, "param", 390))
    yield page
    page.close()


def opened(browser: sync_api.Browser, server: Server, width: int = 390) -> sync_api.Page:
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.set_default_timeout(30_000)
    page.goto(server.url)
    page.get_by_role("tab", name="Upload").click()
    page.wait_for_selector("#new-photos input[type=file]", state="attached")
    return page


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
    assert "New dragon fruit; it will" in page.inner_text("#report")
    sync_api.expect(page.locator("#class-name input")).to_have_value("")
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) == 0

    page.get_by_role("button", name="Look through the photos").click()
    page.wait_for_selector("#gallery img")
    assert page.locator("#gallery img").count() == 3
    page.locator("#gallery img").first.click()
    page.wait_for_selector("#gallery-details img")
    page.click("#gallery-remove")
    page.wait_for_selector("#gallery-count >> text=2 photos")
    page.wait_for_selector("#progress td:nth-child(2):text-is('2')")
    page.click("#gallery-undo")
    page.wait_for_selector("#gallery-count >> text=3 photos")
    page.wait_for_selector("#progress td:nth-child(2):text-is('3')")
    page.wait_for_selector("#gallery-erase", state="hidden")
    assert "Kept" in page.inner_text("#report")  # also once the emptied fields were checked


def test_photos_dropped_during_the_check_of_others_are_checked_too(
    page: sync_api.Page, tmp_path: Path
) -> None:
    for seed in range(2):
        draw_fruit("mango", 120, seed).save(tmp_path / f"{seed}.png")
    held: list[sync_api.Route] = []
    page.wait_for_selector("text=No photos yet")  # the tab's own calls are over
    page.route("**/queue/join*", lambda route: held.append(route), times=1)
    with page.expect_request("**/queue/join*"):
        page.set_input_files("#new-photos input[type=file]", tmp_path / "0.png")
    page.set_input_files("#new-photos input[type=file]", tmp_path / "1.png")
    page.wait_for_selector("#new-photos td[aria-label='1.png']")

    held[0].continue_()

    page.wait_for_selector("#report .fc-file >> nth=1")


def test_a_report_goes_with_the_photos_that_it_is_about(
    page: sync_api.Page, tmp_path: Path
) -> None:
    draw_fruit("mango", 120).save(tmp_path / "m.png")
    page.set_input_files("#new-photos input[type=file]", tmp_path / "m.png")
    page.wait_for_selector("#report .fc-file")

    page.locator("#new-photos").get_by_label("Clear").click()

    page.wait_for_selector("#report .fc-file", state="detached")


def test_a_check_that_fails_leaves_nothing_of_the_one_before(
    page: sync_api.Page, tmp_path: Path
) -> None:
    draw_fruit("mango", 120).save(tmp_path / "m.png")
    page.fill("#class-name input", "Papaya")
    page.keyboard.press("Enter")
    page.set_input_files("#new-photos input[type=file]", tmp_path / "m.png")
    page.get_by_role("button", name="Add 1 photo").wait_for()

    page.fill("#class-name input", "<b>")
    page.keyboard.press("Enter")

    page.wait_for_selector("#report .fc-file", state="detached")
    sync_api.expect(page.locator("#add")).to_be_disabled()
    sync_api.expect(page.locator("#add")).to_have_text("Add")


def test_the_gallery_shows_any_class_once_the_chosen_one_has_no_photo(
    page: sync_api.Page, own_server: Server
) -> None:
    for label in ("apple", "kiwi"):
        httpx.post(
            f"{own_server.url}/api/upload_retrain_data",
            data={"class_name": label},
            files={"file": ("a.png", encode(label if label == "apple" else "mango"))},
        )
    page.get_by_role("button", name="Look through the photos").click()
    page.wait_for_selector("#gallery-count >> text=2 photos")
    page.click("#gallery-class input")
    page.get_by_role("option", name="Kiwi").click()
    page.wait_for_selector("#gallery-count >> text=/^1 photo$/")
    page.locator("#gallery img").first.click()
    page.wait_for_selector("#gallery-details img")

    page.click("#gallery-remove")

    sync_api.expect(page.locator("#gallery-class input")).to_have_value("any")
    page.wait_for_selector("#gallery-count >> text=/^1 photo$/")  # the apple
    page.click("#gallery-undo")
    page.wait_for_selector("#gallery-count >> text=2 photos")


def test_each_download_gives_the_photos_of_the_class_chosen_now(
    page: sync_api.Page, own_server: Server, tmp_path: Path
) -> None:
    for label in ("apple", "mango"):
        httpx.post(
            f"{own_server.url}/api/upload_retrain_data",
            data={"class_name": label},
            files={"file": ("a.png", encode(label))},
        )
    page.get_by_role("button", name="Look through the photos").click()
    page.wait_for_selector("#gallery-count >> text=2 photos")

    for label in ("apple", "mango"):
        page.click("#gallery-class input")
        page.get_by_role("option", name=label).click()
        page.wait_for_selector("#gallery-count >> text=/^1 photo$/")
        with page.expect_download() as download:
            page.click("#gallery-download")
        assert download.value.suggested_filename == "photos.zip"
        with zipfile.ZipFile(download.value.path()) as archive:
            assert [name.split("/")[0] for name in archive.namelist()] == [label]


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

    page.click("#reviews-discard")
    page.wait_for_selector("text=Choose a photo first: tick it.")

    page.click("#reviews-all")
    page.wait_for_selector("#reviews-ticked input:checked")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.click("#reviews-discard")

    page.once("dialog", lambda dialog: dialog.accept())  # the tick is still there
    page.click("#reviews-discard")
    page.wait_for_selector("#reviews-outcome >> text=1 discarded")


def let_wait(server: Server, seed: int, probability: float) -> None:
    """Let a drawn mango, which a visitor calls a papaya, wait for a decision."""
    content = io.BytesIO()
    draw_fruit("mango", 120, seed).save(content, "PNG")
    queue = ReviewQueue(reviews_dir(server.state_dir))
    queue.add(
        content.getvalue(), label="papaya", answered="mango", probability=probability,
        version="v0001", name=f"{seed}.png",
    )  # fmt: skip
    queue.close()


def test_another_class_holds_for_one_acceptance(page: sync_api.Page, own_server: Server) -> None:
    let_wait(own_server, 1, 0.5)
    let_wait(own_server, 2, 0.6)
    box = page.get_by_role("button", name="Review what visitors sent")
    name = page.locator("#reviews-class input")
    box.click()
    page.locator("#reviews-ticked input").first.check()
    name.fill("Kiwi")
    page.keyboard.press("Enter")

    page.click("#reviews-accept")

    page.wait_for_selector("#reviews-box >> text=(1 waiting)")
    page.wait_for_selector("#progress >> text=Kiwi")
    sync_api.expect(name).to_have_value("")
    page.click("#reviews-all")
    page.wait_for_selector("#reviews-ticked input:checked")
    page.click("#reviews-accept")
    page.wait_for_selector("#progress >> text=Papaya")

    name.fill("Kiwi")
    page.keyboard.press("Enter")
    box.click()
    box.click()
    sync_api.expect(name).to_have_value("")


def test_tick_all_ticks_the_photos_that_are_shown(page: sync_api.Page, own_server: Server) -> None:
    let_wait(own_server, 1, 0.5)
    page.get_by_role("button", name="Review what visitors sent").click()
    page.wait_for_selector("#reviews img")
    let_wait(own_server, 2, 0.4)

    page.click("#reviews-all")
    page.wait_for_selector("#reviews-ticked input:checked")
    page.click("#reviews-accept")

    page.wait_for_selector("#reviews-outcome >> text=Kept")
    page.wait_for_selector("#reviews-count >> text=Waiting: 1")


@pytest.fixture
def doubting_server(tmp_path: Path) -> Iterator[Server]:
    """A server whose last retraining doubts two of three mangos."""
    state = tmp_path / "state"
    store = DatasetStore(store_dir(state))
    for seed in range(3):
        draw_fruit("mango", 120, seed).save(tmp_path / "m.png")
        store.add((tmp_path / "m.png").read_bytes(), label="mango", source="uploads",
                  original_name=f"{seed}.png")  # fmt: skip
    suspects = [
        Suspect(digest=image.digest, label="mango", suggested="apple", probability=0.9)
        for image in store.images()[:2]
    ]
    store.close()
    registry = ModelRegistry(state / "models")
    manifest = publish(registry, colour_model()).manifest
    gate = GateReport(against=manifest.version, checks=[], suspects=suspects)
    doubting = registry.publish(
        lambda name: colour_model(),
        lambda name, _: manifest.model_copy(update={"version": name, "gate": gate}),
    )
    table = JobTable(jobs_dir(state) / "jobs.db")
    job = table.submit("quick", "asked for")
    table.update(job.id, state=JobState.SUCCEEDED, version=doubting.version)
    table.close()
    with running_server(state, tmp_path / "stderr.log") as server:
        yield server


def test_all_removed_doubtful_photos_are_put_back(
    browser: sync_api.Browser, doubting_server: Server
) -> None:
    page = opened(browser, doubting_server)
    page.get_by_role("button", name="Look through the photos").click()
    page.wait_for_selector("#gallery-count >> text=3 photos")
    page.get_by_role("button", name="Doubtful labels (2)").click()
    page.wait_for_selector("#suspects-ticked input >> nth=1")
    for box in page.locator("#suspects-ticked input").all():
        box.check()

    page.click("#suspects-remove")
    page.wait_for_selector("#gallery-erase >> text=Delete 2 removed")
    page.wait_for_selector("#progress td:nth-child(2):text-is('1')")
    page.get_by_role("button", name="Doubtful labels (2)").wait_for(state="detached")

    page.click("#gallery-undo")
    page.wait_for_selector("#gallery-details >> text=2 are back")
    page.wait_for_selector("#progress td:nth-child(2):text-is('3')")
    page.get_by_role("button", name="Doubtful labels (2)").wait_for()
    page.close()


def test_confirmed_labels_are_doubtful_no_more(
    browser: sync_api.Browser, doubting_server: Server
) -> None:
    page = opened(browser, doubting_server)
    page.get_by_role("button", name="Doubtful labels (2)").click()
    page.wait_for_selector("#suspects-ticked input >> nth=1")
    page.locator("#suspects-ticked input").first.check()

    page.click("#suspects-right")

    page.wait_for_selector("#suspects-outcome >> text=1 label confirmed")
    page.get_by_role("button", name="Doubtful labels (1)").wait_for()
    sync_api.expect(page.locator("#suspects-ticked input")).to_have_count(1)
    (row,) = httpx.get(f"{doubting_server.url}/api/classes").json()
    assert (row["class_name"], row["photos"]) == ("mango", 3)
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_no_gap_is_below_a_few_photos(
    browser: sync_api.Browser, doubting_server: Server, width: int
) -> None:
    page = opened(browser, doubting_server, width)
    for box, grid in (("Look through the photos", "#gallery"), ("Doubtful labels", "#suspects")):
        page.get_by_role("button", name=box).click()
        page.wait_for_selector(f"{grid} img")
        whole, photos = (
            page.locator(f"{grid} {part}").bounding_box()
            for part in (".grid-wrap", ".grid-container")
        )
        assert whole is not None
        assert photos is not None
        assert whole["height"] - photos["height"] < 40
    page.close()
