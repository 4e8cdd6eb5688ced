"""Retrainings, comparisons and versions as HTML: pure functions, every string escaped."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from app.learning import Readiness
from app.tabs.cards import counted, pretty
from app.tabs.model_html import history_charts
from app.tabs.status_html import when
from models.jobs import FETCH

_WORDS: Final = {
    "queued": "Waiting",
    "running": "Running",
    "succeeded": "Went live",
    "rejected": "Rejected",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
_MODES: Final = {
    "quick": "Quick",
    "thorough": "Thorough",
    "full": "Trained by hand",
    "fetch": "Base set",
}


def readiness_html(readiness: Readiness) -> str:
    """Return what a retraining would learn, or why it cannot start."""
    if not readiness.ready:
        items = "".join(f"<li>{escape(p)}</li>" for p in (*readiness.problems, *readiness.notes))
        return (
            '<section class="fc-card fc-empty"><h2>Not ready yet</h2>'
            f'<ul class="fc-plain">{items}</ul></section>'
        )
    rows = "".join(
        f"<li><b>{escape(pretty(label))}</b> {counted(count, 'photo')}</li>"
        for label, count in readiness.learns.items()
    )
    notes = "".join(f'<p class="fc-warn">{escape(note)}</p>' for note in readiness.notes)
    learned = (
        f'<ul class="fc-plain">{rows}</ul>'
        if rows
        else "<p>No new photo; every layer goes on learning from the photos that are here.</p>"
    )
    return (
        '<section class="fc-card"><h3>What it learns from <small>added photos</small></h3>'
        f"{learned}{notes}</section>"
    )


def job_html(job: dict[str, Any] | None) -> str:
    """Return how a retraining stands, with its curve and the comparison that decided it."""
    if job is None:
        return (
            '<section class="fc-card fc-empty"><h2>No retraining yet</h2><p>Add photos on the '
            "Upload tab, then press Retrain. You see here how far it is, and whether the new model "
            "is better.</p></section>"
        )
    state, progress = job["state"], job["progress"]
    head = (
        f'<h3><span class="fc-pill fc-state-{state}">{_state(job)}</span> '
        f"{_title(job)} <small>{_MODES[job['mode']].lower()}, {escape(job['reason'])}"
        f"{_lasted(job)}</small></h3>"
    )
    message = f'<p class="fc-job-message">{escape(job["message"])}</p>' if job["message"] else ""
    curves = history_charts(progress["epochs"], progress["max_epochs"])
    return (
        f'<section class="fc-card fc-job" data-state="{state}" data-job="{job["job_id"]}">{head}'
        f"{message}{_progress(job)}{curves}{gate_html(job['gate'])}</section>"
    )


def gate_html(gate: dict[str, Any] | None) -> str:
    """Return how a candidate compares with the version before it."""
    if gate is None:
        return ""
    checks = "".join(
        f'<li class="fc-check-{"yes" if c["passed"] else "no"}"><b>{escape(c["name"])}</b> '
        f"{escape(c['message'])}</li>"
        for c in gate["checks"]
    )
    rows = "".join(
        f"<tr><th>{escape(name).replace('/', '/<wbr>')}</th>"
        f"<td>{c['active_accuracy']:.1%} → {c['accuracy']:.1%}</td>"
        f"<td>{c['lost']} / {c['gained']} of {c['images']:,}</td>"
        f"<td>{_share(c['active_refused'])} → {_share(c['refused'])}</td></tr>"
        for name, c in gate["comparisons"].items()
    )
    against = escape(gate["against"])
    table = (
        '<div class="fc-scroll"><table class="fc-figures"><thead><tr><th>same photos</th>'
        "<th>right</th><th>lost / gained</th><th>others refused</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
        if rows
        else ""
    )
    return (
        f'<h4>Compared with {against}</h4><ul class="fc-plain fc-checks">{checks}</ul>{table}'
        f"{_recalls(gate)}"
    )


def _recalls(gate: dict[str, Any]) -> str:
    """Return what is recognised of each class before and now, as pairs of bars."""
    parts = gate["recalls"] | ({"added photos": gate["new_photos"]} if gate["new_photos"] else {})
    blocks = "".join(
        f'<h5>{escape(name)}</h5><ol class="fc-pairs">'
        + "".join(
            f'<li><span class="fc-bar-label">{escape(pretty(label))}</span>'
            f'<span class="fc-pair" role="img" aria-label="{_in_words(r)}">'
            f"{_track(r['active_recall'], 'before')}{_track(r['recall'], 'now')}</span>"
            f'<span class="fc-bar-value">{r["recall"]:.0%} of {r["images"]}</span></li>'
            for label, r in by_label.items()
        )
        + "</ol>"
        for name, by_label in parts.items()
    )
    return (
        '<details class="fc-why" data-stays>'
        "<summary>Each class before (grey) and now (green)</summary>"
        f"{blocks}</details>"
        if blocks
        else ""
    )


def _in_words(recall: dict[str, Any]) -> str:
    """Return what a pair of bars shows."""
    before = recall["active_recall"]
    return f"{'new' if before is None else f'before {before:.0%}'}, now {recall['recall']:.0%}"


def _track(share: float | None, kind: str) -> str:
    return (
        f'<span class="fc-track"><span class="fc-fill fc-{kind}" style="width:{share or 0:.1%}">'
        "</span></span>"
    )


def jobs_html(jobs: Sequence[dict[str, Any]]) -> str:
    """Return the retrainings as a table, the newest first."""
    if not jobs:
        return '<p class="fc-hint">None so far.</p>'
    rows = "".join(
        f"<tr><th>{job['job_id']}</th>{_line(when(job['queued_at']))}{_line(_MODES[job['mode']])}"
        f"<td>{escape(job['reason'])}</td><td>{_state(job)}</td>"
        f"<td>{job['version'] or '-'}</td></tr>"
        for job in jobs
    )
    return (
        '<div class="fc-scroll"><table class="fc-figures fc-left"><thead><tr><th>no.</th>'
        "<th>asked for</th><th>mode</th><th>by</th><th>state</th><th>version</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def models_html(models: Sequence[dict[str, Any]], activations: Sequence[dict[str, str]]) -> str:
    """Return the versions as a table, the newest first, and the changes of the served one."""
    tests = sorted({name for model in models for name in model["accuracy"]})
    head = "".join(f"<th>{escape(name).replace('/', '/<wbr>')}</th>" for name in tests)
    rows = "".join(
        f"<tr><th>{escape(m['version'])}{_mark(m)}</th>"
        + "".join(f"<td>{_share(m['accuracy'].get(name))}</td>" for name in tests)
        + f"<td>{len(m['classes'])}</td>{_line(when(m['created_at']))}"
        + f"{_line(_MODES.get(m['mode'], escape(m['mode'])))}</tr>"
        for m in models
    )
    changes = "".join(
        f"<li>{when(a['at'])}: <b>{escape(a['version'])}</b> {escape(a['reason'])}</li>"
        for a in activations[:20]
    )
    log = (
        '<details class="fc-why" data-stays><summary>What was put live, when and why</summary>'
        f'<ul class="fc-plain">{changes}</ul></details>'
        if changes
        else ""
    )
    return (
        '<div class="fc-scroll"><table class="fc-figures fc-left"><thead><tr><th>version</th>'
        f"{head}<th>classes</th><th>made</th><th>mode</th></tr></thead><tbody>{rows}</tbody>"
        f"</table></div>{log}"
    )


def schedule_html(schedule: dict[str, Any]) -> str:
    """Return when a retraining starts next by itself."""
    parts = []
    if schedule["next_start"]:
        parts.append(f"next by the clock on {when(schedule['next_start'])}")
    if schedule["after_images"]:
        parts.append(
            f"when {schedule['after_images']:,} photos are new ({schedule['new_photos']:,} are now)"
        )
    words = " and ".join(parts) or "never; only when you press Retrain"
    late = " A start missed while this is off is made up for." if schedule["next_start"] else ""
    return (
        f'<p class="fc-hint">A {schedule["mode"]} retraining starts by itself: {words}.{late}</p>'
    )


def _title(job: dict[str, Any]) -> str:
    return ("Download" if job["mode"] == FETCH else "Retraining") + f" {job['job_id']}"


def _state(job: dict[str, Any]) -> str:
    return "Done" if (job["mode"], job["state"]) == (FETCH, "succeeded") else _WORDS[job["state"]]


def _mark(model: dict[str, Any]) -> str:
    if model["active"]:
        return ' <span class="fc-pill fc-state-succeeded">live</span>'
    return (
        ' <span class="fc-pill fc-state-rejected">rejected</span>'
        if model["state"] == "rejected"
        else ""
    )


def _progress(job: dict[str, Any]) -> str:
    progress = job["progress"]
    if job["state"] == "queued":
        return "<p>It starts when the one before it has ended.</p>"
    if job["state"] != "running":
        return ""
    stages = progress["stages"]
    now = escape(stages[-1]) if stages else "Starting"
    share, words = 0.0, ""
    if progress["steps"]:
        share = progress["step"] / progress["steps"]
        words = f"{progress['step']:,} of {progress['steps']:,}"
    left = f", {_left(job, share)} left" if _left(job, share) else ""
    done = "".join(f"<li>{escape(stage)}</li>" for stage in stages[:-1])
    return (
        f'<p class="fc-now" aria-live="polite">{now}</p><span class="fc-track">'
        f'<span class="fc-fill" style="width:{share:.1%};opacity:1"></span></span>'
        f'<p class="fc-hint">{words}{left}</p>'
        + (
            f"<details data-stays><summary>What is done</summary><ul>{done}</ul></details>"
            if done
            else ""
        )
    )


def _left(job: dict[str, Any], share: float) -> str:
    """Return how long the longest stage of a thorough retraining will go on, in words."""
    progress = job["progress"]
    trains = progress["stages"] and progress["stages"][-1].startswith("Training")
    if job["mode"] != "thorough" or not trains or not progress["epochs"] or not 0 < share < 1:
        return ""
    gone = (datetime.now(UTC) - datetime.fromisoformat(job["started_at"])).total_seconds()
    return f"about {max(1, round(gone * (1 - share) / share / 60))} min of training"


def _lasted(job: dict[str, Any]) -> str:
    if not job["started_at"] or not job["ended_at"]:
        return ""
    begun, ended = (datetime.fromisoformat(job[key]) for key in ("started_at", "ended_at"))
    seconds = int((ended - begun).total_seconds())
    return f", {seconds // 60} min {seconds % 60} s" if seconds >= 60 else f", {seconds} s"


def _line(text: str) -> str:
    """Return a cell whose words stay on one line."""
    return f'<td class="fc-line">{text}</td>'


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
