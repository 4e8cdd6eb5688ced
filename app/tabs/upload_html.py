"""What became of an upload, the photos of each class, and one photo of the store, as HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any, Final

from app.collection import UploadedFile, UploadReport
from app.tabs.cards import counted, pretty
from app.tabs.thumbnails import SMALL_PX, grey_uri, thumbnail_uri
from data.images import STORED_LIMITS
from data.labels import spoken
from data.store import StoredImage

_STATUS_WORDS: Final = {
    "added": "New",
    "duplicate": "Already here",
    "other_label": "Another class",
    "relabelled": "Relabelled",
    "is_test": "Test image",
    "refused": "Refused",
}


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
    summary = ", ".join(_summed(status, count) for status, count in report.counts.items())
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


def _summed(status: str, count: int) -> str:
    words = _STATUS_WORDS[status].lower()
    if status == "is_test":
        return counted(count, words)
    return f"{count} of {words}" if status == "other_label" else f"{count} {words}"


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


def details_html(image: StoredImage, content: bytes) -> str:
    """Return all that is known of a photo of the store, as HTML.

    Args:
        image: the photo.
        content: its file; of what is no picture it is said that it cannot be shown.
    """
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
