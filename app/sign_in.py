"""Signing in and out on the page: a form with the token in, a cookie out."""

from html import escape
from typing import Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from app.access import SIGNED_IN_S, Access, AccessMode, is_from_another_site
from app.errors import (
    FromAnotherSite,
    OperatorOff,
    PayloadTooLarge,
    ServingError,
    describe_error,
)
from app.handling import route_class
from app.metrics import Metrics
from app.settings import Settings

SIGN_IN_PATH: Final = "/sign-in"
SIGN_OUT_PATH: Final = "/sign-out"
_MAX_FORM_BYTES: Final = 8_000
# The addresses are relative, so that they hold behind a prefix.
FORM: Final = """
<form class="fc-sign-in" method="post" action="sign-in">
  <label>Operator's token
    <input type="password" name="token" required autocomplete="current-password"></label>
  <button type="submit">Sign in</button>
</form>
"""
# The Hub's own page cannot be shown within another one.
HUB_LINK: Final = """
<p><a class="fc-hub-link" href="sign-in/huggingface" target="_blank">Sign in with Hugging Face</a>
(the owner of this Space)</p>
"""
SIGN_OUT_FORM: Final = """
<form class="fc-sign-out" method="post" action="sign-out">
  <span>Signed in as the operator</span> <button type="submit">Sign out</button>
</form>
"""
_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><base href="{root}/">
<meta name="viewport" content="width=device-width">
<title>Sign in: Fruit classifier</title>
<style>body {{ font: 1rem system-ui, sans-serif; max-width: 24rem; margin: 15vh auto; padding: 0
1rem }} input, button {{ font: inherit; padding: .5rem; margin: .3rem 0; width: 100%;
box-sizing: border-box }}</style>
<h1>Fruit classifier</h1><p role="alert">{message}</p>{forms}
<p><a href="./">Back to the page</a></p></html>
"""


def sign_in_forms(settings: Settings) -> str:
    """Return what a person signs in with, as HTML; empty where nobody can."""
    link = HUB_LINK if settings.has_hub_sign_in else ""
    return link + (FORM if settings.admin_token else "")


def build_sign_in(access: Access, metrics: Metrics, settings: Settings) -> APIRouter:
    """Return the two routes that the forms of the page go to.

    Args:
        access: knows the token, and makes the cookie.
        metrics: counts the requests.
        settings: how the operator can sign in.
    """
    router = APIRouter(route_class=route_class(metrics), include_in_schema=False)
    off = (
        None
        if access.mode == AccessMode.BY_SIGN_IN
        else OperatorOff(at_machine=access.mode == AccessMode.BY_MACHINE)
    )
    forms = sign_in_forms(settings)

    @router.get(SIGN_IN_PATH)
    async def show(request: Request) -> Response:
        """Show the forms by themselves."""
        if off:
            return refused(request, off)
        words = "Collecting photos, retraining and changing the model are the operator's."
        return sign_in_page(request, words, forms)

    def refused(request: Request, error: ServingError) -> Response:
        status, description = describe_error(error, request.state.request_id)
        return sign_in_page(request, description["message"], forms, status)

    @router.post(SIGN_IN_PATH)
    async def sign_in(request: Request) -> Response:
        """Give whoever knows the token a cookie, and show the page."""
        if is_from_another_site(request):
            raise FromAnotherSite
        if off:
            return refused(request, off)
        token = await _read_token(request)
        try:
            access.check_token(token, request)
        except ServingError as error:
            return refused(request, error)
        response = back_to_page(request)
        response.set_cookie(
            **access.cookie_rules(request), value=access.new_cookie(), max_age=SIGNED_IN_S
        )
        return response

    @router.post(SIGN_OUT_PATH)
    async def sign_out(request: Request) -> Response:
        """Take the cookie away, and show the page."""
        if is_from_another_site(request):
            raise FromAnotherSite
        response = back_to_page(request)
        response.delete_cookie(**access.cookie_rules(request))
        return response

    return router


def back_to_page(request: Request) -> RedirectResponse:
    """Return an answer that leads to the page."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/", 303)


async def _read_token(request: Request) -> str:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _MAX_FORM_BYTES:
            raise PayloadTooLarge("The form", _MAX_FORM_BYTES, of_images=False)
    return parse_qs(content.decode("utf-8", "replace")).get("token", [""])[0].strip()


def sign_in_page(request: Request, message: str, forms: str, status: int = 200) -> HTMLResponse:
    """Return a page with a sentence and what ``sign_in_forms`` gives."""
    root = escape(request.scope.get("root_path", ""))
    return HTMLResponse(_PAGE.format(root=root, message=escape(message), forms=forms), status)
