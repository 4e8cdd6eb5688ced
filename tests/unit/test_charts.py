"""Charts and the HTML of Status: what is drawn, and that nothing of it is markup from outside."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from app.alerts import Alert
from app.figures import Figures
from app.inspection import ReliabilityBin
from app.tabs.charts import Axis, Series, line_chart, share_chart, time_axis
from app.tabs.model_html import history_charts, reliability_html
from app.tabs.status_html import alerts_html, drift_html, over_time_html

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
STAGES = dict.fromkeys(("wait", "decode", "inference", "total"), 4.0)


def parsed(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(html)


def answered(label: str, count: int) -> Figures:
    figures = Figures()
    for _ in range(count):
        figures.add_prediction(label, 0.8, STAGES, ())
    return figures


def test_a_line_stands_where_its_values_are() -> None:
    axis = Axis(2, ["a", "b"], ["first", "second"])
    chart = parsed(line_chart("T", axis, [Series("s", [0.0, 15.0], "#000")], lambda v: f"{v:g} ms"))
    (line,) = chart.iter("polyline")
    assert line.get("points") == "250.0,100.00 750.0,25.00"  # the top is 20
    assert [e.text for e in chart.iter("title")] == ["first: s 0 ms", "second: s 15 ms"]


def test_a_gap_interrupts_a_line_and_leaves_a_dot() -> None:
    axis = Axis(4, ["a"], ["1", "2", "3", "4"])
    values = [1.0, 1.0, None, 1.0]
    chart = parsed(line_chart("T", axis, [Series("s", values, "#000")], str))
    assert [line.get("class") for line in chart.iter("polyline")] == [None, "fc-dot"]


def test_shares_fill_the_height_of_each_step() -> None:
    axis = Axis(2, ["a"], ["1", "2"])
    layers = [Series("x", [3, 0], "#111"), Series("y", [1, 0], "#222")]
    chart = parsed(share_chart("T", axis, layers))
    heights = [float(r.get("height") or 0) for r in chart.iter("rect") if r.get("fill")]
    assert heights == [75.0, 25.0]  # and nothing in the second step


def test_marks_outside_are_left_out() -> None:
    moments = [NOON + timedelta(minutes=n) for n in range(10)]
    marks = [(NOON + timedelta(minutes=5), "v2"), (NOON - timedelta(minutes=5), "v1")]
    axis = time_axis(moments, "%H:%M", marks)
    assert axis.marks == [(0.5, "v2")]
    assert axis.ticks == ["12:00", "12:05", "12:09"]


@pytest.mark.parametrize(
    ("value", "top"), [(0.0, "1"), (0.03, "0.05"), (1.0, "1"), (7.0, "10"), (201.0, "500")]
)
def test_the_axis_ends_at_a_round_number(value: float, top: str) -> None:
    axis = Axis(1, ["a"], ["1"])
    chart = line_chart("T", axis, [Series("s", [value], "#000")], lambda v: f"{v:g}")
    assert f'<div class="fc-chart-y"><span>{top}</span>' in chart


def test_over_time_shows_the_commonest_classes_and_the_rest_as_one() -> None:
    labels = [f"class{n}" for n in range(9)]
    steps = [
        (NOON + timedelta(minutes=n), answered(label, 9 - n)) for n, label in enumerate(labels)
    ]
    steps.append((NOON + timedelta(minutes=9), answered("none_of_these", 5)))
    html = over_time_html("hour", steps, [(NOON + timedelta(minutes=3), "v0003")])
    keys = re.findall(r'<i style="[^"]*"></i>([^<]*)<', html)
    assert keys == [*(f"Class{n}" for n in range(6)), "Other classes", "None of these"]
    assert html.count("<b>v0003</b>") == 4
    assert "50 photos answered in the last hour" in html
    parsed(f"<div>{html}</div>")


def test_a_quiet_time_says_what_to_do() -> None:
    steps = [(NOON, Figures()), (NOON + timedelta(minutes=1), Figures())]
    assert "Try one on the Predict tab" in over_time_html("day", steps, [])


def test_strings_from_outside_are_escaped() -> None:
    bad = "<script>alert(1)</script>"
    steps = [(NOON, answered(bad, 1)), (NOON + timedelta(minutes=1), Figures())]
    alert = Alert(1, "disk", "x", bad, NOON.isoformat(), None)
    feature = {"name": bad, "distance": 0.3, "limit": 0.2}
    drift = {"state": "drifted", "sentence": bad, "features": [feature], "class_mix": 0.1}
    for html in (
        over_time_html("hour", steps, [(NOON, bad)]),
        alerts_html([alert]),
        drift_html(drift),
    ):
        assert "<script" not in html.lower()


def test_reliability_has_a_dot_for_each_bin() -> None:
    bins = [ReliabilityBin(4, 0.55, 0.5), ReliabilityBin(100, 0.98, 0.97)]
    html = reliability_html(bins, None)
    assert re.findall(r"left:([\d.]+%);bottom:([\d.]+%)", html) == [
        ("55.0%", "50.0%"),
        ("98.0%", "97.0%"),
    ]
    assert "does not say" in reliability_html([], None)


def test_a_running_training_leaves_room_for_the_passes_to_come() -> None:
    history = [{"loss": 2.0, "accuracy": 0.5}, {"loss": 1.0, "accuracy": 0.7}]
    charts = parsed(history_charts(history, 4))
    lines = [line.get("points") for line in charts.iter("polyline")]
    assert lines[1] == "125.0,50.00 375.0,30.00"
    assert history_charts(history[:1], 4) == ""


def test_the_heading_of_an_alert_holds_for_whatever_raises_it() -> None:
    moment = NOON.isoformat()
    fetch = "Fetching the base set (job 1) failed. The Retrain tab says why."
    none = "The version that should be live cannot be served, and none answers."

    html = alerts_html(
        [Alert(1, "retrain_failed", "1", fetch, moment, None),
         Alert(2, "model", "None", none, moment, None)]
    )  # fmt: skip

    assert re.findall("<b>(.*?)</b>", html) == [
        "A job failed",
        "The version that should answer does not",
    ]
