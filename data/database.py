"""How this package opens an SQLite database."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.exc import DatabaseError

_log = logging.getLogger(__name__)

# SQLite's words for a file that is no database any more, as opposed to one that is locked or full.
_DAMAGED = ("file is not a database", "malformed", "file is encrypted")


def open_database(path: Path, tables: MetaData) -> Engine:
    """Return the engine of a database file, with its tables there.

    A file that is no database any more is set aside under another name, and a new one begun.
    """
    try:
        return _open(path, tables)
    except DatabaseError as error:
        if not any(word in str(error.orig) for word in _DAMAGED):
            raise
        _set_aside(path, str(error.orig))
        return _open(path, tables)


def _open(path: Path, tables: MetaData) -> Engine:
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # Readers are not blocked while an import writes, and a second writer waits.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA busy_timeout = 30000")

    try:
        tables.create_all(engine)
    except DatabaseError:
        engine.dispose()
        raise
    # A database of an earlier release has its tables, which `create_all` leaves as they are.
    for table in tables.tables.values():
        for index in table.indexes:
            index.create(engine, checkfirst=True)
    return engine


def _set_aside(path: Path, problem: str) -> None:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{moment}")
    for suffix in ("", "-wal", "-shm"):  # its log and index belong to the file
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(aside.name + suffix))
    _log.error("%s is damaged (%s): set aside as %s, and begun anew", path, problem, aside.name)
