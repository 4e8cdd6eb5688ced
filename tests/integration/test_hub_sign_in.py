"""The owner of a Space signs in with the Hugging Face account: against a provider on loopback."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from joserfc import jwk, jwt

from app.access import Access, Role
from app.hub_sign_in import add_hub_sign_in
from app.metrics import Metrics
from app.settings import Settings


class Provider:
    """An OpenID provider that confirms whoever is set as its user."""

    def __init__(self) -> None:
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "one"})
        self.user: dict[str, Any] = {}
        self.nonce = ""
        self.refuses = False
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(provider.documents()[self.path])

            def do_POST(self) -> None:
                sent = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                assert sent["code"] == ["the-code"]
                assert sent["code_verifier"]
                self.answer(provider.tokens(), 400 if provider.refuses else 200)

            def answer(self, content: Any, status: int = 200) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def documents(self) -> dict[str, Any]:
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
            },
            "/jwks": {"keys": [self.key.as_dict(private=False)]},
        }

    def tokens(self) -> dict[str, Any]:
        if self.refuses:
            return {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": "client", "sub": "1", "iat": now, "exp": now + 60,
            "nonce": self.nonce, **self.user,
        }  # fmt: skip
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        return {"access_token": "x", "token_type": "bearer", "id_token": token}


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.server.shutdown()
    provider.server.server_close()


def settings_of(provider: Provider) -> Settings:
    return Settings(
        host="0.0.0.0",
        space="orchard/fruit",
        space_owner="orchard",
        oauth_client_id="client",
        oauth_client_secret="secret of the client",
        oauth_provider=provider.url,
    )


@pytest.fixture
def client(provider: Provider) -> TestClient:
    settings = settings_of(provider)
    access = Access(settings)
    app = FastAPI()

    @app.get("/who")
    def who() -> None:
        pass

    @app.middleware("http")
    async def tell(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-operator"] = str(access.is_operator(request))
        return response

    add_hub_sign_in(app, access, settings, Metrics())
    return TestClient(app, base_url="https://orchard.example", follow_redirects=False)


def sign_in(client: TestClient, provider: Provider, **user: Any) -> httpx.Response:
    """Follow the way through the provider, which confirms the user."""
    location = client.get("/sign-in/huggingface").headers["location"]
    asked = parse_qs(urlsplit(location).query)
    assert location.startswith(f"{provider.url}/authorize?")
    assert asked["redirect_uri"] == ["https://orchard.example/sign-in/huggingface/callback"]
    provider.user, provider.nonce = user, asked["nonce"][0]
    params = {"code": "the-code", "state": asked["state"][0]}
    return client.get("/sign-in/huggingface/callback", params=params)


@pytest.mark.parametrize(
    "user",
    [
        {"preferred_username": "orchard"},
        {
            "preferred_username": "somebody",
            "orgs": [{"preferred_username": "orchard", "roleInOrg": "admin"}],
        },
    ],
)
def test_the_owner_becomes_the_operator(
    client: TestClient, provider: Provider, user: dict[str, Any]
) -> None:
    assert client.get("/who").headers["x-operator"] == "False"

    response = sign_in(client, provider, **user)

    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = next(
        c for c in response.headers.get_list("set-cookie") if c.startswith("fruit_operator=")
    )
    assert "SameSite=none" in cookie  # the page is shown within one of the Hub
    assert "Secure" in cookie
    assert client.get("/who").headers["x-operator"] == "True"


@pytest.mark.parametrize(
    "user",
    [
        {"preferred_username": "<b>stranger</b>"},
        {
            "preferred_username": "<b>stranger</b>",
            "orgs": [{"preferred_username": "orchard", "roleInOrg": "read"}],
        },
    ],
)
def test_nobody_else_does(client: TestClient, provider: Provider, user: dict[str, Any]) -> None:
    response = sign_in(client, provider, **user)

    assert response.status_code == 403
    assert "the operator is orchard" in response.text
    assert "<b>" not in response.text
    assert 'href="sign-in/huggingface"' in response.text
    assert 'name="token"' not in response.text  # there is none
    assert client.get("/who").headers["x-operator"] == "False"


def test_a_sign_in_that_the_hub_does_not_confirm_gives_nothing(
    client: TestClient, provider: Provider
) -> None:
    provider.refuses = True

    response = sign_in(client, provider, preferred_username="orchard")
    forged = client.get("/sign-in/huggingface/callback", params={"code": "x", "state": "guess"})

    assert (response.status_code, forged.status_code) == (401, 401)
    assert client.get("/who").headers["x-operator"] == "False"


def test_without_the_hubs_client_or_a_token_nobody_can_sign_in(provider: Provider) -> None:
    assert Access(settings_of(provider)).roles == (Role.SIGNED_IN, Role.VISITOR)
    assert Access(Settings(host="0.0.0.0", space="orchard/fruit", space_owner="orchard")).roles == (
        Role.STRANGER,
    )
