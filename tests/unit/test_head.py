"""The last layer learns new columns and leaves the others alone."""

import numpy as np
import pytest
from scipy.special import softmax

from training.head import fit_head

RNG = np.random.default_rng(0)
CENTRES = np.eye(4, 8, dtype=np.float32) * 4


def some(column: int, count: int) -> np.ndarray:
    return np.abs(CENTRES[column] + RNG.normal(0, 0.3, (count, 8))).astype(np.float32)


def test_a_new_column_is_learned_and_the_others_stay() -> None:
    features = np.concatenate([some(column, 40) for column in range(3)])
    targets = np.repeat([0, 1, 2], 40)
    kernel = np.concatenate([CENTRES[:2].T, np.zeros((8, 1), np.float32)], axis=1)
    start = kernel, np.zeros(3, np.float32)

    (found, bias), history = fit_head(features, targets, np.ones(120), start, {2: 1e-3})

    np.testing.assert_array_equal(found[:, :2], kernel[:, :2])
    assert ((features @ found + bias).argmax(axis=1) == targets).mean() > 0.98
    assert history[-1]["loss"] < history[0]["loss"]


def test_a_strong_pull_keeps_a_column_where_it_began() -> None:
    features, targets = np.concatenate([some(0, 30), some(1, 30)]), np.repeat([1, 0], 30)
    start = CENTRES[:2].T.copy(), np.zeros(2, np.float32)

    (loose, _), _ = fit_head(features, targets, np.ones(60), start, {0: 1e-4, 1: 1e-4})
    (held, _), _ = fit_head(features, targets, np.ones(60), start, {0: 1e3, 1: 1e3})

    assert np.abs(held - start[0]).max() < 0.05
    assert np.abs(loose - start[0]).max() > 0.5


def test_every_iteration_is_told() -> None:
    told = []
    fit_head(
        some(0, 10), np.zeros(10, np.int64), np.ones(10),
        (np.zeros((8, 2), np.float32), np.zeros(2, np.float32)), {0: 0.1}, 0.05, None, told.append,
    )  # fmt: skip

    assert [epoch.number for epoch in told] == list(range(1, len(told) + 1))
    assert {"loss", "accuracy"} == set(told[0].metrics)


def test_kinds_of_other_things_count_as_one_answer() -> None:
    # Column 0 is a class, 1 and 2 are kinds of other things; rows of the two name the first alone.
    features = np.concatenate([some(column, 40) for column in range(3)])
    targets = np.repeat([0, 1, 1], 40)
    kernel = np.concatenate([np.zeros((8, 1), np.float32), CENTRES[1:3].T], axis=1)
    start = kernel, np.zeros(3, np.float32)

    (found, bias), history = fit_head(features, targets, np.ones(120), start, {0: 1e-3}, classes=1)

    answers = (features @ found + bias).argmax(axis=1)
    assert (answers == np.repeat([0, 1, 2], 40)).mean() > 0.98
    assert history[-1]["accuracy"] > 0.98
    np.testing.assert_array_equal(found[:, 1:], kernel[:, 1:])


@pytest.mark.parametrize("unknown_share", [0.0, 0.4, 1.0])
def test_the_gradient_is_that_of_the_loss(unknown_share: float) -> None:
    rng = np.random.default_rng(3)
    features = rng.random((30, 5)).astype(np.float32)
    targets, start = rng.integers(0, 4, 30), (np.zeros((5, 4), np.float32), np.zeros(4, np.float32))
    hidden = np.zeros((30, 4))
    hidden[targets == 2, 2] = -np.inf  # 0 and 1 are classes, 2 is a kind, 3 is of no kind

    # A wrong gradient ends the search early, above what a search without one finds.
    free = dict.fromkeys(range(4), 1e-2)
    (kernel, bias), _ = fit_head(
        features, targets, np.ones(30), start, free, 0.1, 2, unknown_share=unknown_share
    )

    def loss(kernel: np.ndarray) -> float:
        data = 0.0
        for share, without in ((1 - unknown_share, 0), (unknown_share, hidden)):
            probabilities = softmax(features @ kernel + bias + without, axis=1)
            merged = np.stack([*probabilities[:, :2].T, probabilities[:, 2:].sum(axis=1)], axis=1)
            wanted = np.eye(3)[np.minimum(targets, 2)] * 0.9 + 0.1 / 3
            data -= share * (wanted * np.log(merged)).sum(axis=1).mean()
        return float(data + 1e-2 / 2 * (kernel**2).sum())

    best = loss(kernel)
    for _ in range(20):
        step = rng.normal(0, 0.05, kernel.shape).astype(np.float32)
        assert loss(kernel + step) > best


def test_the_column_of_no_kind_learns_to_take_what_is_new() -> None:
    """Column 0 is a class, 1 and 2 are kinds, 3 is none; each kind has a mark, and both share one.

    What is new looks like the class and has the shared mark alone.
    """
    rng = np.random.default_rng(5)

    def of(*place: float) -> np.ndarray:
        centre = np.array([*place, *[0.0] * (8 - len(place))])
        return np.abs(centre + rng.normal(0, 0.2, (60, 8))).astype(np.float32)

    features = np.concatenate([of(4, 0), of(3, 1, 4), of(3, 1, 0, 4), of(0, 0, 0, 0, 4)])
    targets, new = np.repeat([0, 1, 2, 3], 60), of(2.5, 2.5)
    kernel = np.zeros((8, 4), np.float32)
    kernel[[0, 2, 3, 4], [0, 1, 2, 3]] = 1.5
    start = kernel, np.zeros(4, np.float32)

    def refused(unknown_share: float) -> float:
        (found, bias), _ = fit_head(
            features, targets, np.ones(240), start, dict.fromkeys((1, 2, 3), 1e-2), 0.05, 1,
            unknown_share=unknown_share,
        )  # fmt: skip
        assert ((features @ found + bias)[:60].argmax(axis=1) == 0).all()
        return float(softmax(new @ found + bias, axis=1)[:, 1:].sum(axis=1).mean())

    assert refused(0.1) > 1.5 * refused(0.0)
