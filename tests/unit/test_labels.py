"""Class names are normalised, and refused with the reason where they break the rules."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import InvalidLabel
from data.labels import BASE_LABELS, NONE_OF_THESE, normalise_label, same_class


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Kiwi", "kiwi"),
        ("  Passion   Fruit ", "passion fruit"),
        ("Äpfel", "äpfel"),
        ("A\u0308pfel", "äpfel"),  # a letter and a combining mark become one character
        ("リンゴ", "リンゴ"),
        ("None of these", NONE_OF_THESE),
        (" red__apple _", "red apple"),
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


@pytest.mark.parametrize("name", ["CON", "nul", "Com1", "lpt9"])
def test_names_that_no_folder_has_on_windows_are_refused(name: str) -> None:
    with pytest.raises(InvalidLabel, match="on Windows"):
        normalise_label(name)


@pytest.mark.parametrize(
    ("label", "known"),
    [
        ("apples", "apple"),
        ("mangoes", "mango"),
        ("aubergine", "eggplant"),
        ("aubergines", "eggplant"),
        ("egg plant", "eggplant"),
        ("apple", None),
        ("apple pie", None),
        ("pineapple", None),
        ("red onion", None),
        ("kiwi", None),
    ],
)
def test_a_class_in_other_words_is_known(label: str, known: str | None) -> None:
    assert same_class(label, BASE_LABELS) == known


def test_the_singular_of_a_class_that_was_added_is_known() -> None:
    assert same_class("goji berry", [*BASE_LABELS, "goji-berries"]) == "goji-berries"


@given(st.text(max_size=60))
@settings(derandomize=True, database=None, max_examples=300, deadline=None)
def test_any_text_is_a_label_for_good_or_refused(name: str) -> None:
    label = words = ""
    try:
        label = normalise_label(name)
    except InvalidLabel as error:
        words = str(error)

    assert words.isprintable()  # so it can be logged and sent as it is
    assert bool(label) != bool(words)
    assert not label or normalise_label(label) == label
    assert not set(label) & set('/\\.:<>&"')
