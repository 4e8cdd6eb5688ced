"""The Status tab: what answers, since when, how much and how fast; and the API ``status``."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any, Final

import gradio as gr
from gradio.events import api

from app.service import PredictionService
from app.tabs.cards import bar

REFRESH_S: Final = 3.0


def build_tab(service: PredictionService, tab: gr.Tab, others: list[gr.Tab]) -> None:
    """Lay out the tab inside the surrounding Blocks.

    Args:
        service: whose figures are shown.
        tab: this tab; its figures are refreshed while it is the one that is open.
        others: the tabs that hide it.
    """

    def show() -> str:
        return status_html(service.status())

    def status() -> dict[str, Any]:
        """Return the served version and the figures since the start; as GET /api/status."""
        return service.status()

    def health() -> dict[str, Any]:
        """Return whether predictions are answered; as GET /api/health."""
        return service.health()

    figures = gr.HTML(elem_id="figures")
    with gr.Accordion("Model card", open=False, elem_id="model-card"):
        card = gr.Markdown(elem_id="card-text")
    timer = gr.Timer(REFRESH_S, active=False)
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    timer.tick(show, None, figures, **quiet)
    tab.select(
        lambda: (show(), service.model_card(), gr.Timer(active=True)),
        None,
        [figures, card, timer],
        **quiet,
    )
    for other in others:
        other.select(lambda: gr.Timer(active=False), None, timer, **quiet)
    api(status, api_name="status", queue=False)
    api(health, api_name="health", queue=False)


def status_html(status: dict[str, Any]) -> str:
    """Return the figures of ``PredictionService.status`` as HTML."""
    return "".join(
        (_now(status), _latency(status["latency_ms"]), _labels(status), _model(status["model"]))
    )


def _now(status: dict[str, Any]) -> str:
    model = status["model"]
    problem = status["problem"]
    notice = f'<p class="fc-notice" role="alert">{escape(problem)}</p>' if problem else ""
    tiles = (
        (
            "Version",
            model["version"] if model else "none",
            f"since {_when(model['since'])}" if model else "nothing can be predicted",
        ),
        ("Uptime", _duration(status["uptime_s"]), f"since {_when(status['started_at'])}"),
        ("Predictions", f"{status['predictions']['total']:,}", f"{status['pending']} under way"),
        ("Refused", f"{status['refusals']['total']:,}", _kinds(status["refusals"]["by_type"])),
        ("Errors", f"{status['errors']:,}", "of the server's own"),
        ("Memory", f"{status['memory_bytes'] / 1e6:,.0f} MB", "of this process"),
    )
    return notice + '<div class="fc-tiles">' + "".join(_tile(*tile) for tile in tiles) + "</div>"


def _tile(title: str, value: str, note: str) -> str:
    return (
        f'<div class="fc-tile"><span>{escape(title)}</span><b>{escape(value)}</b>'
        f"<small>{escape(note)}</small></div>"
    )


def _latency(latency_ms: dict[str, Any]) -> str:
    count = latency_ms["total"]["count"]
    head = "<tr><th>stage</th><th>last</th><th>p50</th><th>p95</th><th>p99</th></tr>"
    rows = "".join(
        f"<tr><th>{stage}</th>"
        + "".join(f"<td>{_ms(values[key])}</td>" for key in ("last", "p50", "p95", "p99"))
        + "</tr>"
        for stage, values in latency_ms.items()
    )
    note = f"last {count:,} predictions" if count else "no predictions yet"
    return f'<section class="fc-card"><h3>Latency, ms <small>{note}</small></h3>' + _table(
        head, rows
    )


def _labels(status: dict[str, Any]) -> str:
    counts: dict[str, int] = status["predictions"]["by_label"]
    known = list(status["model"]["labels"]) if status["model"] else []
    labels = [*known, *(label for label in counts if label not in known)]
    most = max(counts.values(), default=0) or 1
    rows = "".join(
        f"<li>{bar(label, counts.get(label, 0) / most, f'{counts.get(label, 0):,}')}</li>"
        for label in labels
    )
    return (
        '<section class="fc-card"><h3>Answers by class <small>since the start</small></h3>'
        f'<ol class="fc-bars">{rows}</ol></section>'
    )


def _model(model: dict[str, Any] | None) -> str:
    if model is None:
        return ""
    head = (
        "<tr><th>judged on</th><th>photos</th><th>right</th><th>95 % interval</th>"
        "<th>macro F1</th><th>others refused</th></tr>"
    )
    rows = "".join(
        # A narrow phone may break the name after its slash.
        f"<tr><th>{escape(name).replace('/', '/<wbr>')}</th><td>{m['images']:,}</td>"
        f"<td>{m['accuracy']:.1%}</td><td>{_interval(m['intervals'].get('accuracy'))}</td>"
        f"<td>{m['macro_f1']:.3f}</td><td>{_refused(m['others'])}</td></tr>"
        for name, m in sorted(model["metrics"].items())
    )
    rows = rows or '<tr><td colspan="6">This version carries no test results.</td></tr>'
    facts = (
        f"network {model['network']}, {model['parameters']:,} parameters, "
        f"{model['size_bytes'] / 1e6:.1f} MB, input {model['input_side_px']} x "
        f"{model['input_side_px']} px, trained {_when(model['created_at'])}"
    )
    return (
        f'<section class="fc-card"><h3>Model {escape(model["version"])}</h3>'
        f'<p class="fc-hint">{escape(facts)}</p>' + _table(head, rows)
    )


def _interval(interval: Sequence[float] | None) -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}" if interval else "-"


def _refused(others: dict[str, Any] | None) -> str:
    return f"{others['refused']:.1%} of {others['images']:,}" if others else "-"


def _table(head: str, rows: str) -> str:
    return (
        f'<div class="fc-scroll"><table class="fc-figures"><thead>{head}</thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _when(iso: str) -> str:
    return datetime.fromisoformat(iso).strftime("%d %b %Y, %H:%M UTC")


def _duration(seconds: float) -> str:
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {int(seconds % 60)} s" if minutes else f"{int(seconds)} s"


def _kinds(by_type: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in by_type.items()) or "none so far"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
