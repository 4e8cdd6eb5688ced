"""The page, which is put together while the REST routes answer already.

Importing Gradio takes most of the time that a start takes. Whoever asks for the page meanwhile
waits for it, as they would have waited for the server. Where it cannot be built, on a full disk for
one, it is tried again until it can.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import chain, repeat
from typing import Final

from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

_log = logging.getLogger(__name__)

FIRST_PAUSES_S: Final = (2.0, 10.0)  # before it is built again
PAUSE_S: Final = 60.0


class LatePage:
    """An ASGI app that becomes another one once that is built.

    Args:
        build: returns the other one; called in a thread. Setting its ``state.stop_event`` ends its
            streams.
    """

    def __init__(self, build: Callable[[], FastAPI]) -> None:
        self._build = build
        self._app: FastAPI | None = None
        self._settled = asyncio.Event()
        self._closing = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Build the page and keep it running within the block."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._closing.set()
            await task

    def end_streams(self) -> None:
        """End what open pages keep open, so that the server need not wait for them to be closed."""
        if self._app is not None:
            self._app.state.stop_event.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the page, as soon as it is there."""
        await self._settled.wait()
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            text = (
                "The page could not be built; the log says why, and it is tried again. The REST "
                "routes answer: /docs."
            )
            await PlainTextResponse(text, 503)(scope, receive, send)

    async def _run(self) -> None:
        for pause_s in chain(FIRST_PAUSES_S, repeat(PAUSE_S)):
            try:
                await self._build_and_serve()
            except Exception:
                # The routes go on answering; a server that ends because of its page helps nobody.
                _log.exception("the page could not be built; the next try is in %.0f s", pause_s)
                self._app = None
            finally:
                self._settled.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause_s)
            if self._closing.is_set():
                return

    async def _build_and_serve(self) -> None:
        app = await asyncio.to_thread(self._build)
        # What lives as long as the process need not be looked through again and again: with
        # Gradio in memory, a full collection holds everything up for 0.2 s.
        gc.collect()
        gc.freeze()
        async with app.router.lifespan_context(app):
            self._app = app
            self._settled.set()
            await self._closing.wait()
