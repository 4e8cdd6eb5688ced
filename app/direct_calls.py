"""Calls of ``predict`` over Gradio's API, answered before Gradio looks at them.

A call there is a POST that starts an event and a GET that reads its stream. Gradio takes some 20 ms
of Python for both, twice what the network takes. Only calls that are put together as Gradio's
clients do it, of files that were uploaded here, are answered; all others are Gradio's to answer or
refuse. ``tests/bench/gradio_api.py`` shows the difference.
"""

import asyncio
import html
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import describe_error
from app.handling import path_of, to_json
from app.results import new_request_id

CALL: Final = "/gradio_api/call/predict"
_MAX_BYTES: Final = 16_000
# Answers that nobody has fetched yet; the oldest are forgotten.
_MAX_WAITING: Final = 1000


class Call(NamedTuple):
    """The arguments of one call."""

    path: Path
    top_k: int | None
    explain: bool


Answer = Callable[[Call, str], Awaitable[dict[str, Any]]]


class DirectCalls:
    """Answers plain calls of ``predict``, and passes everything else on.

    Args:
        app: the page.
        uploads: folder that Gradio keeps uploads in.
        answer: answers a call, given the id of its request.
    """

    def __init__(self, app: ASGIApp, uploads: Path, answer: Answer) -> None:
        self._app = app
        self._uploads = uploads.resolve()
        self._answer = answer
        self._waiting: OrderedDict[str, asyncio.Task[bytes]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        path = path_of(scope) if scope["type"] == "http" else ""
        if path == CALL and scope["method"] == "POST":
            await self._start(scope, receive, send)
            return
        task = self._waiting.pop(path.removeprefix(CALL + "/"), None) if path else None
        if task is None:
            await self._app(scope, receive, send)
            return
        headers = {"Cache-Control": "no-store"}
        response = Response(await task, headers=headers, media_type="text/event-stream")
        await response(scope, receive, send)

    async def _start(self, scope: Scope, receive: Receive, send: Send) -> None:
        messages: list[Message] = []
        size = 0
        while size <= _MAX_BYTES and (not messages or messages[-1].get("more_body", False)):
            messages.append(await receive())
            size += len(messages[-1].get("body", b""))
        call = self._plain(b"".join(message.get("body", b"") for message in messages))
        if call is None:
            messages.reverse()

            async def replay() -> Message:
                return messages.pop() if messages else await receive()

            await self._app(scope, replay, send)
            return
        event_id = secrets.token_hex(16)
        request_id = new_request_id(Request(scope).headers.get("x-request-id"))
        self._waiting[event_id] = asyncio.create_task(self._stream(call, request_id))
        if len(self._waiting) > _MAX_WAITING:
            self._waiting.popitem(last=False)
        await to_json({"event_id": event_id})(scope, receive, send)

    async def _stream(self, call: Call, request_id: str) -> bytes:
        """Return what the stream of a call says."""
        try:
            answer = await self._answer(call, request_id)
        except Exception as error:
            _, description = describe_error(error, request_id)
            words = html.escape(description["message"], quote=False)  # as Gradio's clients get it
            return b"event: error\ndata: " + orjson.dumps({"error": words}) + b"\n\n"
        return b"event: complete\ndata: " + orjson.dumps([answer]) + b"\n\n"

    def _plain(self, body: bytes) -> Call | None:
        """Return the call that a body makes; None where it is not one of the plain kind."""
        try:
            fields = orjson.loads(body)
            file, top_k, explain = (*fields["data"], None, None)[:3]
            path = Path(file["path"]).resolve()
            known = (
                fields.keys() <= {"data", "session_hash"}
                and file["meta"] == {"_type": "gradio.FileData"}
                and len(fields["data"]) <= 3
                and (top_k is None or type(top_k) is int)
                and (explain is None or type(explain) is bool)
                and path.is_relative_to(self._uploads)
                and path.is_file()
            )
        except (ValueError, TypeError, LookupError, AttributeError, OSError):
            return None
        return Call(path, top_k, bool(explain)) if known else None
