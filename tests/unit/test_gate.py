"""The gate decides by paired answers, class by class, and says why."""

import numpy as np
import pytest

from data.labels import NONE_OF_THESE
from data.snapshot import SnapshotImage
from data.splits import Split
from models.manifest import Calibration, ModelManifest
from tests.conftest import manifest_of
from training.gate import Judged, NewPhotos, chance, judge

OLD = ("apple", "mango", NONE_OF_THESE)
NEW = ("apple", "kiwi", "mango", NONE_OF_THESE)


def manifest(labels: tuple[str, ...], version: str) -> ModelManifest:
    calibration = Calibration(
        temperature=1, none_threshold=0.5, chosen_on="shop/validation", images=9
    )
    return manifest_of(version, labels, calibration)


def images(**counts: int) -> list[SnapshotImage]:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [SnapshotImage("", n, str(i), Split.TEST, "shop", "") for i, n in enumerate(labels)]


def answering(labels: tuple[str, ...], answers: list[str], version: str = "v0002") -> Judged:
    rows = np.full((len(answers), len(labels)), 0.02, np.float32)
    for row, answer in enumerate(answers):
        rows[row, labels.index(answer)] = 1 - 0.02 * (len(labels) - 1)
    return Judged(rows, manifest(labels, version))


def failed(report: object) -> list[str]:
    return [check.name for check in report.checks if not check.passed]  # type: ignore[attr-defined]


def test_chance_is_the_exact_one_sided_mcnemar_test() -> None:
    assert chance(5, 0) == pytest.approx(1 / 32)
    assert chance(0, 0) == 1.0
    assert chance(1, 1) == pytest.approx(0.75)


def test_the_same_answers_pass() -> None:
    shown = images(apple=20, mango=20, none_of_these=20)
    answers = [i.label for i in shown]

    report = judge(shown, answering(OLD, answers, "v0003"), answering(OLD, answers))

    assert report.passed
    assert report.against == "v0002"
    comparison = report.comparisons["shop/test"]
    assert (comparison.images, comparison.others, comparison.lost) == (40, 20, 0)
    assert comparison.refused == 1.0


def test_four_lost_photos_are_chance_and_five_are_not() -> None:
    shown = images(apple=40, mango=40)
    right = [i.label for i in shown]
    four = ["mango"] * 2 + right[2:40] + ["apple"] * 2 + right[42:]
    five = ["mango"] * 3 + right[3:40] + ["apple"] * 2 + right[42:]

    assert "Accuracy" not in failed(judge(shown, answering(OLD, four), answering(OLD, right)))
    refused = judge(shown, answering(OLD, five), answering(OLD, right))

    assert "Accuracy" in failed(refused)
    assert "5 of 80 photos wrong that v0002 gets right" in refused.checks[0].message


def test_photos_of_one_scene_are_lost_together() -> None:
    one = [
        SnapshotImage("", "apple", str(n), Split.TEST, "film", "", "one apple") for n in range(12)
    ]
    others = [SnapshotImage("", "apple", f"o{n}", Split.TEST, "film", "") for n in range(60)]
    right = ["apple"] * 72
    lost = ["mango"] * 9 + ["apple"] * 63

    report = judge([*one, *others], answering(OLD, lost), answering(OLD, right))

    comparison = report.comparisons["film/test"]
    assert (comparison.lost, comparison.scenes_lost, comparison.p_value) == (9, 1, 0.5)
    assert "Accuracy" not in failed(report)


def test_a_class_that_collapses_is_refused_even_where_others_gain() -> None:
    shown = images(apple=30, mango=6)
    before = ["mango"] * 10 + ["apple"] * 20 + ["mango"] * 6
    now = ["apple"] * 30 + ["apple"] * 6

    report = judge(shown, answering(OLD, now), answering(OLD, before))

    assert "Accuracy" not in failed(report)
    assert "Every class is kept" in failed(report)
    assert report.recalls["shop/test"]["mango"].recall == 0.0


@pytest.mark.parametrize(("count", "passes"), [(1, True), (200, False)])
def test_how_sure_it_is_of_a_single_photo_decides_nothing(count: int, passes: bool) -> None:
    shown = images(apple=count)
    sure, less = (answering(OLD, ["apple"] * count) for _ in range(2))
    less.probabilities[:, 0], less.probabilities[:, 1:] = 0.8, 0.1

    assert ("Honest confidence" not in failed(judge(shown, less, sure))) is passes


def test_naming_other_things_is_refused() -> None:
    shown = images(apple=20, none_of_these=100)
    before = [i.label for i in shown]
    now = ["apple"] * 20 + ["apple"] * 30 + [NONE_OF_THESE] * 70

    assert failed(judge(shown, answering(OLD, now), answering(OLD, before))) == ["None of these"]


def test_a_new_class_must_be_recognised() -> None:
    shown = images(apple=20, kiwi=6)
    before = ["apple"] * 20 + [NONE_OF_THESE] * 6
    missed = ["apple"] * 20 + [NONE_OF_THESE] * 6
    found = ["apple"] * 20 + ["kiwi"] * 6

    refused = judge(shown, answering(NEW, missed), answering(OLD, before))
    passed = judge(shown, answering(NEW, found), answering(OLD, before))

    assert failed(refused) == ["New classes are recognised"]
    assert passed.passed
    assert passed.comparisons["shop/test"].images == 20  # kiwi is no loss of the active version
    assert passed.recalls["shop/test"]["kiwi"].active_recall is None


def test_added_photos_with_wrong_labels_are_named() -> None:
    shown = images(apple=20, mango=20)
    right = [i.label for i in shown]
    added = NewPhotos(
        images(mango=10), np.array(["apple"] * 8 + ["mango"] * 2), np.array(["apple"] * 10)
    )

    report = judge(shown, answering(OLD, right), answering(OLD, right), added)

    assert failed(report) == ["Added photos are recognised"]
    assert "10 added photos labelled mango, 20% are recognised" in report.checks[-1].message
    assert "8 for apple" in report.checks[-1].message


@pytest.mark.parametrize(("missed", "passes"), [(1, True), (2, True), (3, False)])
def test_one_or_two_corrected_photos_of_a_known_class_say_nothing(
    missed: int, passes: bool
) -> None:
    """A network that learned from none of them answers as the one before, which was wrong."""
    shown = images(apple=20, mango=20)
    right = [i.label for i in shown]
    answers = np.array(["apple"] * missed)
    added = NewPhotos(images(mango=missed), answers, answers)

    report = judge(shown, answering(OLD, right), answering(OLD, right), added)

    assert report.passed is passes


def test_a_loss_beyond_all_chance_is_said() -> None:
    shown = images(apple=1500)
    right = ["apple"] * 1500

    report = judge(shown, answering(OLD, ["mango"] * 1500), answering(OLD, right))

    assert "which chance does practically never" in report.checks[0].message


def test_nothing_to_compare_on_is_refused() -> None:
    assert "Accuracy" in failed(judge([], answering(OLD, []), answering(OLD, [])))
