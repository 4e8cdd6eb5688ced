"""What comes to the page's own endpoints before Gradio sees it: bounded, and well formed.

Gradio reads a body of any size, and ends with an internal error where it is not put together as it
expects, or where text cannot be sent back. Here such requests get a sentence and a 4xx. And it
keeps files of anybody as long as there is room on the disk; here some is left for everything else.
"""

import logging
import re
from pathlib import Path
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.bodies import Intake, Take, arriving
from app.disk import require_room
from app.errors import (
    BadRequest,
    NotStored,
    Overloaded,
    PayloadTooLarge,
    http_error,
    of_the_disk,
)
from app.handling import path_of, to_json
from app.leftovers import half_uploads_deleted
from app.results import new_request_id

_log = logging.getLogger(__name__)

MAX_BYTES: Final = 2_000_000  # of a call: files go another way, and are named in it
PREFIX: Final = "/gradio_api/"
_UPLOAD: Final = f"{PREFIX}upload"
_TOOLS: Final = f"{PREFIX}mcp"  # bounds its bodies itself
# Of no use to this page: components with a server side, recordings, links into a state, an editor.
_CLOSED: Final = tuple(
    PREFIX + name
    for name in (
        "component_server", "process_recording", "deep_link", "vibe", "undo-vibe", "proxy=",
        "custom_component", "stream", "run-history", "runs", "dev/",
    )
)  # fmt: skip
_SANE_HOST: Final = re.compile(
    r"[A-Za-z0-9._-]{1,255}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?"
)
_HOST_HEADERS: Final = ("host", "x-forwarded-host")
_HINT: Final = "GET /gradio_api/info lists the calls and what each takes."


class GradioGuard:
    """Passes requests on to the page once they are fit, and answers the others.

    Args:
        app: the page.
        disk: a folder on the disk that uploads are kept on.
        min_free_bytes: what an upload must leave of it, or a twentieth of a small disk.
        intake: counts the bytes of bodies; None for one of its own.
        max_bytes: largest body of a call.
    """

    def __init__(
        self,
        app: ASGIApp,
        disk: Path,
        min_free_bytes: int,
        intake: Intake | None = None,
        *,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._app = app
        self._disk = disk
        self._min_free_bytes = min_free_bytes
        self._intake = intake or Intake(64 * max_bytes)
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            with self._intake.request() as take:
                checked = await self._check(Request(scope, receive), take)
                with half_uploads_deleted():
                    await self._app(scope, checked or receive, answer.send)
            if not answer.was_held:
                return
            error: Exception = BadRequest(answer.words() or f"The call cannot be answered. {_HINT}")
        except (BadRequest, PayloadTooLarge, Overloaded, NotStored, ClientDisconnect) as refused:
            error = refused
        except Exception as failure:
            if not (answer.was_held or path_of(scope).startswith(PREFIX)):
                raise
            _log.warning("Gradio could not answer %s: %r", scope["path"], failure)
            error = of_the_disk(failure) or BadRequest(
                f"The call is not put together as it should be. {_HINT}"
            )
        if answer.has_begun:
            await answer.end()
        else:
            await refusal(_told(error), path_of(scope), new_request_id())(scope, receive, send)

    async def _check(self, request: Request, take: Take) -> Receive | None:
        """Return what hands out the body that was read and checked; None where it was not.

        Raises:
            BadRequest: it is not fit for the page, or does not go on arriving.
            Overloaded: other requests hold too many bytes.
            PayloadTooLarge: its body.
            NotStored: it is an upload, and the disk is nearly full.
        """
        for name in _HOST_HEADERS:
            host = request.headers.get(name, "localhost")
            # Each proxy on the way adds one.
            if not all(_SANE_HOST.fullmatch(part.strip()) for part in host.split(",")):
                raise BadRequest(f"The header {name} is {host!r:.60}; it must be a host.")
        path = path_of(request.scope)
        if not path.startswith(PREFIX):
            return None
        if path.startswith(_CLOSED):
            raise BadRequest(f"{path[:100]} is not used by this page. {_HINT}")
        if request.method != "POST" or path.startswith(_TOOLS):
            return None
        if _is_upload(path):
            self._require_room(request)
            return None
        body = b""
        async for chunk in arriving(request):
            body += chunk
            if len(body) > self._max_bytes:
                raise PayloadTooLarge("The call", self._max_bytes, of_images=False)
            take(len(chunk))
        return _handing_out(_well_formed(body), request.receive)

    def _require_room(self, request: Request) -> None:
        length = request.headers.get("content-length", "0")
        size_bytes = int(length) if length.isdecimal() else 0
        require_room(size_bytes, self._disk, self._min_free_bytes)


def refusal(error: Exception, path: str, request_id: str) -> Response:
    """Return the answer to a request for one of Gradio's own endpoints that is refused."""
    status, body, headers = http_error(error, request_id)
    headers = {**headers, "X-Request-ID": request_id}
    words = body["error"]["message"]
    if _is_upload(path):  # the page shows such a body as it is
        return PlainTextResponse(words, status, headers)
    # Where the page and where Gradio's clients look for it.
    return to_json({"error": words, "detail": words}, status, headers)


def _is_upload(path: str) -> bool:
    return path.rstrip("/") == _UPLOAD


class _Answer:
    """Sends the page's answer on, but holds back one that says that the page failed."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._body = b""
        self._has_ended = False
        self.has_begun = False
        self.was_held = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.was_held = message["status"] == 500
            self.has_begun = not self.was_held
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._has_ended = True
        if not self.was_held:
            await self._send(message)
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")

    async def end(self) -> None:
        """End an answer that broke off: its client waits for no more."""
        if not self._has_ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def words(self) -> str:
        """Return what Gradio said of a call that it refused, which it does with a 500."""
        try:
            return str(orjson.loads(self._body)["error"] or "")
        except (orjson.JSONDecodeError, LookupError, TypeError):
            return ""


def _well_formed(body: bytes) -> bytes:
    """Return a JSON body with nothing in it that could not be sent back."""
    if not body.strip():
        return body
    try:
        fields = orjson.loads(body)
        # Written anew: numbers beyond 64 bits are floats now, and no key comes twice.
        content = orjson.dumps(fields)
    except (orjson.JSONDecodeError, TypeError) as error:
        raise BadRequest(f"The body is no JSON that can be read: {error}. {_HINT}") from error
    if not isinstance(fields, dict):
        raise BadRequest(f"The body is {_kind(fields)}; it must be a JSON object. {_HINT}")
    if not isinstance(fields.get("session_hash"), str | None):
        raise BadRequest(f"session_hash is {_kind(fields['session_hash'])}; it must be a text.")
    return content


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a text", bool: "a truth value"}.get(
        type(value), "a number"
    )


def _handing_out(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def hand_out() -> Message:
        return messages.pop() if messages else await receive()

    return hand_out


def _told(error: Exception) -> Exception:
    if isinstance(error, ClientDisconnect):
        return BadRequest("The connection ended before the request did. Send it again.")
    return error
