"""The part of the Upload tab where all photos of the store are looked through."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.events import Dependency

from app.collection import CollectionService
from app.downloads import zip_photos
from app.settings import Settings
from app.tabs.cards import counted, pretty
from app.tabs.photos import (
    PAGE_LENGTH,
    QUIET,
    class_choices,
    notice,
    photo_grid,
    picture,
    require_some,
)
from app.tabs.upload_html import details_html
from data.labels import spoken
from data.store import StoredImage

_LAST_PAGE: Final = 1_000_000
_MOST_TRIED: Final = 1_000
_ANY: Final = "any"
_CONFIRM_ERASE: Final = (
    "() => { if (!confirm('Delete all removed photos for good? They cannot be put back.')) "
    "throw 'kept'; }"
)


def undo_and_erase(collection: CollectionService) -> tuple[gr.Button, gr.Button]:
    """Return both buttons as they are while so many photos are removed."""
    count, size_bytes = collection.removed_size()
    size = f" ({size_bytes / 1e6:,.0f} MB)" if size_bytes >= 1e6 else ""
    return (
        gr.Button(visible=count > 0),
        gr.Button(f"Delete {count:,} removed{size}", visible=count > 0),
    )


def build_gallery(
    collection: CollectionService, settings: Settings, removed: gr.State
) -> tuple[gr.Button, gr.Button, list[Dependency], Callable[[Dependency], None]]:
    """Lay out this part.

    Args:
        collection: what is shown and changed.
        settings: where a zip is made, and what it has to leave free on the disk.
        removed: the digests that Undo puts back.

    Returns:
        The buttons of ``undo_and_erase``, the steps after which others are stale, and what shows
        the photos again after a step of others.
    """

    def show(
        name: str, source: str, page: float | None
    ) -> tuple[Any, list[StoredImage], str, Any, list[int]]:
        def at(number: int) -> tuple[list[StoredImage], int]:
            return collection.images(
                label=_chosen(name),
                source=_chosen(source),
                limit=PAGE_LENGTH,
                offset=PAGE_LENGTH * (number - 1),
            )

        # The component's bounds are those of the page that asked; a call may name anything.
        number = min(max(int(page or 1), 1), _LAST_PAGE)
        found, count = at(number)
        pages = max(1, -(-count // PAGE_LENGTH))
        if number > pages:  # of a class with fewer photos, or the last one of a page was removed
            number = pages
            found, count = at(number)
        shown = gr.Gallery(
            [(picture(collection, image), pretty(image.label)) for image in found],
            selected_index=None,
        )
        words = counted(count, "photo") if count else "No photo here yet. Add some above."
        page_of = gr.Number(number, maximum=pages, label=f"Page of {pages}")
        return shown, found, words, page_of, []

    def choose(event: gr.SelectData, found: list[StoredImage]) -> tuple[str, list[str]]:
        if not isinstance(event.index, int) or not 0 <= event.index < len(found or []):
            raise gr.Error("That photo is no longer shown. Choose another.", print_exception=False)
        image = found[event.index]
        content = b""  # no picture, as one that is damaged
        with suppress(OSError):
            content = collection.read(image)
        return details_html(image, content), [image.digest]

    def remove(digests: list[str]) -> tuple[str, list[str]]:
        require_some(digests, "tap")
        collection.remove(digests)
        return notice("Removed. Undo puts it back."), digests

    def relabel(digests: list[str], name: str | None) -> str:
        require_some(digests, "tap")
        collection.relabel(digests, name or "")
        return notice(f"It is {spoken(name or '')} now.")

    def undo(digests: list[str]) -> tuple[str, list[str]]:
        # One whose pixels are there again stays removed, and must not hide those before it.
        back = (
            collection.restore(digests)
            if digests
            else any(collection.restore([i.digest]) for i in collection.removed(_MOST_TRIED))
        )
        words = {0: "There is nothing to put back.", 1: "It is back."}
        return notice(words.get(back, f"{back} are back.")), []

    def erase() -> tuple[str, list[str]]:
        count = collection.erase_removed()
        words = f"{count:,} removed photos are deleted." if count != 1 else "It is deleted."
        return notice(words), []

    def download(name: str, source: str) -> str:
        path = zip_photos(
            collection,
            Path(ready.GRADIO_CACHE),  # which Gradio serves
            label=_chosen(name),
            source=_chosen(source),
            min_free_bytes=settings.min_free_bytes,
        )
        return str(path)

    with gr.Accordion("Look through the photos", open=False, elem_id="gallery-box") as box:
        with gr.Row():
            name = gr.Dropdown([_ANY], value=_ANY, label="Class", elem_id="gallery-class")
            source = gr.Dropdown([_ANY], value=_ANY, label="Source", elem_id="gallery-source")
            page = gr.Number(1, minimum=1, precision=0, label="Page", elem_id="gallery-page")
        count = gr.Markdown(elem_id="gallery-count")
        gallery = photo_grid(8, "gallery")
        details = gr.HTML(elem_id="gallery-details")
        with gr.Row():
            to = gr.Dropdown(choices=[], allow_custom_value=True, label="Move to class")
            relabel_button = gr.Button("Relabel", elem_id="gallery-relabel")
            remove_button = gr.Button("Remove", variant="stop", elem_id="gallery-remove")
            undo_button = gr.Button("Undo remove", visible=False, elem_id="gallery-undo")
            erase_button = gr.Button(visible=False, variant="stop", elem_id="gallery-erase")
            download_button = gr.Button("Download as zip", elem_id="gallery-download")
            # It gives the file that it has when it is clicked, so it is clicked once that is there.
            ready = gr.DownloadButton(visible="hidden", elem_id="gallery-zip")
    found, chosen, is_open = gr.State([]), gr.State([]), gr.State(False)
    filters, shown = [name, source, page], [gallery, found, count, page, chosen]

    def choices(name_now: str, source_now: str) -> tuple[Any, Any, Any]:
        classes, sources = class_choices(collection), collection.sources()
        return (
            _offer([(_ANY, _ANY), *classes], name_now),
            _offer([(_ANY, _ANY), *((name, name) for name in sources)], source_now),
            gr.Dropdown(choices=classes),
        )

    def show_if_open(open_now: bool, *filters_now: Any) -> Any:
        return show(*filters_now) if open_now else [gr.skip()] * len(shown)

    def follow(step: Dependency) -> None:
        step.then(show_if_open, [is_open, *filters], shown, **QUIET)
        step.then(choices, [name, source], [name, source, to], **QUIET)

    gr.on([name.change, source.change, page.submit, page.change], show, filters, shown, **QUIET)
    gallery.select(choose, [found], [details, chosen], **QUIET)
    download_button.click(
        download, [name, source], ready, api_visibility="private", show_progress_on=gallery
    ).success(None, js="() => document.querySelector('#gallery-zip').click()", **QUIET)
    box.expand(lambda: True, None, is_open, **QUIET)
    box.collapse(lambda: False, None, is_open, **QUIET)
    box.expand(choices, [name, source], [name, source, to], **QUIET)
    box.expand(show, filters, shown, **QUIET)
    steps = [
        remove_button.click(remove, chosen, [details, removed], **QUIET),
        relabel_button.click(relabel, [chosen, to], details, **QUIET),
        undo_button.click(undo, removed, [details, removed], **QUIET),
        erase_button.click(erase, None, [details, removed], js=_CONFIRM_ERASE, **QUIET),
    ]
    for step in steps:
        follow(step)
    return undo_button, erase_button, steps, follow


def _offer(choices: list[tuple[str, str]], now: str) -> gr.Dropdown:
    """Return a filter with these choices; what is chosen stays, unless it is none of them."""
    if now in (value for _, value in choices):
        return gr.Dropdown(choices=choices)
    return gr.Dropdown(choices=choices, value=_ANY)


def _chosen(choice: str) -> str | None:
    return None if choice == _ANY else choice
