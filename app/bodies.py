"""The bodies of requests: read while they arrive, and never more of them than is accepted.

Nor more of all of them together, and none that does not go on arriving.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from app.errors import BadRequest, Overloaded, PayloadTooLarge, UnsupportedContent
from app.forms import Form, read_form
from app.results import ImageFile
from app.settings import Settings

M = TypeVar("M", bound=BaseModel)
Take = Callable[[int], None]

FIELD: Final = "file"
_MAX_JSON_BYTES: Final = 64_000
_LARGEST_AT_ONCE: Final = 4  # bodies of the largest size that are held at a time
_LEAST_HELD_BYTES: Final = 100_000_000  # however small that size is, many small ones shall fit
_PATIENCE_S: Final = 30.0  # for the next bytes of a body
_RETRY_S: Final = 5.0


class Intake:
    """How many bytes of bodies the process holds, from the first that arrives to the answer.

    For the event loop alone.

    Args:
        max_bytes: most of all requests together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0

    @classmethod
    def of(cls, settings: Settings) -> "Intake":
        """Return one that has room for a few bodies of the largest size."""
        return cls(max(_LEAST_HELD_BYTES, _LARGEST_AT_ONCE * settings.max_request_bytes))

    @property
    def held_bytes(self) -> int:
        """How many bytes are held."""
        return self._held_bytes

    @contextmanager
    def request(self) -> Iterator[Take]:
        """Give a function that counts bytes of one request, which the block's end lets go.

        It raises Overloaded where there is no room for them.
        """
        mine_bytes = 0

        def take(size_bytes: int) -> None:
            nonlocal mine_bytes
            if self._held_bytes + size_bytes > self._max_bytes:
                raise Overloaded(_RETRY_S)
            self._held_bytes += size_bytes
            mine_bytes += size_bytes

        try:
            yield take
        finally:
            self._held_bytes -= mine_bytes


async def arriving(request: Request, patience_s: float = _PATIENCE_S) -> AsyncIterator[bytes]:
    """Yield the chunks of a body; raises BadRequest where none comes for so long."""
    chunks = request.stream()
    while True:
        try:
            async with asyncio.timeout(patience_s):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise BadRequest(
                f"Nothing more of the request came for {patience_s:.0f} s. Send it again."
            ) from error
        if chunk is None:
            return
        yield chunk


@dataclass(frozen=True, slots=True)
class PredictBody:
    """What a request asks for.

    Attributes:
        files: at least one image.
        options: what is asked for besides.
    """

    files: list[ImageFile]
    options: "Options"


@dataclass(frozen=True, slots=True)
class Options:
    """What may stand in the query or, behind it, in the form.

    Attributes:
        top_k: how many probabilities to return; None for all.
        explain: whether a heat map comes with each answer.
    """

    top_k: int | None = None
    explain: bool = False

    @classmethod
    def parse(cls, *fields: Mapping[str, object]) -> "Options":
        """Return the options of the first mapping that has each of them.

        Raises:
            BadRequest: ``top_k`` is no number from 1, or ``explain`` neither true nor false.
        """
        given = [mapping for mapping in fields if mapping]
        if not given:
            return cls()
        found = _first_of(given, "top_k", "explain")
        return cls(_parse_top_k(found["top_k"]), _parse_flag("explain", found["explain"]))


