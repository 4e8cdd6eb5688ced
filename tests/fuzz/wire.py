"""Requests as bytes on the wire, because no client library sends what is meant to be wrong."""

import http.client
import json
import secrets
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 20.0
BOUNDARY = "----boundary"


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        kind: under which it is counted.
        what: what is hostile about it, in a few words.
        method, path, headers, body: of the request; ``content-length`` is added where ``headers``
            has neither it nor ``transfer-encoding``.
        raw: the whole request instead, byte for byte.
        call: of the page: its arguments, sent through the queue, and the files to upload first.
    """

    kind: str
    what: str
    method: str = "POST"
    path: str = "/"
    headers: tuple[tuple[str, bytes], ...] = ()
    body: bytes = b""
    raw: bytes | None = None
    call: "Call | None" = None


@dataclass(frozen=True)
class Call:
    """A call of one of the page's functions.

    Attributes:
        index: of the function.
        api_name: its name, where it is called by that; empty to join the queue.
        data: its arguments; a ``File`` is uploaded first.
    """

    index: int
    api_name: str
    data: tuple[Any, ...]


@dataclass(frozen=True)
class File:
    """A file among the arguments of a call."""

    name: str
    content: bytes
    several: bool = False


@dataclass
class Answer:
    """What came back.

    Attributes:
        status: of the answer; 0 where the connection ended without one.
        body: of the answer.
        seconds: until its end.
        events: of a call of the page: each message of its stream.
    """

    status: int
    body: bytes
    seconds: float
    events: list[dict[str, Any]] = field(default_factory=list)


class Wire:
    """Sends cases to a server.

    Args:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 0)
        self.host = f"{parts.hostname}:{parts.port}".encode()

    def send(self, case: Case) -> Answer:
        """Send the case, and return what came back."""
        begun = time.perf_counter()
        if case.call is not None:
            answer = self._call(case.call)
        elif case.raw is not None:
            # The server waits for the rest of a request that is cut; this side gives up first.
            answer = self._exchange(case.raw, timeout_s=0.5)
            if answer.status == 504:
                answer = Answer(0, b"", 0.0)
        else:
            answer = self.request(case.method, case.path, case.headers, case.body)
        answer.seconds = time.perf_counter() - begun
        return answer

    def request(
        self,
        method: str,
        path: str,
        headers: tuple[tuple[str, bytes], ...] = (),
        body: bytes = b"",
    ) -> Answer:
        """Send one request, and return what came back."""
        given = {name.lower() for name, _ in headers}
        lines = [f"{method} {path} HTTP/1.1".encode("latin-1", "replace")]
        if "host" not in given:
            lines.append(b"host: " + self.host)
        lines += [name.encode() + b": " + value for name, value in headers]
        if not given & {"content-length", "transfer-encoding"}:
            lines.append(b"content-length: %d" % len(body))
        lines.append(b"connection: close")
        return self._exchange(b"\r\n".join(lines) + b"\r\n\r\n" + body, method)

    def json(self, path: str, body: Any = None) -> Any:
        """Return the JSON at that path; a body is posted."""
        if body is None:
            return json.loads(self.request("GET", path).body)
        content = json.dumps(body).encode()
        headers = (("content-type", b"application/json"),)
        return json.loads(self.request("POST", path, headers, content).body)

    def _exchange(
        self, content: bytes, method: str = "POST", timeout_s: float = TIMEOUT_S
    ) -> Answer:
        try:
            with socket.create_connection(self._address, timeout_s) as connection:
                with suppress(OSError):  # refused before all of it was sent; an answer may be there
                    connection.sendall(content)
                with http.client.HTTPResponse(connection, method=method) as response:
                    response.begin()
                    return Answer(response.status, response.read(), 0.0)
        except TimeoutError:
            return Answer(504, b"no answer in time", 0.0)
        except (OSError, http.client.HTTPException):
            return Answer(0, b"", 0.0)

    def upload(self, files: list[File]) -> Answer:
        """Upload files as the page does, and return the answer with their paths."""
        return self.request(
            "POST",
            "/gradio_api/upload",
            (("content-type", b"multipart/form-data; boundary=" + BOUNDARY.encode()),),
            form([("files", file.name, file.content) for file in files]),
        )

    def _call(self, call: Call) -> Answer:
        data = []
        for argument in call.data:
            if not isinstance(argument, File):
                data.append(argument)
                continue
            uploaded = self.upload([argument])
            if uploaded.status != 200:
                return uploaded
            named = [
                {"path": path, "orig_name": argument.name, "meta": {"_type": "gradio.FileData"}}
                for path in json.loads(uploaded.body)
            ]
            data.append(named if argument.several else named[0])
        headers = (("content-type", b"application/json"),)
        body: dict[str, Any] = {"data": data}
        if call.api_name:
            path = f"/gradio_api/call/{call.api_name}"
        else:
            path = "/gradio_api/queue/join"
            body |= {"fn_index": call.index, "session_hash": secrets.token_hex(6)}
        joined = self.request("POST", path, headers, json.dumps(body).encode())
        if joined.status != 200:
            return joined
        event = json.loads(joined.body)["event_id"]
        followed = self.request(
            "GET",
            f"{path}/{event}"
            if call.api_name
            else f"/gradio_api/queue/data?session_hash={body['session_hash']}",
        )
        followed.events = events(followed.body)
        return followed


def events(stream: bytes) -> list[dict[str, Any]]:
    """Return the messages of a stream, those of both of Gradio's forms alike."""
    found = []
    kind = ""
    # Not `splitlines`, which also breaks lines at characters that JSON may hold as they are.
    for line in stream.decode("utf-8", "replace").split("\n"):
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            message = json.loads(line.removeprefix("data: "))
            if kind:  # of /call: the kind stands beside the bare outputs
                message = {
                    "msg": "process_completed" if kind in ("complete", "error") else kind,
                    "success": kind == "complete",
                    "output": message if kind == "error" else {"data": message},
                }
            found.append(message)
    return found


def part(name: str, filename: str | None, content: bytes, extra: bytes = b"") -> bytes:
    """Return one part of a form; names stand in it as they are."""
    quoted = name.encode("utf-8", "replace").replace(b'"', b"%22")
    line = b'Content-Disposition: form-data; name="' + quoted + b'"'
    if filename is not None:
        safe = filename.encode("utf-8", "surrogatepass")
        for byte, escaped in ((b'"', b"%22"), (b"\r", b"%0D"), (b"\n", b"%0A")):
            safe = safe.replace(byte, escaped)
        line += b'; filename="' + safe + b'"'
    return line + b"\r\n" + extra + b"\r\n" + content


def form(parts: list[tuple[str, str | None, bytes]], boundary: str = BOUNDARY) -> bytes:
    """Return a form of these parts: name, file name or None, content."""
    mark = boundary.encode()
    return (
        b"".join(b"--" + mark + b"\r\n" + part(*entry) + b"\r\n" for entry in parts)
        + b"--%b--\r\n" % mark
    )
