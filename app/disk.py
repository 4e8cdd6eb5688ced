"""How much of the disk has to stay free of files that are on their way to or from the page."""

import shutil
from pathlib import Path

from app.errors import NotStored


def require_room(size_bytes: int, folder: Path, min_free_bytes: int, *, what: str = "") -> None:
    """Raise NotStored where a file leaves less of the disk than has to stay free.

    Args:
        size_bytes: of the file; 0 where that is not known.
        folder: any on that disk.
        min_free_bytes: what has to stay free, or a twentieth of a small disk.
        what: the file, for the message.
    """
    usage = shutil.disk_usage(folder)
    if usage.free - size_bytes < min(min_free_bytes, usage.total // 20):
        free = f"{usage.free / 1e6:,.0f} MB are free"
        raise NotStored(
            f"{what} takes {size_bytes / 1e6:,.0f} MB, and {free}" if what else f"only {free}"
        )
