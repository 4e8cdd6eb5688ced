"""Who may do what: anyone may predict; photos, models and settings are the operator's.

Who the operator is follows from the settings. With a token, it is whoever sends it or has signed in
with it; on a Space also its owner, who signs in with the Hugging Face account. Without either, it
is the person at this machine, if only this machine can reach the server; otherwise it is nobody.
"""

import hashlib
import hmac
import logging
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from itsdangerous import BadSignature, TimestampSigner
from starlette.requests import HTTPConnection

from app.errors import OperatorOff, ServingError, TokenRequired, TooManyAttempts, WrongToken
from app.rates import Rate, client_key
from app.settings import Settings, is_loopback

_log = logging.getLogger(__name__)

COOKIE: Final = "fruit_operator"
HEADER: Final = "x-operator-token"  # beside ``Authorization: Bearer``
SIGNED_IN_S: Final = 7 * 24 * 3600
# After so many wrong tokens within a minute, a client has to wait.
ATTEMPTS_PER_MINUTE: Final = 5
_PROXIED: Final = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"}
_COUNTED: Final = "fruit.wrong_token"  # in a scope: that it is counted as an attempt
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")


class AccessMode(StrEnum):
    """How the operator is told apart."""

    BY_SIGN_IN = "sign in"
    BY_MACHINE = "machine"
    NOBODY = "nobody"


class Role(StrEnum):
    """Who a page is for."""

    AT_MACHINE = "at machine"  # the operator, without a token
    SIGNED_IN = "signed in"  # the operator, who can sign out
    VISITOR = "visitor"  # who can sign in
    STRANGER = "stranger"  # who cannot, because there is no token

    @property
    def is_operator(self) -> bool:
        """Whether the page is the operator's."""
        return self in (Role.AT_MACHINE, Role.SIGNED_IN)


_ROLES: Final = {
    AccessMode.BY_MACHINE: (Role.AT_MACHINE,),
    AccessMode.BY_SIGN_IN: (Role.SIGNED_IN, Role.VISITOR),
    AccessMode.NOBODY: (Role.STRANGER,),
}


class Access:
    """Tells the operator from everybody else.

    Args:
        settings: its token, address and whether it runs on a Space.
    """

    def __init__(self, settings: Settings) -> None:
        self._token = settings.admin_token.encode()
        self._on_space = settings.on_space
        self._wrong = Rate(ATTEMPTS_PER_MINUTE)
        # Another token, or another client of the Hub, makes every cookie worthless.
        secrets = f"operator\n{settings.admin_token}\n{settings.oauth_client_secret}".encode()
        self._signer = TimestampSigner(hashlib.sha256(secrets).digest())
        if self._token or settings.has_hub_sign_in:
            self.mode = AccessMode.BY_SIGN_IN
        else:
            # A path to be reached under means a proxy, which need not say that it is one.
            alone = settings.is_local and not settings.root_path
            self.mode = AccessMode.BY_MACHINE if alone else AccessMode.NOBODY

    @property
    def roles(self) -> tuple[Role, ...]:
        """Whom a page is needed for."""
        return _ROLES[self.mode]

    def is_operator(self, connection: HTTPConnection) -> bool:
        """Return whether a request is the operator's."""
        try:
            self.require(connection)
        except ServingError:
            return False
        return True

    def require(self, connection: HTTPConnection) -> None:
        """Let the operator pass.

        What a browser sends on its own, a cookie or an address, does not count where the page of
        another site made it do so.

        Raises:
            OperatorOff: nobody is told apart here, or not this way.
            TokenRequired: the request has no token, and no cookie that counts.
            WrongToken: its token is another one.
            TooManyAttempts: so many were wrong that this client has to wait.
        """
        if self.mode == AccessMode.NOBODY:
            raise OperatorOff
        if self.mode == AccessMode.BY_MACHINE:
            if not _is_at_this_machine(connection) or is_from_another_site(connection):
                raise OperatorOff(at_machine=True)
        elif token := _sent_token(connection):
            self.check_token(token, connection)
        elif not self._has_cookie(connection) or is_from_another_site(connection):
            raise TokenRequired

    def check_token(self, token: str, connection: HTTPConnection) -> None:
        """Let a right token pass; wrong ones are logged, and slowed down.

        Raises:
            WrongToken: it is another one.
            TooManyAttempts: so many were wrong that this client has to wait.
        """
        client = client_key(connection)
        if self._wrong.is_spent(client) and not connection.scope.get(_COUNTED):
            raise TooManyAttempts(self._wrong.wait_s(client))
        if not self._token or not hmac.compare_digest(token.encode(), self._token):
            # A request may be asked several times who sent it, and is one attempt.
            if not connection.scope.get(_COUNTED):
                connection.scope[_COUNTED] = True
                self._wrong.hit(client)
                _log.warning("a wrong operator token came from %s", client)
            raise WrongToken

    def new_cookie(self) -> str:
        """Return the value of a cookie that tells the operator, for a week."""
        return self._signer.sign(b"operator").decode()

    def cookie_rules(self, connection: HTTPConnection) -> dict[str, Any]:
        """Return where and when a browser may send the cookie.

        A Space's page is shown within a page of another site, where only ``None`` cookies work.
        """
        https = connection.url.scheme == "https"
        return {
            "key": COOKIE,
            "path": connection.scope.get("root_path") or "/",
            "httponly": True,
            "secure": https,
            "samesite": "none" if self._on_space and https else "lax",
        }

    def _has_cookie(self, connection: HTTPConnection) -> bool:
        try:
            self._signer.unsign(connection.cookies.get(COOKIE, ""), max_age=SIGNED_IN_S)
        except BadSignature:
            return False
        return True


def is_from_another_site(connection: HTTPConnection) -> bool:
    """Return whether the page of another site made a browser send the request.

    Following a link to here is fine. Programs send none of these headers, and are believed.
    """
    headers = connection.headers
    site = headers.get("sec-fetch-site")
    if site is not None:
        follows = (
            headers.get("sec-fetch-mode") == "navigate"
            and connection.scope.get("method") in _SAFE_METHODS
        )
        return site not in ("same-origin", "none") and not follows
    # Browsers leave that header out where the page came over plain http.
    origin = headers.get("origin")
    here = headers.get("x-forwarded-host") or headers.get("host", "")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != here.lower()
    except ValueError:  # no browser sends such a one
        return True


def _is_at_this_machine(connection: HTTPConnection) -> bool:
    """Return whether the person at this machine sends the request, and by one of its own names.

    A proxy that runs here speaks for others. A foreign name is one that another site gave to this
    address, so that a browser takes this server for its own (DNS rebinding).
    """
    headers = connection.headers
    if _PROXIED & set(headers):
        return False
    try:
        named = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    return is_loopback(named) and is_loopback(connection.client.host if connection.client else "")


def _sent_token(connection: HTTPConnection) -> str:
    """Return the token of a header, which only a program sets; empty without one."""
    token = connection.headers.get(HEADER, "").strip()
    kind, _, bearer = connection.headers.get("authorization", "").partition(" ")
    # A private Space wants a token of the Hub there, which is none of ours.
    if not token and kind.lower() == "bearer" and not bearer.startswith("hf_"):
        token = bearer.strip()
    return token
