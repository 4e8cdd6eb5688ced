"""How this package opens an SQLite database, and whether one is sound."""

import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.exc import DatabaseError

from data.errors import DamagedDatabase

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


def find_damage(path: Path) -> str:
    """Return what SQLite finds wrong with a database file, in its words; empty for nothing.

    Reads only, so it may be done while others write.
    """
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            connection.execute("PRAGMA busy_timeout = 30000")
            (first, *_) = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if first == "ok" else " ".join(str(first).split())


def rebuild_indexes(path: Path) -> None:
    """Build the indexes of a database file anew from its tables.

    Raises:
        DamagedDatabase: that does not make it sound.
    """
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("REINDEX")
            connection.commit()
    except sqlite3.DatabaseError as error:
        raise DamagedDatabase(path, str(error)) from error
    if damage := find_damage(path):
        raise DamagedDatabase(path, damage)
