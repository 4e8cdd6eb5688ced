"""With a token set, strangers have another page than the operator: in a browser and for clients."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from playwright import sync_api

from models.registry import ModelRegistry
from tests.conftest import REFUSING_LABELS, colour_model, publish
from tests.e2e.conftest import IN_A_BROWSER, Server, running_server

TOKEN = "correct horse battery"
AS_OPERATOR = {"X-Operator-Token": TOKEN}
# A proxy in front of the server would send it, for a person elsewhere.
AS_STRANGER = {"X-Forwarded-For": "203.0.113.7"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a token, and with the small model as its only published version."""
    folder = tmp_path_factory.mktemp("guarded")
    registry = ModelRegistry(folder / "state" / "models")
    version = publish(registry, colour_model(REFUSING_LABELS), REFUSING_LABELS, "activation_maps")
    registry.activate(version.version)
    settings = {"FRUIT_ADMIN_TOKEN": TOKEN, "FRUIT_MAX_REQUESTS_PER_MINUTE": "300"}
    with running_server(folder / "state", folder / "stderr.log", **settings) as server:
        yield server


def endpoints(server: Server, headers: dict[str, str]) -> tuple[set[str], list[dict[str, Any]]]:
    """Return the names of the listed endpoints, and all there are."""
    config = httpx.get(f"{server.url}/config", headers=headers).json()["dependencies"]
    named = httpx.get(f"{server.url}/gradio_api/info", headers=headers).json()["named_endpoints"]
    return set(named), config


def test_a_stranger_has_only_the_endpoints_that_anybody_may_call(guarded: Server) -> None:
    listed, all_of_them = endpoints(guarded, {})
    operators, all_of_theirs = endpoints(guarded, AS_OPERATOR)

    assert listed == {"/predict", "/status", "/health", "/alerts"}
    assert operators > listed | {"/retrain", "/activate", "/upload_retrain_data", "/roll_back"}
    assert len(all_of_them) < len(all_of_theirs)


def test_an_operators_endpoint_cannot_be_called_by_name_or_number(guarded: Server) -> None:
    _, theirs = endpoints(guarded, AS_OPERATOR)
    _, ours = endpoints(guarded, {})
    numbers = {d["id"] for d in theirs} - {d["id"] for d in ours}
    roll_back = next(d["id"] for d in theirs if d["api_name"] == "roll_back")

    named = httpx.post(f"{guarded.url}/gradio_api/call/roll_back", json={"data": []})
    run = httpx.post(f"{guarded.url}/gradio_api/run/roll_back", json={"data": []})

    assert roll_back in numbers
    assert min(named.status_code, run.status_code) >= 400
    for number in sorted(numbers):
        body = {"data": [], "fn_index": number, "session_hash": "stranger"}
        joined = httpx.post(f"{guarded.url}/gradio_api/queue/join", json=body)
        assert joined.status_code >= 400, number


def test_a_page_of_another_sign_in_calls_nothing_and_is_made_to_reload(guarded: Server) -> None:
    """It names functions by number alone, so no number may mean one on each page."""
    operators, visitors = ({d["id"] for d in endpoints(guarded, h)[1]} for h in (AS_OPERATOR, {}))
    assert operators.isdisjoint(visitors)
    url = f"{guarded.url}/gradio_api"

    with httpx.Client() as browser:
        signed_in = browser.post(f"{guarded.url}/sign-in", data={"token": TOKEN})
        assert signed_in.status_code == 303
        body = {"data": [], "session_hash": "opened before", "fn_index": min(visitors)}
        answers = [browser.post(f"{url}/{path}", json=body) for path in ("queue/join", "run/x")]
        browser.cookies.clear()
        answers.append(browser.post(f"{url}/queue/join", json=body | {"fn_index": min(operators)}))

    for answer in answers:
        assert (answer.status_code, answer.json()) == (400, {
            "error": "Connection errored out. ",  # at which the page loads itself anew
            "detail": "This page is of another sign-in. Reload it.",
        })  # fmt: skip


def test_a_client_with_the_token_is_the_operator(guarded: Server, photos: Path) -> None:
    client = Client(guarded.url, headers=AS_OPERATOR, verbose=False)
    arguments = ("kiwi", [handle_file(photos / "apple.jpg")], False, True)

    report = client.predict(*arguments, api_name="/upload_retrain_data")

    assert report["kept"] is False
    assert [m["version"] for m in client.predict(api_name="/models") if m["active"]] == ["v0001"]


