"""What a stranger may not do: read the server's files through a mounted Gradio app."""

import json
import secrets
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import wait_until
from tests.e2e.conftest import Server


def file_endpoints(server: Server) -> list[tuple[int, list[Any]]]:
    """Return every endpoint that takes a file, with a call that waits for one in place of None.

    The page's private endpoints are among them: they are not listed, but anyone may call them.
    """
    config = httpx.get(f"{server.url}/config").json()
    kinds = {component["id"]: component["type"] for component in config["components"]}
    taking = {"file", "image"}
    return [
        (dependency["id"], [kinds[i] for i in dependency["inputs"]])
        for dependency in config["dependencies"]
        if dependency["backend_fn"] and taking & {kinds[i] for i in dependency["inputs"]}
    ]


def call(server: Server, index: int, data: list[Any]) -> dict[str, Any]:
    """Call an endpoint as the page does, and return the last message about it."""
    session = secrets.token_hex(6)
    body = {"data": data, "fn_index": index, "session_hash": session}
    joined = httpx.post(f"{server.url}/gradio_api/queue/join", json=body)
    if joined.status_code != 200:
        return {"success": False, "output": joined.text}
    params = {"session_hash": session}
    with httpx.stream("GET", f"{server.url}/gradio_api/queue/data", params=params) as lines:
        for line in lines.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line else {}
            if message.get("msg") == "process_completed":
                found: dict[str, Any] = message
                return found
    raise AssertionError("the call was never completed")


def payload(path: str, kinds: list[str], index: int, server: Server) -> list[Any]:
    """Return arguments that name the path wherever a file is expected."""
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    multiple = multiple_files(server)
    return [
        ([file] if (index, n) in multiple else file) if kind in ("file", "image") else None
        for n, kind in enumerate(kinds)
    ]


def multiple_files(server: Server) -> set[tuple[int, int]]:
    config = httpx.get(f"{server.url}/config").json()
    many = {c["id"] for c in config["components"] if c["props"].get("file_count") == "multiple"}
    return {
        (d["id"], n) for d in config["dependencies"] for n, i in enumerate(d["inputs"]) if i in many
    }


def test_no_endpoint_takes_a_file_of_the_server_for_an_upload(server: Server, photos: Path) -> None:
    endpoints = file_endpoints(server)
    assert len(endpoints) >= 3  # files, camera, and the API's predict, at least

    for index, kinds in endpoints:
        for path in (str(photos / "apple.jpg"), "/etc/hostname"):
            answer = call(server, index, payload(path, kinds, index, server))
            assert answer["success"] is False, (index, path, answer)
            text = json.dumps(answer)
            assert "Apple" not in text
            assert "probabilities" not in text


def test_an_upload_is_taken_by_each_of_them(server: Server, photos: Path) -> None:
    """So the test above is refused for the path, and not for the form of its call."""
    with (photos / "apple.jpg").open("rb") as file:
        uploaded = httpx.post(f"{server.url}/gradio_api/upload", files={"files": file}).json()[0]

    for index, kinds in file_endpoints(server):
        answer = call(server, index, payload(uploaded, kinds, index, server))
        assert answer["success"] is True, (index, answer)
        assert "apple" in json.dumps(answer).lower()


