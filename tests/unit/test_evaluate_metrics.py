"""The metrics, on rows small enough to check by hand."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from data.snapshot import SnapshotImage
from data.splits import Split
from training.evaluate import auroc, calibration_error, columns_of, evaluate, none_column

LABELS = ("apple", "mango", "none_of_these")


def image(label: str, variety: str = "") -> SnapshotImage:
    return SnapshotImage("x.png", label, "0" * 64, Split.TEST, "drawn", variety)


def test_a_refused_fruit_counts_as_wrong_and_others_are_counted_apart() -> None:
    rows = np.array(
        [[0.9, 0.05, 0.05], [0.3, 0.1, 0.6], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]],
        np.float32,
    )
    images = [image(label) for label in ("apple", "apple", "mango", "kiwi", "none_of_these")]
    targets = np.array([0, 0, 1, 2, 2])

    scores = evaluate(rows, targets, images, LABELS, 0.5)

    assert (scores.images, scores.accuracy, scores.named) == (3, 2 / 3, 2 / 3)
    assert scores.per_class["apple"].recall == 0.5
    assert set(scores.per_class) == {"apple", "mango"}
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1) / 2)
    assert scores.others is not None
    assert (scores.others.images, scores.others.refused) == (2, 0.5)
    assert scores.others.auroc == pytest.approx(4.5 / 6)
    assert scores.confusion == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_intervals_hold_the_figure_and_narrow_with_more_images() -> None:
    def interval(copies: int) -> tuple[float, float]:
        rows = np.repeat(np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], np.float32), copies, axis=0)
        targets = np.repeat([0, 0], copies)
        images = [image("apple")] * (2 * copies)
        return evaluate(rows, targets, images, LABELS, 0.5).intervals["accuracy"]

    few, many = interval(10), interval(1000)

    assert few[0] < 0.5 < few[1]
    assert many[0] < 0.5 < many[1]
    assert many[1] - many[0] < 0.1 * (few[1] - few[0]) * 2


def test_an_interval_claims_no_certainty_where_all_or_none_are_right() -> None:
    """Every resample of them is alike; the exact interval of 82 of 82 is 95.6 to 100 %."""
    images = [image("apple")] * 82
    sure = np.repeat(np.array([[0.9, 0.1, 0.0]], np.float32), 82, axis=0)

    right = evaluate(sure, np.zeros(82, int), images, LABELS, 0.5).intervals
    wrong = evaluate(sure, np.ones(82, int), images, LABELS, 0.5).intervals

    assert right == {"accuracy": (pytest.approx(0.956, abs=1e-3), 1.0)}
    assert wrong == {"accuracy": (0.0, pytest.approx(0.044, abs=1e-3))}


@pytest.mark.parametrize(("fruit", "others"), [(109, 10), (97, 10), (70, 30)])
def test_every_interval_can_be_written_down(fruit: int, others: int) -> None:
    """A resample that lacks all other things has no AUROC, which JSON could not hold."""
    shown = ["apple"] * fruit + ["none_of_these"] * others
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(3), len(shown)).astype(np.float32)
    targets = np.array([LABELS.index(label) for label in shown])

    found = evaluate(rows, targets, [image(label) for label in shown], LABELS, 0.5).intervals

    assert np.isfinite([bound for interval in found.values() for bound in interval]).all()
    assert ("auroc" in found) == (others >= 30)


def test_calibration_error_is_the_gap_of_each_bin_by_its_images() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55], np.float32)
    correct = np.array([True, True, True, False])

    assert calibration_error(confidence, correct) == pytest.approx((2 * 0.05 + 2 * 0.05) / 4)


def test_auroc_counts_ties_half() -> None:
    score = np.array([0.9, 0.5, 0.5, 0.1])
    positive = np.array([True, True, False, False])

    assert auroc(score, positive) == 0.875


def test_unknown_labels_have_no_column() -> None:
    assert columns_of([image("mango"), image("kiwi")], LABELS).tolist() == [1, -1]
    assert none_column(LABELS) == 2
    assert none_column(("apple", "mango")) is None
