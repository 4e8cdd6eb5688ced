"""Whether what is collected here outlives this disk: the app's side of the mirror on the Hub.

The work is done by ``app.mirroring`` in a process of its own. Here it is started, listened to,
started again should it end, and ended.
"""

import json
import logging
import os
import subprocess  # nosec B404 # starts our own module only
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Final

import app
from app.errors import without_path
from app.settings import Settings

_log = logging.getLogger(__name__)

FLUSH_S: Final = 5.0  # for what waits when the app ends
_AGAIN_S: Final = 30.0
_ENVIRONMENT: Final = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


class MirrorState(StrEnum):
    """How a part of the state and its repository compare, the best first."""

    OFF = "off"
    MIRRORED = "mirrored"
    WAITING = "waiting"  # for its turn
    RESTORING = "restoring"
    FAILING = "failing"  # and trying again
    STOPPED = "stopped"  # nothing more is tried before the next start


@dataclass(frozen=True)
class PartStatus:
    """How it is with one part of the state.

    Attributes:
        name: ``photos`` or ``versions``.
        repository: ``owner/name``.
        state: how both compare.
        waiting: photos or versions that are not mirrored yet; 1 or more where only something about
            them changed.
        last_success: when all was mirrored; ISO 8601, UTC, as is the next.
        failing_since: since when no try succeeded.
        problem: why, and what to do.
        restored: how many were brought back at start; None where none had to be.
        private: whether only the owner sees the repository; None while nobody looked.
    """

    name: str
    repository: str
    state: MirrorState = MirrorState.RESTORING
    waiting: int = 0
    last_success: str | None = None
    failing_since: str | None = None
    problem: str | None = None
    restored: int | None = None
    private: bool | None = None

    @classmethod
    def from_json(cls, line: str) -> "PartStatus":
        """Return the status that ``app.mirroring`` wrote as a line."""
        content = json.loads(line)
        return cls(**content | {"state": MirrorState(content["state"])})


@dataclass(frozen=True)
class Order:
    """What ``app.mirroring`` shall do, as the first line that it reads.

    A pipe is used because other programs can read arguments and variables.
    """

    state_dir: str
    dataset: str
    models: str
    token: str
    endpoint: str
    wait_s: float
    restores: bool
    log_format: str
    log_level: str

    @classmethod
    def from_json(cls, line: str) -> "Order":
        """Return the order in the line."""
        return cls(**json.loads(line))


class Mirror:
    """The state on the Hub, where the settings name repositories; else nothing at all.

    Args:
        settings: of the app.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        named = {"photos": settings.hub_dataset, "versions": settings.hub_models}
        self._parts = {name: PartStatus(name, repo) for name, repo in named.items() if repo}
        self._settled = threading.Event()
        self._closing = threading.Event()
        self._stdin: IO[str] | None = None
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._supervise, name="mirror", daemon=True)

    def begin(self) -> None:
        """Restore what is missing here, then mirror from now on, beside the app.

        Call it before anything opens the state. Returns once the restore is done or was given up.
        """
        if self._parts:
            self._thread.start()
            self._settled.wait()

    def describe(self) -> dict[str, Any]:
        """Return how it is, ready for JSON: the worse state of both parts, and each of them."""
        order = list(MirrorState)
        states = [status.state for status in self._parts.values()]
        return {
            "state": max(states, key=order.index, default=MirrorState.OFF),
            "on_space": self._settings.on_space,
            "note": self.note(),
            "parts": {name: asdict(status) for name, status in self._parts.items()},
        }

    def note(self, *names: str) -> str:
        """Return what people who add something should know; empty where all is well.

        Args:
            names: ``photos``, ``versions``; none for both.
        """
        names = names or tuple(_SETTINGS)
        sentences = []
        lost = [name for name in names if name not in self._parts]
        if self._settings.on_space and lost:
            sentences.append(
                f"This Space loses its disk when it restarts, sleeps or is pushed to, and with it "
                f"the {' and '.join(lost)} that were added. To keep them, set "
                f"{' and '.join(_SETTINGS[name] for name in lost)}, with HF_TOKEN as a secret."
            )
        for status in (self._parts[name] for name in names if name in self._parts):
            if status.name == "photos" and status.private is False:
                sentences.append(
                    f"The photos that are added are public, as {status.repository} on the Hub is."
                )
            if status.state in (MirrorState.FAILING, MirrorState.STOPPED):
                sentences.append(f"New {status.name} are not kept for now: {status.problem}")
        return " ".join(sentences)

    def take(self, status: PartStatus) -> None:
        """Take note of how a part is now."""
        self._parts = self._parts | {status.name: status}
        if all(part.state is not MirrorState.RESTORING for part in self._parts.values()):
            self._settled.set()

    def close(self) -> None:
        """Let what waits be mirrored, for a few seconds at most, and end the process."""
        self._closing.set()
        if not self._thread.is_alive():
            return
        if self._stdin:
            with suppress(OSError):
                self._stdin.close()
        self._thread.join(FLUSH_S)
        if self._thread.is_alive() and self._process:
            _log.error("not everything could be mirrored in %.0f s", FLUSH_S)
            self._process.kill()
            self._thread.join()

    def _supervise(self) -> None:
        restores = True
        while not self._closing.is_set():
            try:
                with self._start(restores=restores) as process:
                    for line in process.stdout or ():
                        self._read(line)
                ended = f"status {process.returncode}"
            except OSError as error:  # no process could be made, or none to talk to
                _log.error("the mirror could not be started: %s", error)
                ended = without_path(error)
            if not self._closing.is_set():
                self._fail(f"The mirror ended with {ended}; the log says why.")
            self._settled.set()
            # The state is in use from now on, so it is not to be replaced.
            restores = False
            self._closing.wait(_AGAIN_S)

    def _start(self, *, restores: bool) -> "subprocess.Popen[str]":
        settings = self._settings
        process = subprocess.Popen(  # nosec B603
            [sys.executable, "-m", "app.mirroring"],
            cwd=Path(app.__file__).parents[1],
            env=os.environ | _ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in the app's terminal is for the app, which ends this
        )
        order = Order(
            state_dir=str(settings.state_dir.absolute()),
            dataset=settings.hub_dataset,
            models=settings.hub_models,
            token=settings.hub_token,
            endpoint=settings.hub_endpoint,
            wait_s=settings.hub_wait_s,
            restores=restores,
            log_format=settings.log_format,
            log_level=settings.log_level,
        )
        self._process, self._stdin = process, process.stdin
        if process.stdin:
            process.stdin.write(json.dumps(asdict(order)) + "\n")
            process.stdin.flush()
        return process

    def _read(self, line: str) -> None:
        try:
            self.take(PartStatus.from_json(line))
        except (ValueError, KeyError, TypeError):
            _log.warning("the mirror said: %s", line.strip())

    def _fail(self, problem: str) -> None:
        _log.error("%s", problem)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for part in self._parts.values():
            since = part.failing_since or now
            failing = MirrorState.FAILING
            self.take(replace(part, state=failing, problem=problem, failing_since=since))


_SETTINGS: Final = {"photos": "FRUIT_HUB_DATASET", "versions": "FRUIT_HUB_MODELS"}
