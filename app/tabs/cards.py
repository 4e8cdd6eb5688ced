"""Answers and figures as HTML: pure functions, every string from outside escaped."""

import base64
import csv
import io
from collections.abc import Sequence
from html import escape
from typing import Final

from app.results import Prediction, Refusal
from app.tabs.looks import APPLE
from data.labels import NONE_OF_THESE, spoken

# How sure an answer must be to be shown as such. The probabilities are calibrated, so at 0.90 one
# answer in ten is wrong, and below 0.60 nearly every second.
SURE: Final = 0.90
LIKELY: Final = 0.60
# A spreadsheet runs a cell that begins with one of these as a formula (OWASP, "CSV Injection").
# The last four are those of Chinese and Japanese keyboards.
_FORMULA_STARTS: Final = (
    "=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20",
)  # fmt: skip

EMPTY: Final = f"""
<section class="fc-card fc-empty">
  <div class="fc-empty-icon" aria-hidden="true">{APPLE}</div>
  <h2>Your answer appears here</h2>
  <p>Drop a photo, paste one, or tap an example. You see the fruit, how sure the model is,
  and how long it took.</p>
</section>
"""


def note_html(words: str) -> str:
    """Return words that everybody should read, or nothing where there are none."""
    return f'<p class="fc-notice" role="alert">{escape(words)}</p>' if words else ""


def prediction_card(prediction: Prediction, thumbnail: str, heat: str = "") -> str:
    """Return one answer: the photo, the label, why, every probability, the times and the version.

    Args:
        prediction: the answer.
        thumbnail: a data URI, or empty for none.
        heat: a data URI of the photo with the heat map over it, or empty for none.
    """
    level, words = confidence(prediction)
    name = escape(prediction.name or "photo")
    photo = f'<img class="fc-photo" src="{thumbnail}" alt="{name}">' if thumbnail else ""
    bars = "".join(_bar(label, value) for label, value in prediction.probabilities)
    timing = prediction.timing_ms
    return f"""
<section class="fc-card fc-answer {level}" data-request-id="{escape(prediction.request_id)}">
  <div class="fc-answer-head">
    {photo}
    <div class="fc-answer-words">
      <span class="fc-pill">{words}</span>
      <h2 class="fc-label">{escape(pretty(prediction.label))}</h2>
      <p class="fc-sure">{_how_sure(prediction)}</p>
    </div>
  </div>
  {_why(prediction, heat) if heat else ""}
  <ol class="fc-bars" aria-label="All probabilities">{bars}</ol>
  <footer class="fc-facts">
    <span>wait <b>{timing.wait:.1f} ms</b></span>
    <span>decode <b>{timing.decode:.1f} ms</b></span>
    <span>inference <b>{timing.inference:.1f} ms</b></span>
    <span>total <b>{timing.total:.1f} ms</b></span>
    <span>version <b class="fc-version">{escape(prediction.version)}</b></span>
  </footer>
</section>
"""


def refusal_card(refusal: Refusal) -> str:
    """Return why the one file was refused."""
    return f"""
<section class="fc-card fc-refusal" role="alert">
  <span class="fc-pill">Refused</span>
  <h2>{escape(refusal.name or "This file")} could not be used</h2>
  <p>{escape(refusal.error["message"])}</p>
</section>
"""


def answers_table(answers: Sequence[Prediction | Refusal], thumbnails: Sequence[str]) -> str:
    """Return several answers as a table, with a CSV file to download.

    Args:
        answers: in the order of the files.
        thumbnails: a data URI for each; empty for none.
    """
    rows = "".join(_row(a, t) for a, t in zip(answers, thumbnails, strict=True))
    refused = sum(isinstance(answer, Refusal) for answer in answers)
    others = sum(isinstance(a, Prediction) and a.nearest is not None for a in answers)
    summary = f"{len(answers) - refused - others} of {len(answers)} photos named"
    if others:
        summary += f" · {others} none of these"
    more = f" · <span class='fc-bad'>{refused} refused</span>" if refused else ""
    content = base64.b64encode(to_csv(answers).encode("utf-8-sig")).decode()
    # The file rides in the link, so that nothing is written, served or left over on the server.
    return f"""
<section class="fc-card fc-many">
  <div class="fc-many-head">
    <h2>{summary}{more}</h2>
    <a class="fc-download" download="predictions.csv" href="data:text/csv;base64,{content}"
      >Download CSV</a>
  </div>
  <ul class="fc-rows">{rows}</ul>
</section>
"""


