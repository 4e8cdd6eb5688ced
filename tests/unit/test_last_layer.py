"""Which images a last layer is fitted to and judged by."""

from pathlib import Path

import pytest

from data.labels import NONE_OF_THESE
from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split
from tests.conftest import manifest_of
from training.errors import NotEnoughData
from training.last_layer import known_images

TAUGHT = manifest_of("v0002", ("apple", "kiwi", NONE_OF_THESE))


def image(digest: str, label: str, split: Split = Split.TRAIN, variety: str = "") -> SnapshotImage:
    return SnapshotImage(f"{digest}.png", label, digest, split, "shop", variety)


APPLE, KIWI = image("a", "apple"), image("k", "kiwi")
MILK = image("m", NONE_OF_THESE, variety="Packages/Milk")
JUDGES = image("t", "apple", Split.TEST)


def known(*images: SnapshotImage) -> set[str]:
    return {i.digest for i in known_images(Snapshot.of(Path(), images), TAUGHT).images}


def test_pictures_that_show_an_added_class_are_neither_drawn_as_other_things_nor_judge() -> None:
    namesakes = [
        image("n", NONE_OF_THESE, variety="Fruit/Kiwi"),
        image("o", NONE_OF_THESE, Split.TEST, "Fruit/Kiwi"),
    ]

    assert known(APPLE, KIWI, MILK, JUDGES, *namesakes, image("x", "lime")) == set("akmt")
    with pytest.raises(NotEnoughData, match="none to draw from of none of these;"):
        known(APPLE, KIWI, JUDGES, *namesakes)


def test_labels_without_a_picture_are_named() -> None:
    with pytest.raises(NotEnoughData, match=r"1 images.*1 test.*of kiwi, none of these; it takes"):
        known(APPLE, JUDGES)
    with pytest.raises(NotEnoughData, match=r"3 images to draw from and 0 test images of what v00"):
        known(APPLE, KIWI, MILK)
