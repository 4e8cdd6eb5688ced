"""What each commit of the mirror writes, and by what it is known to be one's own."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.errors import HubError
from app.mirrored import Files, Part
from models.registry import write_atomically

MARKER: Final = "mirror.json"
# New photos of one commit. The Hub recommends about a hundred files; its own upload of large
# folders goes up to a thousand, because commits are counted too. See
# https://huggingface.co/docs/hub/repositories-recommendations
MOST_FILES: Final = 500


def batches(
    part: Part, files: Files, there: Mapping[str, str]
) -> Iterator[tuple[Files, list[str]]]:
    """Yield what each commit writes and deletes; after each of them the repository is in order.

    New photos go first, and in the last commit what speaks of them.

    Args:
        part: what is mirrored.
        files: all of it, by path in the repository.
        there: what the repository holds: digests by path.
    """
    changed = {path: file for path, file in files.items() if not _is_there(part, path, file, there)}
    gone = [p for p in there if p.partition("/")[0] in part.folders and p not in files]
    if not changed and not gone:
        return
    new = [path for path in changed if part.is_fixed(path)]
    while len(new) > MOST_FILES:
        yield {path: changed.pop(path) for path in new[:MOST_FILES]}, []
        new = new[MOST_FILES:]
    yield changed, gone


class KnownBatches:
    """The batches that this state folder wrote to a repository, or was restored from.

    Args:
        path: of the file with them.
        repository: batches of another one are not known.
    """

    def __init__(self, path: Path, repository: str) -> None:
        self._path = path
        self._repository = repository

    def read(self) -> list[str]:
        """Return them; none where there is no file, or a damaged one."""
        try:
            content = json.loads(self._path.read_bytes())
            return list(content["batches"]) if content["repository"] == self._repository else []
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def write(self, names: list[str]) -> None:
        """Know these, and no others."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = {"repository": self._repository, "batches": names}
        write_atomically(self._path, json.dumps(content).encode())

    def forget(self) -> None:
        """Know none."""
        self._path.unlink(missing_ok=True)


def marker(batch: str) -> bytes:
    """Return the file that says which batch a repository holds."""
    content = {"batch": batch, "written_at": datetime.now(UTC).isoformat(timespec="seconds")}
    return (json.dumps(content) + "\n").encode()


def batch_of(content: bytes) -> str:
    """Return the batch that a marker names.

    Raises:
        HubError: it is damaged.
    """
    try:
        return str(json.loads(content)["batch"])
    except (ValueError, KeyError, TypeError) as error:
        raise HubError(f"{MARKER} in the repository is damaged: {error}") from error


def sha256(file: Path | bytes) -> str:
    """Return the digest by which the Hub knows a large file."""
    return hashlib.sha256(_read(file)).hexdigest()


def _git_sha1(file: Path | bytes) -> str:
    """Return the digest by which the Hub, as Git does, knows a small file."""
    content = _read(file)
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _is_there(part: Part, path: str, file: Path | bytes, there: Mapping[str, str]) -> bool:
    digest = there.get(path)
    if digest is None or part.is_fixed(path):
        return digest is not None
    return digest in (sha256(file), _git_sha1(file))


def _read(file: Path | bytes) -> bytes:
    return file if isinstance(file, bytes) else file.read_bytes()
