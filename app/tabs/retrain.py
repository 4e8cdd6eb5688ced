"""The Retrain tab: start, follow, compare, put live, roll back; and the API of the same.

What a handler raises, ``Page`` puts into words.
"""

from typing import Any, Final

import gradio as gr
from gradio.events import api
from pydantic import validate_call

from app.job_table import Job
from app.learning import LearningService
from app.scheduler import CHOICES, Schedule
from app.tabs.jobs_html import (
    job_html,
    jobs_html,
    models_html,
    readiness_html,
    schedule_html,
)
from app.tabs.photos import QUIET

REFRESH_S: Final = 1.0
_MODES: Final = [
    ("Quick: learns the added photos, mostly in less than a minute", "quick"),
    ("Thorough: every layer goes on learning, ten minutes or more", "thorough"),
]
_OWN: Final = "own times"
_ASK_FETCH: Final = (
    "() => { if (!confirm('Download the public photo sets Fruits-360 and Grocery Store from GitHub "
    "and import them? It takes minutes and some hundred megabytes of disk.')) throw 'kept'; }"
)
_ASK_CANCEL: Final = "() => { if (!confirm('End this job?')) throw 'kept'; }"
_ASK_ROLL_BACK: Final = (
    "() => { if (!confirm('Go back to the version that was live before?')) throw 'kept'; }"
)
_ASK_ACTIVATE: Final = (
    "(version, override, reason) => { const words = override ? ' although the comparison rejected "
    "it' : ''; if (version && !confirm('Put ' + version + ' live' + words + '?')) throw 'kept'; "
    "return [version, override, reason]; }"
)
_ASK_DELETE: Final = (
    "(version) => { if (version && !confirm('Delete ' + version + ' for good? Its scores and its "
    "model are gone then.')) throw 'kept'; return version; }"
)


