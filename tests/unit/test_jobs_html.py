"""What the Retrain tab says of jobs, of what they would learn, and of versions."""

from datetime import UTC, datetime, timedelta

from app.learning import Readiness
from app.tabs.jobs_html import gate_html, job_html, models_html, readiness_html
from tests.unit.test_escaping import JOB, MODEL


def running(stage: str, step: int, steps: int) -> str:
    progress = {
        "stages": ["Reading", stage], "step": step, "steps": steps, "epochs": [{"loss": 1.0}],
        "max_epochs": 10,
    }  # fmt: skip
    begun_at = (datetime.now(UTC) - timedelta(minutes=9)).isoformat()
    return job_html(
        JOB | {"state": "running", "mode": "thorough", "started_at": begun_at, "progress": progress}
    )


def test_the_time_left_is_said_while_it_trains() -> None:
    assert "about 3 min of training left" in running("Training on 9,000 images", 225, 300)


def test_stages_after_it_count_anew_and_say_none() -> None:
    assert "left" not in running("Keeping features to rehearse", 32, 5200)


def test_one_photo_is_told_in_the_singular() -> None:
    html = readiness_html(Readiness((), {"kiwi": 1, "mango": 1200}, ()))

    assert "Kiwi</b> 1 photo<" in html
    assert "Mango</b> 1,200 photos<" in html


def test_what_was_recognised_before_is_read_out_too() -> None:
    recalls = {
        "apple": {"images": 20, "active_recall": 0.8, "recall": 0.95},
        "kiwi": {"images": 4, "active_recall": None, "recall": 1.0},
    }
    html = gate_html(
        {"against": "v0001", "checks": [], "comparisons": {}, "new_photos": {},
         "recalls": {"grocery/test": recalls}}
    )  # fmt: skip

    assert 'role="img" aria-label="before 80%, now 95%"' in html
    assert 'role="img" aria-label="new, now 100%"' in html


def test_times_name_the_year() -> None:
    models = models_html([MODEL], [])

    assert "01 Jan 2026, 00:00 UTC" in models
