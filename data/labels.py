"""Class names: what a user may call a class, and the name for pictures of no class."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from data.errors import InvalidLabel

NONE_OF_THESE: Final = "none_of_these"
BASE_LABELS: Final = (
    "apple",
    "avocado",
    "banana",
    "cucumber",
    "eggplant",
    "mango",
    "onion",
    "orange",
)
MAX_LABEL_LENGTH: Final = 40
_ELSEWHERE: Final = {"aubergine": "eggplant", "brinjal": "eggplant"}  # what others call a class
# A folder cannot be called so on Windows, and a download has one folder for each class.
_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
)


def spoken(label: str) -> str:
    """Return a label as it stands in a sentence."""
    return label.replace("_", " ")


def normalise_label(name: str) -> str:
    """Return the class name as it is stored: NFC, lower case, single spaces for spaces and ``_``.

    Letters and digits of any script, combining marks, spaces, ``-``, ``_`` and ``'`` are accepted.

    Args:
        name: what a user or a folder calls the class.

    Raises:
        InvalidLabel: empty, longer than 40 characters, with another character, or the name of a
            device on Windows.
    """
    # '_' is shown as a space, so two classes must not differ by it alone.
    label = re.sub(r"[\s_]+", " ", unicodedata.normalize("NFC", name)).strip().casefold()
    if label.replace(" ", "_").replace("-", "_") == NONE_OF_THESE:
        return NONE_OF_THESE
    if not label:
        raise InvalidLabel("The class name is empty; use 1 to 40 letters or digits.")
    if len(label) > MAX_LABEL_LENGTH:
        raise InvalidLabel(
            f"The class name has {len(label)} characters; the limit is {MAX_LABEL_LENGTH}. "
            "Choose a shorter one."
        )
    for character in label:
        if unicodedata.category(character)[0] not in "LMN" and character not in " -_'":
            raise InvalidLabel(
                f"The class name {label!r} holds {character!r} (U+{ord(character):04X}); letters, "
                "digits, spaces, '-', '_' and \"'\" are accepted."
            )
    if not any(unicodedata.category(c)[0] in "LN" for c in label):
        raise InvalidLabel(f"The class name {label!r} holds no letter or digit; add one.")
    if label in _DEVICES:
        raise InvalidLabel(
            f"No folder can be called {label!r} on Windows; add a word to the class name."
        )
    return label


def same_class(label: str, classes: Iterable[str]) -> str | None:
    """Return the class that a label means in other words, None for none.

    That is one that differs by the plural, by spaces and hyphens, or by the country: ``apples``,
    ``egg plant``, ``aubergine``.

    Args:
        label: as ``normalise_label`` returns it.
        classes: likewise; the label itself may be among them.
    """
    names = _names(label)
    return next((known for known in classes if known != label and names & _names(known)), None)


def singulars(word: str) -> set[str]:
    """Return the word and what it may be the plural of: berries, tomatoes, pears."""
    found = {word}
    if word.endswith("s"):
        found.add(word[:-1])
    if word.endswith("es"):
        found.add(word[:-2])
    if word.endswith("ies"):
        found.add(word[:-3] + "y")
    return found


def _names(label: str) -> set[str]:
    return {_ELSEWHERE.get(name, name) for name in singulars(re.sub("[ -]", "", label))}
