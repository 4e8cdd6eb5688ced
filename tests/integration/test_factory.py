"""The whole app, put together over an empty state directory and without the shipped version.

In a process of its own, because Gradio leaves event loops behind, and warnings are errors here.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
from pathlib import Path
from fastapi.testclient import TestClient
import app.factory
from app.settings import Settings
from models.registry import ModelRegistry

app.factory.open_registry = lambda state: ModelRegistry(state / "models")
closed = []
for kind in (app.factory.Mirror, app.factory.MonitoringService):
    def close(self, kind=kind, close=kind.close):
        closed.append(kind.__name__)
        close(self)
    kind.close = close
application = app.factory.create_app(Settings(state_dir=Path(sys.argv[1]), max_sessions=7))
local = {"base_url": "http://127.0.0.1", "client": ("127.0.0.1", 50_000)}
with TestClient(application, **local) as client:
    answers = {
        "page": client.get("/").status_code,
        "health": [client.get("/api/health").status_code, client.get("/api/health").json()],
        "predict": client.post("/api/predict", content=b"x").json(),
        "broken": {
            method: [
                answer.status_code,
                answer.json()["error"]["message"],
                answer.json()["error"]["request_id"],
                answer.headers["x-request-id"],
            ]
            for method in ("GET", "TRACE")
            for answer in [
                client.request(method, "/api/jobs/a%0D%0Ab", headers={"x-request-id": "mine"})
            ]
        },
    }
    abroad = {"origin": "https://elsewhere.example"}
    headers = {
        "predict": dict(client.post("/api/predict", content=b"x", headers=abroad).headers),
        "health": dict(client.get("/api/health", headers=abroad).headers),
        "preflight": dict(client.options(
            "/api/predict", headers=abroad | {"access-control-request-method": "POST"}
        ).headers),
    }
    pages = application.routes[-1].app._app._app  # behind the direct calls and the guard
    mounted = pages._operators._app.routes[-1].app
    page = mounted.get_blocks()
    event = client.post("/gradio_api/call/status", json={"data": []}).json()["event_id"]
    stream = client.get(f"/gradio_api/call/status/{event}").text
    session = mounted.state_holder["new"]
    (refresh,) = {
        f.fn for f in page.fns.values() if getattr(f.fn, "__qualname__", "").endswith("refresh")
        and f.fn.__module__ == "app.tabs.retrain"
    }
    retrain_tab = [str(shown) for shown in refresh("quick")]
print(json.dumps(answers | {
    "headers": headers,
    "stream": stream,
    "retrain_tab": retrain_tab,
    "closed": closed,
    "records_of_events": len(page._queue.event_analytics),
    "sessions_without_events": type(page._queue.pending_event_ids_session).__name__,
    "queue_look_s": page._queue.sleep_when_free,
    "has_launched": page.has_launched,
    "capacity": page.state_holder.capacity,
    "session_configs": len(session.config_values),
    "session_components": len(session.blocks_config.blocks),
    "max_file_size": page.max_file_size,
    "allowed_paths": page.allowed_paths,
    "monitoring": page.enable_monitoring,
    "analytics": page.analytics_enabled,
    "limits": [f.concurrency_limit for f in page.fns.values() if f.api_name == "predict"],
    "ours": [name for name in sys.modules if name.startswith("app.")],
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
}))
"""


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def facts(state_dir: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(state_dir)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def test_app_without_any_model_starts_and_says_so(facts: dict[str, Any]) -> None:
    status, health = facts["health"]

    assert facts["page"] == 200
    assert (status, health["status"], health["ready"]) == (503, "no model", False)
    assert facts["predict"]["error"]["type"] == "NoModel"


def test_retrain_tab_without_any_model_says_so(facts: dict[str, Any]) -> None:
    """An alert leads there, and a version can be put live there."""
    assert "No model is loaded" in "".join(facts["retrain_tab"])


def test_a_path_with_a_line_break_is_told_in_a_sentence_whatever_the_method(
    facts: dict[str, Any],
) -> None:
    status, words, *_ = facts["broken"]["TRACE"]
    assert (status, words) == (
        405, "There is nothing for TRACE at '/api/jobs/a\\r\\nb'. See /docs.",
    )  # fmt: skip
    assert facts["broken"]["GET"][0] == 400  # no job number


def test_every_answer_of_rest_names_its_request_also_where_no_route_takes_it(
    facts: dict[str, Any],
) -> None:
    assert facts["broken"]["TRACE"][2:] == facts["broken"]["GET"][2:] == ["mine", "mine"]


def test_page_keeps_its_limits(facts: dict[str, Any]) -> None:
    assert facts["has_launched"]  # else any file is served; see tests/e2e/test_safety.py
    assert facts["capacity"] == 7
    assert facts["max_file_size"] == 100_000_000
    # Else each call of the API writes down the configuration of every component.
    assert (facts["session_configs"], facts["session_components"] > 100) == (0, True)
    assert (facts["allowed_paths"], facts["monitoring"], facts["analytics"]) == ([], False, False)
    assert facts["limits"] == [None]


def test_the_busy_route_has_the_headers_of_all_others(facts: dict[str, Any]) -> None:
    predict, health = facts["headers"]["predict"], facts["headers"]["health"]

    own = {"content-length", "x-request-id", "vary"}  # the same for all sites, so it need not vary
    assert "nosniff" in health.values()
    assert {name: predict.get(name) for name in health if name not in own} == {
        name: value for name, value in health.items() if name not in own
    }
    assert facts["headers"]["preflight"]["access-control-allow-methods"] == "GET, POST"


def test_an_idle_page_does_not_look_for_work_all_the_time(facts: dict[str, Any]) -> None:
    assert facts["queue_look_s"] >= 0.01  # Gradio's own is a millisecond


def test_gradio_keeps_no_records_of_past_calls(facts: dict[str, Any]) -> None:
    assert "event: complete" in facts["stream"]
    assert facts["records_of_events"] == 0
    assert facts["sessions_without_events"] == "PendingEvents"


def test_what_waits_to_be_mirrored_goes_before_what_waits_to_be_posted(
    facts: dict[str, Any],
) -> None:
    assert facts["closed"] == ["Mirror", "MonitoringService"]


def test_hub_client_is_not_imported_for_a_mirror_that_is_off(facts: dict[str, Any]) -> None:
    assert not {"app.mirroring", "app.hub"} & set(facts["ours"])


def test_serving_imports_nothing_of_training(facts: dict[str, Any]) -> None:
    heavy = {"tensorflow", "keras", "onnx", "tf2onnx", "sklearn", "matplotlib", "training"}

    assert not heavy & set(facts["modules"])


def test_everything_written_lies_in_the_state_directory(
    facts: dict[str, Any], state_dir: Path
) -> None:
    written = {path.name for path in state_dir.iterdir()}
    assert written == {"examples", "gradio", "jobs", "monitoring", "reviews", "store"}
    assert len(list((state_dir / "examples").iterdir())) == 8
