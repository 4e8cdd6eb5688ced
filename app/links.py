"""Pictures that a program names instead of sending: by an address, or written out as text.

The program may speak for a stranger, so this server must not fetch for it what only this server can
reach. An address leads to public hosts alone: what a name resolves to is checked, and that very
number is connected to, so that the name cannot mean another host a moment later. The same holds for
each redirect.
"""

import asyncio
import base64
import binascii
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import cached_property
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

import httpx

from app.errors import BadRequest, Overloaded, PayloadTooLarge
from app.results import ImageFile
from app.settings import Settings
from app.uploads import read_image

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]

ACCEPTED: Final = (
    "the https:// address of a picture that everybody can open, or the picture itself as "
    "data:image/jpeg;base64,..."
)
_UPLOADED: Final = "/gradio_api/file="
_PORTS: Final = (80, 443)
_TIMEOUT_S: Final = 10.0
_MAX_REDIRECTS: Final = 3
_MAX_DOWNLOADS: Final = 8  # at a time; each holds up to the size of one file in memory
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Links:
    """Reads pictures that are named.

    Args:
        settings: its limit on the bytes of one image applies.
        uploads: where Gradio keeps what was uploaded; an address of one of these files is read
            from there.
        transport: fetches; as ``PublicHosts`` by default.
    """

    def __init__(
        self, settings: Settings, uploads: Path, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._uploads = uploads.resolve()
        self._transport = transport
        self._downloads = asyncio.Semaphore(_MAX_DOWNLOADS)

    async def read(self, image: str) -> ImageFile:
        """Return the picture that a text names or holds.

        Raises:
            BadRequest: it is neither an address nor a data URL, or the address cannot be used.
            PayloadTooLarge: the picture has more bytes than one may have.
            Overloaded: as many pictures are being fetched as may.
        """
        text = image.strip()
        scheme = text[:8].partition(":")[0].lower()
        if scheme == "data":
            return ImageFile("", self._decode(text))
        if scheme not in ("http", "https"):
            raise BadRequest(f"The image is {text!r:.60}; accepted: {ACCEPTED}.")
        uploaded = self._uploaded(text)
        if uploaded:
            return await asyncio.to_thread(read_image, uploaded, self._settings)
        if self._downloads.locked():
            raise Overloaded(1)
        async with self._downloads:
            return ImageFile("", await self._download(text))

    def _decode(self, text: str) -> bytes:
        head, _, body = text.partition(",")
        limit_bytes = self._settings.max_file_bytes
        if not head.lower().endswith(";base64"):
            raise BadRequest(f"The image begins with {head!r:.60}; accepted: {ACCEPTED}.")
        if len(body) > 4 * (limit_bytes // 3 + 1):
            raise PayloadTooLarge("The image", limit_bytes)
        try:
            return base64.b64decode("".join(body.split()), validate=True)
        except binascii.Error as error:
            raise BadRequest(
                f"The image is no base64 ({error}). Encode the bytes of the file, unchanged."
            ) from error

    def _uploaded(self, url: str) -> Path | None:
        """Return the file of an upload, for the address that Gradio gave it."""
        _, mark, rest = urlsplit(url).path.partition(_UPLOADED)
        if not mark:
            return None
        path = Path(unquote(rest)).resolve()
        return path if path.is_relative_to(self._uploads) and path.is_file() else None

    async def _download(self, url: str) -> bytes:
        limit_bytes = self._settings.max_file_bytes
        content = bytearray()
        try:
            async with (
                asyncio.timeout(_TIMEOUT_S),
                httpx.AsyncClient(
                    transport=self._transport or PublicHosts(self._tls),
                    follow_redirects=True,
                    max_redirects=_MAX_REDIRECTS,
                    timeout=_TIMEOUT_S,  # of each step; httpx's own is 5 s
                ) as client,
                # Not compressed: a few bytes must not become many before they are counted.
                client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response,
            ):
                if response.status_code != 200:
                    raise BadRequest(
                        f"{url:.200} answered with status {response.status_code}. Give the address "
                        "of the picture itself, as everybody can open it."
                    )
                async for chunk in response.aiter_raw():
                    content += chunk
                    if len(content) > limit_bytes:
                        raise PayloadTooLarge("The image", limit_bytes)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            reason = str(error) or f"no answer within {_TIMEOUT_S:.0f} s"
            raise BadRequest(f"{url:.200} cannot be fetched: {reason:.200}.") from error
        return bytes(content)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Reading the certificates takes 30 ms, so once.
        return httpx.create_ssl_context()


async def resolve(host: str, port: int) -> list[str]:
    """Return the numeric addresses of a host; asks the system."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


class PublicHosts(httpx.AsyncBaseTransport):
    """Sends requests to hosts of the public internet, and to no other.

    Args:
        tls: how certificates are checked.
        find: returns the addresses of a host.
        inner: sends.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        find: Resolve = resolve,
        inner: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._find = find
        self._inner = inner or httpx.AsyncHTTPTransport(verify=tls)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to the address that was checked, under the name that was asked for."""
        url = request.url
        host = url.raw_host.decode("ascii")
        port = url.port or (443 if url.scheme == "https" else 80)
        if port not in _PORTS:
            raise BadRequest(f"The address has port {port}; accepted: 80 and 443.")
        addresses = await self._find(host, port) if host else []
        if not addresses or not all(is_public(address) for address in addresses):
            raise BadRequest(
                f"{host!r:.200} is no public host, and this server fetches from those alone. Give "
                f"{ACCEPTED}."
            )
        return await self._inner.handle_async_request(
            httpx.Request(
                request.method,
                url.copy_with(host=addresses[0]),
                headers=request.headers,  # with the name as Host
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def is_public(address: str) -> bool:
    """Return whether a numeric address is one of the public internet.

    An IPv6 address that holds an IPv4 one inside is not, because of where that may lead.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and (
        found.ipv4_mapped or found.sixtofour or found.teredo or found in _NAT64
    ):
        return False
    return found.is_global and not found.is_multicast
