"""The Upload tab: photos into classes, and the API to do the same.

The parts below, which are about photos that are there, have modules of their own. What a handler
raises, ``Page`` puts into words.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.events import Dependency

from app.collection import CollectionService, UploadReport
from app.errors import BadRequest
from app.learning import LearningService
from app.mirror import Mirror
from app.results import ImageFile, Refusal, new_request_id
from app.settings import Settings
from app.tabs import reviews, suspects
from app.tabs.cards import counted, note_html
from app.tabs.gallery import build_gallery, undo_and_erase
from app.tabs.photos import QUIET, class_choices
from app.tabs.thumbnails import SMALL_PX, thumbnail_uri
from app.tabs.upload_html import progress_html, report_html
from app.uploads import read_images
from data.images import STORED_LIMITS
from data.store import AddResult

_MOST_PAIRS: Final = 24
_HINT: Final = (
    '<p class="fc-hint">Choose a class or type a new one (letters, digits, spaces; any language), '
    "then drop photos or a zip. Leave the class empty for a zip with one folder per class. You "
    "see what will happen to each photo before anything is kept.</p>"
)


def build_tab(
    collection: CollectionService,
    learning: LearningService,
    mirror: Mirror,
    settings: Settings,
    tab: gr.Tab,
) -> None:
    """Lay out the tab inside the surrounding Blocks.

    Args:
        collection: what is added to and shown.
        learning: knows the doubtful labels.
        mirror: knows whether what is added outlives this disk.
        settings: limits of uploads.
        tab: this tab; it is filled when it is opened.
    """
    kept = gr.HTML(note_html(mirror.note("photos")), elem_id="upload-kept")
    tab.select(lambda: note_html(mirror.note("photos")), None, kept, queue=False, **QUIET)
    removed = gr.State([])  # the digests that Undo puts back
    progress, added = _build_adding(collection, settings, tab)
    review_box, decided = reviews.build_reviews(collection)
    suspect_box, judged = suspects.build_suspects(collection, learning, removed)
    undo, erase, changed, follow = build_gallery(collection, settings, removed)

    def refresh() -> tuple[str, Any, Any, Any, Any]:
        return (
            progress_html(collection.progress()),
            gr.Accordion(label=reviews.title(len(collection.reviews()))),
            gr.Accordion(label=suspects.title(len(learning.suspects()))),
            *undo_and_erase(collection),
        )

    # What one part of the tab changes, the others show.
    shared = [progress, review_box, suspect_box, undo, erase]
    tab.select(refresh, None, shared, **QUIET)
    for step in (*added, *decided, *judged, *changed):
        step.then(refresh, None, shared, **QUIET)
    for step in (*added, *decided, *judged):
        follow(step)


def _build_adding(
    collection: CollectionService, settings: Settings, tab: gr.Tab
) -> tuple[gr.HTML, list[Dependency]]:
    """Return the table of the classes, and the steps after which others are stale."""

    def check(paths: list[str] | None, name: str | None, relabel: bool) -> tuple[Any, Any, Any]:
        if not paths:  # Add empties the fields, and what it reports stays
            return gr.skip(), gr.Button(interactive=False, value="Add"), None
        report, pairs = upload(paths, name, keep=False, relabel=relabel)
        usable = report.counts["added"] + report.counts["relabelled"]
        words = f"Add {counted(usable, 'photo')}" if usable else "Nothing to add"
        button = gr.Button(interactive=usable > 0, value=words)
        return report_html(report, pairs), button, [paths, name, relabel]

    def add(
        paths: list[str] | None, name: str | None, relabel: bool, checked: list[Any] | None
    ) -> tuple[str, Any, None, Any]:
        if not paths:
            raise gr.Error("Choose some photos first.", print_exception=False)
        if checked is not None and checked != [paths, name, relabel]:
            raise gr.Error(
                "Some of it is still being checked. Wait for the list of photos, then press Add.",
                print_exception=False,
            )
        report, pairs = upload(paths, name, keep=True, relabel=relabel)
        return (
            report_html(report, pairs),
            gr.Button(interactive=False, value="Add"),
            None,
            gr.Dropdown(choices=class_choices(collection), value=None),
        )

    def upload(
        paths: Sequence[str], name: str | None, *, keep: bool, relabel: bool
    ) -> tuple[UploadReport, dict[int, tuple[str, str]]]:
        files = read_images([Path(path) for path in paths], settings, new_request_id())
        report = collection.upload(files, name, keep=keep, relabel=relabel)
        return report, _pairs(files, report, collection, settings)

    def upload_retrain_data(
        class_name: str, files: list[str] | None, relabel: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        """Add photos, or a zip of them, to a class; as POST /api/upload_retrain_data."""
        if not files:
            raise BadRequest("No photo was sent. Pass [handle_file('photo.jpg')].")
        report, _ = upload(files, class_name, keep=not dry_run, relabel=relabel)
        return report.to_dict()

    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            gr.HTML(_HINT)
            name = gr.Dropdown(
                choices=class_choices(collection), value=None, allow_custom_value=True,
                label="Class", info="One of the list, or a new name.", elem_id="class-name",
            )  # fmt: skip
            photos = gr.File(
                file_count="multiple", type="filepath", label="Photos or a zip of photos",
                show_label=False, height=170, elem_id="new-photos", elem_classes="fc-drop",
            )  # fmt: skip
            relabel = gr.Checkbox(
                label="Relabel photos that are here under another class", elem_id="relabel"
            )
            button = gr.Button("Add", variant="primary", interactive=False, elem_id="add")
        with gr.Column(scale=6, min_width=320):
            report = gr.HTML(elem_id="report")
            progress = gr.HTML(elem_id="progress")
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress_on": report}
    chosen, checked = [photos, name, relabel], gr.State(None)
    photos.clear(lambda: "", None, report, **QUIET)
    # What comes while a check runs is checked after it.
    gr.on(
        [photos.upload, photos.clear, photos.delete, name.change, relabel.change],
        check, chosen, [report, button, checked], trigger_mode="always_last", **quiet,
    ).failure(  # what was found of others must not stay, nor be added
        lambda: ("", gr.Button(interactive=False, value="Add"), None),
        None, [report, button, checked], **QUIET,
    )  # fmt: skip
    added = button.click(add, [*chosen, checked], [report, button, photos, name], **quiet)
    tab.select(lambda: gr.Dropdown(choices=class_choices(collection)), None, name, **QUIET)

    gr.Button(visible=False).click(
        upload_retrain_data,
        [
            gr.Textbox(label="class_name", visible=False),
            gr.File(label="files", file_count="multiple", type="filepath", visible=False),
            gr.Checkbox(label="relabel", visible=False),
            gr.Checkbox(label="dry_run", visible=False),
        ],
        gr.JSON(label="report", visible=False),
        api_name="upload_retrain_data",
    )
    return progress, [added]


def _pairs(
    files: Sequence[ImageFile | Refusal],
    report: UploadReport,
    collection: CollectionService,
    settings: Settings,
) -> dict[int, tuple[str, str]]:
    """Return the photos that want a second look, each beside the one in the store."""
    found: dict[int, tuple[str, str]] = {}
    for number, (file, outcome) in enumerate(zip(files, report.files, strict=True)):
        there = outcome.existing
        wanted = outcome.status != AddResult.DUPLICATE and len(found) < _MOST_PAIRS
        if there and wanted and isinstance(file, ImageFile):
            # One that came in the same upload is not in the store where that was a rehearsal.
            with suppress(OSError):
                theirs = thumbnail_uri(collection.read(there), SMALL_PX, STORED_LIMITS)
                mine = thumbnail_uri(file.content, SMALL_PX, settings.image_limits)
                found[number] = (mine, theirs)
    return found
