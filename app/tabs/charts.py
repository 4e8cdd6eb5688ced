"""Charts as HTML with SVG inside: lines, stacked shares and marks over time.

Drawn here and not by a plotting library, because they shall come with the page's own refresh, take
no script and no second of import, and be readable at 390 px: the shapes stretch with the screen
while all words are HTML and keep their size. Each series has a colour that the colour-blind can
tell apart and, where it is a line, dashes of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

# M. Okabe, K. Ito, Color Universal Design, 2008; without the yellow, which is faint on white.
BLUE: Final = "#0072b2"
ORANGE: Final = "#d55e00"
GREEN: Final = "#009e73"
PINK: Final = "#cc79a7"
SKY: Final = "#56b4e9"
AMBER: Final = "#e69f00"
GREY: Final = "#8a8580"
DARK: Final = "#44403c"
PALETTE: Final = (BLUE, AMBER, GREEN, ORANGE, SKY, PINK, DARK)
DASHES: Final = ("", "7 4", "2 3", "9 3 2 3")
_HEIGHT: Final = 100.0


@dataclass(frozen=True)
class Series:
    """One line or layer.

    Attributes:
        name: in the legend.
        values: one a step; None where there is nothing to show.
        colour: of CSS.
        dashes: of SVG; empty for a whole line.
    """

    name: str
    values: Sequence[float | None]
    colour: str
    dashes: str = ""


@dataclass(frozen=True)
class Axis:
    """The horizontal axis.

    Attributes:
        steps: how many there are.
        ticks: words below it, from the left to the right end.
        names: of each step, for who points at it.
        marks: where something happened, 0..1 of the width, and what.
    """

    steps: int
    ticks: Sequence[str]
    names: Sequence[str]
    marks: Sequence[tuple[float, str]] = ()


def time_axis(
    moments: Sequence[datetime], form: str, marks: Sequence[tuple[datetime, str]] = ()
) -> Axis:
    """Return an axis of equal steps in time.

    Args:
        moments: the start of each, at least two.
        form: of the words below it, as of ``strftime``.
        marks: when something happened, and what; those outside are left out.
    """
    step = moments[1] - moments[0]
    length = step * len(moments)
    places = [((at - moments[0]) / length, what) for at, what in marks]
    middle = moments[len(moments) // 2]
    return Axis(
        len(moments),
        [m.strftime(form) for m in (moments[0], middle, moments[-1])],
        [m.strftime(f"{form} UTC") for m in moments],
        [(place, what) for place, what in places if 0 <= place <= 1],
    )


def line_chart(
    title: str,
    axis: Axis,
    series: Sequence[Series],
    show: Callable[[float], str],
    *,
    highest: float | None = None,
) -> str:
    """Return lines over the axis.

    Args:
        title: above it.
        axis: below it.
        series: what is drawn.
        show: writes a value, with its unit.
        highest: the top of the vertical axis; the next round number by default.
    """
    values = [v for s in series for v in s.values if v is not None]
    top = highest or _round_up(max(values, default=0.0))
    lines = "".join(_line(s, axis.steps, top) for s in series)
    tips = _tips(axis, series, show)
    legend = "".join(_key(s) for s in series) if len(series) > 1 else ""
    return _chart(title, axis, (show(top), show(top / 2), show(0.0)), lines + tips, legend)


def share_chart(title: str, axis: Axis, layers: Sequence[Series]) -> str:
    """Return layers stacked to the whole of each step; a step without any is left empty.

    Args:
        title: above it.
        axis: below it.
        layers: counts, the lowest layer first.
    """
    width = 1000 / axis.steps
    bars = []
    for step in range(axis.steps):
        counts = [layer.values[step] or 0.0 for layer in layers]
        whole, below = sum(counts), 0.0
        for layer, count in zip(layers, counts, strict=True):
            if count:
                height = _HEIGHT * count / whole
                below += height
                bars.append(
                    f'<rect x="{step * width:.2f}" y="{_HEIGHT - below:.2f}" '
                    f'width="{width * 0.9:.2f}" height="{height:.2f}" fill="{layer.colour}"/>'
                )
    some = [Series(s.name, [v or None for v in s.values], s.colour) for s in layers]
    tips = _tips(axis, some, lambda count: f"{count:,.0f}")
    legend = "".join(
        f'<span class="fc-key"><i style="background:{layer.colour}"></i>{escape(layer.name)}</span>'
        for layer in layers
    )
    return _chart(title, axis, ("100 %", "50 %", "0 %"), "".join(bars) + tips, legend)


def _chart(title: str, axis: Axis, sides: Sequence[str], shapes: str, legend: str) -> str:
    marks = "".join(
        f'<span class="fc-mark{" fc-mark-left" if place > 0.7 else ""}" '
        f'style="left:{place:.2%}"><b>{escape(what)}</b></span>'
        for place, what in axis.marks
    )
    return (
        f'<figure class="fc-chart"><figcaption><b>{escape(title)}</b>{legend}</figcaption>'
        f'<div class="fc-chart-body"><div class="fc-chart-y">'
        + "".join(f"<span>{escape(side)}</span>" for side in sides)
        + f'</div><div class="fc-chart-area"><svg viewBox="0 0 1000 {_HEIGHT:.0f}" '
        f'preserveAspectRatio="none" role="img" aria-label="{escape(title)}">'
        f'<line class="fc-grid" x1="0" x2="1000" y1="50" y2="50"/>{shapes}</svg>{marks}</div></div>'
        '<div class="fc-chart-x">'
        + "".join(f"<span>{escape(tick)}</span>" for tick in axis.ticks)
        + "</div></figure>"
    )


def _line(series: Series, steps: int, top: float) -> str:
    """Return a line; what is missing interrupts it, and a value between two gaps is a dot."""
    width = 1000 / max(1, steps)
    parts: list[list[str]] = [[]]
    for step, value in enumerate(series.values):
        if value is None:
            parts.append([])
        else:
            y = _HEIGHT * (1 - min(value / top, 1.0))
            parts[-1].append(f"{(step + 0.5) * width:.1f},{y:.2f}")
    style = f'stroke="{series.colour}" stroke-dasharray="{series.dashes}"'
    return "".join(
        f'<polyline points="{" ".join(part)}" {style}/>'
        if len(part) > 1
        else f'<polyline class="fc-dot" points="{part[0]} {part[0]}" stroke="{series.colour}"/>'
        for part in parts
        if part
    )


def _tips(axis: Axis, series: Sequence[Series], show: Callable[[float], str]) -> str:
    width = 1000 / axis.steps
    found = []
    for step, name in enumerate(axis.names):
        words = [f"{s.name} {show(v)}" for s in series if (v := s.values[step]) is not None]
        if words:
            found.append(
                f'<rect class="fc-tip" x="{step * width:.2f}" y="0" width="{width:.2f}" '
                f'height="{_HEIGHT:.0f}"><title>{escape(name)}: {escape(", ".join(words))}'
                "</title></rect>"
            )
    return "".join(found)


def _key(series: Series) -> str:
    return (
        '<span class="fc-key"><svg viewBox="0 0 28 8"><line x1="0" x2="28" y1="4" y2="4" '
        f'stroke="{series.colour}" stroke-dasharray="{series.dashes}"/></svg>'
        f"{escape(series.name)}</span>"
    )


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20 and so on, also below 1; 1 for nothing."""
    if value <= 0:
        return 1.0
    decade = 1.0
    while decade > value:
        decade /= 10
    while decade * 10 < value:
        decade *= 10
    return next(step * decade for step in (1, 2, 5, 10) if step * decade >= value)
