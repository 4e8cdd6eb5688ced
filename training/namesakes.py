"""Pictures of none of the classes that show a class after all, since somebody added that class."""

from collections.abc import Iterable

from data.labels import BASE_LABELS, NONE_OF_THESE, singulars
from data.snapshot import Snapshot, SnapshotImage


def namesakes(images: Iterable[SnapshotImage], labels: Iterable[str]) -> set[str]:
    """Return the publishers' folders of none of the classes that are called as an added class is.

    Of the classes that the public sets were sorted into, none is looked for: *Pepper Orange* is no
    orange, and whoever sorted the folder knew.

    Args:
        images: of any label.
        labels: of a version.
    """
    added = set(labels) - {*BASE_LABELS, NONE_OF_THESE}
    varieties = {i.variety for i in images if i.label == NONE_OF_THESE}
    return {v for v in varieties if any(names_class(v, label) for label in added)}


def without_namesakes(snapshot: Snapshot, labels: Iterable[str]) -> Snapshot:
    """Return a snapshot without the pictures of none of the classes that show a class after all."""
    renamed = namesakes(snapshot.images, labels)
    kept = (i for i in snapshot.images if i.label != NONE_OF_THESE or i.variety not in renamed)
    return Snapshot(snapshot.root, tuple(kept))


def names_class(variety: str, label: str) -> bool:
    """Return whether a publisher's folder is called as the class, in the singular or plural."""
    parts = variety.casefold().replace("/", " ").replace("-", " ").replace("_", " ").split()
    words = label.casefold().replace("-", " ").replace("_", " ").split()
    return any(
        all(
            singulars(part) & singulars(word) for part, word in zip(parts[at:], words, strict=False)
        )
        for at in range(len(parts) - len(words) + 1)
    )
