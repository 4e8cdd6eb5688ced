"""Pictures that are named: which addresses are followed, and what is fetched from them."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from app.errors import BadRequest, PayloadTooLarge
from app.links import Links, PublicHosts, is_public
from app.settings import Settings

ADDRESSES = {
    "photos.example": ["93.184.215.14"],
    "other.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "inside.example": ["10.0.0.7"],
    "both.example": ["93.184.215.14", "127.0.0.1"],
    "nowhere.example": [],
}


async def find(host: str, port: int) -> list[str]:
    return ADDRESSES[host]


async def body(content: bytes) -> AsyncIterator[bytes]:
    yield content  # as it comes from a network: in pieces, not read before


def links(tmp_path: Path, answer: Callable[[httpx.Request], httpx.Response]) -> Links:
    inner = httpx.MockTransport(answer)
    transport = PublicHosts(httpx.create_ssl_context(), find, inner)
    return Links(Settings(max_file_bytes=1000), tmp_path, transport)


def read(links: Links, image: str) -> bytes:
    return asyncio.run(links.read(image)).content


def test_connects_to_the_number_that_was_checked_under_the_name(tmp_path: Path) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=body(b"a photo"))

    assert read(links(tmp_path, answer), "https://photos.example/a.jpg?b=1") == b"a photo"
    (request,) = seen
    assert str(request.url) == "https://93.184.215.14/a.jpg?b=1"
    assert request.headers["Host"] == "photos.example"
    assert request.extensions["sni_hostname"] == "photos.example"
    assert request.headers["Accept-Encoding"] == "identity"


def test_each_step_may_take_as_long_as_is_said_of_all(tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []

    def silent(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        raise httpx.ReadTimeout("", request=request)

    with pytest.raises(BadRequest, match=r"cannot be fetched: no answer within 10 s\."):
        read(links(tmp_path, silent), "https://photos.example/a.jpg")
    assert seen == [{"connect": 10.0, "read": 10.0, "write": 10.0, "pool": 10.0}]


def test_a_redirect_is_followed_to_public_hosts_only(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        places = {"/a": "https://other.example/b", "/evil": "http://inside.example/secret"}
        if request.url.path in places:
            return httpx.Response(302, headers={"Location": places[request.url.path]})
        assert str(request.url) == "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/b"
        return httpx.Response(200, content=body(b"b"))

    assert read(links(tmp_path, answer), "https://photos.example/a") == b"b"
    with pytest.raises(BadRequest, match=r"'inside\.example' is no public host"):
        read(links(tmp_path, answer), "https://photos.example/evil")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://inside.example/", "no public host"),
        ("http://both.example/", "no public host"),
        ("http://nowhere.example/", "no public host"),
        ("http://photos.example:6379/", "port 6379; accepted: 80 and 443"),
        ("http://photos.example/missing", "answered with status 404"),
        ("http://photos.example/loop", "cannot be fetched"),
        ("http://", "no public host"),
        ("ftp://photos.example/a.jpg", "accepted: the https:// address"),
        ("photo.jpg", "accepted: the https:// address"),
        ("data:image/png,abc", "accepted: the https:// address"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, address: str, words: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/loop":
            return httpx.Response(302, headers={"Location": "http://photos.example/loop"})
        return httpx.Response(404)

    with pytest.raises(BadRequest, match=words):
        read(links(tmp_path, answer), address)


def test_no_more_is_read_than_a_picture_may_have(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body(b"x" * 1001))

    with pytest.raises(PayloadTooLarge, match="the limit is 1,000"):
        read(links(tmp_path, answer), "https://photos.example/a.jpg")
    text = "data:image/png;base64," + base64.b64encode(b"x" * 1010).decode()
    with pytest.raises(PayloadTooLarge, match="the limit is 1,000"):
        read(links(tmp_path, answer), text)


def test_an_upload_is_read_from_where_uploads_are_and_nothing_beside(tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "a b.jpg").write_bytes(b"mine")
    (tmp_path / "secret").write_bytes(b"not mine")
    here = links(uploads, lambda request: httpx.Response(404))
    start = "http://photos.example/gradio_api/file="

    assert read(here, f"{start}{uploads}/a%20b.jpg") == b"mine"
    for path in (f"{uploads}/../secret", f"{uploads}/%2e%2e/secret", f"{tmp_path}/secret"):
        with pytest.raises(BadRequest, match="status 404"):
            read(here, start + path)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "100.64.0.1", "169.254.169.254", "192.168.0.1",
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1",
        "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    ],
)  # fmt: skip
def test_addresses_of_this_machine_and_its_neighbours_are_not_public(address: str) -> None:
    assert not is_public(address)


def test_addresses_of_the_internet_are_public() -> None:
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")
