"""Who the operator is, request by request."""

import logging
from dataclasses import replace

import pytest
from starlette.requests import HTTPConnection

from app.access import ATTEMPTS_PER_MINUTE, Access, Role, is_from_another_site
from app.errors import OperatorOff, TokenRequired, TooManyAttempts, WrongToken
from app.settings import Settings

TOKEN = "correct horse battery"
WITH_TOKEN = Settings(host="0.0.0.0", admin_token=TOKEN)
AT_HOME = Settings()
IN_THE_OPEN = Settings(host="0.0.0.0")


def request(
    *,
    client: str = "127.0.0.1",
    host: str = "127.0.0.1:7860",
    method: str = "POST",
    scheme: str = "http",
    **headers: str,
) -> HTTPConnection:
    named = {"host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPConnection(
        {
            "type": "http",
            "method": method,
            "scheme": scheme,
            "path": "/api/retrain",
            "query_string": b"",
            "server": ("127.0.0.1", 7860),
            "client": (client, 50_000),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
    )


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "[::1]:7860", "LOCALHOST:1"])
def test_without_a_token_the_person_at_the_machine_is_the_operator(host: str) -> None:
    assert Access(AT_HOME).is_operator(request(host=host))


@pytest.mark.parametrize(
    "sent",
    [
        request(host="rebound.example"),  # a name of another site that leads here
        request(host="[not-an-address"),
        request(client="192.0.2.7"),
        request(x_forwarded_for="192.0.2.7"),  # a proxy on this machine speaks for others
        request(forwarded="for=192.0.2.7"),
        request(x_forwarded_host="fruit.example"),
        request(x_real_ip="192.0.2.7"),
        request(sec_fetch_site="cross-site"),
        request(sec_fetch_site="same-site"),  # another port of this machine
        request(sec_fetch_site="cross-site", sec_fetch_mode="navigate"),  # a form that posts here
        request(origin="http://evil.example"),
        request(origin="null"),
    ],
)
def test_nobody_else_is(sent: HTTPConnection) -> None:
    with pytest.raises(OperatorOff, match="Set FRUIT_ADMIN_TOKEN"):
        Access(AT_HOME).require(sent)


def test_the_pages_own_requests_and_followed_links_are_the_operators() -> None:
    access = Access(AT_HOME)

    assert access.is_operator(request(sec_fetch_site="same-origin", origin="http://127.0.0.1:7860"))
    assert access.is_operator(request(origin="http://127.0.0.1:7860"))
    assert access.is_operator(
        request(method="GET", sec_fetch_site="cross-site", sec_fetch_mode="navigate")
    )


def test_behind_a_proxy_without_a_token_nobody_is_the_operator() -> None:
    """A plain ``proxy_pass`` of nginx sends its own address as the host, and no other header."""
    access = Access(replace(AT_HOME, root_path="/fruit"))

    assert access.roles == (Role.STRANGER,)
    with pytest.raises(OperatorOff, match="has no token"):
        access.require(request())


@pytest.mark.parametrize("sent", [request(), request(authorization=f"Bearer {TOKEN}")])
def test_in_the_open_without_a_token_nobody_is_the_operator(sent: HTTPConnection) -> None:
    access = Access(IN_THE_OPEN)

    assert access.roles == (Role.STRANGER,)
    with pytest.raises(OperatorOff, match="has no token"):
        access.require(sent)


@pytest.mark.parametrize(
    "sent",
    [
        request(client="192.0.2.7", authorization=f"Bearer {TOKEN}"),
        request(client="192.0.2.7", authorization=f"bearer  {TOKEN} "),
        request(client="192.0.2.7", x_operator_token=TOKEN),
        request(x_operator_token=TOKEN, authorization="Bearer hf_of_a_private_space"),
        request(x_operator_token=TOKEN, origin="http://elsewhere.example"),  # no browser adds it
    ],
)
def test_who_sends_the_token_is_the_operator_from_anywhere(sent: HTTPConnection) -> None:
    assert Access(WITH_TOKEN).is_operator(sent)


@pytest.mark.parametrize(
    "sent",
    [
        request(),  # even at the machine itself
        request(authorization="Basic dXNlcjpwYXNz"),
        request(authorization="Bearer hf_of_a_private_space"),
        request(cookie="fruit_operator=operator"),
        request(cookie="fruit_operator=operator.AAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBB"),
    ],
)
def test_with_a_token_set_nobody_is_without_it(sent: HTTPConnection) -> None:
    with pytest.raises(TokenRequired, match="X-Operator-Token"):
        Access(WITH_TOKEN).require(sent)


def test_the_cookie_counts_until_the_token_changes() -> None:
    access = Access(WITH_TOKEN)
    cookie = f"fruit_operator={access.new_cookie()}"

    assert access.is_operator(request(client="192.0.2.7", cookie=cookie))
    assert not access.is_operator(request(cookie=cookie + "x"))
    assert not Access(Settings(admin_token="another long token")).is_operator(
        request(cookie=cookie)
    )


def test_an_origin_that_is_no_address_is_another_site() -> None:
    assert is_from_another_site(request(origin="http://["))


def test_the_cookie_does_not_count_where_another_site_sends_it() -> None:
    access = Access(WITH_TOKEN)
    cookie = f"fruit_operator={access.new_cookie()}"

    assert not access.is_operator(request(cookie=cookie, sec_fetch_site="cross-site"))
    assert not access.is_operator(request(cookie=cookie, origin="http://evil.example"))
    assert access.is_operator(
        request(
            cookie=cookie,
            origin="https://fruit.example",
            host="10.0.0.1",
            x_forwarded_host="fruit.example",
        )
    )


@pytest.mark.usefixtures("held_minute")
def test_wrong_tokens_are_logged_and_slowed_down(caplog: pytest.LogCaptureFixture) -> None:
    access = Access(WITH_TOKEN)
    with caplog.at_level(logging.WARNING):
        for _ in range(ATTEMPTS_PER_MINUTE):
            guess = request(client="192.0.2.7", authorization="Bearer guess")
            # Whoever limits rates asks first; one request is one attempt all the same.
            assert not access.is_operator(guess)
            with pytest.raises(WrongToken):
                access.require(guess)

    assert caplog.messages == ["a wrong operator token came from 192.0.2.7"] * ATTEMPTS_PER_MINUTE
    with pytest.raises(TooManyAttempts) as caught:
        access.require(request(client="192.0.2.7", authorization=f"Bearer {TOKEN}"))
    assert 1 <= caught.value.retry_after_s <= 120
    assert access.is_operator(request(client="192.0.2.8", authorization=f"Bearer {TOKEN}"))


@pytest.mark.parametrize(
    ("settings", "scheme", "expected"),
    [
        (WITH_TOKEN, "http", (False, "lax")),
        (WITH_TOKEN, "https", (True, "lax")),
        (Settings(admin_token=TOKEN, space="orchard/fruit"), "https", (True, "none")),
    ],
)
def test_the_cookie_is_for_this_server_alone(
    settings: Settings, scheme: str, expected: tuple[bool, str]
) -> None:
    rules = Access(settings).cookie_rules(request(scheme=scheme))

    assert rules["httponly"] is True
    assert (rules["secure"], rules["samesite"]) == expected