@pytest.mark.parametrize("meta", [{"_type": "gradio.FileData"}, {}])
def test_no_address_that_a_client_names_is_fetched(server: Server, meta: dict[str, str]) -> None:
    """Else a stranger could reach what only this machine can (server-side request forgery)."""
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{listener.server_port}/secret.png"
        for index, kinds in file_endpoints(server):
            many = multiple_files(server)
            for file in (
                {"path": address, "meta": meta},
                {"path": "x.png", "url": address, "meta": meta},
                {"path": None, "url": address, "meta": meta},
            ):
                data = [
                    ([file] if (index, n) in many else file) if kind in ("file", "image") else None
                    for n, kind in enumerate(kinds)
                ]
                assert call(server, index, data)["success"] is False
        httpx.get(f"{server.url}/gradio_api/proxy={address}")
        httpx.get(f"{server.url}/gradio_api/file={address}")
        listener.shutdown()

    assert asked == []


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=https://evil.example/x",
        "gradio_api/file=//evil.example",
        "gradio_api/proxy=https://evil.example/x",
        "login/huggingface?_target_url=https://evil.example",
        "login/callback?_target_url=https://evil.example",
        "logout?_target_url=https://evil.example",
        "sign-in?next=https://evil.example",
    ],
)
def test_no_address_leads_to_another_site(server: Server, path: str) -> None:
    location = httpx.get(f"{server.url}/{path}").headers.get("location", "/")

    assert location.startswith((server.url, "/"))
    assert not location.startswith("//")


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file=../../../../etc/passwd",
        "gradio_api/file=%2e%2e/%2e%2e/etc/passwd",
        "gradio_api/file=C:/Windows/win.ini",
        "static/..%2f..%2f..%2f..%2fetc/passwd",
        "assets/..%2f..%2f..%2f..%2fetc/passwd",
        "svelte/..%2f..%2fetc/passwd",
        "gradio_api/custom_component/x/..%2f..%2f..%2fetc/passwd/style.css",
    ],
)
def test_no_path_leads_out_of_what_is_served(server: Server, path: str) -> None:
    response = httpx.get(f"{server.url}/{path}")

    assert response.status_code in (400, 403, 404)
    assert "root:" not in response.text


@pytest.mark.parametrize("name", ["page.html", "picture.svg", "page.xhtml", "script.js"])
def test_what_was_uploaded_does_not_run_as_a_page(server: Server, name: str) -> None:
    content = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    uploaded = httpx.post(f"{server.url}/gradio_api/upload", files={"files": (name, content)})
    response = httpx.get(f"{server.url}/gradio_api/file={uploaded.json()[0]}")

    assert response.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "attachment" in response.headers.get("content-disposition", "")


def test_other_sites_get_no_credentials_of_this_one(server: Server) -> None:
    headers = {"origin": "http://evil.example"}
    for path in ("/", "/config", "/api/status", "/gradio_api/info"):
        response = httpx.get(f"{server.url}{path}", headers=headers)
        assert "access-control-allow-credentials" not in response.headers, path


@pytest.mark.parametrize("path", ["models/active.json", "models/versions/v0001/model.onnx"])
def test_state_is_not_served_as_a_file(server: Server, path: str) -> None:
    response = httpx.get(f"{server.url}/gradio_api/file={server.state_dir / path}")

    assert response.status_code in (403, 404)


def test_upload_beyond_the_limit_is_refused(server: Server) -> None:
    files = {"files": ("big.jpg", b"x" * 1_000_001)}

    assert httpx.post(f"{server.url}/gradio_api/upload", files=files).status_code == 413


@pytest.mark.parametrize("ending", ["the connection ends", "the form is cut off", "another field"])
def test_what_does_not_become_an_upload_leaves_no_file(server: Server, ending: str) -> None:
    field = "files" if ending != "another field" else "pictures"
    body = (
        f'--B\r\nContent-Disposition: form-data; name="{field}"; filename="a.png"\r\n'
        "Content-Type: image/png\r\n\r\n"
    ).encode() + bytes(200_000)
    if ending == "another field":
        body += b"\r\n--B--\r\n"
    length = len(body) + (50_000 if ending == "the connection ends" else 0)
    address = httpx.URL(server.url)
    folder = server.state_dir / "gradio"

    def files() -> list[Path]:
        return [path for path in folder.iterdir() if path.is_file()]

    with socket.create_connection((address.host, address.port or 80)) as connection:
        connection.sendall(
            f"POST /gradio_api/upload HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
            "Content-Type: multipart/form-data; boundary=B\r\n"
            f"Content-Length: {length}\r\n\r\n".encode()
            + body
        )
        if ending == "the connection ends":
            wait_until(files)
        else:
            assert b"HTTP/1.1" in connection.recv(1000)
    wait_until(lambda: not files())


def test_monitoring_is_closed_and_analytics_are_off(server: Server) -> None:
    assert "monitoring" not in httpx.get(f"{server.url}/monitoring").text.lower() or (
        httpx.get(f"{server.url}/monitoring").status_code >= 400
    )
    assert httpx.get(f"{server.url}/config").json()["analytics_enabled"] is False
