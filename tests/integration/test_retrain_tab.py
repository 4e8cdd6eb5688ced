"""The Retrain tab: what it shows follows what happens elsewhere."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from app.learning import Readiness
from app.tabs import retrain
from tests.unit.test_escaping import JOB, MODEL


@dataclass
class FakeLearning:
    """Has jobs and is ready, or not."""

    ready: Readiness
    queue: list[dict[str, Any]] = field(default_factory=list)

    def jobs(self) -> list[dict[str, Any]]:
        return self.queue

    def job(self, job_id: int) -> dict[str, Any]:
        return next(job for job in self.queue if job["job_id"] == job_id)

    def readiness(self, mode: str) -> Readiness:
        return self.ready

    def models(self) -> list[dict[str, Any]]:
        return [MODEL]

    def activations(self) -> list[dict[str, str]]:
        return []

    def fetching(self) -> None:
        return None

    def lacks_base_set(self) -> bool:
        return False


@pytest.fixture
def learning() -> FakeLearning:
    return FakeLearning(Readiness(("There is no new photo.",), {}, ()))


@pytest.fixture
def look(learning: FakeLearning) -> Callable[..., SimpleNamespace]:
    """Looks as the page does each second; what did not change is None."""

    async def build() -> gr.Blocks:  # without a running loop, Gradio opens some and closes none
        with gr.Blocks(analytics_enabled=False) as page, gr.Tab() as tab:
            retrain.build_tab(learning, tab, [])  # type: ignore[arg-type]
        return page

    found: list[Any] = [block.fn for block in asyncio.run(build()).fns.values() if block.fn]
    handler = next(fn for fn in found if fn.__qualname__ == "build_tab.<locals>.look")

    def look(last: str = "") -> SimpleNamespace:
        _, _, _, now, *rest = handler(last, "quick")
        plan, button, _, _, _, earlier = (None if part == gr.skip() else part for part in rest)
        return SimpleNamespace(now=now, plan=plan, button=button, earlier=earlier)

    return look


def job(number: int, state: str) -> dict[str, Any]:
    return JOB | {"job_id": number, "state": state}


def test_what_did_not_change_is_left_alone(look: Callable[..., SimpleNamespace]) -> None:
    first = look()

    again = look(first.now)

    assert "Not ready yet" in first.plan
    assert (again.plan, again.button, again.earlier) == (None, None, None)


def test_photos_that_come_elsewhere_make_it_ready(
    look: Callable[..., SimpleNamespace], learning: FakeLearning
) -> None:
    first = look()
    learning.ready = Readiness((), {"mango": 3}, ())

    then = look(first.now)

    assert not first.button.interactive
    assert "Mango</b> 3 photos" in then.plan
    assert then.button.interactive


def test_a_job_that_comes_to_wait_behind_another_is_listed(
    look: Callable[..., SimpleNamespace], learning: FakeLearning
) -> None:
    learning.queue = [job(1, "running")]
    first = look()
    learning.queue = [job(2, "queued"), job(1, "running")]

    assert "Waiting" in look(first.now).earlier
