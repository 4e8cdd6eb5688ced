"""Which page a request sees: the operator's, or everybody's.

The two are Gradio apps of their own, so that what only the operator may do does not exist for
anybody else: neither its buttons nor its endpoints, listed or not. A page that is open while its
reader signs in or out calls the other one; that knows none of its functions, and has the browser
load the page anew.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.access import Access
from app.errors import BadRequest, OperatorOff
from app.handling import to_json
from app.late_page import LatePage
from app.results import new_request_id

# What Gradio's page takes for a lost connection: it says so once, however often its timers call,
# and loads itself anew. See BROKEN_CONNECTION_MSG in client/js/src/constants.ts of Gradio.
_CONNECTION_LOST: Final = "Connection errored out. "


class OtherSignIn(BadRequest):
    """The page that calls was made for another sign-in than the one that it is sent with."""

    def __init__(self) -> None:
        super().__init__("This page is of another sign-in. Reload it.")


class Pages:
    """An ASGI app that passes each request to the page of whoever sends it.

    Args:
        access: tells who that is.
        operators: the operator's page; None where nobody is one.
        everybodys: the page of all others; None where there are none.
    """

    def __init__(
        self, access: Access, *, operators: LatePage | None, everybodys: LatePage | None
    ) -> None:
        self._access = access
        self._operators = operators
        self._everybodys = everybodys

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Build the pages and keep them running within the block."""
        async with AsyncExitStack() as stack:
            for page in (self._operators, self._everybodys):
                if page:
                    await stack.enter_async_context(page.running())
            yield

    def end_streams(self) -> None:
        """End what open pages keep open."""
        for page in (self._operators, self._everybodys):
            if page:
                page.end_streams()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with its sender's page."""
        is_operator = scope["type"] == "http" and self._access.is_operator(HTTPConnection(scope))
        page = self._operators if is_operator else self._everybodys
        if page:
            try:
                await page(scope, receive, send)
            except OtherSignIn as error:
                # The framework has sent a 500 by now, which ``GradioGuard`` holds back.
                content = {"error": _CONNECTION_LOST, "detail": str(error)}
                headers = {"X-Request-ID": new_request_id()}
                await to_json(content, 400, headers)(scope, receive, send)
        elif scope["type"] == "http":
            text = str(OperatorOff(at_machine=True))
            await PlainTextResponse(text, 403)(scope, receive, send)
