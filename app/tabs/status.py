"""The Status tab: how it is, how it was, and what is known of each version; and the same as API.

What a handler raises, ``Page`` puts into words.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import gradio as gr
from gradio.events import api

from app.inspection import InspectionService
from app.monitoring import SPANS, MonitoringService
from app.service import PredictionService
from app.tabs.cards import counted, pretty
from app.tabs.model_html import (
    classes_html,
    confusion_html,
    curve_html,
    reliability_html,
    versions_html,
)
from app.tabs.status_html import alerts_html, now_html, over_time_html
from app.tabs.thumbnails import stored_picture
from data.labels import spoken

REFRESH_S: Final = 3.0
CHARTS_REFRESH_S: Final = 15.0
_MOST_PHOTOS: Final = 24
_PHOTO_PX: Final = 160
_ALONE: Final = "no other"
# Tells which cell was pressed; Gradio hands it to the handler.
_CELL_JS: Final = """
element.addEventListener('click', event => {
  const cell = event.target.closest('[data-label]');
  if (cell) trigger('select', {value: cell.dataset.label, index: cell.dataset.answer});
});
"""
_QUIET: Final[dict[str, Any]] = {
    "api_visibility": "private", "show_progress": "hidden", "queue": False,
}  # fmt: skip


def build_tab(
    service: PredictionService,
    monitoring: MonitoringService,
    inspection: InspectionService,
    tab: gr.Tab,
    others: list[gr.Tab],
) -> None:
    """Lay out the tab inside the surrounding Blocks.

    Args:
        service: what is served.
        monitoring: whether all is well.
        inspection: what is known of the versions.
        tab: this tab; it is refreshed while it is the one that is open.
        others: the tabs that hide it.
    """
    _build_now(monitoring, tab, others, is_operator=inspection.is_operator)
    _build_over_time(monitoring, tab, others)
    _build_versions(service, inspection, tab)

    def status() -> dict[str, Any]:
        """Return the served version and all figures of now; as GET /api/status."""
        return monitoring.status()

    def health() -> dict[str, Any]:
        """Return whether predictions are answered; as GET /api/health."""
        return service.check_health()

    def alerts() -> list[dict[str, Any]]:
        """Return the alerts, the newest first; as GET /api/alerts."""
        return [alert.to_dict() for alert in monitoring.alerts()]

    for function in (status, health, alerts):
        api(function, api_name=function.__name__, queue=False)


def _build_now(
    monitoring: MonitoringService, tab: gr.Tab, others: list[gr.Tab], *, is_operator: bool
) -> None:
    def show() -> tuple[str, str, Any, list[int]]:
        waiting = [alert for alert in monitoring.alerts() if alert.acknowledged_at is None]
        button = gr.Button(visible=bool(waiting) and is_operator)
        ids = [alert.id for alert in waiting]
        return alerts_html(waiting), now_html(monitoring.status()), button, ids

    def acknowledge(shown_ids: list[int]) -> tuple[str, str, Any, list[int]]:
        for alert in monitoring.alerts():
            if alert.acknowledged_at is None and alert.id in shown_ids:
                monitoring.acknowledge(alert.id)
        return show()

    alerts = gr.HTML(elem_id="alerts")
    seen = gr.Button("I have seen it", visible=False, size="sm", elem_id="acknowledge")
    figures = gr.HTML(elem_id="figures")
    shown_ids = gr.State([])  # one that was raised since is not among them, and stays
    shown = [alerts, figures, seen, shown_ids]
    _while_open(tab, others, REFRESH_S, show, [], shown)
    if is_operator:
        seen.click(acknowledge, shown_ids, shown, **_QUIET)


def _build_over_time(monitoring: MonitoringService, tab: gr.Tab, others: list[gr.Tab]) -> None:
    def draw(span: str) -> str:
        return over_time_html(span, monitoring.over_time(span), monitoring.swaps())

    with gr.Accordion("Over time", open=True, elem_id="over-time"):
        span = gr.Radio(
            [(f"last {name}", name) for name in SPANS], value="hour", show_label=False,
            elem_id="span",
        )  # fmt: skip
        charts = gr.HTML(elem_id="charts")
    _while_open(tab, others, CHARTS_REFRESH_S, draw, [span], [charts])
    span.change(draw, span, charts, **_QUIET)


def _build_versions(service: PredictionService, inspection: InspectionService, tab: gr.Tab) -> None:
    def look(version: str | None, other: str | None, part: str | None) -> tuple[Any, ...]:
        # What is chosen is decided here, and not read back from the page: this may be called while
        # the choices are still being drawn, which then say nothing.
        names = inspection.versions()
        version = version if version in names else service.health()["version"]
        other = other if other in names else _ALONE
        choices = (
            gr.Dropdown(choices=names, value=version),
            gr.Dropdown(choices=[_ALONE, *names], value=other),
        )
        parts, about, judged, card = list[str](), "", ("", "", "", ""), ""
        if version:
            beside = [] if other in (_ALONE, version) else [other]
            manifests = [inspection.manifest(name) for name in (version, *beside)]
            first = manifests[0]
            card, about = inspection.card(version), versions_html(manifests)
            parts = sorted(first.metrics, key=lambda name: not name.endswith("/test"))
        part = part if part in parts else next(iter(parts), None)
        if version and part:
            judged = (
                confusion_html(part, first, opens=inspection.shows_photos(version, part)),
                classes_html(part, manifests),
                reliability_html(inspection.reliability(version, part), first.metrics[part]),
                curve_html(first),
            )
        no_photos = gr.Gallery(visible=False)  # those of what was looked at before
        chosen_part = gr.Dropdown(choices=parts, value=part)
        return (*choices, chosen_part, about, *judged, card, "", no_photos)

    def open_cell(version: str, part: str, event: gr.SelectData) -> tuple[str, Any]:
        label, answer = str(event.value), str(event.index)
        found, count = inspection.photos(version, part, label, answer, _MOST_PHOTOS)
        pictures = [
            (stored_picture(partial(inspection.read, image), _PHOTO_PX), f"{confidence:.0%}")
            for image, confidence in found
        ]
        words = f"**{pretty(label)}, answered as {spoken(answer)}**: {counted(count, 'photo')}"
        if len(found) < count:
            missing = "are shown" if found else "is in this store"
            words += f", of which {len(found) or 'none'} {missing}."
        if not found:
            words += " Fetch the base set on the Retrain tab to see them."
        return words, gr.Gallery(pictures, visible=bool(pictures))

    with gr.Accordion("Look into a version", open=False, elem_id="inspect") as box:
        with gr.Row():
            version = gr.Dropdown([], label="Version", elem_id="inspect-version")
            other = gr.Dropdown([_ALONE], value=_ALONE, label="Beside", elem_id="inspect-other")
            part = gr.Dropdown([], label="Test set", elem_id="inspect-part")
        about = gr.HTML(elem_id="inspect-about")
        confusion = gr.HTML(elem_id="confusion", js_on_load=_CELL_JS)
        words = gr.Markdown(elem_id="cell-words")
        gallery = gr.Gallery(
            columns=8, height="auto", object_fit="cover", allow_preview=False, show_label=False,
            buttons=[], visible=False, elem_id="cell-photos",
        )  # fmt: skip
        classes = gr.HTML(elem_id="inspect-classes")
        reliability = gr.HTML(elem_id="reliability")
        curve = gr.HTML(elem_id="curve")
        with gr.Accordion("Model card", open=False, elem_id="model-card"):
            card = gr.Markdown(elem_id="card-text")
    chosen = [version, other, part]
    looked = [*chosen, about, confusion, classes, reliability, curve, card, words, gallery]
    # A retraining may have made one meanwhile, and somebody may have deleted another.
    for opened in (box.expand, tab.select):
        opened(look, chosen, looked, **_QUIET)
    for choice in chosen:
        choice.input(look, chosen, looked, **_QUIET)
    confusion.select(open_cell, [version, part], [words, gallery], **_QUIET)


def _while_open(
    tab: gr.Tab,
    others: list[gr.Tab],
    every_s: float,
    show: Callable[..., Any],
    inputs: list[Any],
    outputs: list[Any],
) -> None:
    """Call a function when the tab is opened, and again and again while it is."""
    timer = gr.Timer(every_s, active=False)
    timer.tick(show, inputs, outputs, **_QUIET)
    tab.select(show, inputs, outputs, **_QUIET)
    tab.select(lambda: gr.Timer(active=True), None, timer, **_QUIET)
    for other in others:
        other.select(lambda: gr.Timer(active=False), None, timer, **_QUIET)
