"""The paths of the public archives say label, variety, scene and split."""

import pytest

from data.errors import InvalidLabel, UnknownSource
from data.labels import NONE_OF_THESE
from data.sources import FOLDERS, FRUITS_360, GROCERY, detect_source, find_source
from data.splits import Split


@pytest.mark.parametrize(
    ("path", "label", "split"),
    [
        ("fruits-360-100x100-main/Training/Apple Red 1/0_100.jpg", "apple", Split.TRAIN),
        ("fruits-360-100x100-main/Test/Cucumber Ripe 2/r0_3_100.jpg", "cucumber", Split.TEST),
        ("Training/Mangostan 1/1_100.jpg", NONE_OF_THESE, Split.TRAIN),
        ("Test/Pepper Orange 1/1_100.jpg", NONE_OF_THESE, Split.TEST),
        ("Test/Avocado ripe 1/1_100.jpg", "avocado", Split.TEST),
    ],
)
def test_fruits_360_takes_the_class_from_the_first_word(
    path: str, label: str, split: Split
) -> None:
    placement = FRUITS_360.place(path.split("/"))

    assert placement is not None
    assert (placement.label, placement.split) == (label, split)
    assert placement.variety == path.split("/")[-2]


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("dataset/train/Fruit/Apple/Royal-Gala/Royal-Gala_001.jpg", "apple"),
        ("dataset/train/Vegetables/Aubergine/Aubergine_001.jpg", "eggplant"),
        ("dataset/val/Vegetables/Onion/Yellow-Onion/Yellow-Onion_002.jpg", "onion"),
        ("dataset/train/Fruit/Satsumas/Satsumas_001.jpg", NONE_OF_THESE),
        ("dataset/train/Packages/Juice/Bravo-Apple-Juice/x_001.jpg", NONE_OF_THESE),
    ],
)
def test_grocery_maps_folders_to_classes(path: str, label: str) -> None:
    placement = GROCERY.place(["GroceryStoreDataset-master", *path.split("/")])

    assert placement is not None
    assert placement.label == label


def test_grocery_keeps_photos_of_one_run_together() -> None:
    folder = ["dataset", "train", "Fruit", "Orange"]
    runs = [GROCERY.place([*folder, f"Orange_{n:03d}.jpg"]) for n in (8, 9, 10, 11, 12)]

    groups = [placement.group for placement in runs if placement]
    assert len(set(groups[:4])) == 1
    assert groups[4] != groups[3]


@pytest.mark.parametrize(("part", "split"), [("val", Split.VALIDATION), ("test", Split.TEST)])
def test_grocery_keeps_the_publishers_own_splits(part: str, split: Split) -> None:
    placement = GROCERY.place(["dataset", part, "Fruit", "Orange", "Orange_001.jpg"])

    assert placement is not None
    assert placement.split == split


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("fruits-360-100x100-main/Test/Apple 10/r0_103_100.jpg", FRUITS_360),
        ("x/dataset/train/Fruit/Kiwi/Kiwi_001.jpg", GROCERY),
        ("photos/kiwi/1.jpg", FOLDERS),
        ("mine/Training/kiwi/1.jpg", FOLDERS),
        ("mine/dataset/train/apple/day1/1.jpg", FOLDERS),
    ],
)
def test_detect_recognises_the_layout(path: str, source: object) -> None:
    assert detect_source([path.split("/")]) is source


def test_folders_take_the_class_from_the_parent_folder() -> None:
    placement = FOLDERS.place(["my photos", "Dragon Fruit", "1.jpg"])

    assert placement is not None
    assert (placement.label, placement.split, placement.group) == ("dragon fruit", None, "")
    assert FOLDERS.place(["1.jpg"]) is None
    with pytest.raises(InvalidLabel):
        FOLDERS.place(["a<b", "1.jpg"])


def test_find_source_names_what_there_is() -> None:
    assert find_source("grocery") is GROCERY
    with pytest.raises(UnknownSource, match="available: fruits-360, grocery, folders"):
        find_source("imagenet")
