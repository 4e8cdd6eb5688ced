"""What became of every image, one line each, beside the index: from it a lost index is made anew.

The lines are written before the index is changed. A line of a change that was then undone does no
harm: such an image has no file, and is left out.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

_log = logging.getLogger(__name__)

# A row of the index, with ``removed_at`` where it was taken out; None where nothing is known of it.
Row: TypeAlias = dict[str, Any]


class Journal:
    """A file to which the newest state of each changed image is appended.

    Args:
        path: of the file; made with the first line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        return self._path.exists()

    def write(self, rows: Iterable[Row]) -> None:
        """Append rows, and return when they are on disk."""
        lines = "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows)
        if not lines:
            return
        with self._path.open("a+b") as file:
            # A crash may have left half a line, which must not swallow the next one.
            if file.tell() and not _ends_a_line(self._path):
                file.write(b"\n")
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> Iterator[Row]:
        """Yield the rows, the oldest first; lines that a crash left half written are left out."""
        with self._path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                except ValueError:
                    _log.warning("line %d of %s cannot be read", number, self._path)
                    continue
                if isinstance(row, dict) and "digest" in row:
                    yield row


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
