"""One repository on the Hugging Face Hub: look, read, download, commit.

All that is said to the Hub is said here, through ``huggingface_hub``. Knows nothing of photos and
models. Whatever goes wrong there is a ``HubError`` in words; the token is in none of them.
"""

import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    RepoFile,
    get_session,
    set_client_factory,
)
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from app.errors import HubChanged, HubError, HubRefused, without_path

_log = logging.getLogger(__name__)

Kind = Literal["dataset", "model"]
# A commit of many files takes the Hub up to a minute; the first question of all does not.
_TIMEOUT_S: Final = 120.0
_FIRST_TIMEOUT_S: Final = 15.0
_DOWNLOADS: Final = 16  # at once: photos are small, so most of the time is waiting


@dataclass(frozen=True)
class RemoteFiles:
    """What a repository holds at one commit.

    Attributes:
        commit: its name.
        digests: of each file, by path: SHA-256 of a large one, and of others Git's own SHA-1.
        private: whether only its owner sees it.
    """

    commit: str
    digests: dict[str, str]
    private: bool


class HubRepository:
    """A repository on the Hub, at the head of its main branch.

    Args:
        name: ``owner/name``.
        kind: what it is for.
        token: may read and write it.
        endpoint: address of the Hub; empty for the one that the library knows.
    """

    def __init__(self, name: str, kind: Kind, token: str, endpoint: str = "") -> None:
        self.name = name
        self._kind = kind
        self._api = HfApi(endpoint=endpoint or None, token=token)

    def create(self) -> None:
        """Make the repository, for its owner alone, unless it is there."""
        with self._in_words():
            self._api.create_repo(self.name, repo_type=self._kind, private=True, exist_ok=True)

    def look(self) -> RemoteFiles | None:
        """Return what the repository holds now, or None where there is no such repository."""
        with self._in_words():
            try:
                info = self._api.repo_info(
                    self.name, repo_type=self._kind, timeout=_FIRST_TIMEOUT_S
                )
            except RepositoryNotFoundError:
                return None
            tree = self._api.list_repo_tree(
                self.name, recursive=True, revision=info.sha, repo_type=self._kind
            )
            digests = {
                file.path: file.lfs.sha256 if file.lfs else file.blob_id
                for file in tree
                if isinstance(file, RepoFile)
            }
            return RemoteFiles(str(info.sha), digests, bool(info.private))

    def read(self, path: str, commit: str) -> bytes:
        """Return one file as it was at a commit."""
        with self._in_words(), tempfile.TemporaryDirectory() as folder:
            file = self._api.hf_hub_download(
                self.name, path, repo_type=self._kind, revision=commit, local_dir=folder
            )
            return Path(file).read_bytes()

    def download(self, commit: str, folder: Path) -> None:
        """Download all files as they were at a commit; what is in the folder is not fetched again.

        The library may leave out files where the Hub fails half-way, so the caller checks them.
        """
        with self._in_words():
            self._api.snapshot_download(
                self.name,
                repo_type=self._kind,
                revision=commit,
                local_dir=folder,
                max_workers=_DOWNLOADS,
            )

    def commit(
        self, add: Mapping[str, Path | bytes], delete: Iterable[str], message: str, parent: str
    ) -> str:
        """Write and delete files in one commit, and return its name.

        Args:
            add: the local file or the bytes, by path in the repository.
            delete: paths in the repository.
            message: what changes.
            parent: the commit that it follows.

        Raises:
            HubChanged: another commit came after the parent.
        """
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationAdd(path, content) for path, content in add.items()),
            *(CommitOperationDelete(path, is_folder=False) for path in delete),
        ]
        with self._in_words():
            done = self._api.create_commit(
                self.name,
                operations,
                commit_message=message,
                repo_type=self._kind,
                parent_commit=parent,
            )
            return str(done.oid)

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Turn whatever the library raises into words.

        It raises errors of its own, of its HTTP client and of the system, in every mixture.
        """
        try:
            yield
        except Exception as error:
            _log.debug("the Hub failed", exc_info=error)
            status = _status(error)
            if status in (409, 412):
                raise HubChanged(self.name) from error
            kind = HubRefused if status in (401, 403) else HubError
            raise kind(f"{self.name}: {_WORDS.get(status) or _plainly(error)}") from error


_WORDS: Final = {
    401: "the Hub refuses the token (401). Set HF_TOKEN to one that is valid.",
    403: "the token may not do this (403). Give it write access to this repository.",
    404: "the Hub finds no such repository (404), or the token may not see it.",
    429: "the Hub asks to slow down (429).",
}


def limit_waiting(timeout_s: float = _TIMEOUT_S) -> None:
    """Let no request of ``huggingface_hub`` in this process wait for ever, as it does by default.

    Args:
        timeout_s: most seconds of silence, where the library asks for no other limit.
    """
    client = type(get_session())  # the library changes the HTTP client that it is built on

    def limit(request: Any) -> None:
        # Some requests of the library say "no limit", which goes before the client's own.
        asked = request.extensions.get("timeout", {})
        kinds = ("connect", "read", "write", "pool")
        request.extensions["timeout"] = {kind: asked.get(kind) or timeout_s for kind in kinds}

    hooks = {"request": [limit]}
    set_client_factory(lambda: client(follow_redirects=True, timeout=None, event_hooks=hooks))


def _status(error: BaseException | None) -> int:
    """Return the HTTP status behind an error, 0 where there is none."""
    while error is not None:
        if isinstance(error, HfHubHTTPError):
            return int(error.response.status_code)
        error = error.__cause__
    return 0


def _plainly(error: BaseException) -> str:
    while error.__cause__ is not None:  # what is said of an upload is why it failed
        error = error.__cause__
    first = next(iter(without_path(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {first[:300]}"
