"""What a training runs into is said in a sentence, and its own errors in their own words."""

import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from data.errors import DownloadFailed
from training.failures import EXPECTED, in_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(28, "No space left on device", "/state/x"),
            "It could not go on: No space left on device (/state/x). Mend that, then start again.",
        ),
        (
            OperationalError("SELECT", {}, sqlite3.OperationalError("database is locked")),
            "The index of the photos could not be used (database is locked). Start it again.",
        ),
        (DownloadFailed("No answer from there."), "No answer from there."),
        (ValueError("Rate 0 is too low."), "Rate 0 is too low."),
    ],
)
def test_each_is_said_in_a_sentence(error: Exception, words: str) -> None:
    assert isinstance(error, EXPECTED)
    assert in_words(error) == words
