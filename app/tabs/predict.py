"""The Predict tab: photos in, named fruit out; and the Gradio API endpoint ``predict``."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import gradio as gr

from app.collection import CollectionService
from app.errors import (
    BadRequest,
    Overloaded,
    TooManyFiles,
    describe_error,
    gradio_error,
)
from app.results import ImageFile, Prediction, Refusal, new_request_id
from app.service import PredictionService
from app.settings import Settings
from app.tabs import cards
from app.tabs.photos import QUIET
from app.tabs.thumbnails import SMALL_PX, photo_and_heat, thumbnail_uri
from app.uploads import iterate_images, read_image, within_limits
from data.labels import spoken

T = TypeVar("T")

# A photo may take half a gigabyte while it is decoded to be shown, and Gradio runs forty handlers
# at once: these many have photos in memory, each so many files.
_AT_ONCE: Final = 2
_CHUNK: Final = 8
# gr.File has no paste, so a paste anywhere on the page goes into its file input; but not one into a
# text field of what a spreadsheet or a word processor copies, text with a picture of it. `accept`
# opens the camera roll on a phone; it is set here and not by `file_types`, because Gradio would
# drop a whole selection for one file of another kind, where we can name that file and answer the
# rest.
# Gradio leaves the pictures of gr.Examples without a name that a screen reader could say, and
# closes the details of gr.HTML whenever it puts new figures there.
PAGE_JS = """
() => {
  const input = () => document.querySelector("#photos input[type=file]");
  const opened = new Set();
  document.addEventListener("click", (event) => {
    const details = event.target.closest?.("summary")?.parentElement;
    if (details?.matches("[data-stays]")) {
      opened[details.open ? "delete" : "add"](details.firstElementChild.textContent);
    }
  }, true);
  new MutationObserver(() => {
    document.querySelectorAll("details[data-stays]:not([open])").forEach((details) => {
      if (opened.has(details.firstElementChild.textContent)) details.open = true;
    });
    const found = input();
    if (found && !found.accept) found.accept = "image/*,.heic,.heif,.zip";
    document.querySelectorAll("#examples button:not([aria-label])").forEach((button) => {
      const file = button.querySelector("img")?.src.split("/").pop() ?? "";
      if (file) button.setAttribute("aria-label", `Try a drawing: ${file.split(".")[0]}`);
    });
    // A label is not allowed on what has no role.
    document.querySelectorAll("div.empty[aria-label]:not([role])").forEach((place) => {
      place.setAttribute("role", "note");
    });
    // These may scroll, so the keyboard must reach them.
    document.querySelectorAll(".fc-rows, .fc-files, .fc-scroll, #card-text").forEach((box) => {
      box.tabIndex = 0;
    });
  }).observe(document.body, { childList: true, subtree: true, attributeFilter: ["open"] });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    const target = input();
    const field = event.target.closest?.("input, textarea, [contenteditable]");
    if (field && event.clipboardData?.types.includes("text/plain")) return;
    if (!files.length || !target) return;
    const transfer = new DataTransfer();
    files.forEach((file) => transfer.items.add(file));
    target.files = transfer.files;
    target.dispatchEvent(new Event("change", { bubbles: true }));
    event.preventDefault();
  });
}
"""


def build_tab(
    service: PredictionService,
    collection: CollectionService | None,
    settings: Settings,
    examples: Sequence[Path],
) -> None:
    """Lay out the tab inside the surrounding Blocks.

    Args:
        service: answers.
        collection: keeps photos that a visitor says the right name of; None where that is off.
        settings: limits of uploads.
        examples: pictures to try.
    """
    # And not a semaphore, where who reads many photos would come before those who wait.
    readers = ThreadPoolExecutor(_AT_ONCE, "predict-tab")

    def in_turn(work: Callable[[], T], wait_s: float | None) -> T:
        """Return what the work gives once it may have photos in memory.

        Raises:
            Overloaded: it waited too long, so that it was not begun.
        """
        future = readers.submit(work)
        try:
            return future.result(wait_s)
        except TimeoutError:
            if not future.cancel():  # it has begun
                return future.result()
            service.metrics.refused(Overloaded.__name__)
            raise Overloaded(settings.max_wait_s) from None

    def answer(paths: Sequence[str] | str | None) -> tuple[str, Any, str, Any, str]:
        """Return the answer, and ask whether it was right where it is that to one photo."""
        chosen = [paths] if isinstance(paths, str) else paths or []
        html, path = _guarded(lambda request_id: answer_all(chosen, request_id))
        asks = collection is not None and bool(path)
        names = collection.classes() if collection and asks else []
        choices = [(cards.pretty(name), name) for name in names]
        asked = path if asks else ""
        return html, gr.Column(visible=asks), asked, gr.Dropdown(choices=choices, value=None), ""

    def answer_all(paths: Sequence[str], request_id: str) -> tuple[str, str]:
        """Return the HTML that answers the files, and the path of the photo where it was one.

        One gets a card, several a table; there is no path of what was refused or lay in a zip.
        """
        if not paths:
            return cards.EMPTY, ""
        if len(paths) > settings.max_files:
            raise TooManyFiles(None, settings.max_files)
        files = within_limits(iterate_images(map(Path, paths), settings, request_id), settings)
        shown: list[_Shown] = []
        is_last = False
        while not is_last:
            # Only the first may wait too long.
            wait_s = None if shown else settings.max_wait_s
            work = partial(_answer_some, service, settings, files, request_id, is_first=not shown)
            some = in_turn(work, wait_s)
            shown += some
            is_last = len(some) < _CHUNK
        if len(shown) > 1:
            return cards.answers_table([s.answer for s in shown], [s.photo for s in shown]), ""
        only = shown[0]
        if isinstance(only.answer, Refusal):
            return cards.refusal_card(only.answer), ""
        path = paths[0] if only.name == Path(paths[0]).name else ""  # else it lay in a zip
        return cards.prediction_card(only.answer, only.photo, only.heat), path

    def answer_and_clear(
        paths: Sequence[str] | None,
    ) -> tuple[str, Any, str, Any, str, None]:
        return *answer(paths), None

    def answer_example(path: str | None) -> tuple[str, Any, str]:
        # A drawing is not worth keeping, and the question about an earlier photo is over.
        return answer(path)[0], gr.Column(visible=False), ""

    def suggest(path: str, name: str | None) -> str:
        return _guarded(lambda request_id: _suggest(collection, settings, path, name))

    async def predict(
        image: str | None, top_k: int | None = None, explain: bool = False
    ) -> dict[str, Any]:
        """Name the fruit on one image; the same answer as POST /api/predict."""
        request_id = new_request_id()
        try:
            if image is None:
                raise BadRequest("No image was sent. Pass handle_file('photo.jpg').")
            file = read_image(Path(image), settings)
            answer = await service.predict_async(
                file.content, top_k=top_k, explain=explain, request_id=request_id
            )
        except Exception as error:
            raise gradio_error(error, request_id) from error
        return answer.to_dict()

    with gr.Row(elem_id="predict"):
        with gr.Column(scale=5, min_width=320, elem_id="give"):
            photos = gr.File(
                file_count="multiple",
                type="filepath",
                label="Photos or a zip of photos",
                show_label=False,
                height=210,
                elem_id="photos",
                elem_classes="fc-drop",
            )
            gr.HTML(
                '<p class="fc-hint">JPEG, PNG, WebP, GIF, BMP, TIFF or HEIC, up to '
                f"{settings.max_file_bytes / 1e6:.3g} MB each; at most {settings.max_files} "
                "photos at once. You can also paste a photo anywhere on this page.</p>"
            )
            with gr.Accordion("Use the camera", open=False, elem_id="camera-box"):
                camera = gr.Image(
                    sources=["webcam"],
                    type="filepath",
                    image_mode=None,  # hands over the file as the browser made it
                    label="Camera",
                    show_label=False,
                    height=300,
                    elem_id="camera",
                )
            example = gr.Image(type="filepath", image_mode=None, visible=False)
        with gr.Column(scale=6, min_width=320, elem_id="get"):
            result = gr.HTML(cards.EMPTY, elem_id="result")
            with gr.Column(visible=False, elem_id="was-right") as question:
                gr.HTML(
                    '<p class="fc-ask"><b>Was this right?</b> Say what it shows, and the photo is '
                    "kept for the operator to train with. Otherwise it is not kept.</p>"
                )
                with gr.Row():
                    truth = gr.Dropdown(
                        choices=[],
                        allow_custom_value=True,
                        show_label=False,
                        container=False,
                        scale=3,
                        elem_id="truth",
                    )
                    send = gr.Button("Send", scale=1, min_width=90, elem_id="send")
                thanks = gr.HTML(elem_id="thanks")
            asked = gr.State("")
    with gr.Row():
        gr.Examples(
            [[str(path)] for path in examples],
            inputs=[example],
            outputs=[result, question, asked],
            fn=answer_example,
            run_on_click=True,
            cache_examples=False,
            label="No photo at hand? Try a drawing",
            elem_id="examples",
            api_visibility="private",
        )

    shown: dict[str, Any] = {
        "api_visibility": "private",
        "concurrency_limit": None,
        "show_progress_on": result,
        # Gradio would pass over what comes while an answer is under way. The field holds the photos
        # until they are answered, so those that come meanwhile are answered together with them.
        "trigger_mode": "multiple",
        "scroll_to_output": True,  # on a phone the answer lies below the fold
    }
    answered = [result, question, asked, truth, thanks]
    photos.upload(answer_and_clear, photos, [*answered, photos], **shown).failure(
        # What was refused must not be among the next photos, nor the last answer's question stay.
        lambda: (None, gr.Column(visible=False), ""), None, [photos, question, asked], **QUIET
    )  # fmt: skip
    camera.input(answer, camera, answered, **shown)
    send.click(suggest, [asked, truth], thanks, **QUIET)

    # An endpoint of its own for clients. A File component and not gr.api: only a component's
    # preprocessing makes sure that the file named by the caller is one that the caller uploaded.
    image = gr.File(label="image", type="filepath", visible=False)
    top_k = gr.Number(label="top_k", value=None, precision=0, visible=False)
    explain = gr.Checkbox(label="explain", value=False, visible=False)
    gr.Button(visible=False).click(
        predict,
        [image, top_k, explain],
        gr.JSON(label="answer", visible=False),
        api_name="predict",
        concurrency_limit=None,
    )


class _Shown(NamedTuple):
    """What is kept of a file once it is answered."""

    name: str  # of the file; of one in a zip its path there
    answer: Prediction | Refusal
    photo: str  # a data URI; empty for none
    heat: str = ""  # the same, with the heat map over it


def _answer_some(
    service: PredictionService,
    settings: Settings,
    files: Iterator[ImageFile | Refusal],
    request_id: str,
    *,
    is_first: bool,
) -> list[_Shown]:
    """Return the answers to the next files; one file alone is shown large, and explained."""
    some = list(islice(files, _CHUNK))
    if not some:
        return []
    alone = is_first and len(some) == 1
    try:
        answers = service.predict_many(some, explain=alone, request_id=request_id)
    except Overloaded as error:
        if is_first:
            raise
        busy = describe_error(error, request_id)[1]  # and what was answered before is not lost
        answers = [f if isinstance(f, Refusal) else Refusal(f.name, busy) for f in some]
    return [_shown(file, answer, settings) for file, answer in zip(some, answers, strict=True)]


def _shown(file: ImageFile | Refusal, answer: Prediction | Refusal, settings: Settings) -> _Shown:
    if isinstance(file, Refusal):
        return _Shown(file.name, answer, "")
    if isinstance(answer, Prediction) and answer.heat_map:
        pictures = photo_and_heat(file.content, answer.heat_map, settings.image_limits)
        return _Shown(file.name, answer, *pictures)
    photo = thumbnail_uri(file.content, SMALL_PX, settings.image_limits)
    return _Shown(file.name, answer, photo)


def _suggest(
    collection: CollectionService | None, settings: Settings, path: str, name: str | None
) -> str:
    if collection is None or not path:
        raise BadRequest("There is no photo to keep. Drop one first.")
    if not name or not name.strip():
        raise BadRequest("Choose what the photo shows, or type it.")
    try:
        file = read_image(Path(path), settings)
    except FileNotFoundError as error:
        raise BadRequest("The photo is gone; drop it again.") from error
    review = collection.suggest(file, name)
    return (
        f'<p class="fc-notice">Thank you. It waits as {escape(spoken(review.label))} '
        "until somebody has looked at it.</p>"
    )


def _guarded(handle: Callable[[str], T]) -> T:
    """Return the handler's value, or raise what the page shows of its error."""
    request_id = new_request_id()
    try:
        return handle(request_id)
    except Exception as error:
        raise gradio_error(error, request_id) from error
