"""Every text that somebody else wrote is shown as text, on every tab."""

import dataclasses
from html import unescape
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from app.alerts import Alert
from app.collection import UploadedFile, UploadReport
from app.learning import Readiness
from app.results import Prediction, Refusal, Timing
from app.tabs import cards, jobs_html, reviews, status_html, upload_html
from data.reviews import Review
from data.splits import Split
from data.store import StoredImage
from tests.conftest import encode

EVIL = """<img src=x onerror="alert('1')"><script>alert(1)</script>&lt;"""
WHEN = "2026-01-01T00:00:00+00:00"
IMAGE = StoredImage(
    digest="d", pixel_digest="p", difference_hash="0", label=EVIL, source=EVIL, variety=EVIL,
    scene=EVIL, split=Split.TRAIN, original_name=EVIL, licence=EVIL, added_at=WHEN, width_px=9,
    height_px=9, size_bytes=9, suffix=".jpg",
)  # fmt: skip
JOB = {
    "job_id": 1, "mode": "quick", "state": "failed", "reason": EVIL, "message": EVIL,
    "queued_at": WHEN, "started_at": WHEN, "ended_at": WHEN, "version": None, "gate": None,
    "progress": {"stages": [EVIL, EVIL], "epochs": [], "max_epochs": 0, "step": 1, "steps": 0},
}  # fmt: skip
PROGRESS = {"class_name": EVIL, "photos": 1, "train": 1, "validation": 0, "test": 0, "missing": 9}
MODEL = {
    "version": EVIL, "active": False, "state": "published", "created_at": WHEN, "mode": EVIL,
    "classes": [EVIL], "accuracy": {EVIL: 0.5},
}  # fmt: skip
ANSWER = Prediction(
    EVIL, ((EVIL, 0.6), ("apple", 0.4)), "v0001", Timing(0, 1, 1, 2), EVIL, EVIL, nearest=EVIL
)
REFUSAL = Refusal(EVIL, {"message": EVIL, "type": "InvalidImage", "request_id": "id"})
FILE = UploadedFile(EVIL, "other_label", EVIL, EVIL, existing=IMAGE, warning=EVIL)

SHOWN = {
    "the answer to one photo": cards.prediction_card(ANSWER, "", "data:,"),
    "an answer that is sure": cards.prediction_card(dataclasses.replace(ANSWER, nearest=None), ""),
    "a refusal": cards.refusal_card(REFUSAL),
    "the answers to several": cards.answers_table([ANSWER, REFUSAL], ["", ""]),
    "what became of an upload": upload_html.report_html(
        UploadReport(True, (FILE,)), {0: ("data:,", "data:,")}
    ),
    "the photos of each class": upload_html.progress_html([PROGRESS]),
    "a photo of the store": upload_html.details_html(IMAGE, encode("apple")),
    "what a retraining learns": jobs_html.readiness_html(Readiness((), {EVIL: 3}, (EVIL,))),
    "why none can start": jobs_html.readiness_html(Readiness((EVIL,), {}, (EVIL,))),
    "a job": jobs_html.job_html(JOB),
    "a job that runs": jobs_html.job_html(JOB | {"state": "running"}),
    "earlier jobs": jobs_html.jobs_html([JOB]),
    "the versions": jobs_html.models_html([MODEL], [{"version": EVIL, "at": WHEN, "reason": EVIL}]),
    "the alerts": status_html.alerts_html([Alert(1, "drift", EVIL, EVIL, WHEN, None)]),
}


class Markup(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_markup_that_is_there_is_seen() -> None:
    found = Markup(f"<p>{EVIL}</p>")

    assert "script" in found.tags
    assert "onerror" in found.attributes


@pytest.mark.parametrize("where", SHOWN)
def test_what_somebody_wrote_is_no_markup(where: str) -> None:
    html = SHOWN[where]

    found = Markup(html)
    assert "script" not in found.tags
    assert "onerror" not in found.attributes
    # It is there, as text: `pretty` may have changed its first letter.
    assert "alert(1)</script>&lt;" in unescape(html).lower()


def test_the_names_beside_a_review_are_text() -> None:
    review = Review("d", ".jpg", EVIL, EVIL, EVIL, 0.5, "v0001", WHEN)

    # A label of a checkbox: Gradio shows those as text, so they are not escaped twice.
    assert reviews._said(review).count("<script>") == 2


def test_a_cell_of_the_confusion_matrix_is_text() -> None:
    from app.tabs.model_html import confusion_html

    metrics = SimpleNamespace(confusion=[[1, 2], [3, 4]], images=10, others=None)
    manifest: Any = SimpleNamespace(
        labels=(EVIL, "apple"), metrics={EVIL: metrics}, none_label=None
    )

    assert "script" not in Markup(confusion_html(EVIL, manifest, opens=True)).tags
