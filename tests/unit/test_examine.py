"""What a version answered becomes an examination: test images only, each with its statistics."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from data.images import load_model_input
from data.labels import NONE_OF_THESE
from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split
from models.errors import InvalidVersion
from models.examination import EXAMINATION_NAME, Examination, ExaminedImage, picture_statistics
from models.manifest import Calibration, ModelManifest
from models.registry import ModelVersion
from tests.conftest import SIDE_PX, encode, manifest_of
from training.console import ConsoleProgress
from training.errors import NotEnoughData
from training.examine import examination, examine, statistics_since

MANIFEST = manifest_of(
    "v0001",
    ("apple", "mango", NONE_OF_THESE),
    Calibration(temperature=1.0, none_threshold=0.3, chosen_on="drawn", images=9),
    side_px=16,
)


def row(label: str, digest: str, split: Split = Split.TEST, path: str = "") -> SnapshotImage:
    return SnapshotImage(path, label, digest * 32, split, "drawn", "", "")


def silent() -> ConsoleProgress:
    return ConsoleProgress(Console(file=io.StringIO()))


def test_only_test_images_are_examined() -> None:
    images = [
        row("apple", "aa", Split.TRAIN),
        row("mango", "bb"),
        row("apple", "cc", Split.VALIDATION),
    ]
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]], np.float32)
    statistics = np.array([[0.1] * 5, [0.2] * 5, [0.3] * 5], np.float32)

    found = examination(images, probabilities, MANIFEST, statistics)

    assert found.images == (ExaminedImage("bb" * 32, "drawn", "test", "mango", "mango"),)
    assert found.confidence.tolist() == pytest.approx([0.7])
    np.testing.assert_array_equal(found.statistics, statistics[1:2])


def test_the_answer_is_the_one_that_is_served() -> None:
    probabilities = np.array([[0.5, 0.15, 0.35]], np.float32)

    found = examination([row("apple", "aa")], probabilities, MANIFEST, np.zeros((1, 5), np.float32))

    # Refused from 0.3 on, however probable a class is.
    assert found.images[0].answer == NONE_OF_THESE
    assert found.confidence.tolist() == pytest.approx([0.35])


def test_what_the_version_has_no_label_for_counts_as_none_of_these() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1]], np.float32)

    found = examination([row("kiwi", "aa")], probabilities, MANIFEST, np.zeros((1, 5), np.float32))

    assert (found.images[0].label, found.images[0].answer) == (NONE_OF_THESE, "apple")


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """Drawn fruit: two that judge and one that trains."""
    images = []
    for label, digest, split in (
        ("apple", "aa", Split.TEST),
        ("banana", "bb", Split.TEST),
        ("mango", "cc", Split.TRAIN),
    ):
        (tmp_path / f"{label}.png").write_bytes(encode(label))
        images.append(row(label, digest, split, f"{label}.png"))
    return Snapshot.of(tmp_path, images)


def test_a_published_version_is_examined_by_its_test_images(
    version: ModelVersion, snapshot: Snapshot
) -> None:
    path = examine(version, snapshot, silent())

    found = Examination.read(path)
    assert path == version.folder / EXAMINATION_NAME
    assert [(i.label, i.answer) for i in found.images] == [("apple", "apple"), ("banana",) * 2]
    for image, statistics in zip(found.images, found.statistics, strict=True):
        expected = picture_statistics(load_model_input(encode(image.label), SIDE_PX))
        assert statistics == pytest.approx(expected, abs=1e-3)  # kept with half precision


def test_without_a_test_image_nothing_is_examined(
    version: ModelVersion, snapshot: Snapshot
) -> None:
    learned = Snapshot(snapshot.root, snapshot.select(split=Split.TRAIN))

    with pytest.raises(NotEnoughData, match="no test image to examine a version by"):
        examine(version, learned, silent())

    assert not (version.folder / EXAMINATION_NAME).exists()


def test_a_version_whose_model_was_changed_is_not_examined(
    version: ModelVersion, snapshot: Snapshot
) -> None:
    version.model_path.write_bytes(version.model_path.read_bytes() + b"\0")

    with pytest.raises(InvalidVersion, match="SHA-256"):
        examine(version, snapshot, silent())

    assert not (version.folder / EXAMINATION_NAME).exists()


def test_an_examination_made_later_has_a_checksum(
    version: ModelVersion, snapshot: Snapshot
) -> None:
    examine(version, snapshot, silent())

    manifest = ModelManifest.read(version.folder / "manifest.json")
    ModelVersion(manifest, version.folder).verify(EXAMINATION_NAME)
    assert list(manifest.files) == [EXAMINATION_NAME]


def test_statistics_come_from_the_photo_or_else_from_the_version_before(
    version: ModelVersion, snapshot: Snapshot
) -> None:
    known = Examination(
        (ExaminedImage("dd" * 32, "drawn", "test", "mango", "mango"),),
        np.ones(1, np.float32),
        np.array([[0.5, 0.25, 0.125, 1.0, 0.0]], np.float32),
    )
    (version.folder / EXAMINATION_NAME).write_bytes(known.to_bytes())
    images = [row("mango", "ee"), row("mango", "dd"), row("apple", "aa", path="apple.png")]

    found = statistics_since(version, snapshot.root, images)

    assert np.isnan(found[0]).all()
    assert found[1].tolist() == [0.5, 0.25, 0.125, 1.0, 0.0]
    np.testing.assert_array_equal(
        found[2], picture_statistics(load_model_input(encode("apple"), SIDE_PX))
    )


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_a_version_before_that_has_no_examination_to_read_is_no_obstacle(
    version: ModelVersion, tmp_path: Path, content: bytes | None
) -> None:
    if content:
        (version.folder / EXAMINATION_NAME).write_bytes(content)

    found = statistics_since(version, tmp_path, [row("mango", "dd")])

    assert found.shape == (1, 5)
    assert np.isnan(found).all()
