"""The load users of ``locustfile.py``, for a few seconds, in a process of their own."""

import json
import subprocess
import sys

from tests.e2e.conftest import ROOT, Server


def test_locust_runs_headless_without_one_failed_request(server: Server) -> None:
    command = [
        sys.executable, "-m", "locust", "--headless", "--host", server.url, "--json",
        "--users", "4", "--spawn-rate", "4", "--run-time", "3s",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env=server.environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["/api/predict"]["num_requests"] >= 5
    assert sum(row["num_failures"] for row in rows.values()) == 0
