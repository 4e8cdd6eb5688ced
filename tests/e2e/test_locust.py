"""The load users of ``locustfile.py``, for a few seconds, in a process of their own."""

import json
import subprocess
import sys

import pytest

from tests.e2e.conftest import ROOT, Server


@pytest.mark.parametrize(
    ("users", "name"),
    [(["PhotoUser"], "/api/predict"), (["GradioUser", "Collector", "Monitor"], "Gradio stream")],
)
def test_locust_runs_headless_without_one_failed_request(
    server: Server, users: list[str], name: str
) -> None:
    command = [
        sys.executable, "-m", "locust", "--headless", "--host", server.url, "--json",
        "--users", "4", "--spawn-rate", "4", "--run-time", "4s", "--stop-timeout", "60", *users,
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env=server.environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows[name]["num_requests"] >= 2
    assert sum(row["num_failures"] for row in rows.values()) == 0
