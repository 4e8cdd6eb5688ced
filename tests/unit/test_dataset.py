"""What is decoded to judge by, however large the store is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split
from training.dataset import JUDGING_BYTES, judging_images

SIDE_PX = 16
SIZE_BYTES = 3 * SIDE_PX**2


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """Nine apples, two mangos and a lime of one shop, and an apple of another; all judge."""
    images = []
    for number, (label, source) in enumerate(
        [("apple", "shop")] * 9 + [("mango", "shop")] * 2 + [("apple", "films"), ("lime", "shop")]
    ):
        Image.new("RGB", (SIDE_PX, SIDE_PX), (20 * number, 0, 0)).save(tmp_path / f"{number}.png")
        digest = f"{number:064d}"
        images.append(SnapshotImage(f"{number}.png", label, digest, Split.TEST, source, ""))
    return Snapshot(tmp_path, tuple(images))


def reds(snapshot: Snapshot) -> list[int]:
    found = judging_images(snapshot, Split.TEST, ("apple", "mango"), SIDE_PX)
    assert (len(found) + found.left_out, len(found.pixels)) == (12, len(found))
    assert [int(i.digest) for i in found.images] == (found.pixels[:, 0, 0, 0] // 20).tolist()
    return found.pixels[:, 0, 0, 0].tolist()


def test_a_split_that_fits_is_whole_and_in_its_order(snapshot: Snapshot) -> None:
    assert reds(snapshot) == [20 * number for number in range(12)]
    assert JUDGING_BYTES // (3 * 160**2) == 13_020


def test_of_a_split_that_does_not_fit_each_source_and_class_judges(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.dataset.JUDGING_BYTES", 6 * SIZE_BYTES + 1)

    found = reds(snapshot)

    assert found == sorted(found)
    assert np.bincount(np.array(found) // 180)[1] == 3  # both mangos and the other shop's apple
    assert len(found) == 6
    assert found == reds(snapshot)
