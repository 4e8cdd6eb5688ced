"""Everybody can use the page: axe-core finds nothing serious on it, and the keyboard suffices."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright import sync_api

from tests.e2e.conftest import IN_A_BROWSER, Server

PHOTOS = "#photos input[type=file]"
# In Gradio's own markup, where neither our CSS nor our script can help.
EXCEPTIONS = {
    # gr.File with files in it: the button that adds more holds the file input that it opens.
    ("nested-interactive", 'button[aria-label="common.upload"]'),
}

pytestmark = IN_A_BROWSER


@pytest.fixture(params=[("light", 1280), ("dark", 390)], ids=["light-wide", "dark-phone"])
def page(
    browser: sync_api.Browser, server: Server, request: pytest.FixtureRequest
) -> Iterator[sync_api.Page]:
    scheme, width = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    # Chromium reports a choice of files only from some time after the first listener came.
    page.on("filechooser", lambda chooser: None)
    page.goto(server.url)
    # The page's own script has run, so every handler is there.
    page.wait_for_selector(f"{PHOTOS}[accept*='.zip']", state="attached")
    yield page
    context.close()


def problems(page: sync_api.Page) -> list[str]:
    """Return what axe-core calls serious or critical, less the exceptions."""
    page.wait_for_function(  # what fades in has little contrast meanwhile
        """() => document.getAnimations().every(
            (a) => a.playState !== "running" || a.effect.getTiming().iterations === Infinity)"""
    )
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']} {node['target'][-1]}: {node['failureSummary']}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
        if (rule["id"], node["target"][-1]) not in EXCEPTIONS
    ]


def open_all(page: sync_api.Page) -> None:
    """Open every part of the shown tab that is closed, and those within."""
    closed = page.locator("button.label-wrap:not(.open):visible")
    while closed.count():
        button = closed.first.element_handle()
        button.click()
        page.wait_for_function("button => button.classList.contains('open')", arg=button)


def test_predict_has_nothing_serious(page: sync_api.Page, photos: Path) -> None:
    page.set_input_files(PHOTOS, photos / "mango.jpg")
    page.wait_for_selector(".fc-answer")
    page.get_by_text("Why?").click()
    open_all(page)
    assert problems(page) == []

    page.wait_for_selector(PHOTOS, state="attached")
    page.set_input_files(PHOTOS, sorted(photos.iterdir()))
    page.wait_for_selector(".fc-many")
    assert problems(page) == []


def test_upload_has_nothing_serious(page: sync_api.Page, photos: Path) -> None:
    page.get_by_role("tab", name="Upload").click()
    page.set_input_files(
        "#new-photos input[type=file]", [photos / "mango.jpg", photos / "notes.jpg"]
    )
    page.wait_for_selector(".fc-file")
    open_all(page)
    page.wait_for_selector("#gallery-download")
    assert problems(page) == []


def test_retrain_has_nothing_serious(page: sync_api.Page) -> None:
    page.get_by_role("tab", name="Retrain").click()
    page.wait_for_selector("#retrain-button")
    open_all(page)
    assert problems(page) == []


def test_status_has_nothing_serious(page: sync_api.Page, server: Server, photos: Path) -> None:
    httpx.post(f"{server.url}/api/predict", content=(photos / "apple.jpg").read_bytes())
    page.get_by_role("tab", name="Status").click()
    page.wait_for_selector(".fc-tile")
    page.wait_for_selector(".fc-chart")
    open_all(page)
    page.wait_for_selector(".fc-confusion")
    page.wait_for_selector("#card-text h1")
    assert problems(page) == []


def tab_to(page: sync_api.Page, selector: str) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(f"document.activeElement.matches({selector!r})"):
            return
    raise AssertionError(f"40 times Tab did not lead to {selector}")


def test_a_photo_is_given_and_its_answer_read_with_the_keyboard_alone(
    page: sync_api.Page, photos: Path
) -> None:
    tab_to(page, "#photos button")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(photos / "orange.jpg")
    page.wait_for_selector(".fc-answer")
    assert page.inner_text(".fc-answer .fc-label") == "Orange"

    tab_to(page, ".fc-why summary")
    page.keyboard.press("Enter")
    sync_api.expect(page.locator(".fc-why img")).to_be_visible()


def test_an_example_has_a_name_and_is_tried_with_the_keyboard(page: sync_api.Page) -> None:
    page.wait_for_selector("#examples button[aria-label='Try a drawing: apple']")

    tab_to(page, "#examples button[aria-label='Try a drawing: apple']")
    page.keyboard.press("Enter")

    page.wait_for_selector(".fc-answer")
    assert page.inner_text(".fc-answer .fc-label") == "Apple"
