"""The mirror's own process: brings the state back at start, then follows every change of it.

    first line of standard input: what to mirror  →  restore  →  watch, wait, commit, watch ...
    standard output: one line of JSON whenever something about a part changes
    end of standard input: commit what waits, and end

It is a process beside the app because uploads hash, encode, wait for the Hub and retry, and none of
that may slow a prediction or hold up the app's end. Both sides share files and these lines.

A repository is written only while it holds what this state folder last wrote there or was restored
from. Each commit leaves its batch in ``mirror.json``, there and here; where they differ, somebody
else wrote or a restore failed, and nothing is written. So an empty disk never empties a repository.
"""

import json
import logging
import os
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_not_exception_type,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)

from app.batches import MARKER, KnownBatches, batch_of, batches, marker, sha256
from app.errors import HubError, HubRefused, StateElsewhere, without_path
from app.hub import HubRepository, RemoteFiles, limit_waiting
from app.logs import configure_logs
from app.mirror import MirrorState, Order, PartStatus
from app.mirrored import Files, Part, Photos, Versions

_log = logging.getLogger(__name__)

_MADE_BY_THE_HUB: Final = frozenset({".gitattributes", "README.md"})  # in a new repository
POLL_S: Final = 1.0
_LOOK_EVERY_S: Final = 300.0  # whether it is still private, which its owner may change there
_BACK_OFF_S: Final = 5.0
_MOST_BACK_OFF_S: Final = 300.0
_RESTORE_PATIENCE_S: Final = 30.0  # how long the app's start waits for a Hub that is down
_NICENESS: Final = 10
_END_S: Final = 20.0  # for the last commit, where the app did not end this process before


