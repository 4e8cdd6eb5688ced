"""How often one client may do something, and the middleware that counts its requests."""

import math
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import TooManyRequests
from app.gradio_guard import PREFIX, refusal
from app.handling import error_response, path_of
from app.metrics import Metrics
from app.results import new_request_id

# Monitoring asks often and costs next to nothing; pages and their parts are not calls.
_CALLS: Final = ("/api/", PREFIX)
_FREE: Final = ("/api/health", "/gradio_api/heartbeat", "/gradio_api/queue/data")


class Pace:
    """Lets so many through at once, and then so many a second.

    Args:
        burst: how many at once.
        per_second: how many after that.
        clock: seconds from any moment on.
    """

    def __init__(
        self, burst: int, per_second: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._spacing_s = 1 / per_second
        self._burst_s = burst * self._spacing_s
        self._clock = clock
        self._used_up_to = -math.inf

    def take(self) -> bool:
        """Return whether one more may pass; two threads at once may both take the last place."""
        now = self._clock()
        place = max(self._used_up_to, now - self._burst_s) + self._spacing_s
        if place > now:
            return False
        self._used_up_to = place
        return True


class Rate:
    """Counts what each client does within the last minute.

    Args:
        per_minute: how often it may.
    """

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def hit(self, client: str) -> bool:
        """Count one more, and return whether the client may still do it."""
        return self._limiter.hit(self._limit, client)

    def is_spent(self, client: str) -> bool:
        """Return whether the client may not do it once more."""
        return not self._limiter.test(self._limit, client)

    def wait_s(self, client: str) -> int:
        """Return after how many whole seconds a client may do it again, at least one."""
        resets_at = self._limiter.get_window_stats(self._limit, client).reset_time
        return max(1, math.ceil(resets_at - time.time()))


class ClientLimit:
    """How many calls one client may send.

    Args:
        per_minute: so many.
        is_exempt: tells whose requests are not counted.
        metrics: counts what was refused.
    """

    def __init__(
        self, per_minute: int, is_exempt: Callable[[HTTPConnection], bool], metrics: Metrics
    ) -> None:
        self._rate = Rate(per_minute)
        self._is_exempt = is_exempt
        self._metrics = metrics

    def require(self, connection: HTTPConnection) -> None:
        """Count a call.

        Raises:
            TooManyRequests: it is one too many.
        """
        client = client_key(connection)
        if not self._is_exempt(connection) and not self._rate.hit(client):
            self._metrics.refused(TooManyRequests.__name__)
            raise TooManyRequests(self._rate.wait_s(client))


class RateLimits:
    """Refuses the calls of a client that sends too many, before anything is done for them.

    Args:
        app: answers the others.
        limit: how many a client may send.
    """

    def __init__(self, app: ASGIApp, *, limit: ClientLimit) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse the request."""
        if scope["type"] == "http" and _is_counted(path_of(scope)):
            connection = HTTPConnection(scope)
            try:
                self._limit.require(connection)
            except TooManyRequests as error:
                request_id = new_request_id(connection.headers.get("x-request-id"))
                path = path_of(scope)
                answer = (
                    refusal(error, path, request_id)
                    if path.startswith(PREFIX)
                    else error_response(error, request_id)
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def client_key(connection: HTTPConnection) -> str:
    """Return what a client is counted under: its address, or its network for IPv6."""
    return _key(connection.client.host if connection.client else "unknown")


@lru_cache(maxsize=1024)
def _key(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    if isinstance(address, IPv6Address) and not address.is_loopback:
        # One customer is commonly given a whole /64 (RFC 6177).
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return host


def _is_counted(path: str) -> bool:
    return path.startswith(_CALLS) and not path.startswith(_FREE)
