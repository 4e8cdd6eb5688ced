"""What browsers are told about every answer: what may run on it, and who may show it."""

from typing import Final

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio writes its configuration as a script into the page, makes functions of text, and shows
# pictures and sound as data and blob addresses. Nothing is loaded from elsewhere.
_PAGE: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors {ancestors}"
)
# Whatever somebody uploaded is shown as a picture, and never run as a page of ours.
_UPLOADED: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
_FILES: Final = "/gradio_api/file"
_OF_HUB: Final = "'self' https://huggingface.co https://*.hf.space"


class SecurityHeaders:
    """Adds these headers to every answer that does not have them.

    Args:
        app: answers.
        on_space: whether pages of the Hugging Face Hub may show the page.
    """

    def __init__(self, app: ASGIApp, *, on_space: bool) -> None:
        self._app = app
        self._page = _PAGE.format(ancestors=_OF_HUB if on_space else "'self'")
        self._common = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "strict-origin-when-cross-origin",
            "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=()",
        }
        if not on_space:
            self._common["X-Frame-Options"] = "SAMEORIGIN"  # cannot name the Hub's pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = _UPLOADED if _FILES in scope["path"] else self._page

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                for name, value in self._common.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, send_with_headers)


def allow_other_sites(app: FastAPI) -> None:
    """Let pages of other sites call what anybody may call, without the operator's cookie."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["Retry-After", "X-Request-ID"],
        allow_credentials=False,
    )
