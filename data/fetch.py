"""Downloading a public archive: streamed to disk, resumed where the server allows it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from data.errors import DownloadFailed, InvalidArchive

_TRIES = 5
_PASSING = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS}


def download(
    url: str,
    target: Path,
    *,
    on_progress: Callable[[int, int | None], None] = lambda done, total: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Download the URL to the target; the target is there whole or not at all.

    What arrived before a break is kept beside the target and continued with an HTTP range request
    (RFC 9110, section 14), as long as the server still has the same file; a server without ranges
    is asked for the whole again.

    Args:
        url: of the archive.
        target: the file to write; nothing is done if it exists.
        on_progress: called with the bytes so far and the bytes in all, None where unknown.
        sleep: waits between tries, in seconds.

    Returns:
        The target.

    Raises:
        DownloadFailed: it cannot be fetched, also after five tries.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for attempt in range(1, _TRIES + 1):
        try:
            _continue(url, part, on_progress)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise DownloadFailed(
                f"{url!r} is no address of a file: {error} Give one that begins with https:// or "
                "http://."
            ) from error
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)  # what is here is no beginning of what is there
            elif error.response.status_code < 500 and error.response.status_code not in _PASSING:
                raise _failure(url, error, part) from error
            failure: httpx.HTTPError = error
        except httpx.HTTPError as error:
            failure = error
        else:
            part.replace(target)
            _validator(part).unlink(missing_ok=True)
            return target
        if attempt < _TRIES:
            sleep(2.0 ** (attempt - 1))
    raise _failure(url, failure, part) from failure


@contextmanager
def kept_if_valid(archive: Path) -> Iterator[Path]:
    """Yield the downloaded archive; it is removed where it turns out to be none.

    What a server sends in its place, such as a page to sign in, must not be all that is ever tried.
    """
    try:
        yield archive
    except InvalidArchive:
        archive.unlink(missing_ok=True)
        raise


def _continue(url: str, part: Path, on_progress: Callable[[int, int | None], None]) -> None:
    done = part.stat().st_size if part.exists() else 0
    validator = _validator(part).read_text() if _validator(part).exists() else ""
    headers = {"Accept-Encoding": "identity"}  # the file, and not the file compressed once more
    if done and validator:
        headers |= {"Range": f"bytes={done}-", "If-Range": validator}
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=30) as response:
        response.raise_for_status()
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            done = 0
        _validator(part).write_text(response.headers.get("ETag", ""))
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if done else "wb") as file:
            # As they come: httpx drops a chunk of a fixed size that a break leaves incomplete.
            for chunk in response.iter_raw():
                file.write(chunk)
                done += len(chunk)
                on_progress(done, total)


def _validator(part: Path) -> Path:
    """Return the file that holds the server's ETag, by which it knows the file is the same."""
    return part.with_name(part.name + ".etag")


def _failure(url: str, error: httpx.HTTPError, part: Path) -> DownloadFailed:
    kept = part.stat().st_size if part.exists() else 0
    return DownloadFailed(
        f"{url} could not be fetched: {error or type(error).__name__}. {kept:,} bytes are kept; "
        "run the same command again to continue, or download the archive with a browser and import "
        "it with 'python -m data import FILE'."
    )
