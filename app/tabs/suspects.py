"""The part of the Upload tab where a person decides about labels that a retraining doubts."""

from typing import Any

import gradio as gr
from gradio.events import Dependency

from app.collection import CollectionService
from app.learning import LearningService
from app.tabs.cards import counted
from app.tabs.photos import (
    PAGE_LENGTH,
    QUIET,
    and_more,
    notice,
    numbered,
    photo_grid,
    picture,
    require_some,
)
from data.labels import spoken
from models.manifest import Suspect


def title(doubtful: int) -> str:
    """Return the heading of this part while so many labels are doubtful."""
    return "Doubtful labels" + (f" ({doubtful})" if doubtful else "")


def build_suspects(
    collection: CollectionService, learning: LearningService, removed: gr.State
) -> tuple[gr.Accordion, list[Dependency]]:
    """Lay out this part, and return it and the steps after which others are stale.

    Args:
        collection: what is relabelled and removed.
        learning: knows the doubtful labels.
        removed: the digests that Undo puts back.
    """

    def show() -> tuple[Any, Any, str]:
        all_of_them = learning.suspects()
        found = all_of_them[:PAGE_LENGTH]
        more = and_more(len(all_of_them) - len(found))
        words = (
            f"Doubtful: {len(found)}{more}. The last retraining could not believe these labels: a "
            "network that had not seen the photo names it otherwise."
            if found
            else "No doubtful label. A quick retraining looks for them among the added photos."
        )
        rows = [(picture(collection, image), _said(s), image.digest) for image, s in found]
        return *numbered(rows), words

    def confirm(digests: list[str]) -> str:
        require_some(digests, "tick")
        count = learning.confirm(digests)
        kept = "the photo keeps it" if count == 1 else "the photos keep them"
        return notice(f"{counted(count, 'label')} confirmed: not listed again while {kept}.")

    def relabel(digests: list[str]) -> str:
        require_some(digests, "tick")
        suggested = {image.digest: s.suggested for image, s in learning.suspects()}
        count = sum(
            collection.relabel([digest], suggested[digest])
            for digest in digests
            if digest in suggested
        )
        return notice(f"{count} relabelled.")

    def remove(digests: list[str]) -> tuple[str, list[str]]:
        require_some(digests, "tick")
        count = collection.remove(digests)
        them = "it" if count == 1 else "them"
        return notice(f"{count} removed; “Undo remove” below puts {them} back."), digests

    with gr.Accordion(title(0), open=False, elem_id="suspects-box") as box:
        words = gr.Markdown(elem_id="suspects-words")
        gallery = photo_grid(6, "suspects")
        ticked = gr.CheckboxGroup([], label="Photos", elem_id="suspects-ticked")
        with gr.Row():
            confirm_button = gr.Button("It is right", elem_id="suspects-right")
            relabel_button = gr.Button("Relabel as it looks", elem_id="suspects-relabel")
            remove_button = gr.Button("Remove", variant="stop", elem_id="suspects-remove")
        outcome = gr.HTML(elem_id="suspects-outcome")
    shown = [gallery, ticked, words]
    box.expand(show, None, shown, **QUIET)
    steps = [
        confirm_button.click(confirm, ticked, outcome, **QUIET),
        relabel_button.click(relabel, ticked, outcome, **QUIET),
        remove_button.click(remove, ticked, [outcome, removed], **QUIET),
    ]
    return box, [step.then(show, None, shown, **QUIET) for step in steps]


def _said(suspect: Suspect) -> str:
    looks = f"looks like {spoken(suspect.suggested)} ({suspect.probability:.0%})"
    return f"{spoken(suspect.label)}, {looks}"
