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


_FOR_OTHER_SITES: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After, X-Request-ID",
}


def answer_headers(on_space: bool) -> dict[str, str]:
    """Return the headers of any answer of ours that is no uploaded file.

    Args:
        on_space: whether pages of the Hugging Face Hub may show the page.
    """
    headers = {
        "Content-Security-Policy": _PAGE.format(ancestors=_OF_HUB if on_space else "'self'"),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=()",
    }
    if not on_space:
        headers["X-Frame-Options"] = "SAMEORIGIN"  # cannot name the Hub's pages
    return headers


def open_headers(on_space: bool) -> dict[str, str]:
    """Return the headers of an answer that pages of other sites may read."""
    return answer_headers(on_space) | _FOR_OTHER_SITES


class SecurityHeaders:
    """Puts the security headers into every answer.

    Args:
        app: answers.
        on_space: whether pages of the Hugging Face Hub may show the page.
    """

    def __init__(self, app: ASGIApp, *, on_space: bool) -> None:
        self._app = app
        self._ours = answer_headers(on_space)
        self._uploaded = self._ours | {"Content-Security-Policy": _UPLOADED}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = self._uploaded if _FILES in scope["path"] else self._ours

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in wanted.items():
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
        expose_headers=_FOR_OTHER_SITES["Access-Control-Expose-Headers"].split(", "),
        allow_credentials=False,
    )
