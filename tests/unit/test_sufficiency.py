"""Which classes a retraining has photos enough of."""

import pytest

from data.splits import Split
from data.sufficiency import (
    MIN_NEW_CLASS,
    nothing_to_judge_by,
    too_few_to_learn,
    too_few_to_rehearse,
    where_to_get,
)


def test_a_class_is_rehearsed_from_ten_images_and_judged_by_one() -> None:
    counts = {
        ("apple", Split.TRAIN): MIN_NEW_CLASS,
        ("apple", Split.TEST): 1,
        ("mango", Split.TRAIN): MIN_NEW_CLASS - 1,
        ("mango", Split.TEST): 9,
        ("onion", Split.TRAIN): 99,
        ("onion", Split.VALIDATION): 9,
    }

    missing = too_few_to_rehearse(["apple", "mango", "onion", "orange"], counts)

    assert missing == ["mango", "onion", "orange"]


def test_a_new_class_with_fewer_than_ten_photos_is_left_out_and_a_known_one_is_not() -> None:
    photos = {"plum": 0, "fig": MIN_NEW_CLASS, "kiwi": MIN_NEW_CLASS - 1, "apple": 1}

    assert too_few_to_learn(photos, ["apple"]) == {"kiwi": 9, "plum": 0}


def test_a_new_class_is_judged_by_validation_or_test() -> None:
    counts = {
        ("fig", Split.TRAIN): 40,
        ("kiwi", Split.TRAIN): 40,
        ("kiwi", Split.VALIDATION): 1,
        ("plum", Split.TEST): 1,
    }

    assert nothing_to_judge_by(["fig", "kiwi", "plum"], counts) == ["fig"]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["mango", "none_of_these"], "Fetch the base data set"),
        (["kiwi"], "Add photos of kiwi on the Upload tab"),
        (
            ["mango", "dragon fruit", "kiwi"],
            "Fetch the base data set and add photos of dragon fruit and kiwi on the Upload tab",
        ),
    ],
)
def test_what_users_added_is_not_looked_for_in_the_base_set(labels: list[str], words: str) -> None:
    assert where_to_get(labels) == words
