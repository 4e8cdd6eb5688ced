"""What is known of a version, alone or beside another, as HTML: every string escaped."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Final

from app.inspection import ReliabilityBin
from app.tabs.cards import pretty
from app.tabs.charts import BLUE, GREEN, ORANGE, Axis, Series, line_chart
from app.tabs.status_html import when
from data.labels import spoken
from models.manifest import EvaluationMetrics, ModelManifest

_CURVES = (
    ("loss", "loss while learning", ORANGE, "7 4"),
    ("val_loss", "loss on validation", BLUE, ""),
)
_RIGHT = (
    ("accuracy", "right while learning", ORANGE, "7 4"),
    ("val_accuracy", "right on validation", GREEN, ""),
)


def versions_html(manifests: Sequence[ModelManifest]) -> str:
    """Return one version, or two side by side: what they are and how they score."""
    head = "".join(f"<th>{escape(m.version)}</th>" for m in manifests)
    facts = (
        ("made", [when(m.created_at.isoformat()) for m in manifests]),
        ("how", [_how(m) for m in manifests]),
        ("classes", [str(len(m.classes)) for m in manifests]),
        ("network", [m.network for m in manifests]),
        ("parameters", [f"{m.parameters:,}" for m in manifests]),
        ("file", [f"{m.size_bytes / 1e6:.1f} MB" for m in manifests]),
        ("input", [f"{m.input.side_px} x {m.input.side_px} px" for m in manifests]),
    )
    rows = "".join(_row(name, values) for name, values in facts)
    for part in sorted({part for m in manifests for part in m.metrics}):
        scores = [m.metrics.get(part) for m in manifests]
        span = len(manifests) + 1
        rows += f'<tr><th colspan="{span}" class="fc-part">{escape(part)}</th></tr>'
        rows += "".join(
            _row(name, [write(s) if s else "-" for s in scores]) for name, write in _SCORES
        )
    return (
        '<section class="fc-card"><h3>What it is, and how it scores</h3><div class="fc-scroll">'
        f'<table class="fc-figures"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div></section>"
    )


_SCORES: Final[tuple[tuple[str, Callable[[EvaluationMetrics], str]], ...]] = (
    ("photos", lambda s: f"{s.images:,}"),
    ("right", lambda s: f"{s.accuracy:.1%}{_interval(s, 'accuracy', '.1%')}"),
    ("macro F1", lambda s: f"{s.macro_f1:.3f}{_interval(s, 'macro_f1', '.2f')}"),
    ("calibration error", lambda s: "-" if s.calibration_error is None
     else f"{s.calibration_error:.3f}"),
    ("other things refused", lambda s: f"{s.others.refused:.1%} of {s.others.images:,}"
     if s.others else "-"),
)  # fmt: skip


def classes_html(part: str, manifests: Sequence[ModelManifest]) -> str:
    """Return precision and recall of each class on one test set."""
    scores = [(m.version, m.metrics[part]) for m in manifests if part in m.metrics]
    labels = sorted({label for _, s in scores for label in s.per_class})
    head = "".join(
        f"<th>{escape(version)} precision</th><th>recall</th><th>photos</th>"
        for version, _ in scores
    )
    rows = "".join(
        f"<tr><th>{escape(pretty(label))}</th>"
        + "".join(
            f"<td>{row.precision:.1%}</td><td>{row.recall:.1%}</td><td>{row.support:,}</td>"
            if (row := s.per_class.get(label))
            else "<td>-</td><td>-</td><td>-</td>"
            for _, s in scores
        )
        + "</tr>"
        for label in labels
    )
    return (
        f'<section class="fc-card"><h3>Each class <small>{escape(part)}</small></h3>'
        f'<div class="fc-scroll"><table class="fc-figures"><thead><tr><th>class</th>{head}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div></section>"
    )


def confusion_html(part: str, manifest: ModelManifest, *, opens: bool) -> str:
    """Return the confusion matrix of one test set.

    Args:
        part: ``<source>/<split>``.
        manifest: of the version.
        opens: whether a cell can be pressed to see its photos.
    """
    counts, labels = manifest.metrics[part].confusion, manifest.labels
    if not counts:
        return ""
    # A class without a photo here, and none taken for it, has neither row nor column to show.
    kept = [k for k in range(len(labels)) if sum(counts[k]) or any(row[k] for row in counts)]
    head = "".join(f'<th scope="col"><span>{escape(pretty(labels[k]))}</span></th>' for k in kept)
    rows = ""
    for true in kept:
        whole = sum(counts[true])
        cells = "".join(
            _cell(labels[true], labels[k], counts[true][k], whole, opens=opens) for k in kept
        )
        rows += f'<tr><th scope="row">{escape(pretty(labels[true]))}</th>{cells}</tr>'
    hint = "Press a number to see the photos." if opens else ""
    return (
        f'<section class="fc-card"><h3>What is taken for what <small>{escape(part)}</small></h3>'
        f'<p class="fc-hint">Rows: what the photos show. Columns: the answers. {hint}</p>'
        f'<div class="fc-scroll"><table class="fc-confusion"><thead><tr><th></th>{head}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div></section>"
    )


def _cell(label: str, answer: str, count: int, whole: int, *, opens: bool) -> str:
    if not count:
        return "<td></td>"
    right = " fc-right" if label == answer else ""
    words = f"{pretty(label)} answered as {spoken(answer)}: {count} of {whole}"
    # Darker for a greater share of the row; a lone mistake is still seen.
    style = f"--share:{max(0.12, count / whole):.2f}"
    inner = (
        f'<button type="button" data-label="{escape(label)}" data-answer="{escape(answer)}" '
        f'aria-label="{escape(words)}">{count:,}</button>'
        if opens
        else f"{count:,}"
    )
    return f'<td class="fc-cell{right}" style="{style}" title="{escape(words)}">{inner}</td>'


def reliability_html(bins: Sequence[ReliabilityBin], scores: EvaluationMetrics | None) -> str:
    """Return how often answers were right against how sure they were."""
    if not bins:
        return (
            '<section class="fc-card"><h3>Is it as sure as it is right?</h3><p class="fc-hint">'
            "This version does not say how sure each answer was.</p></section>"
        )
    dots = "".join(
        f'<i style="left:{b.confidence:.1%};bottom:{b.accuracy:.1%};'
        f'--size:{6 + 14 * (b.images / max(x.images for x in bins)) ** 0.5:.0f}px" '
        f'title="{b.images} answers, {b.confidence:.0%} sure on average, {b.accuracy:.0%} right">'
        "</i>"
        for b in bins
    )
    error = (
        f" The mean gap is {scores.calibration_error:.3f}."
        if scores and scores.calibration_error is not None
        else ""
    )
    return (
        '<section class="fc-card"><h3>Is it as sure as it is right?</h3><p class="fc-hint">Dots on '
        "the line are honest; below it, answers are surer than right. Larger dots stand for more "
        f'photos.{error}</p><div class="fc-reliability"><span class="fc-reliability-y">right</span>'
        '<div class="fc-reliability-area"><svg viewBox="0 0 100 100" preserveAspectRatio="none">'
        f'<line x1="0" y1="100" x2="100" y2="0"/></svg>{dots}</div>'
        '<div class="fc-chart-x"><span>0 % sure</span><span>100 %</span></div></div></section>'
    )


def curve_html(manifest: ModelManifest) -> str:
    """Return how the version learned."""
    charts = history_charts(manifest.history, len(manifest.history))
    return f'<section class="fc-card"><h3>How it learned</h3>{charts}</section>' if charts else ""


def history_charts(history: Sequence[Mapping[str, float]], passes: int) -> str:
    """Return loss and share right over the passes of a training; empty before the second.

    Args:
        history: what each pass gave.
        passes: how many there will be at most.
    """
    if len(history) < 2:
        return ""
    ahead = [None] * max(0, passes - len(history))
    axis = Axis(
        len(history) + len(ahead),
        ["pass 1", f"pass {len(history) + len(ahead)}"],
        [f"pass {number + 1}" for number in range(len(history) + len(ahead))],
    )
    charts = []
    for title, curves, highest in (("Loss", _CURVES, None), ("Share right", _RIGHT, 1.0)):
        series = [
            Series(name, [*(epoch.get(key) for epoch in history), *ahead], colour, dashes)
            for key, name, colour, dashes in curves
            if any(key in epoch for epoch in history)
        ]
        if series:
            show = _percent if highest else _plain
            charts.append(line_chart(title, axis, series, show, highest=highest))
    return f'<div class="fc-charts">{"".join(charts)}</div>'


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _plain(value: float) -> str:
    return f"{value:.3g}"


def _row(name: str, values: Sequence[str]) -> str:
    cells = "".join(f"<td>{escape(value)}</td>" for value in values)
    return f"<tr><th>{escape(name)}</th>{cells}</tr>"


def _how(manifest: ModelManifest) -> str:
    mode = str(manifest.training.get("mode", "trained by hand"))
    return f"{mode}, from {manifest.parent}" if manifest.parent else mode


def _interval(scores: EvaluationMetrics, name: str, form: str) -> str:
    if name not in scores.intervals:
        return ""
    low, high = scores.intervals[name]
    return f" ({low:{form}} to {high:{form}})"
