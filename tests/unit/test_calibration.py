"""Temperature, shift and threshold."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from training.calibration import calibrate, calibrated, choose_threshold
from training.evaluate import calibration_error


def overconfident(images: int, factor: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose classes are drawn from their softmax, then multiplied by the factor."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (images, 4))
    shares = np.exp(calibrated(logits, 1.0, None, 0.0))
    targets = np.array([rng.choice(4, p=row) for row in shares])
    return (logits * factor).astype(np.float32), targets


def test_temperature_undoes_what_made_the_logits_too_large() -> None:
    logits, targets = overconfident(4000, factor=3.0)

    found = calibrate(logits, targets, None, "drawn/validation")

    assert found.temperature == pytest.approx(3.0, rel=0.1)
    assert (found.none_shift, found.none_threshold) == (0.0, None)
    assert (found.chosen_on, found.images) == ("drawn/validation", 4000)


def test_calibrated_probabilities_are_as_often_right_as_they_say() -> None:
    logits, targets = overconfident(4000, factor=3.0)
    found = calibrate(logits, targets, None, "drawn/validation")

    def error(temperature: float) -> float:
        probabilities = np.exp(calibrated(logits, temperature, None, 0.0))
        right = probabilities.argmax(axis=1) == targets
        return calibration_error(probabilities.max(axis=1).astype(np.float32), right)

    assert error(1.0) > 0.15
    assert error(found.temperature) < 0.03


def test_a_network_that_is_too_fond_of_refusing_is_shifted_back() -> None:
    logits, targets = overconfident(4000, factor=1.0)  # one picture in four is of the last column
    logits[:, 3] += 1.5

    found = calibrate(logits, targets, 3, "drawn/validation")

    assert found.none_shift == pytest.approx(-1.5, abs=0.2)
    assert found.temperature == pytest.approx(1.0, rel=0.1)


def test_how_many_of_the_judged_pictures_are_others_does_not_matter() -> None:
    logits, targets = overconfident(8000, factor=1.0)
    fewer = np.flatnonzero((targets == 3) | (np.arange(8000) % 4 == 0))

    found = calibrate(logits[fewer], targets[fewer], 3, "drawn/validation")

    assert found.none_shift == pytest.approx(0.0, abs=0.2)


def test_threshold_lets_seven_in_a_hundred_other_things_be_named() -> None:
    refusal = np.concatenate([np.linspace(0.01, 1.0, 100), [0.2, 0.0]])
    other = np.arange(102) < 100

    threshold = choose_threshold(refusal, other)

    assert threshold == pytest.approx(0.08)
    assert (refusal[other] < threshold).sum() == 7


def refusals(fruit: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """A hundred other things that are hardly ever doubted, and fruit."""
    return np.array([*np.linspace(0.7, 1.0, 100), *fruit]), np.arange(100 + len(fruit)) < 100


def test_what_is_likelier_none_of_these_is_never_named() -> None:
    assert choose_threshold(*refusals([0.0] * 90 + [0.6] * 10)) == 0.5


def test_more_is_refused_where_99_of_100_fruit_are_named_all_the_same() -> None:
    refusal, other = refusals([*np.linspace(0.0, 0.1, 197), 0.444, 0.48, 0.9])

    threshold = choose_threshold(refusal, other)

    assert threshold == 0.45
    assert (refusal[~other] < threshold).sum() == 198


@pytest.mark.parametrize("doubted", [0.1, 0.3999])
def test_a_few_photos_that_are_told_well_apart_do_not_refuse_everything_else(
    doubted: float,
) -> None:
    assert choose_threshold(*refusals([0.0, doubted])) == 0.4
