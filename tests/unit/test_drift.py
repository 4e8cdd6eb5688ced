"""Whether what is sent is like what was tested: told apart, and not told too soon."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.drift import assess, critical_distance, references
from app.figures import Figures
from models.examination import Examination, ExaminedImage

STAGES = dict.fromkeys(("wait", "decode", "inference", "total"), 1.0)
# Brightness, contrast, saturation, white border, sharpness: of photos in shops and on white paper.
SHOP = (0.45, 0.35, 0.4, 0.05, 0.3)
PAPER = (0.8, 0.6, 0.3, 0.97, 0.1)


def pictures(middle: tuple[float, ...], count: int, seed: int) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).normal(middle, 0.07, (count, 5))
    return np.clip(values, 0, 1).astype(np.float32)


def examination(**sources: NDArray[np.float32]) -> Examination:
    images = tuple(
        ExaminedImage(f"{number:064x}", source, "test", "apple", "apple")
        for source, values in sources.items()
        for number in range(len(values))
    )
    statistics = np.concatenate(list(sources.values()))
    return Examination(images, np.full(len(images), 0.96, np.float32), statistics)


def sent(values: NDArray[np.float32], confidence: float = 0.96, label: str = "apple") -> Figures:
    figures = Figures()
    for row in values:
        figures.add_prediction(label, confidence, STAGES, row.tolist())
    return figures


def test_shop_photos_drift_from_a_version_that_was_tested_on_white_paper() -> None:
    tested = references(examination(paper=pictures(PAPER, 300, 1)))
    drift = assess(sent(pictures(SHOP, 120, 2)), tested)
    assert drift.state == "drifted"
    assert drift.nearest == "paper"
    assert drift.features[0].distance > 0.8
    assert "how white the border is" in drift.sentence
    assert "retrain" in drift.sentence


def test_more_of_the_same_does_not_drift() -> None:
    tested = references(examination(paper=pictures(PAPER, 300, 1)))
    drift = assess(sent(pictures(PAPER, 120, 2)), tested)
    assert drift.state == "alike"
    assert all(f.distance < f.limit for f in drift.features)


@pytest.mark.parametrize(("kind", "name"), [(SHOP, "shop"), (PAPER, "paper")])
def test_it_is_enough_to_be_like_one_of_the_test_sets(kind: tuple[float, ...], name: str) -> None:
    tested = references(examination(paper=pictures(PAPER, 300, 1), shop=pictures(SHOP, 300, 3)))
    assert [r.name for r in tested] == ["paper", "shop", *["paper and shop mixed"] * 3]
    drift = assess(sent(pictures(kind, 120, 2)), tested)
    assert (drift.state, drift.nearest) == ("alike", name)


@pytest.mark.parametrize(("paper", "shop"), [(80, 80), (120, 40), (30, 130), (100, 50)])
def test_a_mixture_of_the_test_sets_is_alike(paper: int, shop: int) -> None:
    tested = references(examination(paper=pictures(PAPER, 900, 1), shop=pictures(SHOP, 300, 3)))
    both = np.concatenate([pictures(PAPER, paper, 5), pictures(SHOP, shop, 6)])
    drift = assess(sent(both), tested)
    assert (drift.state, drift.nearest) == ("alike", "paper and shop mixed")


def test_answers_that_are_less_sure_drift() -> None:
    tested = references(examination(shop=pictures(SHOP, 300, 3)))
    drift = assess(sent(pictures(SHOP, 120, 2), confidence=0.55), tested)
    assert drift.state == "drifted"
    assert "how sure the answers are" in drift.sentence


def test_another_mix_of_classes_is_told_but_raises_nothing() -> None:
    tested = references(examination(shop=pictures(SHOP, 300, 3)))
    drift = assess(sent(pictures(SHOP, 120, 2), label="mango"), tested)
    assert (drift.state, drift.class_mix) == ("alike", 1.0)


def test_few_photos_say_nothing() -> None:
    tested = references(examination(paper=pictures(PAPER, 300, 1)))
    drift = assess(sent(pictures(SHOP, 49, 2)), tested)
    assert drift.state == "unknown"
    assert drift.sentence.startswith("49 of 50 photos")


def test_without_a_reference_nothing_is_said() -> None:
    blank = examination(shop=np.full((5, 5), np.nan, np.float32))
    assert references(blank) == []
    assert assess(sent(pictures(SHOP, 60, 1)), []).state == "unknown"


def test_chance_exceeds_the_limit_seldom() -> None:
    # The table value of the two-sample test: 1.63 times the root at a significance of 0.01.
    level = 0.001 / 6
    factor = np.sqrt(-np.log(level / 2) / 2)
    assert critical_distance(100, 100) == pytest.approx(factor * np.sqrt(0.02))
    tested = references(examination(shop=pictures(SHOP, 200, 3)))
    states = [assess(sent(pictures(SHOP, 60, seed)), tested).state for seed in range(40)]
    assert set(states) == {"alike"}
