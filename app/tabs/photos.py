"""What the parts of the Upload tab have in common: grids of photos, boxes to tick, and words."""

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any, Final

import gradio as gr

from app.collection import CollectionService
from app.tabs.cards import pretty
from app.tabs.thumbnails import stored_picture
from data.images import RGBImage
from data.store import StoredImage

PAGE_LENGTH: Final = 48
SIDE_PX: Final = 160
QUIET: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}


def notice(words: str) -> str:
    """Return what an action came to, as HTML."""
    return f'<p class="fc-notice">{escape(words)}</p>'


def require_some(digests: Sequence[str], how: str) -> None:
    """Raise what the page shows where no photo was chosen.

    Args:
        digests: of those that were.
        how: a photo is chosen: ``tick`` or ``tap``.
    """
    if not digests:
        raise gr.Error(f"Choose a photo first: {how} it.", print_exception=False)


def class_choices(collection: CollectionService) -> list[tuple[str, str]]:
    """Return all classes as a dropdown takes them."""
    return [(pretty(label), label) for label in collection.classes()]


def and_more(hidden: int) -> str:
    """Return words for what waits for a decision beyond what a page shows; empty for nothing."""
    come = "comes" if hidden == 1 else "come"
    return f" and {hidden} more, which {come} once these are decided" if hidden else ""


def photo_grid(columns: int, elem_id: str) -> gr.Gallery:
    """Lay out an empty grid of photos."""
    return gr.Gallery(
        columns=columns, height="auto", object_fit="cover", allow_preview=False, show_label=False,
        buttons=[], elem_id=elem_id,
    )  # fmt: skip


def picture(collection: CollectionService, image: StoredImage) -> RGBImage:
    """Return a photo of the store as a grid shows it, uint8 (SIDE_PX, SIDE_PX, 3), RGB."""
    return stored_picture(partial(collection.read, image), SIDE_PX)


def numbered(rows: Sequence[tuple[RGBImage, str, str]]) -> tuple[gr.Gallery, gr.CheckboxGroup]:
    """Return photos with their numbers, and a box to tick for each; none is ticked.

    Args:
        rows: the picture, what is said of it, and the digest, which is the value of its box.
    """
    pictures = [(shown, str(number)) for number, (shown, _, _) in enumerate(rows, 1)]
    boxes = [(f"{number}: {said}", digest) for number, (_, said, digest) in enumerate(rows, 1)]
    return gr.Gallery(pictures), gr.CheckboxGroup(choices=boxes, value=[])
