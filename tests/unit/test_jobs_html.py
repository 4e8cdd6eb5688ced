"""What the Retrain tab says of a job that runs."""

from datetime import UTC, datetime, timedelta

from app.tabs.jobs_html import job_html
from tests.unit.test_escaping import JOB


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
