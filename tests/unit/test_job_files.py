"""What a job and the app tell each other through files."""

from pathlib import Path

import pytest

from models.errors import InvalidJob
from models.jobs import PROGRESS_NAME, JobRequest, JobResult, read_progress, read_request


def test_progress_tells_stages_steps_and_the_last_run_of_epochs(tmp_path: Path) -> None:
    lines = [
        '{"stage":"Looking"}',
        '{"step":3,"steps":9}',
        '{"epoch":1,"epochs":60,"metrics":{"loss":2.0}}',
        '{"stage":"Learning"}',
        '{"epoch":1,"epochs":60,"metrics":{"loss":1.5}}',
        '{"epoch":2,"epochs":60,"metrics":{"loss":1.0}}',
        '{"step":5,"steps":9}',
        '{"epoch":3,"epo',  # being written
    ]
    (tmp_path / PROGRESS_NAME).write_text("\n".join(lines))

    assert read_progress(tmp_path) == {
        "stages": ["Looking", "Learning"],
        "step": 5,
        "steps": 9,
        "epochs": [{"loss": 1.5}, {"loss": 1.0}],
        "max_epochs": 60,
    }


def test_before_the_first_line_there_is_no_progress(tmp_path: Path) -> None:
    assert read_progress(tmp_path)["stages"] == []


def test_a_request_is_read_as_it_was_written(tmp_path: Path) -> None:
    request = JobRequest(mode="quick", state_dir="var", start="v0002", threads=1, niceness=19)
    request.write(tmp_path)
    assert read_request(tmp_path) == request


def test_a_missing_request_and_a_damaged_result_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidJob, match=r"request\.json cannot be read"):
        read_request(tmp_path)
    assert JobResult.read(tmp_path) is None
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(InvalidJob, match=r"result\.json cannot be read"):
        JobResult.read(tmp_path)