def to_csv(answers: Sequence[Prediction | Refusal]) -> str:
    """Return the answers as CSV: one line a file, one column a class."""
    named = [answer for answer in answers if isinstance(answer, Prediction)]
    labels = sorted({label for answer in named for label, _ in answer.probabilities})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["name", "label", "probability", "version", "error", *map(_cell, labels)])
    for answer in answers:
        if isinstance(answer, Refusal):
            writer.writerow([_cell(answer.name), "", "", "", _cell(answer.error["message"])])
            continue
        values = dict(answer.probabilities)
        head = [_cell(answer.name or ""), _cell(answer.label), answer.probability, answer.version]
        writer.writerow([*head, "", *(values.get(label, "") for label in labels)])
    return out.getvalue()


def confidence(prediction: Prediction) -> tuple[str, str]:
    """Return the CSS class and the words for how sure an answer is."""
    if prediction.nearest is not None:
        return "fc-none", "No name"
    # The threshold leaves fruit that the model doubts its name rather than refuse it.
    if dict(prediction.probabilities).get(NONE_OF_THESE, 0.0) > prediction.probability:
        return "fc-sure-low", "Perhaps none of these"
    if prediction.probability >= SURE:
        return "fc-sure-high", "Sure"
    if prediction.probability >= LIKELY:
        return "fc-sure-middle", "Probably"
    return "fc-sure-low", "A guess"


def pretty(label: str) -> str:
    """Return a label as it stands alone."""
    return spoken(label).capitalize()


def counted(count: int, noun: str) -> str:
    """Return a number and what it counts, such as ``1 photo`` and ``2 photos``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percent(probability: float) -> str:
    """Return a probability as a percentage that is never rounded up to certainty."""
    return f"{min(probability * 100, 99.9) if probability < 1 else 100:.1f} %"


def _how_sure(prediction: Prediction) -> str:
    if prediction.nearest is None:
        return percent(prediction.probability)
    chances = dict(prediction.probabilities)
    guess = chances.get(prediction.nearest)
    chance = "" if guess is None else f", {percent(guess)}"
    said = f"The nearest guess is {escape(spoken(prediction.nearest))}{chance}"
    # The threshold refuses what may well be something else, even where one name is likelier.
    doubted = guess is not None and guess > chances.get(NONE_OF_THESE, 1.0)
    return f"{said}: too unsure for a name." if doubted else f"{said}."


def _why(prediction: Prediction, heat: str) -> str:
    name = escape(spoken(prediction.label))
    return f"""
  <details class="fc-why">
    <summary>Why?</summary>
    <img src="{heat}" alt="The photo, red where it speaks most for {name}">
    <p class="fc-hint">Red speaks most for <b>{name}</b>; grey played no part.</p>
  </details>
"""


def _bar(label: str, value: float) -> str:
    # People read a rounded value; the exact one stands in an attribute.
    return (
        f'<li data-label="{escape(label)}" data-probability="{value!r}" title="{value!r}">'
        f"{bar(label, value, percent(value))}</li>"
    )


def bar(label: str, share: float, value: str) -> str:
    """Return one line of a bar chart.

    Args:
        label: the class.
        share: length of the bar, 0..1.
        value: what stands behind it.
    """
    return (
        f'<span class="fc-bar-label">{escape(pretty(label))}</span><span class="fc-track">'
        f'<span class="fc-fill" style="width:{share:.2%}"></span></span>'
        f'<span class="fc-bar-value">{escape(value)}</span>'
    )


def _row(answer: Prediction | Refusal, thumbnail: str) -> str:
    name = escape(answer.name or "photo")
    photo = f'<img src="{thumbnail}" alt="">' if thumbnail else '<span class="fc-no-photo">!</span>'
    if isinstance(answer, Refusal):
        return (
            f'<li class="fc-row fc-refused">{photo}<span class="fc-row-name">{name}</span>'
            f'<span class="fc-row-why">{escape(answer.error["message"])}</span></li>'
        )
    level, words = confidence(answer)
    return (
        f'<li class="fc-row {level}" data-probability="{answer.probability!r}">{photo}'
        f'<span class="fc-row-name">{name}</span>'
        f'<span class="fc-row-label">{escape(pretty(answer.label))}</span>'
        f'<span class="fc-row-value" title="{words}">{percent(answer.probability)}</span></li>'
    )


def _cell(text: str) -> str:
    """Return text that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