class RepositoryMirror:
    """Keeps one repository equal to one part of the state.

    Args:
        part: what is mirrored.
        hub: its repository.
        folder: for notes and downloads; on the same disk as the part.
        tell: called with the status whenever it changes.
        wait_s: from a change to its commit, in seconds.
        back_off_s: from the first failure to the next try; it doubles each time.
        patience_s: how long a restore is tried.
        look_every_s: how often it is looked whether the repository is still private, in seconds.
    """

    def __init__(
        self,
        part: Part,
        hub: HubRepository,
        folder: Path,
        tell: Callable[[PartStatus], None] = lambda status: None,
        *,
        wait_s: float = 0.0,
        back_off_s: float = _BACK_OFF_S,
        patience_s: float = _RESTORE_PATIENCE_S,
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._part = part
        self._hub = hub
        self._folder = folder
        self._tell = tell
        self._wait_s = wait_s
        self._back_off = wait_exponential(back_off_s, _MOST_BACK_OFF_S) + wait_random(0, back_off_s)
        self._patience_s = patience_s
        self._look_every_s = look_every_s
        self._looked_at = time.monotonic()
        self._known = KnownBatches(folder / f"{part.name}.json", hub.name)
        self._there: RemoteFiles | None = None
        self._mirrored: object = None  # fingerprint of what is there
        self._count = 0
        self._restore_problem = ""
        self.status = PartStatus(part.name, hub.name)

    def run(self, closing: threading.Event, *, restores: bool) -> None:
        """Restore where nothing is here yet, then mirror until ``closing`` is set."""
        try:
            if restores:
                self.restore()
            self.follow(closing)
        except Exception as error:
            _log.exception("the mirror of the %s ended", self._part.name)
            problem = f"It ended by a fault of its own: {without_path(error)}"
            self._say(MirrorState.STOPPED, problem=problem)

    def restore(self) -> bool:
        """Bring back what the repository holds, if nothing is here yet; return whether it did.

        A failure is told, and the app starts without what it could not bring back.
        """
        if not self._part.is_fresh():
            self._say(MirrorState.WAITING)
            return False
        self._known.forget()
        retrying = Retrying(
            retry=retry_if_not_exception_type(HubRefused),
            stop=stop_after_delay(self._patience_s),
            wait=wait_exponential(1.0, 8.0),
            reraise=True,
        )
        try:
            count = retrying(self._fetch)
        except Exception as error:
            self._known.forget()
            self._restore_problem = without_path(error)
            _log.error("the %s could not be restored: %s", self._part.name, error)
            problem = f"What was kept could not be restored: {self._restore_problem}"
            self._say(MirrorState.FAILING, problem=problem)
            return False
        self._say(MirrorState.WAITING, restored=count)
        return count is not None

    def follow(self, closing: threading.Event) -> None:
        """Mirror what is here and every change, until ``closing`` is set; then once more."""
        retrying = Retrying(
            retry=retry_if_not_exception_type(StateElsewhere),
            stop=stop_when_event_set(closing),
            wait=self._back_off,
            sleep=sleep_using_event(closing),
            before_sleep=self._note_failure,
            reraise=True,
        )
        try:
            retrying(self.push)
            while True:
                ends = closing.wait(POLL_S)
                if self._part.fingerprint() not in (None, self._mirrored):
                    new = max(1, self._part.count() - self._count)
                    self._say(MirrorState.WAITING, waiting=new)
                    closing.wait(self._wait_s)
                    retrying(self.push)
                if ends:
                    return
                if time.monotonic() - self._looked_at > self._look_every_s:
                    self._look_again()
        except StateElsewhere as error:
            _log.error("%s", error)
            self._say(MirrorState.STOPPED, problem=str(error))
        except Exception as error:
            if not closing.is_set():
                raise
            _log.error("the last changes of the %s are not mirrored: %s", self._part.name, error)

    def push(self) -> None:
        """Commit every difference to the repository, in one commit unless it is very many files.

        Raises:
            HubError: the Hub could not be asked, or said no.
            StateElsewhere: the repository holds another state.
        """
        there = self._there or self._attach()
        self._there = None  # should anything fail, look again before the next try
        fingerprint, count = self._part.fingerprint(), self._part.count()
        if fingerprint is not None:
            with self._part.contents() as files:
                for add, delete in batches(self._part, files, there.digests):
                    there = self._commit(there, add, delete)
        self._there = there
        self._mirrored, self._count = fingerprint, count
        self._say(
            MirrorState.MIRRORED,
            waiting=0,
            last_success=datetime.now(UTC).isoformat(timespec="seconds"),
            failing_since=None,
            private=there.private,
            problem=None,
        )

    def _look_again(self) -> None:
        """Tell where the repository was made public, or private, since the last look."""
        self._looked_at = time.monotonic()
        try:
            there = self._hub.look()
        except HubError as error:  # the next commit says so, if that lasts
            _log.debug("%s could not be looked at: %s", self._hub.name, error)
            return
        if there is None or there.private == self.status.private:
            return
        _log.warning("%s is %s now", self._hub.name, "private" if there.private else "public")
        if self._there is not None:
            self._there = replace(self._there, private=there.private)
        self._say(self.status.state, private=there.private)

    def _fetch(self) -> int | None:
        there = self._hub.look()
        if there is None or MARKER not in there.digests:
            return None
        name = self._part.name
        self._say(MirrorState.RESTORING)
        download, scratch = self._folder / f"{name}-{there.commit}", self._folder / f"{name}-new"
        for left in self._folder.glob(f"{name}-*"):
            if left != download:  # of this one, what is there need not be fetched again
                shutil.rmtree(left)
        self._hub.download(there.commit, download)
        batch = batch_of((download / MARKER).read_bytes())
        try:
            count = self._part.replace(download, scratch)
            # Only now: were it known and the process killed before the state is in place, the next
            # process would take what is missing here for deleted.
            self._known.write([batch])
        finally:
            shutil.rmtree(download, ignore_errors=True)
            shutil.rmtree(scratch, ignore_errors=True)
        _log.info("restored %d %s from %s", count, name, self._hub.name)
        return count

    def _attach(self) -> RemoteFiles:
        """Return what is there, if it may be written."""
        there = self._hub.look()
        if there is None:
            self._hub.create()
            there = self._hub.look()
        if there is None:
            raise HubError(f"{self._hub.name} was made, but the token does not let it be seen.")
        if MARKER in there.digests:
            batch = batch_of(self._hub.read(MARKER, there.commit))
            if batch not in self._known.read():
                raise StateElsewhere(self._hub.name, self._why_elsewhere())
            self._known.write([batch])
        elif others := sorted(there.digests.keys() - _MADE_BY_THE_HUB):
            names = ", ".join(others[:3])
            raise StateElsewhere(self._hub.name, f"it holds files of something else ({names})")
        return there

    def _why_elsewhere(self) -> str:
        if self._restore_problem:
            return (
                f"it holds an earlier state, which could not be restored: {self._restore_problem}"
            )
        return "it was written by another server, or from another state folder"

    def _commit(self, there: RemoteFiles, add: Files, delete: list[str]) -> RemoteFiles:
        """Write a batch, and return what is there then."""
        batch = uuid.uuid4().hex
        # Known before it is there: should the answer be lost, the batch is recognised.
        self._known.write([*self._known.read(), batch])
        files = {**add, MARKER: marker(batch)}
        message = f"{len(add)} files written, {len(delete)} deleted"
        commit = self._hub.commit(files, delete, message, parent=there.commit)
        self._known.write([batch])
        digests = there.digests | {path: sha256(file) for path, file in files.items()}
        for path in delete:
            del digests[path]
        return replace(there, commit=commit, digests=digests)

    def _note_failure(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        wait_s = state.next_action.sleep if state.next_action else 0.0
        problem = f"{self._restore_problem} {without_path(error)}".strip()
        _log.warning("%s are not mirrored: %s Again in %.0f s.", self._part.name, error, wait_s)
        since = self.status.failing_since or now
        self._say(MirrorState.FAILING, problem=problem, failing_since=since)

    def _say(self, state: MirrorState, **details: Any) -> None:
        self.status = replace(self.status, state=state, **details)
        self._tell(self.status)


def main() -> int:
    """Mirror what the first line of standard input says, until that stream ends."""
    order = Order.from_json(sys.stdin.readline())
    configure_logs(order.log_format, order.log_level)
    if hasattr(os, "nice"):
        os.nice(_NICENESS)  # predictions go before
    limit_waiting()
    state_dir = Path(order.state_dir)
    closing, telling = threading.Event(), threading.Lock()

    def tell(status: PartStatus) -> None:
        # Where the app is gone, nobody needs to know.
        with telling, suppress(BrokenPipeError):
            print(json.dumps(asdict(status)), flush=True)

    parts: list[tuple[Part, str]] = [
        (Photos(state_dir), order.dataset),
        (Versions(state_dir), order.models),
    ]
    runs: list[tuple[RepositoryMirror, threading.Thread]] = []
    for part, name in parts:
        if name:
            hub = HubRepository(name, part.kind, order.token, order.endpoint)
            mirror = RepositoryMirror(part, hub, state_dir / "mirror", tell, wait_s=order.wait_s)
            run = threading.Thread(
                target=mirror.run, args=(closing,), kwargs={"restores": order.restores}, daemon=True
            )
            run.start()
            runs.append((mirror, run))
    sys.stdin.read()
    closing.set()
    for mirror, run in runs:
        if mirror.status.state is not MirrorState.RESTORING:  # which the next start begins again
            run.join(_END_S)
    # The library's own threads may still wait for the Hub, and would be waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