def build_tab(learning: LearningService, tab: gr.Tab, others: list[gr.Tab]) -> None:
    """Lay out the tab inside the surrounding Blocks.

    Args:
        learning: what its buttons call.
        tab: this tab; it is refreshed while it is the one that is open.
        others: the tabs that hide it.
    """
    timer = gr.Timer(REFRESH_S, active=False)
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            mode = gr.Radio(_MODES, value="quick", label="How", elem_id="mode")
            plan = gr.HTML(elem_id="plan")
            button = gr.Button("Retrain", variant="primary", elem_id="retrain-button")
            fetch_button = gr.Button("Fetch the base set", visible=False, elem_id="fetch-button")
        with gr.Column(scale=6, min_width=320):
            current = gr.HTML(elem_id="job")
            cancel_button = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel")
    with gr.Accordion("Versions", open=True, elem_id="versions-box"):
        versions = gr.HTML(elem_id="versions")
        with gr.Row():
            version = gr.Dropdown(choices=[], label="Version", elem_id="version")
            reason = gr.Textbox(label="Why (kept with the change)", max_length=400, elem_id="why")
        override = gr.Checkbox(
            label="Put it live although the comparison rejected it", elem_id="override"
        )
        with gr.Row():
            activate_button = gr.Button("Put live", elem_id="activate")
            back_button = gr.Button("Roll back", elem_id="roll-back")
            delete_button = gr.Button("Delete", variant="stop", elem_id="delete-version")
    _build_schedule(learning, tab)
    with gr.Accordion("Earlier retrainings", open=False, elem_id="jobs-box"):
        earlier = gr.HTML(elem_id="jobs")
    seen, shown_job = gr.State(""), gr.State(None)

    def look(last: str, mode: str) -> tuple[Any, ...]:
        """Return what changed since the last look."""
        jobs = learning.jobs()
        newest = _shown_job(jobs)
        running = newest is not None and newest["state"] in ("queued", "running")
        job = learning.job(newest["job_id"]) if newest else None
        models = learning.models()
        readiness = learning.readiness(mode)  # photos come and go elsewhere, too
        is_fetching = learning.fetching() is not None
        now = (
            f"{[(j['job_id'], j['state']) for j in jobs]} {is_fetching} "
            f"{[m['version'] for m in models]} {_live(models)} {readiness}"
        )
        cancellable = newest["job_id"] if newest else None
        shown = (job_html(job), gr.Button(visible=running), cancellable, now)
        if now == last:
            return (*shown, *(gr.skip() for _ in looked[len(shown) :]))
        return (
            *shown,
            readiness_html(readiness),
            gr.Button(interactive=readiness.ready and not running),
            gr.Button(visible=learning.lacks_base_set(), interactive=not is_fetching),
            models_html(models, learning.activations()),
            gr.Dropdown(choices=[m["version"] for m in models]),
            jobs_html(jobs),
        )

    looked = [
        current, cancel_button, shown_job, seen, plan, button, fetch_button, versions, version,
        earlier,
    ]  # fmt: skip

    def refresh(mode: str) -> tuple[Any, ...]:
        return look("", mode)

    def start(mode: str) -> None:
        learning.retrain(mode)

    def fetch() -> None:
        learning.fetch_base_set()

    # Other names than the API's, which Gradio would number otherwise.
    def end(job_id: int | None) -> None:
        if job_id is not None:
            learning.cancel(job_id)

    def put_live(version: str | None, override: bool, reason: str) -> tuple[bool, str]:
        version = _chosen(version)
        learning.activate(version, override=override, reason=reason)
        gr.Info(f"{version} is live.")
        return False, ""

    def remove(version: str | None) -> None:
        version = _chosen(version)
        learning.delete(version)
        gr.Info(f"{version} is deleted.")  # and, returning None, no version is chosen any more

    def go_back() -> None:
        gr.Info(f"{learning.roll_back()['version']} is live again.")

    timer.tick(look, [seen, mode], looked, queue=False, **QUIET)
    tab.select(refresh, mode, looked, **QUIET)
    tab.select(lambda: gr.Timer(active=True), None, timer, **QUIET)
    for other in others:
        other.select(lambda: gr.Timer(active=False), None, timer, **QUIET)
    mode.change(refresh, mode, looked, **QUIET)
    button.click(start, mode, None, **QUIET).then(refresh, mode, looked, **QUIET)
    fetch_button.click(fetch, None, None, js=_ASK_FETCH, **QUIET).then(
        refresh, mode, looked, **QUIET
    )
    cancel_button.click(end, shown_job, None, js=_ASK_CANCEL, **QUIET).then(
        refresh, mode, looked, **QUIET
    )
    activate_button.click(
        put_live, [version, override, reason], [override, reason], js=_ASK_ACTIVATE, **QUIET
    ).then(refresh, mode, looked, **QUIET)
    back_button.click(go_back, None, None, js=_ASK_ROLL_BACK, **QUIET).then(
        refresh, mode, looked, **QUIET
    )
    delete_button.click(remove, version, version, js=_ASK_DELETE, **QUIET).then(
        refresh, mode, looked, **QUIET
    )
    _add_api(learning)


