"""Labels that a person has called right, so that a doubt about them is not told again.

They are a table of the store's index, which is copied and restored with the photos; from an index
that was lost they are gone, and the doubts are told anew. The table is made with the first of them,
so that to open an index takes no turn at writing. Knows nothing of who doubts.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from sqlalchemy import DDL, Column, MetaData, String, Table, event, insert, inspect, select

from data.database import open_database
from data.store import INDEX_NAME

_metadata = MetaData()
_confirmed = Table(
    "confirmed_labels",
    _metadata,
    Column("digest", String(64), primary_key=True),  # of the photo's file
    Column("label", String(40), nullable=False),
)
# In the transaction that relabels, whoever does, so that none is forgotten and none comes back.
_VOID: Final = DDL(  # type: ignore[no-untyped-call]  # its stubs name no return type
    "CREATE TRIGGER IF NOT EXISTS void_confirmed_label AFTER UPDATE OF label ON images "
    "WHEN new.label != old.label BEGIN "
    "DELETE FROM confirmed_labels WHERE digest = old.digest; END"
)
event.listen(_metadata, "after_create", _VOID)


class Confirmations:
    """The confirmed labels of a store; one that is relabelled is not confirmed any more.

    Args:
        root: folder of the store, which was opened before.
    """

    def __init__(self, root: Path) -> None:
        self._engine = open_database(root / INDEX_NAME, MetaData())

    def close(self) -> None:
        """Close the index."""
        self._engine.dispose()

    def add(self, labels: Mapping[str, str]) -> None:
        """Confirm the labels of photos, by the digests of their files."""
        rows = [{"digest": digest, "label": label} for digest, label in labels.items()]
        if rows:
            with self._engine.begin() as connection:
                _metadata.create_all(connection)
                connection.execute(insert(_confirmed).prefix_with("OR REPLACE"), rows)

    def of(self, digests: Collection[str]) -> dict[str, str]:
        """Return the confirmed labels of those of the photos that have one, by digest."""
        query = select(_confirmed.c.digest, _confirmed.c.label)
        with self._engine.connect() as connection:
            if not inspect(connection).has_table(_confirmed.name):
                return {}
            rows = connection.execute(query.where(_confirmed.c.digest.in_(digests)))
            return {row.digest: row.label for row in rows}