async def read_body(request: Request, settings: Settings, take: Take) -> PredictBody:
    """Return the images and options of a predict request.

    Args:
        request: multipart with the field ``file`` once or more, or the bare image as the body.
        settings: its limits on bytes and counts apply.
        take: counts the bytes that arrive.

    Raises:
        BadRequest: malformed multipart, no image, an option that cannot be read, or the body does
            not go on arriving.
        Overloaded: other requests hold too many bytes.
        PayloadTooLarge: the body or one of its files.
        TooManyFiles: more images than one request may hold.
        UnsupportedContent: the content type is neither of the two forms.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_form(request, settings, take)
    if kind in ("", "application/octet-stream") or kind.startswith("image/"):
        return await _read_bare_image(request, settings, take)
    raise UnsupportedContent(
        f"The content type is {kind!r}; accepted: multipart/form-data with the field {FIELD!r}, or "
        "the image itself as image/* or application/octet-stream."
    )


async def read_json(request: Request, model: type[M]) -> M:
    """Return the fields of a small JSON body; an empty one leaves all of them out.

    Raises:
        BadRequest: it is no JSON object, a field is unknown or of the wrong kind, or it does not go
            on arriving.
        PayloadTooLarge: the body.
        UnsupportedContent: the content type is not JSON.
    """
    content = b""
    async for chunk in arriving(request):
        content += chunk
        if len(content) > _MAX_JSON_BYTES:
            raise PayloadTooLarge("The request", _MAX_JSON_BYTES, of_images=False)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content.strip() and kind != "application/json":
        raise UnsupportedContent(f"The content type is {kind!r}; accepted: application/json.")
    try:
        return model.model_validate_json(content.strip() or b"{}")
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, p['loc'])) or 'the body':.60}: {p['msg']:.300}"
            for p in error.errors()[:3]
        )
        raise BadRequest(
            f"The JSON cannot be used ({problems}). Its fields are {', '.join(model.model_fields)}."
        ) from error


@dataclass(frozen=True, slots=True)
class UploadBody:
    """What an upload of training photos holds.

    Attributes:
        files: photos and zips, with their names.
        class_name: the class of all of them; empty for the folder that each lies in.
        relabel: whether photos that are here under another class take this one.
        dry_run: whether only to say what would happen.
    """

    files: list[ImageFile]
    class_name: str
    relabel: bool
    dry_run: bool

    @classmethod
    def parse(cls, files: list[ImageFile], *fields: Mapping[str, object]) -> "UploadBody":
        """Return the files with the options of the first mapping that has each of them.

        Raises:
            BadRequest: an option is unknown or cannot be read.
        """
        names = ("class_name", "relabel", "dry_run")
        if unknown := [name for mapping in fields for name in mapping if name not in names]:
            # Whoever misspells a rehearsal must not find the photos kept.
            raise BadRequest(
                f"There is no option {unknown[0]!r:.40}; beside the photos, in {FIELD!r}, an "
                f"upload takes {', '.join(names)}."
            )
        found = _first_of(fields, *names)
        return cls(
            files=files,
            class_name=_text("class_name", found["class_name"]) or "",
            relabel=_parse_flag("relabel", found["relabel"]),
            dry_run=_parse_flag("dry_run", found["dry_run"]),
        )


async def read_upload(request: Request, settings: Settings, take: Take) -> UploadBody:
    """Return the photos and options of an upload.

    Args:
        request: multipart with the field ``file`` once or more; the options stand there too, or in
            the query, which goes first.
        settings: its limits on bytes and counts apply.
        take: counts the bytes that arrive.

    Raises:
        BadRequest: malformed multipart, no file, an option that is unknown or cannot be read, or
            the body does not go on arriving.
        Overloaded: other requests hold too many bytes.
        PayloadTooLarge: the body.
        TooManyFiles: more files than one request may hold.
        UnsupportedContent: the content type is another.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise UnsupportedContent(
            f"The content type is {kind!r}; accepted: multipart/form-data with the fields "
            f"'class_name' and {FIELD!r} (photos, or a zip)."
        )
    asked = request.query_params
    UploadBody.parse([], asked)  # a mistake there need not wait for the body
    form = await _form(request, settings, take)
    UploadBody.parse([], form.fields)  # also where the query goes first
    return UploadBody.parse(form.files, asked, form.fields)


async def _read_bare_image(request: Request, settings: Settings, take: Take) -> PredictBody:
    options = Options.parse(request.query_params)
    limit_bytes = min(settings.max_file_bytes, settings.max_request_bytes)
    chunks = _bounded(request, "The image", limit_bytes, take)
    content = b"".join([chunk async for chunk in chunks])
    if not content:
        raise BadRequest(
            f"The body is empty. Send the image as the body, or in the multipart field {FIELD!r}."
        )
    return PredictBody([ImageFile("", content)], options)


async def _read_form(request: Request, settings: Settings, take: Take) -> PredictBody:
    asked = request.query_params
    Options.parse(asked)  # a mistake there need not wait for the body
    form = await _form(request, settings, take)
    Options.parse(form.fields)  # also where the query goes first
    # A file that is too large is refused by the decoder, which counts bytes first, so that it
    # becomes one entry in the list and the files beside it are answered.
    return PredictBody(form.files, Options.parse(asked, form.fields))


async def _form(request: Request, settings: Settings, take: Take) -> Form:
    stream = _bounded(request, "The request", settings.max_request_bytes, take)
    return await read_form(request.headers["content-type"], stream, FIELD, settings.max_files)


async def _bounded(
    request: Request, what: str, limit_bytes: int, take: Take
) -> AsyncIterator[bytes]:
    """Yield the body's chunks; raises PayloadTooLarge as soon as it is known to be too large."""
    declared = request.headers.get("content-length", "")
    # Python refuses to read numbers of thousands of digits; so does the server, but not this code.
    if declared.isdecimal() and int(declared[:20]) > limit_bytes:
        raise PayloadTooLarge(what, limit_bytes, int(declared[:20]))
    received_bytes = 0
    async for chunk in arriving(request):
        received_bytes += len(chunk)
        if received_bytes > limit_bytes:
            raise PayloadTooLarge(what, limit_bytes)
        take(len(chunk))
        yield chunk


def _first_of(fields: Iterable[Mapping[str, object]], *names: str) -> dict[str, object]:
    """Return, by name, what the first mapping says that is not empty; None where none does."""
    return {n: next((m[n] for m in fields if m.get(n) not in (None, "")), None) for n in names}


def _text(name: str, value: object) -> str | None:
    """Return a field that is no file; a file's bytes have no place in a message either."""
    if isinstance(value, str | None):
        return value
    raise BadRequest(f"{name} is a file; send it as text.")


def _parse_top_k(value: object) -> int | None:
    text = _text("top_k", value)
    if not text:
        return None
    if text.isascii() and text.isdecimal() and int(text[:9]) >= 1:
        return int(text[:9])
    raise BadRequest(f"top_k is {text!r:.40}; it must be a whole number, 1 or more.")


def _parse_flag(name: str, value: object) -> bool:
    given = _text(name, value)
    text = given.lower() if given is not None else "false"
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise BadRequest(f"{name} is {text!r:.40}; it must be true or false.")
