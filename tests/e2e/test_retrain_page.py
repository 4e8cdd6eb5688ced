"""The whole loop on the page: photos in, Retrain, watch, live, roll back; also the Gradio API."""

import io
from collections.abc import Iterator

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright import sync_api

from data.drawings import draw_fruit
from tests.conftest import NEXT, SHIPPED
from tests.e2e.conftest import IN_A_BROWSER, Server

pytestmark = IN_A_BROWSER


@pytest.fixture
def page(browser: sync_api.Browser, own_server: Server) -> Iterator[sync_api.Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(250_000)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(own_server.url)
    yield page
    page.close()


def upload(server: Server, label: str, count: int) -> None:
    files = []
    for seed in range(count):
        buffer = io.BytesIO()
        draw_fruit(label, 160, 40 + seed).save(buffer, "PNG")
        files.append(("file", (f"{seed}.png", buffer.getvalue())))
    for part in (files[:6], files[6:]):
        answer = httpx.post(
            f"{server.url}/api/upload_retrain_data", data={"class_name": label}, files=part,
            timeout=60,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text


def served(server: Server) -> str:
    return str(httpx.get(f"{server.url}/api/health", timeout=30).json()["version"])


def test_photos_are_learned_put_live_and_rolled_back(
    page: sync_api.Page, own_server: Server
) -> None:
    tab = page.get_by_role("tab", name="Retrain")
    tab.click()
    page.wait_for_selector("text=There is no new photo to learn from")
    assert page.is_disabled("#retrain-button")

    upload(own_server, "mango", 10)
    page.get_by_role("tab", name="Predict").click()
    tab.click()
    page.wait_for_selector("#plan >> text=Mango")
    page.click("#retrain-button")
    page.wait_for_selector("#job .fc-state-running")
    page.wait_for_selector("#cancel")
    assert page.is_disabled("#retrain-button")  # a second one would learn the same again
    # At once: what is pressed between two looks at the job may be replaced before it is let go.
    page.locator("#job summary", has_text="What is done").evaluate("summary => summary.click()")
    stage = page.inner_text("#job .fc-now")
    later = page.wait_for_function(
        """stage => {
            const now = document.querySelector('#job .fc-now');
            return now && now.innerText !== stage
                && {open: !!document.querySelector('#job details[open] summary')};
        }""",
        arg=stage,
    )
    assert later.json_value()["open"]
    page.reload()  # a closed page loses nothing
    page.get_by_role("tab", name="Retrain").click()
    page.wait_for_selector("#job .fc-state-succeeded")

    shown = page.inner_text("#job")
    assert f"{NEXT} went live." in shown
    assert f"Compared with {SHIPPED}" in shown
    assert "Mango" in shown or "mango" in shown
    assert served(own_server) == NEXT
    page.wait_for_selector(f"#versions >> text={NEXT}")

    page.click("#roll-back")
    page.wait_for_selector(f"#versions tr:has-text('{SHIPPED}') .fc-state-succeeded")
    assert served(own_server) == SHIPPED

    page.click("#delete-version")
    page.wait_for_selector("text=Choose a version first.")
    page.fill("#version input", NEXT)
    page.keyboard.press("Enter")
    page.click("#delete-version")
    page.wait_for_selector(f"#versions tr:has-text('{NEXT}')", state="detached")
    assert [m["version"] for m in httpx.get(f"{own_server.url}/api/models").json()] == [SHIPPED]


def test_a_running_job_is_cancelled_and_the_gradio_api_tells_all(
    page: sync_api.Page, own_server: Server
) -> None:
    client = Client(own_server.url, verbose=False)
    with pytest.raises(AppError, match="no new photo"):
        client.predict("quick", api_name="/retrain")
    upload(own_server, "apple", 8)

    started = client.predict("quick", api_name="/retrain")
    page.get_by_role("tab", name="Retrain").click()
    page.wait_for_selector("#job .fc-state-running")
    page.click("#cancel")
    page.wait_for_selector("#job .fc-state-cancelled")

    (job,) = client.predict(api_name="/jobs")
    assert (job["job_id"], job["state"], job["pid"]) == (started["job_id"], "cancelled", None)
    assert client.predict(started["job_id"], api_name="/job")["gate"] is None
    assert [m["version"] for m in client.predict(api_name="/models")] == [SHIPPED]
    assert client.predict("0 3 * * *", 25, "quick", api_name="/set_schedule")["after_images"] == 25
    page.reload()
    page.get_by_role("tab", name="Retrain").click()
    page.click("#schedule-box button")
    page.wait_for_selector("text=25 photos are new")


def test_the_base_set_is_offered_and_its_download_can_be_ended(page: sync_api.Page) -> None:
    page.get_by_role("tab", name="Retrain").click()
    page.click("#fetch-button")  # nothing outside can be reached here, and it tries again
    page.wait_for_selector("#job >> text=Downloading Fruits-360")
    sync_api.expect(page.locator("#fetch-button")).to_be_disabled()  # it is under way
    page.click("#cancel")
    page.wait_for_selector("#job .fc-state-cancelled")
    assert "Download 1" in page.inner_text("#job")
    sync_api.expect(page.locator("#fetch-button")).to_be_visible()
    sync_api.expect(page.locator("#fetch-button")).to_be_enabled()
