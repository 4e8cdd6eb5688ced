"""The model that ships with the code: whole, self-describing, and answering in a fresh state."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import pytest

from app.service import PredictionService
from data.drawings import draw_fruit
from data.labels import BASE_LABELS
from models.registry import ModelVersion, open_registry


@pytest.fixture
def baseline(tmp_path: Path) -> ModelVersion:
    return open_registry(tmp_path).active()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PredictionService]:
    service = PredictionService(open_registry(tmp_path))
    assert service.load()
    yield service
    service.close()


def test_the_baseline_is_whole_and_knows_the_eight_classes(baseline: ModelVersion) -> None:
    baseline.verify()

    assert baseline.manifest.labels == BASE_LABELS
    assert baseline.manifest.size_bytes <= 20_000_000
    assert baseline.manifest.metrics["fruits-360/test"].accuracy >= 0.985
    assert {source.name for source in baseline.manifest.sources} == {"fruits-360", "grocery"}


def test_the_baseline_was_published_after_parity_with_keras(baseline: ModelVersion) -> None:
    assert set(baseline.manifest.parity) == {"1", "3"}
    assert max(baseline.manifest.parity.values()) <= 1e-5


def test_the_baselines_file_says_what_its_manifest_says(baseline: ModelVersion) -> None:
    session = onnxruntime.InferenceSession(baseline.model_path)

    described = session.get_modelmeta().custom_metadata_map
    assert described["version"] == baseline.version
    assert json.loads(described["labels"]) == list(BASE_LABELS)
    assert json.loads(described["preprocessing"]) == baseline.manifest.input.model_dump()


def test_a_fresh_state_predicts_at_once(service: PredictionService) -> None:
    buffer = io.BytesIO()
    draw_fruit("banana", 256).save(buffer, "PNG")

    prediction = service.predict(buffer.getvalue())

    assert prediction.label == "banana"
    assert sum(p for _, p in prediction.probabilities) == pytest.approx(1.0, abs=1e-5)
    assert {label for label, _ in prediction.probabilities} == set(BASE_LABELS)
