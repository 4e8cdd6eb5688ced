"""One photo, asked for in every way there is: the answers agree to the last digit."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.e2e.conftest import ROOT, Server


@pytest.fixture(scope="session")
def gradio(server: Server) -> Client:
    return Client(server.url, verbose=False)


def ask_rest(server: Server, photo: Path, **params: str) -> dict[str, Any]:
    with photo.open("rb") as file:
        response = httpx.post(f"{server.url}/api/predict", files={"file": file}, params=params)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def ask_command_line(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", "predict", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=server.environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", ["apple.jpg", "phone.heic"])
def test_rest_gradio_and_command_line_agree(
    server: Server, gradio: Client, photos: Path, name: str
) -> None:
    rest = ask_rest(server, photos / name)
    bare = httpx.post(f"{server.url}/api/predict", content=(photos / name).read_bytes()).json()
    client = gradio.predict(handle_file(photos / name), api_name="/predict")
    command = json.loads(ask_command_line(server, str(photos / name), "--json").stdout)

    for other in (bare, client, command):
        assert other["probabilities"] == rest["probabilities"]
        assert (other["label"], other["version"]) == (rest["label"], "v0001")
        assert set(rest) <= set(other)


def test_explain_gives_the_same_heat_map_to_every_caller(
    server: Server, gradio: Client, photos: Path
) -> None:
    rest = ask_rest(server, photos / "mango.jpg", explain="true")
    client = gradio.predict(handle_file(photos / "mango.jpg"), explain=True, api_name="/predict")

    assert len(rest["heat_map"]) == 4
    assert client["heat_map"] == rest["heat_map"]


def test_gradio_names_are_those_of_rest(server: Server, gradio: Client, photos: Path) -> None:
    named = gradio.view_api(return_format="dict", print_info=False)["named_endpoints"]

    assert set(named) == {
        "/predict", "/status", "/health", "/alerts", "/upload_retrain_data", "/retrain",
        "/fetch_base_set", "/jobs", "/job", "/cancel",
        "/models", "/activate", "/delete_version", "/roll_back", "/schedule", "/set_schedule",
    }  # fmt: skip
    assert gradio.predict(api_name="/health") == httpx.get(f"{server.url}/api/health").json()
    assert set(gradio.predict(api_name="/status")) == set(
        httpx.get(f"{server.url}/api/status").json()
    )
    top = gradio.predict(handle_file(photos / "mango.jpg"), 2, api_name="/predict")
    assert (
        top["probabilities"] == ask_rest(server, photos / "mango.jpg", top_k="2")["probabilities"]
    )


def test_gradio_refuses_with_the_same_sentence(
    server: Server, gradio: Client, photos: Path
) -> None:
    content = (photos / "notes.jpg").read_bytes()
    rest = httpx.post(f"{server.url}/api/predict", content=content).json()["error"]["message"]

    with pytest.raises(AppError) as caught:
        gradio.predict(handle_file(photos / "notes.jpg"), api_name="/predict")

    assert str(caught.value) == rest


def test_command_line_prints_a_table_and_fails_where_one_was_refused(
    server: Server, photos: Path
) -> None:
    done = ask_command_line(server, str(photos), "--top-k", "2")

    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert len(lines) == 10
    assert lines[0].startswith("apple.jpg")
    assert "apple" in lines[0].split()[1]
    assert "refused: The file is not a picture" in done.stdout
    assert done.stderr == ""


def test_command_line_names_an_unusable_setting(server: Server, photos: Path) -> None:
    command = [sys.executable, "-m", "app", "predict", str(photos)]
    environment = server.environment | {"FRUIT_MAX_FILES": "many"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert done.stderr.startswith("error: FRUIT_MAX_FILES is 'many'")


def test_documentation_comes_from_this_server_alone(server: Server) -> None:
    page = httpx.get(f"{server.url}/docs").text

    assert "https://" not in page
    assert httpx.get(f"{server.url}/static-offline-docs/swagger-ui-bundle.js").status_code == 200
    assert "/api/predict" in httpx.get(f"{server.url}/openapi.json").json()["paths"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Length: 30000000", b""),
        ("Transfer-Encoding: chunked", b"7a120\r\n" + b"x" * 500_000 + b"\r\n"),
    ],
    ids=["declared", "chunked"],
)
def test_body_that_is_too_large_is_refused_before_it_is_whole(
    server: Server, headers: str, body: bytes
) -> None:
    address = urlsplit(server.url)
    head = f"POST /api/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n{headers}\r\n\r\n"

    with socket.create_connection((address.hostname, address.port or 80), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 413")
