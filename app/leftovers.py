"""What an upload leaves that ended half-way, and a server that did."""

import logging
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

_log = logging.getLogger(__name__)

_begun: Final = ContextVar[list[str] | None]("files that the present upload began", default=None)


@contextmanager
def half_uploads_deleted() -> Iterator[None]:
    """Delete afterwards what was begun within and did not become an upload.

    Gradio leaves such files for ever: of a connection that ends early, of a form that is cut off,
    of a disk that is full.
    """
    begun: list[str] = []
    token = _begun.set(begun)
    try:
        yield
    finally:
        _begun.reset(token)
        for name in begun:  # a whole upload has another name by now
            Path(name).unlink(missing_ok=True)


def begin_upload(*args: Any, **options: Any) -> Any:
    """Return a ``NamedTemporaryFile``, and remember it within ``half_uploads_deleted``."""
    file = tempfile.NamedTemporaryFile(*args, **options)  # noqa: SIM115  the caller closes it
    if (begun := _begun.get()) is not None:
        begun.append(file.name)
    return file


def discard_uploads(uploads: Path, discarded: Path) -> None:
    """Delete, in a thread, the uploads of a server that was killed; their sessions are gone.

    Args:
        uploads: folder of the uploads; gone at once.
        discarded: folder that they are deleted in.
    """
    try:
        if uploads.exists():
            discarded.mkdir(exist_ok=True)
            uploads.rename(discarded / secrets.token_hex(8))
    except OSError as error:
        _log.error("the uploads of an earlier run are kept: %s", error)
    remove = threading.Thread(
        target=shutil.rmtree, args=(discarded,), kwargs={"ignore_errors": True}, daemon=True
    )
    remove.start()
