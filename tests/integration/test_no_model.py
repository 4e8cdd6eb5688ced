"""Where no version could be loaded: what is wrong is told, and another one can be put live."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import NotReady
from app.learning import MODES, LearningService
from app.service import PredictionService
from data.store import DatasetStore
from models.errors import VersionInUse
from models.registry import ModelRegistry
from tests.conftest import colour_model, encode, publish


@pytest.fixture
def damaged(registry: ModelRegistry) -> list[Path]:
    """The model files of two versions, of which neither can be loaded."""
    paths = [publish(registry, colour_model()).model_path for _ in range(2)]
    registry.activate("v0001")
    for path in paths:
        path.write_bytes(b"damaged")
    return paths


@pytest.fixture
def service(registry: ModelRegistry, damaged: list[Path]) -> Iterator[PredictionService]:
    service = PredictionService(registry)
    assert not service.load()
    yield service
    service.close()


@pytest.fixture
def learning(
    service: PredictionService, registry: ModelRegistry, tmp_path: Path
) -> Iterator[LearningService]:
    store = DatasetStore(tmp_path / "store")
    store.add(encode("mango"), label="mango", source="uploads", original_name="a.png")
    learning = LearningService(service, registry, store, tmp_path)
    yield learning
    learning.close()
    store.close()


@pytest.mark.parametrize("mode", MODES)
def test_that_no_model_is_loaded_is_why_no_retraining_can_start(
    learning: LearningService, mode: str
) -> None:
    readiness = learning.readiness(mode)

    assert not readiness.ready
    assert readiness.problems[0].startswith("No model is loaded, and a retraining goes on from")
    with pytest.raises(NotReady, match="Put a version live"):
        learning.retrain(mode)


def test_versions_are_listed_and_one_that_was_mended_is_put_live(
    learning: LearningService, service: PredictionService, damaged: list[Path]
) -> None:
    assert [(m["version"], m["active"]) for m in learning.models()] == [
        ("v0002", False),
        ("v0001", False),
    ]
    damaged[1].write_bytes(colour_model())

    assert learning.activate("v0002")["active"]

    assert service.health()["status"] == "ok"
    assert not any("No model" in problem for problem in learning.readiness("quick").problems)


def test_a_version_that_is_not_chosen_is_deleted(learning: LearningService) -> None:
    assert learning.delete("v0002")["version"] == "v0002"
    with pytest.raises(VersionInUse, match="v0001 is the active version"):
        learning.delete("v0001")


def test_a_version_that_is_taken_away_while_it_answers_is_no_start(
    learning: LearningService, registry: ModelRegistry, damaged: list[Path]
) -> None:
    damaged[0].write_bytes(colour_model())
    learning.activate("v0001")
    (registry.get("v0001").folder / "manifest.json").write_text("{}")

    assert any("v0001 ships without" in problem for problem in learning.readiness("quick").problems)
