"""Which folders of none of the classes show a class that somebody added."""

from pathlib import Path

import pytest

from data.labels import NONE_OF_THESE
from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split
from training.namesakes import names_class, namesakes, without_namesakes


def image(variety: str, label: str = NONE_OF_THESE) -> SnapshotImage:
    return SnapshotImage("", label, variety, Split.TRAIN, "public", variety)


@pytest.mark.parametrize(
    ("variety", "label", "same"),
    [
        ("Kiwi 1", "kiwi", True),
        ("Fruit/Kiwi", "kiwi", True),
        ("Limes 1", "lime", True),
        ("Vegetables/Tomato/Vine-Tomato", "tomatoes", True),
        ("Fruit/Red-Grapefruit", "red grapefruit", True),
        ("Strawberry 1", "strawberries", True),
        ("Fruit/Berries", "berry", True),
        ("Fruit/Peas", "pear", False),
        ("Fruit/Passion", "passion fruit", False),
        ("Fruit/Pineapple", "apple", False),
        ("Packages/Milk", "kiwi", False),
    ],
)
def test_a_folder_is_called_as_a_class_in_singular_or_plural(
    variety: str, label: str, same: bool
) -> None:
    assert names_class(variety, label) is same


def test_only_added_classes_take_folders_from_none_of_these() -> None:
    images = [image("Pepper Orange 1"), image("Kiwi 1"), image("Kiwi 2", "kiwi"), image("Plum")]
    labels = ("apple", "kiwi", "orange", NONE_OF_THESE)

    assert namesakes(images, labels) == {"Kiwi 1"}
    kept = without_namesakes(Snapshot(Path(), tuple(images)), labels)
    assert [i.variety for i in kept.images] == ["Pepper Orange 1", "Kiwi 2", "Plum"]
