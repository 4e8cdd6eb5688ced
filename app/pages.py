"""Which page a request sees: the operator's, or everybody's.

The two are Gradio apps of their own, so that what only the operator may do does not exist for
anybody else: neither its buttons nor its endpoints, listed or not. A page that is open while its
reader signs in or out calls the other one; that knows none of its functions, and says so.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.access import Access
from app.errors import OperatorOff
from app.late_page import LatePage


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
            await page(scope, receive, send)
        elif scope["type"] == "http":
            text = str(OperatorOff(at_machine=True))
            await PlainTextResponse(text, 403)(scope, receive, send)
