"""Answers of finished folds: kept, read again, taken away."""

from pathlib import Path

import numpy as np
import pytest

from training.errors import InvalidCrossValidation
from training.folds import KeptFolds

ROWS = [3, 1, 8]
LOGITS = np.array([[0.5, -1.0], [2.0, 0.25], [-3.0, 4.0]], np.float32)


@pytest.fixture
def kept(tmp_path: Path) -> KeptFolds:
    folds = KeptFolds(tmp_path / "cross-validations" / "some")
    folds.keep(1, ROWS, LOGITS)
    return folds


def test_the_answers_of_a_finished_fold_are_read_again(kept: KeptFolds) -> None:
    read = kept.read(1, ROWS, 2)

    assert read is not None
    np.testing.assert_array_equal(read, LOGITS)
    assert kept.read(0, ROWS, 2) is None


@pytest.mark.parametrize(("rows", "width"), [([3, 1, 9], 2), ([3, 1], 2), (ROWS, 3)])
def test_answers_about_other_images_are_refused(
    kept: KeptFolds, rows: list[int], width: int
) -> None:
    with pytest.raises(InvalidCrossValidation, match="holds answers about other images"):
        kept.read(1, rows, width)


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_damaged_file_says_what_to_do(kept: KeptFolds, content: bytes) -> None:
    (kept.folder / "fold-2.npz").write_bytes(content)

    with pytest.raises(InvalidCrossValidation, match="Remove it to train that fold again"):
        kept.read(1, ROWS, 2)


def test_nothing_is_left_once_they_are_forgotten(kept: KeptFolds) -> None:
    kept.forget()

    assert not kept.folder.exists()
    assert kept.read(1, ROWS, 2) is None
    kept.forget()
