"""Features to rehearse survive the way through their file."""

from pathlib import Path

import numpy as np
import pytest

from models.errors import InvalidVersion
from models.rehearsal import Rehearsal, RehearsedImage, judging_digests

IMAGE = RehearsedImage("kiwi", "train", "uploads", "", "scene 1", "ab" * 32)


def test_a_rehearsal_is_read_as_it_was_written(tmp_path: Path) -> None:
    features = np.array([[0.5, 0.0, 2.25]], np.float16)
    path = tmp_path / "rehearsal.npz"
    path.write_bytes(Rehearsal("d1", features, (IMAGE,)).to_bytes())

    found = Rehearsal.read(path)

    assert (found.backbone, found.images) == ("d1", (IMAGE,))
    np.testing.assert_array_equal(found.features, features)


def test_the_test_images_of_the_classes_are_known_by_their_digests(tmp_path: Path) -> None:
    rows = (
        RehearsedImage("apple", "test", "shop", "", "", "aa"),
        RehearsedImage("apple", "train", "shop", "", "", "bb"),
        RehearsedImage("none_of_these", "test", "shop", "", "", "cc"),
    )
    path = tmp_path / "rehearsal.npz"
    path.write_bytes(Rehearsal("d1", np.zeros((3, 2), np.float16), rows).to_bytes())
    assert judging_digests(path, ("apple", "mango")) == {"aa"}


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rehearsal.npz"
    path.write_bytes(content)
    with pytest.raises(InvalidVersion, match=r"rehearsal\.npz cannot be read"):
        Rehearsal.read(path)


def test_features_without_their_images_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rehearsal.npz"
    path.write_bytes(Rehearsal("d1", np.zeros((2, 3), np.float16), (IMAGE,)).to_bytes())
    with pytest.raises(InvalidVersion, match="do not fit together"):
        Rehearsal.read(path)
