"""Real onnxruntime: what is loaded, what is refused, and the same digits at any batch size."""

import numpy as np
import pytest

from app.errors import ModelMismatch
from app.predictor import OnnxPredictor
from app.results import ImageFile, Prediction
from app.service import PredictionService
from app.workers import WorkerPool
from data.drawings import EXAMPLE_LABELS
from models.errors import InvalidVersion
from models.manifest import InputSpec
from models.registry import ModelRegistry, ModelVersion
from tests.conftest import colour_model, encode, publish


def test_rows_are_probabilities_for_any_number_of_images(version: ModelVersion) -> None:
    predictor = OnnxPredictor.load(version)
    predictor.warm_up()

    for n in (1, 3):
        rows = predictor.run(np.full((n, 100, 100, 3), 128, np.uint8))
        assert (rows.shape, rows.dtype) == ((n, 8), np.float32)
        np.testing.assert_allclose(rows.sum(1), 1, atol=1e-6)


def test_changed_model_file_is_refused(version: ModelVersion) -> None:
    version.model_path.write_bytes(version.model_path.read_bytes() + b"\0")

    with pytest.raises(InvalidVersion, match="SHA-256"):
        OnnxPredictor.load(version)


def test_file_that_is_no_model_is_refused(registry: ModelRegistry) -> None:
    with pytest.raises(ModelMismatch, match="cannot be loaded"):
        OnnxPredictor.load(publish(registry, b"no model"))


def test_model_with_another_number_of_classes_is_refused(registry: ModelRegistry) -> None:
    published = publish(registry, colour_model(("apple", "mango")), ("apple", "mango", "onion"))

    with pytest.raises(ModelMismatch, match="3 columns"):
        OnnxPredictor.load(published)


def test_model_with_another_input_is_refused(version: ModelVersion) -> None:
    manifest = version.manifest.model_copy(update={"input": InputSpec(side_px=64)})

    with pytest.raises(ModelMismatch, match="64, 64"):
        OnnxPredictor(version.model_path, manifest)


def test_one_by_one_or_together_every_digit_is_the_same(
    registry: ModelRegistry, version: ModelVersion
) -> None:
    service = PredictionService(registry, pool=WorkerPool(2, 8, 60))
    service.load()
    files = [ImageFile(label, encode(label)) for label in EXAMPLE_LABELS]

    together = service.predict_many(files)

    assert [answer.label for answer in together if isinstance(answer, Prediction)] == [
        file.name for file in files
    ]
    for file, answer in zip(files, together, strict=True):
        assert isinstance(answer, Prediction)
        assert answer.probabilities == service.predict(file.content).probabilities
    service.close()


def test_swap_between_real_models_changes_the_answer(
    registry: ModelRegistry, version: ModelVersion
) -> None:
    service = PredictionService(registry)
    service.load()
    before = service.predict(encode("apple"))

    publish(registry, colour_model(("mango", "onion")), ("mango", "onion"))
    service.swap("v0002")
    after = service.predict(encode("apple"))

    assert (before.label, before.version) == ("apple", "v0001")
    assert (len(after.probabilities), after.version) == (2, "v0002")
    service.close()
