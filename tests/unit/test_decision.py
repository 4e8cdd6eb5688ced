"""From probabilities to the answer."""

import numpy as np
import pytest

from models.decision import decide, named_score, nearest

ROWS = np.array([[0.6, 0.3, 0.1], [0.3, 0.2, 0.5], [0.2, 0.35, 0.45]], np.float32)


def test_none_of_these_is_answered_from_its_threshold_on() -> None:
    assert decide(ROWS, 2, 0.5).tolist() == [0, 2, 1]
    assert decide(ROWS, 2, 0.4).tolist() == [0, 2, 2]
    assert decide(ROWS, 2, 0.9).tolist() == [0, 0, 1]


def test_without_a_threshold_the_most_probable_column_is_the_answer() -> None:
    assert decide(ROWS, 2, None).tolist() == [0, 2, 2]
    assert decide(ROWS, None, None).tolist() == [0, 2, 2]


def test_nearest_leaves_none_of_these_aside() -> None:
    assert nearest(ROWS, 2).tolist() == [0, 0, 1]
    assert ROWS[1, 2] == 0.5  # the rows are left as they were


def test_named_score_is_what_none_of_these_leaves_over() -> None:
    assert named_score(ROWS, 2).tolist() == pytest.approx([0.9, 0.5, 0.55])
    assert named_score(ROWS, None).tolist() == pytest.approx([0.6, 0.5, 0.45])
