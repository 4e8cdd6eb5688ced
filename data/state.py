"""Where the running program keeps what it writes, and the folders inside."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
from filelock import FileLock

STATE_VARIABLE: Final = "FRUIT_STATE_DIR"


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for all mutable state: ``FRUIT_STATE_DIR``, else ``var`` here.

    Commands call this once at their edge; everything below takes a path.
    """
    return Path(environ.get(STATE_VARIABLE) or "var")


def store_dir(state: Path) -> Path:
    """Return the dataset store's folder within the state."""
    return state / "store"


def downloads_dir(state: Path) -> Path:
    """Return the folder of downloaded archives within the state."""
    return state / "downloads"


def reviews_dir(state: Path) -> Path:
    """Return the folder of the photos that wait for review within the state."""
    return state / "reviews"


def snapshots_dir(state: Path) -> Path:
    """Return the folder of snapshots within the state."""
    return state / "snapshots"


def cross_validations_dir(state: Path) -> Path:
    """Return the folder of what cross-validations found."""
    return state / "cross-validations"


def jobs_dir(state: Path) -> Path:
    """Return the folder of retrain jobs: their table and a folder for each."""
    return state / "jobs"


def monitoring_dir(state: Path) -> Path:
    """Return the folder of the figures over time and the alerts."""
    return state / "monitoring"


def app_lock(state: Path) -> FileLock:
    """Return the lock that an app holds for as long as it uses the state folder."""
    return FileLock(state / "app.lock")


def users_of(state: Path) -> list[str]:
    """Return the other processes that have a database of the state open, as name and number.

    Processes of other users are left out where the system hides what they have open, and so are
    those of another container.
    """
    databases = {str(path.resolve()) for path in state.glob("*/*.db")}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and databases & {f.path for f in process.open_files()}:
                found.append(f"{process.name()} (process {process.pid})")
    return found
