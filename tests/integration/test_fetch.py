"""Downloads from a real server on loopback: whole, resumed, broken and refused."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from data.errors import DownloadFailed
from data.fetch import download

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class _Server(ThreadingHTTPServer):
    """Serves CONTENT; can break off, answer with a status, or ignore ranges."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.break_after: list[int] = []  # bytes of the first answers, one each
        self.statuses: list[int] = []
        self.accepts_ranges = True
        self.etag = '"one"'
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/archive.zip"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if self.server.statuses:
            self.send_error(self.server.statuses.pop(0))
            return
        same = self.headers.get("If-Range") == self.server.etag
        start = int(asked[6:-1]) if asked and same and self.server.accepts_ranges else 0
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("ETag", self.server.etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.break_after:
            body = body[: self.server.break_after.pop(0)]
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def no_sleep(seconds: float) -> None:
    pass


def test_download_writes_the_whole_file_and_tells_its_progress(
    server: _Server, tmp_path: Path
) -> None:
    seen: list[tuple[int, int | None]] = []

    path = download(
        server.url, tmp_path / "d" / "a.zip", on_progress=lambda n, total: seen.append((n, total))
    )

    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in path.parent.iterdir()] == ["a.zip"]


def test_a_broken_download_goes_on_where_it_stopped(server: _Server, tmp_path: Path) -> None:
    server.break_after = [600_000, 100_000]

    path = download(server.url, tmp_path / "a.zip", sleep=no_sleep)

    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=600000-", "bytes=700000-"]


def test_a_server_without_ranges_is_asked_for_the_whole_again(
    server: _Server, tmp_path: Path
) -> None:
    server.accepts_ranges = False
    server.break_after = [600_000]

    assert download(server.url, tmp_path / "a.zip", sleep=no_sleep).read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_not_glued_together(
    server: _Server, tmp_path: Path
) -> None:
    (tmp_path / "a.zip.part").write_bytes(b"the beginning of another file")
    (tmp_path / "a.zip.part.etag").write_text('"zero"')

    assert download(server.url, tmp_path / "a.zip", sleep=no_sleep).read_bytes() == CONTENT


def test_a_passing_fault_is_tried_again_with_longer_waits(server: _Server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    waits: list[float] = []

    path = download(server.url, tmp_path / "a.zip", sleep=waits.append)

    assert path.read_bytes() == CONTENT
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize(("statuses", "requests"), [([404], 1), ([503] * 5, 5)])
def test_a_lasting_fault_says_what_to_do_and_keeps_what_came(
    server: _Server, tmp_path: Path, statuses: list[int], requests: int
) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:1000])
    server.statuses = list(statuses)

    with pytest.raises(DownloadFailed, match="1,000 bytes are kept; run the same command again"):
        download(server.url, tmp_path / "a.zip", sleep=no_sleep)

    assert len(server.ranges) == requests
    assert not (tmp_path / "a.zip").exists()


def test_an_archive_that_is_there_is_not_fetched_again(server: _Server, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"here")

    assert download(server.url, tmp_path / "a.zip").read_bytes() == b"here"
    assert server.ranges == []


@pytest.mark.parametrize("url", ["http://host:abc/x.zip", "example.org/x.zip", "ftp://host/x.zip"])
def test_an_address_that_is_none_is_said_at_once(tmp_path: Path, url: str) -> None:
    waits: list[float] = []

    with pytest.raises(DownloadFailed, match="begins with https://"):
        download(url, tmp_path / "a.zip", sleep=waits.append)

    assert waits == []
