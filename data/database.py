"""How this package opens an SQLite database."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event


def open_database(path: Path, tables: MetaData) -> Engine:
    """Return the engine of a database file, with its tables there."""
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # Readers are not blocked while an import writes, and a second writer waits.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA busy_timeout = 30000")

    tables.create_all(engine)
    # A database of an earlier release has its tables, which `create_all` leaves as they are.
    for table in tables.tables.values():
        for index in table.indexes:
            index.create(engine, checkfirst=True)
    return engine
