"""How it is and how it was, as HTML: pure functions, every string escaped."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from app.alerts import Alert
from app.figures import Figures
from app.tabs.cards import bar, note_html, pretty
from app.tabs.charts import (
    BLUE,
    DASHES,
    GREEN,
    GREY,
    ORANGE,
    PALETTE,
    Series,
    line_chart,
    share_chart,
    time_axis,
)
from data.labels import NONE_OF_THESE

_SHOWN_CLASSES: Final = len(PALETTE) - 1
_FORMS: Final = {"hour": "%H:%M", "day": "%H:%M", "month": "%d %b"}


def now_html(status: dict[str, Any]) -> str:
    """Return the figures of ``MonitoringService.status``."""
    return "".join(
        (
            _tiles(status),
            mirror_html(status.get("mirror")),
            '<div class="fc-two">',
            _latency(status["latency_ms"]),
            _labels(status),
            "</div>",
            drift_html(status["drift"]),
        )
    )


def alerts_html(alerts: Sequence[Alert]) -> str:
    """Return what nobody acknowledged yet."""
    if not alerts:
        return ""
    rows = "".join(
        f"<li><b>{_KINDS[alert.kind]}</b> <small>{when(alert.raised_at)}</small><br>"
        f"{escape(alert.message)}</li>"
        for alert in alerts
    )
    return f'<ul class="fc-notice fc-alerts" role="alert">{rows}</ul>'


_KINDS: Final = {
    "retrain_failed": "A job failed",
    "drift": "Other photos than it was tested on",
    "errors": "Predictions fail",
    "disk": "The disk is nearly full",
    "model": "The version that should answer does not",
    "mirror": "The mirror on the Hub does not follow",
}


def mirror_html(mirror: dict[str, Any] | None) -> str:
    """Return whether the photos and versions outlive this disk; ``Mirror.describe`` says so."""
    if mirror is None or not (mirror["parts"] or mirror["note"]):
        return ""
    lines = "".join(
        f"<li>{part['name'].capitalize()} on <code>{escape(part['repository'])}</code>: "
        f"{_MIRROR_WORDS[part['state']].format(part['waiting'])}"
        f"{', last ' + when(part['last_success']) if part['last_success'] else ''}</li>"
        for part in mirror["parts"].values()
    )
    return (
        f'{note_html(mirror["note"])}<section class="fc-card fc-mirror"><h3>Kept on the Hub</h3>'
        f"<ul>{lines or '<li>nothing</li>'}</ul></section>"
    )


_MIRROR_WORDS: Final = {
    "restoring": "being restored",
    "mirrored": "all",
    "waiting": "all but {} new or changed",
    "failing": "not at the moment",
    "stopped": "no longer",
}


def drift_html(drift: dict[str, Any]) -> str:
    """Return whether what is sent is like what the version was tested on."""
    words = {"alike": "alike", "drifted": "different", "unknown": "not known yet"}
    rows = "".join(
        f"<li>{bar(feature['name'], feature['distance'], _distance(feature))}</li>"
        for feature in drift["features"]
    )
    mix = (
        f"<p class='fc-hint'>Mix of classes: {drift['class_mix']:.0%} other than in the test set; "
        "for information, another mix is no fault by itself.</p>"
        if drift["class_mix"] is not None
        else ""
    )
    details = (
        '<details class="fc-why" data-stays><summary>What was compared</summary>'
        '<p class="fc-hint">For each '
        "number, the share of photos that lie on the other side of some value than the test "
        "images do (Kolmogorov-Smirnov). Above the limit after the slash, at least a fifth and "
        f'more than chance explains, it is another kind of photo.</p><ol class="fc-bars">{rows}'
        f"</ol>{mix}</details>"
        if rows
        else ""
    )
    return (
        f'<section class="fc-card fc-drift" data-state="{drift["state"]}"><h3>Photos, against '
        f'those of the test <span class="fc-pill fc-drift-{drift["state"]}">'
        f"{words[drift['state']]}</span></h3><p>{escape(drift['sentence'])}</p>{details}</section>"
    )


def over_time_html(
    span: str, steps: Sequence[tuple[datetime, Figures]], swaps: Sequence[tuple[datetime, str]]
) -> str:
    """Return the charts of a span.

    Args:
        span: ``hour``, ``day`` or ``month``.
        steps: the start of each step and its figures.
        swaps: when another version went live, and which.
    """
    figures = [f for _, f in steps]
    answered = sum(f.predictions for f in figures)
    if not any(f.requests for f in figures):
        return (
            '<section class="fc-card fc-empty"><h2>Quiet</h2><p>No photo came in this '
            f"{span}. Try one on the Predict tab.</p></section>"
        )
    axis = time_axis([moment for moment, _ in steps], _FORMS[span], swaps)
    minutes = (steps[1][0] - steps[0][0]).total_seconds() / 60
    charts = [
        line_chart(
            "Requests a minute", axis,
            [
                Series("answered", [f.predictions / minutes for f in figures], BLUE),
                Series("refused", [f.refusals.total() / minutes for f in figures], ORANGE, "7 4"),
                Series("errors", [f.errors / minutes for f in figures], GREY, "2 3"),
            ],
            _number,
        ),
        line_chart(
            "Time to answer", axis,
            [
                Series(f"p{share}", [f.percentile_ms("total", share / 100) for f in figures],
                       colour, dashes)
                for share, colour, dashes in zip(
                    (50, 95, 99), (BLUE, ORANGE, GREY), DASHES, strict=False
                )
            ],
            lambda ms: f"{_number(ms)} ms",
        ),
        share_chart("Answers by class", axis, _layers(figures)),
        line_chart(
            "None of these, and how sure", axis,
            [
                Series("none of these", [_ratio(f.labels[NONE_OF_THESE], f) for f in figures],
                       ORANGE, "7 4"),
                Series("mean probability", [_ratio(f.confidence, f) for f in figures], GREEN),
            ],
            lambda share: f"{100 * share:.0f} %",
            highest=1.0,
        ),
    ]  # fmt: skip
    return (
        f'<p class="fc-hint">{answered:,} {"photo" if answered == 1 else "photos"} answered in the '
        f"last {span}. Dotted marks: another version went live. Times are UTC.</p>"
        f'<div class="fc-charts">{"".join(charts)}</div>'
    )


def _layers(figures: Sequence[Figures]) -> list[Series]:
    """Return the commonest classes, the others as one, and none-of-these on top."""
    together: Counter[str] = Counter()
    for part in figures:
        together.update(part.labels)
    nothing = together.pop(NONE_OF_THESE, 0)
    common = [label for label, _ in together.most_common(_SHOWN_CLASSES)]
    layers = [
        Series(pretty(label), [f.labels[label] for f in figures], colour)
        for label, colour in zip(common, PALETTE, strict=False)
    ]
    if len(together) > len(common):
        shown = {*common, NONE_OF_THESE}
        rest = [sum(n for label, n in f.labels.items() if label not in shown) for f in figures]
        layers.append(Series("Other classes", rest, PALETTE[-1]))
    if nothing:
        layers.append(Series("None of these", [f.labels[NONE_OF_THESE] for f in figures], GREY))
    return layers


def _tiles(status: dict[str, Any]) -> str:
    model, problem = status["model"], status["problem"]
    predictions, disk, jobs = status["predictions"], status["disk"], status["jobs"]
    notice = f'<p class="fc-notice" role="alert">{escape(problem)}</p>' if problem else ""
    running = f"number {jobs['running']} runs" if jobs["running"] else "none runs"
    tiles = (
        (
            "Version",
            model["version"] if model else "none",
            f"since {when(model['since'])}" if model else "nothing can be predicted",
        ),
        ("Uptime", _duration(status["uptime_s"]), f"since {when(status['started_at'])}"),
        (
            "Photos today",
            f"{predictions['today']:,}",
            f"{predictions['ever']:,} ever, {predictions['total']:,} since the start",
        ),
        (
            "Now",
            f"{status['predictions_per_s']:.2f} /s",
            f"in the last minute; {status['pending']} under way",
        ),
        ("Refused", f"{status['refusals']['total']:,}", _kinds(status["refusals"]["by_type"])),
        ("Errors", f"{status['errors']:,}", "of the server's own"),
        ("Memory", f"{status['memory_bytes'] / 1e6:,.0f} MB", "of this process"),
        (
            "Free disk",
            f"{disk['free_bytes'] / 1e9:,.1f} GB",
            f"photos {disk['photos_bytes'] / 1e6:,.0f} MB, "
            f"versions {disk['versions_bytes'] / 1e6:,.0f} MB",
        ),
        ("Retraining", f"{jobs['queued']} waiting", f"{running}; {_next(jobs)}"),
    )
    return notice + '<div class="fc-tiles">' + "".join(_tile(*tile) for tile in tiles) + "</div>"


def _next(jobs: dict[str, Any]) -> str:
    if jobs["next_start"]:
        return f"next {when(jobs['next_start'])}"
    if jobs["after_images"]:
        return f"next after {jobs['after_images']:,} new photos"
    return "none planned"


def _tile(title: str, value: str, note: str) -> str:
    return (
        f'<div class="fc-tile"><span>{escape(title)}</span><b>{escape(value)}</b>'
        f"<small>{escape(note)}</small></div>"
    )


def _latency(latency_ms: dict[str, Any]) -> str:
    count = latency_ms["total"]["count"]
    rows = "".join(
        f"<tr><th>{stage}</th>"
        + "".join(f"<td>{_ms(values[key])}</td>" for key in ("last", "p50", "p95", "p99"))
        + "</tr>"
        for stage, values in latency_ms.items()
    )
    note = {0: "no predictions yet", 1: "one prediction"}.get(count, f"last {count:,} predictions")
    return (
        f'<section class="fc-card"><h3>Latency, ms <small>{note}</small></h3>'
        '<div class="fc-scroll"><table class="fc-figures"><thead><tr><th>stage</th><th>last</th>'
        f"<th>p50</th><th>p95</th><th>p99</th></tr></thead><tbody>{rows}</tbody></table></div>"
        "</section>"
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


def when(iso: str) -> str:
    """Return a time as it is read."""
    return datetime.fromisoformat(iso).astimezone(UTC).strftime("%d %b %Y, %H:%M UTC")


def _distance(feature: dict[str, Any]) -> str:
    return f"{feature['distance']:.2f} / {feature['limit']:.2f}"


def _ratio(part: float, figures: Figures) -> float | None:
    return part / figures.predictions if figures.predictions else None


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


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
