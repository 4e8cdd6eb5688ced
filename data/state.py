"""Where the running program keeps what it writes, and the folders inside."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

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
