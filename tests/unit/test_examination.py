"""An examination survives the way through its file; pictures are described by five numbers."""

from pathlib import Path

import numpy as np
import pytest

from models.errors import InvalidVersion
from models.examination import STATISTICS, Examination, ExaminedImage, picture_statistics

IMAGES = (
    ExaminedImage("ab" * 32, "grocery", "test", "apple", "mango"),
    ExaminedImage("cd" * 32, "fruits-360", "test", "none_of_these", "none_of_these"),
)
CONFIDENCE = np.array([0.75, 0.5], np.float32)
SEEN = np.array([[0.5, 0.25, 0.125, 1.0, 0.0], [np.nan] * 5], np.float32)


def write(path: Path, examination: Examination) -> Path:
    path.write_bytes(examination.to_bytes())
    return path


def test_an_examination_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = write(tmp_path / "examination.npz", Examination(IMAGES, CONFIDENCE, SEEN))

    found = Examination.read(path)

    assert found.images == IMAGES
    np.testing.assert_array_equal(found.confidence, CONFIDENCE)
    np.testing.assert_array_equal(found.statistics, SEEN)
    assert (found.confidence.dtype, found.statistics.dtype) == (np.float32, np.float32)


def test_an_examination_of_no_image_is_read_as_it_was_written(tmp_path: Path) -> None:
    nothing = Examination((), CONFIDENCE[:0], SEEN[:0])

    found = Examination.read(write(tmp_path / "examination.npz", nothing))

    assert found.images == ()
    assert found.statistics.shape == (0, len(STATISTICS))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "examination.npz"
    path.write_bytes(content)

    with pytest.raises(InvalidVersion, match=r"examination\.npz cannot be read"):
        Examination.read(path)


def test_wherever_a_byte_is_wrong_the_file_is_read_or_named(tmp_path: Path) -> None:
    content = Examination(IMAGES, CONFIDENCE, SEEN).to_bytes()
    path = tmp_path / "examination.npz"
    named = 0

    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            Examination.read(path)
        except InvalidVersion:
            named += 1

    assert named > len(content) / 2  # the rest is dates and the like, which nothing reads


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidVersion, match=r"absent\.npz cannot be read"):
        Examination.read(tmp_path / "absent.npz")


def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "examination.npz", Examination(IMAGES, CONFIDENCE[:1], SEEN))

    with pytest.raises(InvalidVersion, match="do not fit together"):
        Examination.read(path)


HALVES = np.zeros((16, 16, 3), np.uint8)
HALVES[:, 8:] = 255


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (np.full((16, 16, 3), 255, np.uint8), (1.0, 0.0, 0.0, 1.0, 0.0)),
        (np.zeros((16, 16, 3), np.uint8), (0.0, 0.0, 0.0, 0.0, 0.0)),
        (np.full((16, 16, 3), (255, 0, 0), np.uint8), (0.5, 0.0, 1.0, 0.0, 0.0)),
        # One step of 510 among the 15 of a line; 34 on average, of 128.
        (HALVES, (0.5, 1.0, 0.0, 0.5, 0.265625)),
    ],
    ids=["white", "black", "red", "halves"],
)
def test_plain_pictures_are_described(
    picture: np.ndarray, expected: tuple[float, float, float, float, float]
) -> None:
    assert STATISTICS == ("brightness", "contrast", "saturation", "white_border", "sharpness")
    assert picture_statistics(picture).tolist() == pytest.approx(expected, abs=1e-6)


def test_a_noisy_picture_is_sharper_than_the_same_one_blurred() -> None:
    noisy = np.random.default_rng(4).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    blurred = sum(np.roll(noisy.astype(float), shift, axis=1) for shift in range(8)) / 8

    sharp, soft = picture_statistics(noisy), picture_statistics(blurred.astype(np.uint8))

    assert sharp[4] > 2 * soft[4]
    assert sharp[1] > 2 * soft[1]
    assert sharp[0] == pytest.approx(0.5, abs=0.05)


def test_a_dark_picture_on_white_has_a_white_border_and_one_on_grey_has_none() -> None:
    found = []
    for ground in (250, 120):
        picture = np.full((40, 40, 3), ground, np.uint8)
        picture[10:30, 10:30] = 20
        found.append(picture_statistics(picture))

    assert [statistics[3] for statistics in found] == [1.0, 0.0]
    assert found[0][0] > found[1][0]
