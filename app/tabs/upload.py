"""The Upload tab: photos into classes, and the store to look through; the API to do the same."""

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import gradio as gr
from gradio.events import Dependency

from app.collection import CollectionService, UploadedFile, UploadReport
from app.errors import BadRequest, NotStored, gradio_error
from app.learning import LearningService
from app.mirror import Mirror
from app.results import ImageFile, Refusal, new_request_id
from app.settings import Settings
from app.tabs.cards import note_html, pretty
from app.tabs.thumbnails import SMALL_PX, grey_uri, stored_picture, thumbnail_uri
from app.uploads import read_images
from data.images import STORED_LIMITS, RGBImage
from data.labels import spoken
from data.reviews import Review
from data.store import AddResult, StoredImage

PAGE_LENGTH: Final = 48
_LAST_PAGE: Final = 1_000_000
_GALLERY_PX: Final = 160
_MOST_PAIRS: Final = 24
_QUIET: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
_ANY: Final = "any"
_REVIEWS: Final = "Review what visitors sent"
_SUSPECTS: Final = "Doubtful labels"
_STATUS_WORDS: Final = {
    "added": "New",
    "duplicate": "Already here",
    "other_label": "Another class",
    "relabelled": "Relabelled",
    "is_test": "Test image",
    "refused": "Refused",
}
# For good: unlike a removal from the store, this cannot be undone.
_CONFIRM: Final = (
    "(ticked) => { if (ticked.length && !confirm('Discard the ticked photos for good?')) "
    "throw 'kept'; return [ticked]; }"
)
_CONFIRM_ERASE: Final = (
    "() => { if (!confirm('Delete all removed photos for good? They cannot be put back.')) "
    "throw 'kept'; }"
)
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
    tab.select(
        lambda: note_html(mirror.note("photos")), None, kept,
        api_visibility="private", show_progress="hidden", queue=False,
    )  # fmt: skip
    removed = gr.State([])  # the digests that Undo puts back
    progress, added = _build_adding(collection, settings, tab)
    reviews, decided = _build_reviews(collection)
    suspects, judged = _build_suspects(collection, learning, removed)
    undo, erase, changed, follow = _build_gallery(collection, settings, removed)

    def refresh() -> tuple[str, Any, Any, Any, Any]:
        waiting, doubtful = len(collection.reviews()), len(learning.suspects())
        count, size_bytes = collection.removed_size()
        size = f" ({size_bytes / 1e6:,.0f} MB)" if size_bytes >= 1e6 else ""
        return (
            progress_html(collection.progress()),
            gr.Accordion(label=_REVIEWS + (f" ({waiting} waiting)" if waiting else "")),
            gr.Accordion(label=_SUSPECTS + (f" ({doubtful})" if doubtful else "")),
            gr.Button(visible=count > 0),
            gr.Button(f"Delete {count:,} removed{size}", visible=count > 0),
        )

    # What one part of the tab changes, the others show.
    shared = [progress, reviews, suspects, undo, erase]
    tab.select(refresh, None, shared, **_QUIET)
    for step in (*added, *decided, *judged, *changed):
        step.then(refresh, None, shared, **_QUIET)
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
        words = f"Add {usable} photo{'s' if usable != 1 else ''}" if usable else "Nothing to add"
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
            gr.Dropdown(choices=_choices(collection), value=None),
        )

    def upload(
        paths: Sequence[str], name: str | None, *, keep: bool, relabel: bool
    ) -> tuple[UploadReport, dict[int, tuple[str, str]]]:
        request_id = new_request_id()
        try:
            files = read_images([Path(path) for path in paths], settings, request_id)
            report = collection.upload(files, name, keep=keep, relabel=relabel)
            return report, _pairs(files, report, collection, settings)
        except Exception as error:
            raise gradio_error(error, request_id) from error

    def upload_retrain_data(
        class_name: str, files: list[str] | None, relabel: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        """Add photos, or a zip of them, to a class; as POST /api/upload_retrain_data."""
        if not files:
            error = BadRequest("No photo was sent. Pass [handle_file('photo.jpg')].")
            raise gradio_error(error, new_request_id())
        report, _ = upload(files, class_name, keep=not dry_run, relabel=relabel)
        return report.to_dict()

    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            gr.HTML(_HINT)
            name = gr.Dropdown(
                choices=_choices(collection), value=None, allow_custom_value=True, label="Class",
                info="One of the list, or a new name.", elem_id="class-name",
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
    photos.clear(lambda: "", None, report, **_QUIET)
    # What comes while a check runs is checked after it.
    gr.on(
        [photos.upload, photos.clear, photos.delete, name.change, relabel.change],
        check, chosen, [report, button, checked], trigger_mode="always_last", **quiet,
    )  # fmt: skip
    added = button.click(add, [*chosen, checked], [report, button, photos, name], **quiet)
    tab.select(lambda: gr.Dropdown(choices=_choices(collection)), None, name, **_QUIET)

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


def _build_reviews(collection: CollectionService) -> tuple[gr.Accordion, list[Dependency]]:
    """Return the part of the tab, and the steps after which others are stale."""

    def show() -> tuple[Any, Any, str, list[str]]:
        all_of_them = collection.reviews()
        waiting = all_of_them[:PAGE_LENGTH]
        names = [f"{number}: {_said(review)}" for number, review in enumerate(waiting, 1)]
        pictures = [
            stored_picture(partial(collection.read_review, review), _GALLERY_PX)
            for review in waiting
        ]
        digests = [review.digest for review in waiting]
        choices = list(zip(names, digests, strict=True))
        hidden = len(all_of_them) - len(waiting)
        more = f" and {hidden} more, which come once these are decided" if hidden else ""
        words = (
            f"Waiting: {len(waiting)}{more}. The first name is the visitor's, the second the "
            "model's."
            if waiting
            else "No photo waits. What visitors answer to “Was this right?” appears here."
        )
        shown = gr.Gallery([(p, str(number)) for number, p in enumerate(pictures, 1)])
        return shown, gr.CheckboxGroup(choices=choices, value=[]), words, digests

    def no_name() -> Any:
        return gr.Dropdown(choices=_choices(collection), value=None)

    def accept(digests: list[str], name: str | None) -> tuple[str, Any]:
        _require(digests, "tick")
        request_id = new_request_id()
        try:
            return report_html(collection.accept(digests, name or None)), no_name()
        except Exception as error:
            raise gradio_error(error, request_id) from error

    def discard(digests: list[str]) -> str:
        _require(digests, "tick")
        return f'<p class="fc-notice">{collection.discard(digests)} discarded.</p>'

    with gr.Accordion(_REVIEWS, open=False, elem_id="reviews-box") as box:
        words = gr.Markdown(elem_id="reviews-count")
        gallery = gr.Gallery(
            columns=6, height="auto", object_fit="cover", allow_preview=False, show_label=False,
            buttons=[], elem_id="reviews",
        )  # fmt: skip
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
    box.expand(show, None, shown, **_QUIET)
    box.expand(no_name, None, name, **_QUIET)
    every.click(lambda digests: digests, waiting, ticked, **_QUIET)
    steps = [
        accept_button.click(accept, [ticked, name], [outcome, name], **_QUIET),
        discard_button.click(discard, ticked, outcome, js=_CONFIRM, **_QUIET),
    ]
    return box, [step.then(show, None, shown, **_QUIET) for step in steps]


def _build_suspects(
    collection: CollectionService, learning: LearningService, removed: gr.State
) -> tuple[gr.Accordion, list[Dependency]]:
    """Return the part of the tab, and the steps after which others are stale."""

    def show() -> tuple[Any, Any, str]:
        found = learning.suspects()[:PAGE_LENGTH]
        names = [
            f"{number}: {spoken(s.label)}, looks like {spoken(s.suggested)} ({s.probability:.0%})"
            for number, (_, s) in enumerate(found, 1)
        ]
        pictures = [_picture(collection, image) for image, _ in found]
        words = (
            "The last retraining could not believe these labels: a network that had not seen the "
            "photo names it otherwise."
            if found
            else "No doubtful label. A quick retraining looks for them among the added photos."
        )
        choices = list(zip(names, [image.digest for image, _ in found], strict=True))
        shown = gr.Gallery([(p, str(number)) for number, p in enumerate(pictures, 1)])
        return shown, gr.CheckboxGroup(choices=choices, value=[]), words

    def relabel(digests: list[str]) -> str:
        _require(digests, "tick")
        suggested = {image.digest: s.suggested for image, s in learning.suspects()}
        for digest in digests:
            if digest in suggested:
                collection.relabel([digest], suggested[digest])
        return f'<p class="fc-notice">{len(digests)} relabelled.</p>'

    def remove(digests: list[str]) -> tuple[str, list[str]]:
        _require(digests, "tick")
        collection.remove(digests)
        words = f"{len(digests)} removed; “Undo remove” below puts back."
        return f'<p class="fc-notice">{words}</p>', digests

    with gr.Accordion(_SUSPECTS, open=False, elem_id="suspects-box") as box:
        words = gr.Markdown(elem_id="suspects-words")
        gallery = gr.Gallery(
            columns=6, height="auto", object_fit="cover", allow_preview=False, show_label=False,
            buttons=[], elem_id="suspects",
        )  # fmt: skip
        ticked = gr.CheckboxGroup([], label="Photos", elem_id="suspects-ticked")
        with gr.Row():
            relabel_button = gr.Button("Relabel as it looks", elem_id="suspects-relabel")
            remove_button = gr.Button("Remove", variant="stop", elem_id="suspects-remove")
        outcome = gr.HTML(elem_id="suspects-outcome")
    shown = [gallery, ticked, words]
    box.expand(show, None, shown, **_QUIET)
    steps = [
        relabel_button.click(relabel, ticked, outcome, **_QUIET),
        remove_button.click(remove, ticked, [outcome, removed], **_QUIET),
    ]
    return box, [step.then(show, None, shown, **_QUIET) for step in steps]


def _said(review: Review) -> str:
    answered = spoken(review.answered) if review.answered else "no answer"
    return f"{spoken(review.label)} / {answered} {review.probability:.0%}"


def _build_gallery(
    collection: CollectionService, settings: Settings, removed: gr.State
) -> tuple[gr.Button, gr.Button, list[Dependency], Callable[[Dependency], None]]:
    """Return the buttons that put back and delete, the steps after which others are stale, and what
    shows the photos again after a step of others.
    """

    def show(
        name: str, source: str, page: float | None
    ) -> tuple[Any, list[StoredImage], str, Any, list[int]]:
        def at(number: int) -> tuple[list[StoredImage], int]:
            return collection.images(
                label=None if name == _ANY else name,
                source=None if source == _ANY else source,
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
            [(_picture(collection, image), pretty(image.label)) for image in found],
            selected_index=None,
        )
        words = f"{count:,} photos" if count else "No photo here yet. Add some above."
        page_of = gr.Number(number, maximum=pages, label=f"Page of {pages}")
        return shown, found, words, page_of, []

    def choose(event: gr.SelectData, found: list[StoredImage]) -> tuple[str, list[str]]:
        if not isinstance(event.index, int) or not 0 <= event.index < len(found or []):
            raise gr.Error("That photo is no longer shown. Choose another.", print_exception=False)
        image = found[event.index]
        content = b""  # no picture, as one that is damaged
        with suppress(OSError):
            content = collection.read(image)
        return _details(image, content), [image.digest]

    def remove(digests: list[str]) -> tuple[str, list[str]]:
        _require(digests, "tap")
        collection.remove(digests)
        return '<p class="fc-notice">Removed. Undo puts it back.</p>', digests

    def relabel(digests: list[str], name: str | None) -> str:
        _require(digests, "tap")
        request_id = new_request_id()
        try:
            collection.relabel(digests, name or "")
        except Exception as error:
            raise gradio_error(error, request_id) from error
        return f'<p class="fc-notice">It is {escape(spoken(name or ""))} now.</p>'

    def undo(digests: list[str]) -> tuple[str, list[str]]:
        back = collection.restore(digests or [i.digest for i in collection.removed(1)])
        words = {0: "There is nothing to put back.", 1: "It is back."}.get(
            back, f"{back} are back."
        )
        return f'<p class="fc-notice">{words}</p>', []

    def erase() -> tuple[str, list[str]]:
        request_id = new_request_id()
        try:
            count = collection.erase_removed()
        except Exception as error:
            raise gradio_error(error, request_id) from error
        words = f"{count:,} removed photos are deleted." if count != 1 else "It is deleted."
        return f'<p class="fc-notice">{words}</p>', []

    def download(name: str, source: str) -> str:
        request_id = new_request_id()
        try:
            return str(_as_zip(collection, name, source, settings))
        except Exception as error:
            raise gradio_error(error, request_id) from error

    with gr.Accordion("Look through the photos", open=False, elem_id="gallery-box") as box:
        with gr.Row():
            name = gr.Dropdown([_ANY], value=_ANY, label="Class", elem_id="gallery-class")
            source = gr.Dropdown([_ANY], value=_ANY, label="Source", elem_id="gallery-source")
            page = gr.Number(1, minimum=1, precision=0, label="Page", elem_id="gallery-page")
        count = gr.Markdown(elem_id="gallery-count")
        gallery = gr.Gallery(
            columns=8, height="auto", object_fit="cover", allow_preview=False, show_label=False,
            buttons=[], elem_id="gallery",
        )  # fmt: skip
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

    def choices() -> tuple[Any, Any, Any]:
        classes = _choices(collection)
        return (
            gr.Dropdown(choices=[(_ANY, _ANY), *classes]),
            gr.Dropdown(choices=[_ANY, *collection.sources()]),
            gr.Dropdown(choices=classes),
        )

    def show_if_open(open_now: bool, *filters_now: Any) -> Any:
        return show(*filters_now) if open_now else [gr.skip()] * len(shown)

    def follow(step: Dependency) -> None:
        step.then(show_if_open, [is_open, *filters], shown, **_QUIET)
        step.then(choices, None, [name, source, to], **_QUIET)

    gr.on([name.change, source.change, page.submit, page.change], show, filters, shown, **_QUIET)
    gallery.select(choose, [found], [details, chosen], **_QUIET)
    download_button.click(
        download, [name, source], ready, api_visibility="private", show_progress_on=gallery
    ).success(None, js="() => document.querySelector('#gallery-zip').click()", **_QUIET)
    box.expand(lambda: True, None, is_open, **_QUIET)
    box.collapse(lambda: False, None, is_open, **_QUIET)
    box.expand(choices, None, [name, source, to], **_QUIET)
    box.expand(show, filters, shown, **_QUIET)
    steps = [
        remove_button.click(remove, chosen, [details, removed], **_QUIET),
        relabel_button.click(relabel, [chosen, to], details, **_QUIET),
        undo_button.click(undo, removed, [details, removed], **_QUIET),
        erase_button.click(erase, None, [details, removed], js=_CONFIRM_ERASE, **_QUIET),
    ]
    for step in steps:
        follow(step)
    return undo_button, erase_button, steps, follow


def report_html(
    report: UploadReport, pairs: Mapping[int, tuple[str, str]] = MappingProxyType({})
) -> str:
    """Return what became of each file, or would, as HTML.

    Args:
        report: on every file.
        pairs: data URIs of the photo and of the one in the store that it resembles, by the number
            of the file.
    """
    head = "Kept" if report.kept else "What will happen"
    summary = ", ".join(
        f"{count} {_STATUS_WORDS[status].lower()}" for status, count in report.counts.items()
    )
    rows = "".join(
        f'<li class="fc-file fc-file-{escape(file.status)}">'
        f'<span class="fc-pill">{_STATUS_WORDS[file.status]}</span>'
        f"<b>{escape(file.name)}</b><span>{escape(file.message)}"
        + (f' <em class="fc-warn">{escape(file.warning)}</em>' if file.warning else "")
        + _side_by_side(file, pairs.get(number))
        + "</span></li>"
        for number, file in enumerate(report.files)
    )
    return (
        f'<section class="fc-card"><h3>{head} <small>{summary}</small></h3>'
        f'<ul class="fc-files">{rows}</ul></section>'
    )


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
                contents = (file.content, collection.read(there))
                mine, theirs = (
                    thumbnail_uri(content, SMALL_PX, settings.image_limits) for content in contents
                )
                found[number] = (mine, theirs)
    return found


def _side_by_side(file: UploadedFile, pair: tuple[str, str] | None) -> str:
    if pair is None or file.existing is None:
        return ""
    sides = ((pair[0], "this photo"), (pair[1], f"here: {spoken(file.existing.label)}"))
    figures = "".join(
        f'<figure><img src="{uri}" alt=""><figcaption>{escape(words)}</figcaption></figure>'
        for uri, words in sides
    )
    return f'<span class="fc-beside">{figures}</span>'


def progress_html(progress: Sequence[dict[str, Any]]) -> str:
    """Return the photos of each class against what a retraining needs, as HTML."""
    if not progress:
        return (
            '<section class="fc-card fc-empty"><h2>No photos yet</h2><p>Add some here. A '
            "quick retraining needs only them; the public sets are fetched on the Retrain tab.</p>"
            "</section>"
        )
    rows = "".join(
        f"<tr><th>{escape(pretty(row['class_name']))}</th><td>{row['photos']:,}</td>"
        f"<td>{row['train']:,}</td><td>{row['validation']:,}</td><td>{row['test']:,}</td>"
        f"<td>{'enough' if not row['missing'] else _more(row['missing'])}</td></tr>"
        for row in progress
    )
    return (
        '<section class="fc-card"><h3>Photos by class</h3><div class="fc-scroll">'
        '<table class="fc-figures"><thead><tr><th>class</th><th>photos</th><th>learn</th>'
        f"<th>calibrate</th><th>judge</th><th>for a retrain</th></tr></thead><tbody>{rows}"
        "</tbody></table></div></section>"
    )


def _more(missing: int) -> str:
    # A photo's part follows from its digest, so how many it takes can only be estimated.
    return f"about {int(missing / 0.75) + 1} more"


def _choices(collection: CollectionService) -> list[tuple[str, str]]:
    return [(pretty(label), label) for label in collection.classes()]


def _picture(collection: CollectionService, image: StoredImage) -> RGBImage:
    return stored_picture(partial(collection.read, image), _GALLERY_PX)


def _details(image: StoredImage, content: bytes) -> str:
    photo = thumbnail_uri(content, SMALL_PX * 3, STORED_LIMITS)
    problem = "" if photo else "<br>It cannot be shown: its file is missing, damaged or too large."
    return (
        '<section class="fc-card fc-answer-head">'
        f'<img class="fc-photo" src="{photo or grey_uri(SMALL_PX * 3)}" alt="">'
        f"<div><h3>{escape(pretty(image.label))}</h3>"
        f"<p>{escape(image.original_name)}<br>{escape(image.source)}, {image.split}, "
        f"{image.width_px} x {image.height_px} px, {image.added_at[:10]}<br>"
        f"{escape(image.licence or 'no licence stated')}{problem}</p></div></section>"
    )


def _require(digests: Sequence[str], how: str) -> None:
    if not digests:
        raise gr.Error(f"Choose a photo first: {how} it.", print_exception=False)


def _as_zip(collection: CollectionService, name: str, source: str, settings: Settings) -> Path:
    """Return a zip of the images, one folder per class, in a folder that Gradio serves.

    An image whose file is missing is left out. Where anything fails, nothing stays on the disk.

    Raises:
        NotStored: the zip would not leave free on the disk what has to be.
    """
    images = collection.all_images(
        label=None if name == _ANY else name, source=None if source == _ANY else source
    )
    uploads = settings.state_dir / "gradio"
    _require_room(sum(image.size_bytes for image in images), uploads, settings.min_free_bytes)
    folder = Path(tempfile.mkdtemp(dir=uploads))
    path = folder / "photos.zip"
    try:
        with zipfile.ZipFile(path, "w") as archive:
            for image in images:
                try:
                    content = collection.read(image)
                except FileNotFoundError:
                    continue
                archive.writestr(f"{image.label}/{image.digest[:16]}{image.suffix}", content)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return path


def _require_room(size_bytes: int, folder: Path, min_free_bytes: int) -> None:
    """Raise NotStored where a zip leaves less of the disk than a file sent to the page has to."""
    usage = shutil.disk_usage(folder)
    if usage.free - size_bytes < min(min_free_bytes, usage.total // 20):
        raise NotStored(
            f"the zip takes {size_bytes / 1e6:,.0f} MB, and {usage.free / 1e6:,.0f} MB are free"
        )
