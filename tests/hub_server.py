"""A small Hub on loopback, which speaks to the real ``huggingface_hub``.

It has those endpoints that creating, listing, committing and downloading call, with the Hub's
status codes and headers, keeps every commit, and fails on request. Large files go by LFS; Xet is
not spoken, so clients need ``HF_HUB_DISABLE_XET=1``.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import yaml

TOKEN: Final = "hf_secretSecretSecret"
READER: Final = "hf_onlyReadsOnlyReads"
PAGE: Final = 20  # entries of one page of a listing; the real Hub gives a thousand
_TEXT: Final = (".md", ".json", ".jsonl", ".gitattributes")


DROP: Final = 0  # close the connection
DROP_AFTER: Final = -1  # do the work, and then close it
HANG: Final = -2  # do not answer while anybody is waiting


@dataclass
class Repository:
    """One repository: its commits, the oldest first; each holds all files of then."""

    url: str
    private: bool
    commits: list[tuple[str, str, dict[str, bytes]]] = field(default_factory=list)

    @property
    def files(self) -> dict[str, bytes]:
        """What the head holds."""
        return self.commits[-1][2]

    @property
    def messages(self) -> list[str]:
        """What each commit says."""
        return [message for _, message, _ in self.commits]

    def add(self, message: str, files: dict[str, bytes]) -> str:
        """Add a commit and return its name."""
        name = hashlib.sha1(f"{len(self.commits)} {message}".encode()).hexdigest()
        self.commits.append((name, message, files))
        return name

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Return the name and the files of a revision."""
        wanted = self.commits[-1][0] if revision == "main" else revision
        return next(((name, files) for name, _, files in self.commits if name == wanted), None)


@dataclass
class Failure:
    """What goes wrong, with which requests, and how often."""

    method: str
    path: str  # a regular expression
    status: int  # or one of those below
    times: int


class HubServer:
    """The server and what it holds."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}  # by kind and name
        self.blobs: dict[str, bytes] = {}  # by SHA-256
        self.requests: list[str] = []
        self.failures: list[Failure] = []
        self.lock = threading.RLock()
        self.gone = threading.Event()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        """The address, which stays the same when it is stopped and started."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen."""
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be gone."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def fail(self, method: str, path: str, status: int, times: int = 1) -> None:
        """Let the next requests of a kind fail."""
        self.failures.append(Failure(method, path, status, times))

    def failing(self, method: str, path: str) -> int | None:
        """Return the status that a request fails with, None where it does not."""
        with self.lock:
            for failure in self.failures:
                if failure.times and failure.method == method and re.search(failure.path, path):
                    failure.times -= 1
                    return failure.status
        return None

    def dataset(self, name: str = "orchard/photos") -> Repository:
        """Return a data set repository."""
        return self.repositories["dataset", name]

    def model(self, name: str = "orchard/models") -> Repository:
        """Return a model repository."""
        return self.repositories["model", name]


@contextmanager
def running_hub() -> Iterator[HubServer]:
    """A Hub with nothing in it."""
    hub = HubServer()
    try:
        yield hub
    finally:
        hub.gone.set()
        hub.stop()


