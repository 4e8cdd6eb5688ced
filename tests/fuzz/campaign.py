"""Sends many hostile cases to one running server, and looks at it before and afterwards."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from models.registry import ModelRegistry
from tests.conftest import REFUSING_LABELS, colour_model, publish
from tests.e2e.conftest import ROOT, Server, running_server
from tests.fuzz.cases import UPLOAD, all_kinds
from tests.fuzz.oracle import problems
from tests.fuzz.pictures import good_picture
from tests.fuzz.wire import Answer, Case, Wire

# Large enough for every bomb of the corpus to be opened, and small enough for the limits to be met.
LIMITS = {
    "FRUIT_MAX_FILE_BYTES": "600000",
    "FRUIT_MAX_REQUEST_BYTES": "7000000",
    "FRUIT_MAX_FILES": "12",
    "FRUIT_MAX_ZIP_BYTES": "5000000",
    "FRUIT_MAX_SESSIONS": "50",
    "FRUIT_MAX_PIXELS": "16000000",  # a quarter of the default, as are the bombs at the limit
    # Where nothing listens: whatever begins a download after all is refused at once.
    "FRUIT_BASE_SET_MIRROR": "http://127.0.0.1:9",
}
WARM_UP = 400  # cases, before the memory is looked at: what is imported and cached on first use


@dataclass
class Kind:
    """What became of the cases of one kind."""

    cases: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: str = ""


@dataclass
class Campaign:
    """What became of all cases.

    Attributes:
        server: that was asked.
        temp: the folder that the server takes for the system's temporary one.
        log: what the server wrote to standard error.
        kinds: by name.
        problems: what was wrong, and with which case.
        kept: how many photos the server says it added.
        sent_bytes: of all files that were uploaded to the page.
        memory: resident bytes: at the start, after the warm-up, at the end.
    """

    server: Server
    temp: Path
    log: Path
    kinds: dict[str, Kind] = field(default_factory=dict)
    problems: list[tuple[str, Case, Answer]] = field(default_factory=list)
    kept: int = 0
    sent_bytes: int = 0
    memory: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wire = Wire(self.server.url)
        self._process = psutil.Process(self.server.pid)
        self._begun = self._process.create_time()
        self._secrets = [
            str(self.server.state_dir), str(self.temp), str(ROOT), "site-packages"
        ]  # fmt: skip
        self.there = set(self.temp.rglob("*"))  # onnxruntime keeps a file there from its start
        self.look()

    def run(self, cases: int, number: int = 0) -> None:
        """Send so many cases of all kinds; the same number gives the same cases."""
        config = json.loads(self.wire.request("GET", "/config").body)
        kinds = all_kinds(config, self.wire.host)
        for name, (strategy, share) in kinds.items():
            self._run_kind(name, strategy, max(2, cases * share // 100), number)

    def look(self) -> None:
        """Note how much memory the server holds now."""
        self.memory.append(self._process.memory_info().rss)

    def send(self, case: Case) -> Answer:
        """Send one case, judge the answer and count it."""
        try:
            answer = self.wire.send(case)
            self._count(case, answer)
        except (ValueError, LookupError, TypeError) as error:
            answer = Answer(0, b"", 0.0)
            self.problems.append((f"the answer cannot be read: {error!r}", case, answer))
            return answer
        for problem in problems(case, answer, self._secrets):
            self.problems.append((problem, case, answer))
        return answer

    def aftermath(self) -> list[str]:
        """Return what is wrong with the server now that all cases were sent."""
        found = []
        if not self._process.is_running() or self._process.create_time() != self._begun:
            return ["the server has ended"]
        health = self.wire.json("/api/health")
        if health["status"] != "ok":
            found.append(f"health: {health}")
        answer = self.wire.request("POST", "/api/predict", body=good_picture())
        if json.loads(answer.body).get("label") != "apple":
            found.append(f"a good photo is answered with {answer.body[:200]!r}")
        stored = sum(row["photos"] for row in self.wire.json("/api/classes"))
        if stored != self.kept:
            found.append(f"the store holds {stored} photos; {self.kept} were accepted")
        files = [p for p in (self.server.state_dir / "store" / "images").rglob("*") if p.is_file()]
        if len(files) != stored:
            found.append(f"the store has {len(files)} files for {stored} photos")
        for path in self.server.state_dir.rglob("*.db"):
            with closing(sqlite3.connect(path)) as database:
                said = database.execute("PRAGMA integrity_check").fetchone()[0]
            if said != "ok":
                found.append(f"{path.name}: {said}")
        if left := set(self.temp.rglob("*")) - self.there:
            names = ", ".join(path.name for path in sorted(left)[:5])
            found.append(f"left in the system's temporary folder: {names}")
        if halves := [p.name for p in (self.server.state_dir / "gradio").iterdir() if p.is_file()]:
            found.append(f"left among the uploads: {len(halves)}, such as {halves[0]}")
        if any(job["state"] not in ("cancelled", "failed") for job in self.wire.json("/api/jobs")):
            found.append("a job was started")
        return found

    def internal_errors(self) -> list[str]:
        """Return the lines of the server's log that tell of an error of its own."""
        found: list[str] = []
        for line in self.log.read_text(errors="replace").splitlines():
            if " ERROR " in line or line.startswith("Traceback"):
                found.append(line)
            elif found and line.startswith("  ") and not line.startswith("    "):
                # The last line of an indented traceback says what it was.
                found[-1] = found[-1].partition(": ")[0] + ": " + line.strip()
        return found

    def _run_kind(
        self, name: str, strategy: st.SearchStrategy[Case], cases: int, number: int
    ) -> None:
        @seed(number)
        @settings(
            max_examples=cases,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        @given(strategy)
        def send(case: Case) -> None:
            self.send(case)

        send()

    def _count(self, case: Case, answer: Answer) -> None:
        kind = self.kinds.setdefault(case.kind, Kind())
        kind.cases += 1
        refused = any(event.get("success") is False for event in answer.events)
        kind.statuses["refused" if refused else str(answer.status or "closed")] += 1
        if answer.seconds > kind.slowest_s:
            kind.slowest_s, kind.slowest = answer.seconds, case.what
        if case.path == UPLOAD and answer.status == 200:
            report = json.loads(answer.body)
            self.kept += report["counts"].get("added", 0) if report["kept"] else 0
        elif case.call is not None:
            for event in answer.events:
                self.kept += _added(event)


def _added(event: object) -> int:
    """Return how many photos a call of the page says that it added."""
    try:
        report = event["output"]["data"][0]  # type: ignore[index]
        return int(report["counts"].get("added", 0)) if report["kept"] else 0
    except (KeyError, TypeError, IndexError, AttributeError):
        return 0


def files_in(folder: Path) -> int:
    """Return how many files there are in a folder and those below it."""
    return sum(path.is_file() for path in folder.rglob("*"))


def bytes_in(folder: Path) -> int:
    """Return how many bytes the files in a folder and those below it have."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def campaign(folder: Path, limits: Mapping[str, str] = LIMITS) -> Iterator[Campaign]:
    """Start a server with the small model, from which no retraining can start, and besiege it."""
    registry = ModelRegistry(folder / "state" / "models")
    version = publish(registry, colour_model(REFUSING_LABELS), REFUSING_LABELS, "activation_maps")
    registry.activate(version.version)
    temp = folder / "temp"
    temp.mkdir()
    log = folder / "stderr.log"
    with running_server(folder / "state", log, **limits, TMPDIR=str(temp)) as server:
        yield Campaign(server, temp, log)
