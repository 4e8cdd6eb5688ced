"""Which classes have photos enough to be retrained.

The app asks before a retraining starts, and the retraining again: the photos may change in between.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from data.labels import BASE_LABELS, NONE_OF_THESE, spoken
from data.splits import Split

MIN_NEW_CLASS: Final = 10  # photos to learn from, for a class that is new


def too_few_to_learn(photos: Mapping[str, int], known: Collection[str]) -> dict[str, int]:
    """Return those new classes that a retraining leaves out, and how many photos each has.

    Args:
        photos: to learn from, by label: all new ones but those of the split ``test`` for a quick
            retraining, those of the split ``train`` for a thorough one.
        known: labels of the version that it would go on from; of these any number is enough.
    """
    return {n: c for n, c in sorted(photos.items()) if n not in known and c < MIN_NEW_CLASS}


def where_to_get(labels: Iterable[str], fetch: str = "fetch the base data set") -> str:
    """Say where photos of labels are to be had: the public sets have none of what users added.

    Args:
        labels: at least one.
        fetch: how the public sets are had.
    """
    wanted = sorted(labels)
    added = [spoken(label) for label in wanted if label not in (*BASE_LABELS, NONE_OF_THESE)]
    ways = [fetch] if len(added) < len(wanted) else []
    ways += [f"add photos of {' and '.join(added)} on the Upload tab"] if added else []
    said = " and ".join(ways)
    return said[:1].upper() + said[1:]


def too_few_to_rehearse(
    labels: Iterable[str], counts: Mapping[tuple[str, Split], int]
) -> list[str]:
    """Return those labels of a version that a thorough retraining could not rehearse or judge.

    Args:
        labels: of the version that it would go on from.
        counts: images in the store, by label and split.
    """
    return [
        label
        for label in labels
        if counts.get((label, Split.TRAIN), 0) < MIN_NEW_CLASS
        or not counts.get((label, Split.TEST))
    ]


def nothing_to_judge_by(
    labels: Iterable[str], counts: Mapping[tuple[str, Split], int]
) -> list[str]:
    """Return those new classes all of whose images are to learn from, as after a relabelling.

    Args:
        labels: classes that the version does not know.
        counts: images in the store, by label and split.
    """
    return [
        label
        for label in labels
        if not counts.get((label, Split.VALIDATION)) and not counts.get((label, Split.TEST))
    ]
