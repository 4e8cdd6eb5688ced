"""How every REST request is handled: named, counted, logged, and its errors turned into JSON."""

import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from app import logs
from app.errors import BadRequest, http_error
from app.metrics import Metrics
from app.results import new_request_id

_log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]
Guard: TypeAlias = Callable[[Request], None]


def handled(path: str, handle: Handler, metrics: Metrics, require: Guard | None = None) -> Handler:
    """Return a handler that answers whatever is raised, and names, counts and logs each request.

    Args:
        path: template of the route, under which it is counted.
        handle: answers a request.
        metrics: counts.
        require: raises an error for who may not send the request; None lets everybody.
    """

    async def answer(request: Request) -> Response:
        begun_at = time.perf_counter()
        request_id = new_request_id(request.headers.get("x-request-id"))
        request.state.request_id = request_id
        logs.request_id.set(request_id)
        try:
            if require:
                require(request)
            response = await handle(request)
        except Exception as error:
            if isinstance(error, ClientDisconnect):  # nobody hears it, but it is no error of ours
                error = BadRequest("The connection ended before the request did. Send it again.")
            response = error_response(error, request_id)
        response.headers["X-Request-ID"] = request_id
        metrics.responded(request.method, path, response.status_code)
        _log.log(
            _level(response.status_code),
            "%s %s %d %.1f ms",
            request.method,
            path,
            response.status_code,
            (time.perf_counter() - begun_at) * 1000,
        )
        return response

    return answer


def route_class(metrics: Metrics, require: Guard | None = None) -> type[APIRoute]:
    """Return the class of routes whose requests are handled that way."""

    class Route(APIRoute):
        def get_route_handler(self) -> Handler:
            return handled(self.path, super().get_route_handler(), metrics, require)

    return Route


async def answer_unmatched(request: Request, error: Exception) -> Response:
    """Answer a request that no route takes, such as one whose path holds a line break.

    A template with a name in it may match such a path, and yet not take the method: that is a 405.
    """
    request_id = new_request_id(request.headers.get("x-request-id"))
    status, headers = 404, {"X-Request-ID": request_id}
    if isinstance(error, HTTPException):
        status, headers = error.status_code, {**(error.headers or {}), **headers}
    kind = "UnknownRoute" if status == 404 else "MethodNotAllowed"
    words = f"There is nothing for {request.method} at {request.scope['path'][:200]!r}. See /docs."
    described = {"message": words, "type": kind, "request_id": request_id}
    return to_json({"error": described}, status, headers)


class DirectRoute:
    """Answers one busy route before the framework, or any middleware, looks at the request.

    Their layers take longer than reading the form does, and under a flood most of what it costs to
    refuse a request; ``tests/bench/throughput.py`` and ``overload.py`` show the difference.

    Args:
        app: answers all other requests.
        method, path: of the route.
        handle: answers, whatever happens.
        headers: put into each of its answers.
    """

    def __init__(
        self, app: ASGIApp, *, method: str, path: str, handle: Handler, headers: Mapping[str, str]
    ) -> None:
        self._app = app
        self._method = method
        self._path = path
        self._handle = handle
        self._headers = [(n.lower().encode(), value.encode()) for n, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        mine = (
            scope["type"] == "http"
            and path_of(scope) == self._path
            and scope["method"] == self._method
        )
        if mine:
            response = await self._handle(Request(scope, receive))
            start = {"type": "http.response.start", "status": response.status_code}
            await send({**start, "headers": [*response.raw_headers, *self._headers]})
            await send({"type": "http.response.body", "body": response.body})
        else:
            await self._app(scope, receive, send)


def path_of(scope: Scope) -> str:
    """Return the path of a request without the one under which a proxy shows the server."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def to_json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return the content as a JSON answer."""
    return Response(orjson.dumps(content), status, headers, "application/json")


def error_response(error: Exception, request_id: str) -> Response:
    """Return the JSON answer to any error."""
    status, body, headers = http_error(error, request_id)
    return to_json(body, status, {**headers, "X-Request-ID": request_id})


def _level(status: int) -> int:
    """Return how loudly an answer is logged: what went well is heard only by who asks.

    Nor shall a flood that is refused fill the log; Status and ``/metrics`` count it.
    """
    if status < 400 or status == 429:
        return logging.DEBUG
    return logging.INFO if status < 500 else logging.ERROR
