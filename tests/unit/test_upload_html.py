"""What the Upload tab says in words: counts in the singular and in the plural."""

import pytest

from app.collection import UploadedFile, UploadReport
from app.tabs import reviews, suspects
from app.tabs.cards import counted
from app.tabs.upload_html import report_html


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 photos"), (1, "1 photo"), (2, "2 photos"), (1200, "1,200 photos")]
)
def test_a_count_agrees_with_what_it_counts(count: int, words: str) -> None:
    assert counted(count, "photo") == words


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        (["added"], "1 new"),
        (["is_test"], "1 test image"),
        (["is_test", "is_test"], "2 test images"),
        (["other_label", "other_label", "refused"], "2 of another class, 1 refused"),
    ],
)
def test_a_report_sums_up_what_became_of_the_files(statuses: list[str], words: str) -> None:
    files = tuple(UploadedFile("a.png", status, "Said.", "mango") for status in statuses)

    assert f"<small>{words}</small>" in report_html(UploadReport(True, files))


def test_headings_count_what_there_is_to_decide() -> None:
    assert reviews.title(0) == "Review what visitors sent"
    assert reviews.title(1) == "Review what visitors sent (1 waiting)"
    assert suspects.title(0) == "Doubtful labels"
    assert suspects.title(2) == "Doubtful labels (2)"
