"""Signing in and out, and the routes that are the operator's, over HTTP."""

from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access import Access, Role
from app.collection import CollectionService
from app.headers import SecurityHeaders, allow_other_sites
from app.rest import build_router
from app.service import PredictionService
from app.settings import Settings
from app.sign_in import FORM, HUB_LINK, build_sign_in, sign_in_forms
from app.tabs.page import closed_html
from data.reviews import ReviewQueue
from data.store import DatasetStore
from tests.conftest import encode

TOKEN = "correct horse battery"
SETTINGS = Settings(host="0.0.0.0", admin_token=TOKEN)


def app_of(service: PredictionService, folder: Path, settings: Settings) -> FastAPI:
    access = Access(settings)
    store = DatasetStore(folder / "store")
    collection = CollectionService(store, service, ReviewQueue(folder / "reviews"))
    app = FastAPI()
    app.include_router(build_router(service, settings, access, collection))
    app.include_router(build_sign_in(access, service.metrics, settings))
    allow_other_sites(app)
    app.add_middleware(SecurityHeaders, on_space=settings.on_space)
    return app


@pytest.fixture
def client(service: PredictionService, tmp_path: Path) -> TestClient:
    return TestClient(app_of(service, tmp_path, SETTINGS), follow_redirects=False)


def test_a_stranger_predicts_and_is_told_how_to_be_the_operator(client: TestClient) -> None:
    predicted = client.post("/api/predict", content=encode("apple"))
    refused = client.get("/api/classes")

    assert predicted.json()["label"] == "apple"
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="operator"'
    assert "Authorization: Bearer TOKEN" in refused.json()["error"]["message"]


def test_nothing_of_a_strangers_upload_is_kept(client: TestClient) -> None:
    files = {"file": ("a.png", encode("apple"))}
    headers = {"authorization": f"Bearer {TOKEN}"}

    refused = client.post("/api/upload_retrain_data", data={"class_name": "kiwi"}, files=files)
    wrong = client.get("/api/classes", headers={"x-operator-token": "guess"})

    assert (refused.status_code, wrong.status_code) == (401, 401)
    assert "FRUIT_ADMIN_TOKEN" in wrong.json()["error"]["message"]
    assert client.get("/api/classes", headers=headers).json() == []


def test_signing_in_gives_a_cookie_and_signing_out_takes_it_away(client: TestClient) -> None:
    signed_in = client.post("/sign-in", data={"token": f" {TOKEN} "})

    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
    cookie = signed_in.headers["set-cookie"]
    assert cookie.startswith("fruit_operator=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age=604800" in cookie
    assert TOKEN not in cookie
    assert client.get("/api/classes").status_code == 200

    assert client.post("/sign-out").status_code == 303
    assert client.get("/api/classes").status_code == 401


@pytest.mark.usefixtures("held_minute")
def test_a_wrong_token_shows_the_form_again_and_five_make_one_wait(client: TestClient) -> None:
    first = client.post("/sign-in", data={"token": "<b>guess</b>"})
    for _ in range(4):
        client.post("/sign-in", data={"token": "guess"})
    sixth = client.post("/sign-in", data={"token": TOKEN})

    assert first.status_code == 401
    assert "not the operator" in first.text
    assert "<b>" not in first.text
    assert 'name="token"' in first.text
    assert "set-cookie" not in first.headers
    assert sixth.status_code == 429
    assert "Too many wrong tokens" in sixth.text


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_another_site_can_neither_sign_in_nor_out(client: TestClient, path: str) -> None:
    response = client.post(path, data={"token": TOKEN}, headers={"origin": "http://evil.example"})

    assert response.status_code == 403
    assert response.json()["error"]["type"] == "FromAnotherSite"


def test_a_form_too_long_is_refused(client: TestClient) -> None:
    assert client.post("/sign-in", content=b"token=" + b"x" * 9000).status_code == 413


def test_other_sites_may_call_without_the_cookie(client: TestClient) -> None:
    headers = {"origin": "http://elsewhere.example"}
    answered = client.post("/api/predict", content=encode("apple"), headers=headers)
    asked = client.options(
        "/api/predict",
        headers=headers
        | {
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        },
    )

    assert answered.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answered.headers
    assert asked.status_code == 200
    assert "access-control-allow-credentials" not in asked.headers


@pytest.mark.parametrize(
    ("on_space", "ancestors"),
    [(False, "'self'"), (True, "'self' https://huggingface.co https://*.hf.space")],
)
def test_browsers_are_told_what_may_run_and_who_may_show_it(
    service: PredictionService, tmp_path: Path, on_space: bool, ancestors: str
) -> None:
    settings = Settings(admin_token=TOKEN, space="orchard/fruit" if on_space else "")
    headers = TestClient(app_of(service, tmp_path, settings)).get("/api/health").headers

    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["frame-ancestors"] == ancestors
    assert policy["default-src"] == "'self'"
    assert policy["object-src"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert ("x-frame-options" in headers) is not on_space


def test_what_was_uploaded_is_never_a_page(client: TestClient) -> None:
    response = client.get("/gradio_api/file=x.html")

    assert response.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


def test_where_only_the_hub_signs_in_no_token_is_asked_for(
    service: PredictionService, tmp_path: Path
) -> None:
    settings = Settings(
        host="0.0.0.0", space="orchard/fruit", space_owner="orchard", oauth_client_secret="s"
    )
    client = TestClient(app_of(service, tmp_path, settings))

    for page in (client.get("/sign-in"), client.post("/sign-in", data={"token": "guess"})):
        assert 'href="sign-in/huggingface"' in page.text
        assert 'name="token"' not in page.text
    assert HUB_LINK in closed_html("Uploading", Role.VISITOR, settings)
    assert sign_in_forms(SETTINGS) == FORM
    assert sign_in_forms(replace(settings, admin_token=TOKEN)) == HUB_LINK + FORM


@pytest.mark.parametrize(
    ("host", "words"),
    [("0.0.0.0", "has no token to tell the operator by"), ("127.0.0.1", "own machine")],
)
def test_where_nobody_can_sign_in_it_is_said_and_nothing_asked_for(
    service: PredictionService, tmp_path: Path, host: str, words: str
) -> None:
    client = TestClient(app_of(service, tmp_path, Settings(host=host)))

    for page in (client.get("/sign-in"), client.post("/sign-in", data={"token": "guess"})):
        assert page.status_code == 403
        assert words in page.text
        assert "Set FRUIT_ADMIN_TOKEN" in page.text
        assert "<form" not in page.text
        assert "huggingface" not in page.text
