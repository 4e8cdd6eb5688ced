"""The part of the Upload tab where what visitors sent is accepted or discarded."""

from functools import partial
from typing import Any, Final

import gradio as gr
from gradio.events import Dependency

from app.collection import CollectionService
from app.tabs.photos import (
    PAGE_LENGTH,
    QUIET,
    SIDE_PX,
    and_more,
    class_choices,
    notice,
    numbered,
    photo_grid,
    require_some,
)
from app.tabs.thumbnails import stored_picture
from app.tabs.upload_html import report_html
from data.labels import spoken
from data.reviews import Review

# For good: unlike a removal from the store, this cannot be undone.
_CONFIRM: Final = (
    "(ticked) => { if (ticked.length && !confirm('Discard the ticked photos for good?')) "
    "throw 'kept'; return [ticked]; }"
)


def title(waiting: int) -> str:
    """Return the heading of this part while so many photos wait."""
    return "Review what visitors sent" + (f" ({waiting} waiting)" if waiting else "")


def build_reviews(collection: CollectionService) -> tuple[gr.Accordion, list[Dependency]]:
    """Lay out this part, and return it and the steps after which others are stale."""

    def show() -> tuple[Any, Any, str, list[str]]:
        all_of_them = collection.reviews()
        waiting = all_of_them[:PAGE_LENGTH]
        digests = [review.digest for review in waiting]
        rows = [
            (stored_picture(partial(collection.read_review, r), SIDE_PX), _said(r), r.digest)
            for r in waiting
        ]
        return *numbered(rows), _words(len(waiting), len(all_of_them) - len(waiting)), digests

    def no_name() -> Any:
        return gr.Dropdown(choices=class_choices(collection), value=None)

    def accept(digests: list[str], name: str | None) -> tuple[str, Any]:
        require_some(digests, "tick")
        return report_html(collection.accept(digests, name or None)), no_name()

    def discard(digests: list[str]) -> str:
        require_some(digests, "tick")
        return notice(f"{collection.discard(digests)} discarded.")

    with gr.Accordion(title(0), open=False, elem_id="reviews-box") as box:
        words = gr.Markdown(elem_id="reviews-count")
        gallery = photo_grid(6, "reviews")
        ticked = gr.CheckboxGroup([], label="Photos", elem_id="reviews-ticked")
        with gr.Row():
            every = gr.Button("Tick all", elem_id="reviews-all")
            name = gr.Dropdown(
                choices=[], value=None, allow_custom_value=True,
                label="Another class than the visitors' (may stay empty)", elem_id="reviews-class",
            )  # fmt: skip
            accept_button = gr.Button("Accept", variant="primary", elem_id="reviews-accept")
            discard_button = gr.Button("Discard", variant="stop", elem_id="reviews-discard")
        outcome = gr.HTML(elem_id="reviews-outcome")
    waiting = gr.State([])
    shown = [gallery, ticked, words, waiting]
    # In one answer: a name that somebody types meanwhile would be emptied by a second one.
    box.expand(lambda: (*show(), no_name()), None, [*shown, name], **QUIET)
    every.click(lambda digests: digests, waiting, ticked, **QUIET)
    steps = [
        accept_button.click(accept, [ticked, name], [outcome, name], **QUIET),
        discard_button.click(discard, ticked, outcome, js=_CONFIRM, **QUIET),
    ]
    return box, [step.then(show, None, shown, **QUIET) for step in steps]


def _said(review: Review) -> str:
    answered = spoken(review.answered) if review.answered else "no answer"
    return f"{spoken(review.label)} / {answered} {review.probability:.0%}"


def _words(shown: int, hidden: int) -> str:
    if not shown:
        return "No photo waits. What visitors answer to “Was this right?” appears here."
    return (
        f"Waiting: {shown}{and_more(hidden)}. The first name is the visitor's, the second the "
        "model's."
    )
