"""Confident learning finds the labels that nobody who saw the photo would give."""

import numpy as np

from data.snapshot import SnapshotImage
from data.splits import Split
from training.label_errors import likely_mislabelled

LABELS = ("apple", "kiwi", "mango", "none_of_these")


def photos(*labels: str) -> list[SnapshotImage]:
    return [SnapshotImage("", n, str(i), Split.TRAIN, "uploads", "") for i, n in enumerate(labels)]


def sure(*labels: str) -> np.ndarray:
    rows = np.full((len(labels), 4), 0.02, np.float32)
    rows[np.arange(len(labels)), [LABELS.index(n) for n in labels]] = 0.94
    return rows


def test_wrong_labels_are_found_and_named() -> None:
    given = ["apple"] * 10 + ["kiwi"] * 10 + ["mango"] * 10
    shown = ["apple"] * 9 + ["mango"] + ["kiwi"] * 10 + ["kiwi"] + ["mango"] * 9

    found = likely_mislabelled(photos(*given), sure(*shown), LABELS)

    assert {(s.digest, s.label, s.suggested) for s in found} == {
        ("9", "apple", "mango"),
        ("20", "mango", "kiwi"),
    }
    assert round(found[0].probability, 2) == 0.94


def test_right_labels_are_left_alone() -> None:
    given = ["apple"] * 10 + ["kiwi"] * 10
    assert likely_mislabelled(photos(*given), sure(*given), LABELS) == []


def test_of_a_few_photos_nothing_is_said() -> None:
    assert likely_mislabelled(photos("apple", "kiwi"), sure("kiwi", "apple"), LABELS) == []


def test_one_class_alone_is_looked_through_as_well() -> None:
    shown = ["kiwi"] * 11 + ["none_of_these"]

    (found,) = likely_mislabelled(photos(*["kiwi"] * 12), sure(*shown), LABELS)

    assert (found.digest, found.suggested) == ("11", "none_of_these")
