"""Signing in on a Space as its owner, with the Hugging Face account.

A Space with ``hf_oauth: true`` in its README is given a client of the Hub's OpenID provider.
Whoever signs in and is the Space's owner, or an admin of the organisation that is, gets the same
cookie as somebody who knows the token.
"""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, Final

from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.middleware.sessions import SessionMiddleware

from app.access import SIGNED_IN_S, Access
from app.handling import route_class
from app.metrics import Metrics
from app.settings import Settings
from app.sign_in import back_to_page, sign_in_forms, sign_in_page

_log = logging.getLogger(__name__)

_PATH: Final = "/sign-in/huggingface"
_CALLBACK: Final = f"{_PATH}/callback"
_MINUTES_S: Final = 600  # that signing in may take


def add_hub_sign_in(app: FastAPI, access: Access, settings: Settings, metrics: Metrics) -> None:
    """Add the two routes of the sign-in, and the short session that it needs.

    Args:
        app: the app.
        access: makes the cookie.
        settings: the Space's owner, and the client that the Hub gave it.
        metrics: counts the requests.
    """
    oauth = OAuth()
    hub = oauth.register(
        name="huggingface",
        client_id=settings.oauth_client_id,
        client_secret=settings.oauth_client_secret,
        client_kwargs={"scope": "openid profile", "code_challenge_method": "S256"},
        server_metadata_url=f"{settings.oauth_provider}/.well-known/openid-configuration",
    )
    router = APIRouter(route_class=route_class(metrics), include_in_schema=False)
    forms = sign_in_forms(settings)

    @router.get(_PATH)
    async def begin(request: Request) -> Response:
        """Lead to the Hub's own sign-in."""
        found: Response = await hub.authorize_redirect(
            request, _callback_address(request, settings)
        )
        return found

    @router.get(_CALLBACK)
    async def finish(request: Request) -> Response:
        """Give the owner a cookie; tell anybody else who that would be."""
        try:
            user: Mapping[str, Any] = (await hub.authorize_access_token(request))["userinfo"]
        except OAuthError as error:
            _log.warning("a sign-in with Hugging Face failed: %s", error)
            return sign_in_page(request, "Hugging Face did not confirm it. Try again.", forms, 401)
        finally:
            request.session.clear()
        if not _is_owner(user, settings.space_owner):
            name = user.get("preferred_username", "somebody")
            _log.warning("%s signed in with Hugging Face, and is not the owner", ascii(name))
            words = f"You are {name}; the operator is {settings.space_owner}, who owns this Space."
            return sign_in_page(request, words, forms, 403)
        response = back_to_page(request)
        response.set_cookie(
            **access.cookie_rules(request), value=access.new_cookie(), max_age=SIGNED_IN_S
        )
        return response

    app.include_router(router)
    secret = hashlib.sha256(b"sign-in" + settings.oauth_client_secret.encode()).hexdigest()
    app.add_middleware(
        SessionMiddleware,
        secret_key=secret,
        session_cookie="fruit_signing_in",
        max_age=_MINUTES_S,
        same_site="lax",  # the Hub leads back here by a link
        path=_PATH,
    )


def _callback_address(request: Request, settings: Settings) -> str:
    if settings.space_host:
        return f"https://{settings.space_host}{_CALLBACK}"
    return str(
        request.url.replace(path=f"{request.scope.get('root_path', '')}{_CALLBACK}", query="")
    )


def _is_owner(user: Mapping[str, Any], owner: str) -> bool:
    """Return whether an account owns the Space, itself or as an admin of an organisation."""
    organisations = user.get("orgs") or ()
    return bool(owner) and (
        user.get("preferred_username") == owner
        or any(
            o.get("preferred_username") == owner and o.get("roleInOrg") == "admin"
            for o in organisations
        )
    )
