"""What the columns of the last layer stand for, and how other things are merged."""

import numpy as np
import pytest
from scipy.special import softmax

from data.labels import NONE_OF_THESE
from data.snapshot import SnapshotImage
from data.splits import Split
from training.columns import OTHER, Columns, kind_of


def image(label: str, variety: str = "") -> SnapshotImage:
    return SnapshotImage("", label, "0" * 64, Split.TRAIN, "shop", variety, "run")


@pytest.mark.parametrize(
    ("variety", "kind"),
    [
        ("Pear Williams 1", "pear"),
        ("Zucchini dark 1", "zucchini"),
        ("Limes 1", "lime"),
        ("Fruit/Pear/Conference", "pear"),
        ("Vegetables/Carrots", "carrot"),
        ("Vegetables/Red-Beet", "beet"),
        ("Vegetables/Asparagus", "asparagus"),
        ("Packages/Oat-Milk/Oatly-Oat-Milk", "milk"),
        ("", OTHER),
        ("123", OTHER),
    ],
)
def test_publishers_folders_of_one_kind_have_one_name(variety: str, kind: str) -> None:
    assert kind_of(variety) == kind


def test_kinds_stand_behind_the_classes_and_unknown_ones_are_the_last() -> None:
    others = [image(NONE_OF_THESE, "Pear 1"), image(NONE_OF_THESE, "Fruit/Kiwi")]

    columns = Columns.of_kinds(("apple", "mango", NONE_OF_THESE), [*others, image("mango", "Kiwi")])

    assert columns == Columns(("apple", "mango"), ("kiwi", "pear", OTHER))
    assert columns.labels == ("apple", "mango", NONE_OF_THESE)
    shown = [image("mango", "Pear 1"), *others, image(NONE_OF_THESE, "Corn 1"), image("apple")]
    assert columns.of(shown).tolist() == [1, 3, 2, 4, 0]


def test_one_column_a_label_without_kinds() -> None:
    refusing = Columns.of_labels(("apple", "mango", NONE_OF_THESE))

    assert (refusing.width, refusing.labels[-1]) == (3, NONE_OF_THESE)
    assert refusing.of([image(NONE_OF_THESE, "Pear 1"), image("apple")]).tolist() == [2, 0]
    assert Columns.of_labels(("apple", "mango")) == Columns(("apple", "mango"))


def test_merged_none_of_these_is_as_likely_as_its_kinds_together() -> None:
    columns = Columns(("apple", "mango"), ("kiwi", "pear", OTHER))
    logits = np.random.default_rng(0).normal(0, 3, (6, 5)).astype(np.float32)

    merged = columns.merge(logits)

    assert (merged.shape, merged.dtype) == ((6, 3), np.dtype(np.float32))
    apart = softmax(logits, axis=1)
    expected = np.concatenate([apart[:, :2], apart[:, 2:].sum(axis=1, keepdims=True)], axis=1)
    np.testing.assert_allclose(softmax(merged, axis=1), expected, rtol=1e-5)
