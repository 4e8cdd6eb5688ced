"""One app for one state folder: a second one would fire schedules and run jobs twice."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import Timeout

from app.errors import StateInUse, StateUnusable
from data.state import app_lock

_PID: Final = "app.pid"


@contextmanager
def holding(state_dir: Path) -> Iterator[None]:
    """Hold a state folder within the block; a process that dies lets go of it at once.

    Args:
        state_dir: the folder; made if need be.

    Raises:
        StateInUse: another app holds it.
        StateUnusable: it cannot be made or written.
    """
    pid = state_dir / _PID
    lock = app_lock(state_dir)
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StateInUse(state_dir, _read(pid)) from error
    except OSError as error:
        raise StateUnusable(state_dir, error) from error
    try:
        try:
            pid.write_text(f"{os.getpid()}\n")
        except OSError as error:
            raise StateUnusable(state_dir, error) from error
        yield
    finally:
        pid.unlink(missing_ok=True)
        lock.release()


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
