"""Class names are normalised, and refused with the reason where they break the rules."""

import pytest

from data.errors import InvalidLabel
from data.labels import NONE_OF_THESE, normalise_label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Kiwi", "kiwi"),
        ("  Passion   Fruit ", "passion fruit"),
        ("Äpfel", "äpfel"),
        ("A\u0308pfel", "äpfel"),  # a letter and a combining mark become one character
        ("リンゴ", "リンゴ"),
        ("None of these", NONE_OF_THESE),
        ("none-of-these", NONE_OF_THESE),
    ],
)
def test_normalise_gives_one_spelling(name: str, label: str) -> None:
    assert normalise_label(name) == label


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("a/b", "U\\+002F"),
        ("../up", "U\\+002E"),
        ("<b>", "U\\+003C"),
        ("a\u202eb", "U\\+202E"),
        ("a\0b", "U\\+0000"),
        ("x" * 41, "41 characters"),
        ("--", "no letter"),
    ],
)
def test_normalise_refuses_and_says_why(name: str, words: str) -> None:
    with pytest.raises(InvalidLabel, match=words):
        normalise_label(name)
