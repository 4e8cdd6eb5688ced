"""What the command line finds out before it starts."""

import socket

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from app.__main__ import check_address, main, make_server
from app.errors import AddressUnusable
from app.rates import client_key
from app.settings import Settings


def test_a_port_that_is_taken_is_said_with_the_settings_that_choose_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AddressUnusable, match=rf"127.0.0.1, port {port} .*_SERVER_PORT"):
            check_address("127.0.0.1", port)

    check_address("127.0.0.1", port)


def test_a_name_without_an_address_is_said() -> None:
    with pytest.raises(AddressUnusable, match=r"listen on no host, port 7860 \(.+\)"):
        check_address("no host", 7860)


def test_any_free_port_will_do() -> None:
    check_address("localhost", 0)


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ([], ("localhost", 9000)),
        (["--port", "8000"], ("localhost", 8000)),
        (["serve", "--port", "8000"], ("localhost", 8000)),
        (["--port", "8000", "serve", "--host", "::1"], ("::1", 8000)),
    ],
)
def test_a_flag_goes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], address: tuple[str, int]
) -> None:
    served: list[Settings] = []
    monkeypatch.setattr("app.__main__.serve", lambda settings: served.append(settings) or 0)
    monkeypatch.setattr("app.__main__.configure_logs", lambda *_: None)
    monkeypatch.setenv("GRADIO_SERVER_NAME", "localhost")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "9000")

    assert main(arguments) == 0

    (settings,) = served
    assert (settings.host, settings.port) == address


def test_a_port_that_is_none_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "http"]) == 2

    assert "--port is 'http'; it must be a whole number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "client"),
    [
        (Settings(space="shop/fruit"), "203.0.113.7"),
        (Settings(), "10.16.4.2"),  # elsewhere nobody has said that this is a proxy
    ],
)
def test_visitors_of_a_space_are_told_apart_behind_its_proxy(
    settings: Settings, client: str
) -> None:
    app = FastAPI()

    @app.get("/")
    def who(request: Request) -> str:
        return client_key(request)

    config = make_server(settings, app).config
    config.load()
    # The first is what the visitor claims; the last is what the proxy saw.
    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    with TestClient(config.loaded_app, client=("10.16.4.2", 50000)) as behind:
        assert behind.get("/", headers=headers).json() == client