class _Answer(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet; else each answer waits for the one before

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        body = self._body()
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{method} {path}")
        failure = self.hub.failing(method, path)
        if failure == HANG:
            self.hub.gone.wait(60)
        if failure in (DROP, HANG):
            self.close_connection = True
            return
        try:
            if failure and failure > 0:
                raise _Answer(failure, message="as the test wants")
            status, headers, content = self._route(method, path, body)
        except _Answer as answer:
            content = json.dumps({"error": answer.message or answer.code}).encode()
            status, headers = answer.status, {"Content-Type": "application/json"}
            if answer.code:
                headers["X-Error-Code"] = answer.code
            if answer.message:
                headers["X-Error-Message"] = answer.message
        if failure == DROP_AFTER:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", headers.get("Content-Length", str(len(content))))
        self.end_headers()
        if method != "HEAD":
            self.wfile.write(content)
        self.wfile.flush()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _route(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        with self.hub.lock:
            if match := re.fullmatch(r"/lfs/([0-9a-f]{64})", path):
                return self._take_blob(match[1], body)
            self._check_token(writes=method == "POST" and "/validate-yaml" not in path)
            if path == "/api/validate-yaml":
                return self._validate(json.loads(body)["content"])
            if path == "/api/repos/create":
                return self._create(json.loads(body))
            if match := re.fullmatch(
                r"/api/(model|dataset)s/([^/]+/[^/]+)(?:/([a-z-]+)/(.+))?", path
            ):
                kind, name, action, revision = match.groups()
                return self._api(kind, name, action or "revision", revision or "main", body)
            if match := re.fullmatch(r"/(datasets/)?(.+)\.git/info/lfs/objects/batch", path):
                return self._offer_uploads(json.loads(body))
            if match := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                repository = self._repository("dataset" if match[1] else "model", match[2])
                return self._resolve(repository, match[3], match[4])
        raise _Answer(404, message=f"no such route: {path}")

    def _check_token(self, *, writes: bool) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in (TOKEN, READER):
            raise _Answer(401, message="Invalid credentials in Authorization header")
        if writes and token == READER:
            raise _Answer(403, message="You have read access only")

    def _repository(self, kind: str, name: str) -> Repository:
        found = self.hub.repositories.get((kind, name))
        if found is None:
            raise _Answer(404, "RepoNotFound", "Repository not found")
        return found

    def _api(
        self, kind: str, name: str, action: str, revision: str, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        repository = self._repository(kind, name)
        revision, _, folder = revision.partition("/")
        found = repository.at(revision)
        if found is None:
            raise _Answer(404, "RevisionNotFound")
        commit, files = found
        if action == "revision":
            return _json({"id": name, "sha": commit, "private": repository.private})
        if action == "tree":
            return self._list(files, f"{folder}/" if folder else "")
        if action == "preupload":
            return _json({"files": [_upload_mode(f, files) for f in json.loads(body)["files"]]})
        if action == "commit":
            lines = [json.loads(line) for line in body.splitlines()]
            return self._commit(repository, lines)
        raise _Answer(404, message=f"no such action: {action}")

    def _validate(self, card: str) -> tuple[int, dict[str, str], bytes]:
        try:
            yaml.safe_load(card.split("---")[1])
        except (yaml.YAMLError, IndexError) as error:
            raise _Answer(400, message=str(error)) from error
        return _json({"errors": [], "warnings": []})

    def _create(self, asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        name, kind = f"{asked['organization']}/{asked['name']}", asked.get("type", "model")
        if (kind, name) in self.hub.repositories:
            raise _Answer(409, message="You already created this repo")
        url = f"{self.hub.url}/{'datasets/' if kind == 'dataset' else ''}{name}"
        repository = Repository(url, private=asked.get("visibility") == "private")
        repository.add("initial commit", {".gitattributes": b"*.jpg filter=lfs\n"})
        self.hub.repositories[kind, name] = repository
        return _json({"url": url, "name": name})

    def _list(self, files: dict[str, bytes], folder: str) -> tuple[int, dict[str, str], bytes]:
        query = urlsplit(self.path).query.lower()
        start = int(match[1]) if (match := re.search(r"cursor=(\d+)", query)) else 0
        inside = {path: content for path, content in files.items() if path.startswith(folder)}
        if not inside:
            raise _Answer(404, "EntryNotFound")
        parents = {str(parent) for path in inside for parent in PurePosixPath(path).parents}
        entries = [_entry(path, content) for path, content in inside.items()]
        entries += [{"type": "directory", "path": p, "oid": "0" * 40, "size": 0} for p in parents]
        entries = [e for e in entries if e["path"].startswith(folder) and e["path"] != "."]
        if "recursive=true" not in query:
            entries = [e for e in entries if "/" not in e["path"].removeprefix(folder)]
        entries.sort(key=lambda entry: str(entry["path"]))
        status, headers, content = _json(entries[start : start + PAGE])
        if start + PAGE < len(entries):
            address = f"{self.hub.url}{urlsplit(self.path).path}?{query.split('&cursor')[0]}"
            headers["Link"] = f'<{address}&cursor={start + PAGE}>; rel="next"'
        return status, headers, content

    def _offer_uploads(self, asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        offers: list[dict[str, Any]] = []
        for thing in asked["objects"]:
            offer = {"oid": thing["oid"], "size": thing["size"]}
            if thing["oid"] not in self.hub.blobs:
                offer["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{thing['oid']}"}}
            offers.append(offer)
        return _json({"transfer": "basic", "objects": offers})

    def _take_blob(self, oid: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _Answer(400, message="the content is not what its name says")
        self.hub.blobs[oid] = body
        return 200, {}, b""

    def _commit(
        self, repository: Repository, lines: list[dict[str, Any]]
    ) -> tuple[int, dict[str, str], bytes]:
        files = dict(repository.files)
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repository.commits[-1][0]):
            raise _Answer(412, message="A commit has happened since. Please refresh and try again.")
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.blobs:
                    raise _Answer(400, message=f"{value['path']} was never uploaded")
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif line["key"] == "deletedFile":
                if value["path"] not in files:
                    raise _Answer(404, "EntryNotFound", "A file with this name doesn't exist")
                del files[value["path"]]
            else:
                raise _Answer(400, message=f"unknown key {line['key']}")
        name = repository.add(header["summary"], files)
        url = f"{repository.url}/commit/{name}"
        return _json({"success": True, "commitOid": name, "commitUrl": url})

    def _resolve(
        self, repository: Repository, revision: str, path: str
    ) -> tuple[int, dict[str, str], bytes]:
        found = repository.at(revision)
        if found is None:
            raise _Answer(404, "RevisionNotFound")
        commit, files = found
        if path not in files:
            raise _Answer(404, "EntryNotFound")
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_oid(path, files[path])}"'}
        if _is_large(path):
            headers["X-Linked-Size"] = str(len(files[path]))
            headers["X-Linked-ETag"] = headers["ETag"]
        return 200, headers, files[path]


def _json(content: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(content).encode()


def _is_large(path: str) -> bool:
    return not path.endswith(_TEXT)


def _oid(path: str, content: bytes) -> str:
    if _is_large(path):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _upload_mode(file: dict[str, Any], files: dict[str, bytes]) -> dict[str, Any]:
    path = file["path"]
    mode = {"path": path, "uploadMode": "lfs" if _is_large(path) else "regular"}
    there = {"oid": _oid(path, files[path])} if path in files and not _is_large(path) else {}
    return {**mode, "shouldIgnore": False, **there}


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry = {"type": "file", "path": path, "size": len(content), "oid": _oid(path, content)}
    if _is_large(path):
        digest = hashlib.sha256(content).hexdigest()
        entry |= {"oid": digest[:40]}
        entry |= {"lfs": {"oid": digest, "size": len(content), "pointerSize": 130}}
    return entry