def test_a_client_without_it_predicts(guarded: Server, photos: Path) -> None:
    client = Client(guarded.url, verbose=False)

    answer = client.predict(handle_file(photos / "apple.jpg"), api_name="/predict")

    assert answer["label"] == "apple"


def test_one_client_cannot_send_without_end(guarded: Server) -> None:
    """The last test that calls as this stranger."""
    url = f"{guarded.url}/api/status"
    with httpx.Client(headers=AS_STRANGER) as stranger:
        # More than the limit: a minute that ends meanwhile lets a few more through.
        statuses = [stranger.get(url).status_code for _ in range(340)]
    with httpx.Client(headers=AS_OPERATOR) as operator:
        assert operator.get(url).status_code == 200

    assert statuses[0] == 200
    refused = statuses[statuses.index(429) :]
    assert refused.count(429) > len(refused) / 2


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/queue/join"])
def test_another_sites_page_cannot_use_the_machine_of_the_person_before_it(
    server: Server, path: str
) -> None:
    """Without a token; else any page on the web could retrain what runs on a visitor's machine."""
    headers = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}

    answered = httpx.post(f"{server.url}{path}", headers=headers, json={"data": [], "fn_index": 0})
    rebound = httpx.get(f"{server.url}{path}", headers={"Host": "rebound.example"})
    rest = httpx.post(f"{server.url}/api/retrain", headers=headers)

    assert (answered.status_code, rebound.status_code, rest.status_code) == (403, 403, 403)
    assert "FRUIT_ADMIN_TOKEN" in answered.text


class TestInABrowser:
    """What a person sees."""

    pytestmark = IN_A_BROWSER

    def test_the_operator_signs_in_and_out(
        self, guarded: Server, browser: sync_api.Browser
    ) -> None:
        context = browser.new_context()
        page = context.new_page()
        page.goto(guarded.url)
        page.get_by_role("tab", name="Retrain").click()
        form = page.locator("form.fc-sign-in:visible")
        form.get_by_label("Operator's token").fill("a guess")
        form.get_by_role("button", name="Sign in").click()
        sync_api.expect(page.get_by_role("alert")).to_contain_text("not the operator's token")

        page.get_by_label("Operator's token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("tab", name="Retrain").click()
        sync_api.expect(page.locator("#retrain-button")).to_be_visible()

        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("tab", name="Upload").click()
        sync_api.expect(page.locator("form.fc-sign-in:visible")).to_have_count(1)
        assert page.locator("#new-photos").count() == 0
        context.close()

    def test_a_page_that_was_open_before_a_sign_out_or_sign_in_loads_itself_anew(
        self, guarded: Server, browser: sync_api.Browser, photos: Path
    ) -> None:
        context = browser.new_context()
        context.request.post(f"{guarded.url}/sign-in", form={"token": TOKEN})
        page = context.new_page()
        page.goto(guarded.url)
        page.get_by_role("tab", name="Retrain").click()
        sync_api.expect(page.locator("#retrain-button")).to_be_visible()
        toasts = page.locator(".toast-body")

        context.clear_cookies()  # signed out elsewhere; the tab's timer calls every second
        toasts.wait_for()
        sync_api.expect(toasts).to_have_count(0)
        page.get_by_role("tab", name="Upload").click()
        sync_api.expect(page.locator("form.fc-sign-in:visible")).to_have_count(1)

        context.request.post(f"{guarded.url}/sign-in", form={"token": TOKEN})
        page.get_by_role("tab", name="Predict").click()
        page.locator("#photos input[type=file]").set_input_files(photos / "apple.jpg")
        sync_api.expect(page.locator("form.fc-sign-out")).to_have_count(1)
        context.close()

    def test_a_visitor_sends_a_photo_for_review_and_the_operator_sees_it(
        self, guarded: Server, browser: sync_api.Browser, photos: Path
    ) -> None:
        context = browser.new_context()
        page = context.new_page()
        page.goto(guarded.url)
        page.locator("#photos input[type=file]").set_input_files(photos / "banana.jpg")
        page.locator("#truth input").fill("plantain")
        page.locator("#send").click()
        sync_api.expect(page.locator("#thanks")).to_contain_text("Thank you")

        operator = browser.new_context(extra_http_headers=AS_OPERATOR)
        review = operator.new_page()
        review.goto(guarded.url)
        review.get_by_role("tab", name="Upload").click()
        sync_api.expect(review.locator("#reviews-box")).to_contain_text("1 waiting")
        context.close()
        operator.close()
