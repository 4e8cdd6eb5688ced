"""The server does what its OpenAPI document says: Schemathesis makes up the requests."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Server, running_server

# What a schema cannot say is allowed by name, route by route; all else is as strict as it comes.
CONFIG = """
request-timeout = 60

[generation]
deterministic = true
database = "none"
max-examples = 5

[phases.stateful]
enabled = false

# Random bytes are a valid body and no picture, and "0" and "no" are read as false.
[[operations]]
include-path = ["/api/predict", "/api/upload_retrain_data"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 413, 415, 422]
checks.negative_data_rejection.expected-statuses = [200, 400, 413, 415, 422]

# Whether text is a line of crontab is beyond a pattern.
[[operations]]
include-path = "/api/schedule"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400]

# Overriding wants a reason, and there is no such version anyway.
[[operations]]
include-path = "/api/models/{version}/activate"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404]

# It would start a real download in a process of its own.
[[operations]]
include-path = "/api/fetch_base_set"
enabled = false
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without photos, so that a retraining is refused and none is started."""
    folder = tmp_path_factory.mktemp("fresh")
    with running_server(folder / "state", folder / "stderr.log", page=False) as server:
        yield server


def test_every_answer_is_one_that_the_document_announces(fresh: Server, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    document = f"{fresh.url}/openapi.json"
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]

    done = subprocess.run(
        [*command, document, "--continue-on-failure", "--no-color"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "19 selected" in done.stdout
    assert httpx.get(f"{fresh.url}/api/jobs").json() == []


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "QUERY", "DELETE"])
@pytest.mark.parametrize("path", ["/api/status", "/metrics"])
def test_another_method_is_refused_with_the_one_that_is_taken(
    fresh: Server, method: str, path: str
) -> None:
    response = httpx.request(method, f"{fresh.url}{path}")

    assert (response.status_code, response.headers["Allow"]) == (405, "GET")