def _build_schedule(learning: LearningService, tab: gr.Tab) -> None:
    def show() -> tuple[Any, ...]:
        schedule = learning.schedule
        choice = next((n for n, cron in CHOICES.items() if cron == schedule.cron), _OWN)
        return (
            choice,
            gr.Textbox(value=schedule.cron, visible=choice == _OWN),
            schedule.after_images,
            schedule.mode,
            schedule_html(learning.describe_schedule()),
        )

    def choose(choice: str, own: str) -> Any:
        return gr.Textbox(value=CHOICES.get(choice, own), visible=choice == _OWN)

    def save(cron: str, after: float | None, mode: str) -> str:
        learning.set_schedule(Schedule.of(cron=cron, after_images=int(after or 0), mode=mode))
        gr.Info("Kept, also after a restart.")
        return schedule_html(learning.describe_schedule())

    with gr.Accordion("Start by itself", open=False, elem_id="schedule-box"):
        note = gr.HTML(elem_id="schedule")
        with gr.Row():
            choice = gr.Dropdown([*CHOICES, _OWN], value="off", label="By the clock (UTC)")
            after = gr.Number(
                0, minimum=0, precision=0, label="After so many new photos (0: never)",
                elem_id="after-images",
            )  # fmt: skip
            mode = gr.Dropdown(["quick", "thorough"], value="quick", label="How")
        cron = gr.Textbox(
            label="Times as five fields of crontab: minute, hour, day, month, weekday",
            visible=False, elem_id="cron",
        )  # fmt: skip
        save_button = gr.Button("Save", elem_id="save-schedule")
    tab.select(show, None, [choice, cron, after, mode, note], **QUIET)
    choice.input(choose, [choice, cron], cron, **QUIET)
    save_button.click(save, [cron, after, mode], note, **QUIET)


def _add_api(learning: LearningService) -> None:
    """Offer over the Gradio API what REST offers, under the same names."""

    def retrain(mode: str = "quick") -> dict[str, Any]:
        """Queue a retraining; as POST /api/retrain."""
        return _queued(learning.retrain(mode, "over the API"))

    def fetch_base_set() -> dict[str, Any]:
        """Queue the download of the public sets; as POST /api/fetch_base_set."""
        return _queued(learning.fetch_base_set("over the API"))

    def jobs() -> list[dict[str, Any]]:
        """Return the retrainings, the newest first; as GET /api/jobs."""
        return learning.jobs()

    def job(job_id: int) -> dict[str, Any]:
        """Return one retraining with progress and comparison; as GET /api/jobs/{job_id}."""
        return learning.job(job_id)

    def cancel(job_id: int) -> dict[str, Any]:
        """End a retraining; as POST /api/jobs/{job_id}/cancel."""
        return learning.cancel(job_id)

    def models() -> list[dict[str, Any]]:
        """Return the published versions, the newest first; as GET /api/models."""
        return learning.models()

    def activate(version: str, override: bool = False, reason: str = "") -> dict[str, Any]:
        """Serve a version; as POST /api/models/{version}/activate."""
        return learning.activate(version, override=override, reason=reason)

    def delete_version(version: str) -> dict[str, Any]:
        """Delete a version that is not live; as DELETE /api/models/{version}."""
        return learning.delete(version)

    def roll_back() -> dict[str, Any]:
        """Serve the version before the present one; as POST /api/models/roll_back."""
        return learning.roll_back()

    def schedule() -> dict[str, Any]:
        """Return when a retraining starts by itself; as GET /api/schedule."""
        return learning.describe_schedule()

    def set_schedule(cron: str = "", after_images: int = 0, mode: str = "quick") -> dict[str, Any]:
        """Change when a retraining starts by itself; as PUT /api/schedule."""
        learning.set_schedule(Schedule.of(cron=cron, after_images=after_images, mode=mode))
        return learning.describe_schedule()

    for function in (
        retrain, fetch_base_set, jobs, job, cancel, models, activate, delete_version, roll_back,
        schedule, set_schedule,
    ):  # fmt: skip
        # Gradio hands over whatever was sent, of any kind.
        api(validate_call(function), api_name=function.__name__, queue=False)


def _shown_job(jobs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the job that runs, else the one that waits longest, else the newest."""
    waiting = [job for job in reversed(jobs) if job["state"] == "queued"]
    running = [job for job in jobs if job["state"] == "running"]
    return next(iter((*running, *waiting, *jobs)), None)


def _chosen(version: str | None) -> str:
    if not version:
        raise gr.Error("Choose a version first.", print_exception=False)
    return version


def _live(models: list[dict[str, Any]]) -> str:
    return next((m["version"] for m in models if m["active"]), "none")


def _queued(job: Job) -> dict[str, Any]:
    return {"job_id": job.id, "state": str(job.state)}
