"""The model that ships with the code: whole, self-describing, and answering in a fresh state."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageDraw

from app.drift import assess, references
from app.figures import STAGES, Figures
from app.service import PredictionService
from data.drawings import EXAMPLE_LABELS, draw_fruit
from data.labels import BASE_LABELS, NONE_OF_THESE
from models.card import model_card
from models.examination import EXAMINATION_NAME, Examination
from models.registry import ModelVersion, baseline_folder, open_registry
from tests.conftest import confusion_of

LABELS = (*BASE_LABELS, NONE_OF_THESE)


@pytest.fixture
def baseline(tmp_path: Path) -> ModelVersion:
    return open_registry(tmp_path).active()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PredictionService]:
    service = PredictionService(open_registry(tmp_path))
    assert service.load()
    yield service
    service.close()


def test_the_baseline_is_whole_knows_the_eight_classes_and_can_refuse(
    baseline: ModelVersion,
) -> None:
    baseline.verify()

    assert baseline.manifest.classes == BASE_LABELS
    assert baseline.manifest.labels == LABELS
    assert baseline.manifest.none_threshold is not None
    assert baseline.manifest.size_bytes <= 20_000_000
    assert baseline.manifest.metrics["fruits-360/test"].accuracy >= 0.98
    assert {source.name for source in baseline.manifest.sources} == {"fruits-360", "grocery"}


def test_the_baseline_was_published_after_parity_with_keras(baseline: ModelVersion) -> None:
    assert set(baseline.manifest.parity) == {"1", "3"}
    assert max(baseline.manifest.parity.values()) <= 1e-5


def test_the_baselines_file_says_what_its_manifest_says(baseline: ModelVersion) -> None:
    session = onnxruntime.InferenceSession(baseline.model_path)

    described = session.get_modelmeta().custom_metadata_map
    assert described["version"] == baseline.version
    assert json.loads(described["labels"]) == list(LABELS)
    assert json.loads(described["preprocessing"]) == baseline.manifest.input.model_dump()


def test_the_card_beside_the_model_is_that_of_its_manifest(baseline: ModelVersion) -> None:
    assert (baseline.folder / "README.md").read_text() == model_card(baseline.manifest)


@pytest.mark.parametrize(("source", "images"), [("grocery", 82), ("fruits-360", 3093)])
def test_the_answers_to_the_test_images_are_those_that_the_manifest_counts(
    baseline: ModelVersion, source: str, images: int
) -> None:
    examination = Examination.read(baseline.folder / EXAMINATION_NAME)

    scores = baseline.manifest.metrics[f"{source}/test"]
    shown = [
        image
        for image in examination.images
        if image.source == source and image.label in baseline.manifest.classes
    ]
    right = sum(image.answer == image.label for image in shown)
    assert len(shown) == images
    assert right / images == pytest.approx(scores.accuracy, abs=1e-9)
    assert confusion_of(examination, source, baseline.manifest) == scores.confusion
    assert np.isfinite(examination.statistics).all()


def test_the_trained_network_is_there_to_start_a_retraining_from(baseline: ModelVersion) -> None:
    with zipfile.ZipFile(baseline.folder / "model.keras") as archive:
        assert "model.weights.h5" in archive.namelist()


@pytest.mark.parametrize("label", EXAMPLE_LABELS)
def test_a_fresh_state_names_every_example_of_the_page(
    service: PredictionService, label: str
) -> None:
    prediction = service.predict(as_png(draw_fruit(label, 256)))

    assert prediction.label == label
    assert sum(p for _, p in prediction.probabilities) == pytest.approx(1.0, abs=1e-5)
    assert {name for name, _ in prediction.probabilities} == set(LABELS)


@pytest.mark.parametrize("kind", ["noise", "plain", "stripes", "letters"])
def test_pictures_of_nothing_get_no_name(service: PredictionService, kind: str) -> None:
    rng = np.random.default_rng(5)
    picture = Image.new("RGB", (300, 300), (70, 110, 190))
    if kind == "noise":
        picture = Image.fromarray(rng.integers(0, 256, (300, 300, 3), dtype=np.uint8))
    elif kind == "stripes":
        ImageDraw.Draw(picture).rectangle((0, 0, 300, 150), fill=(230, 230, 230))
    elif kind == "letters":
        ImageDraw.Draw(picture).text((40, 120), "Opening hours", font_size=36)

    assert service.predict(as_png(picture)).label == NONE_OF_THESE


def test_made_up_creatures_get_no_name(service: PredictionService) -> None:
    pytest.importorskip("scipy")
    from training.creatures import draw_creature

    rng = np.random.default_rng(1000)
    answers = []
    for _ in range(100):
        creature = draw_creature(200, [], rng)
        picture = Image.new("RGB", (240, 240), "white")
        picture.paste(creature, ((240 - creature.width) // 2, 20), creature)
        answers.append(service.predict(as_png(picture)).label)

    assert answers.count(NONE_OF_THESE) >= 95


def test_made_up_coins_and_scenery_get_no_name(service: PredictionService) -> None:
    pytest.importorskip("scipy")
    from training.creatures import draw_coin
    from training.scenery import draw_scenery

    rng = np.random.default_rng(1000)
    answers = []
    for _ in range(50):
        coin = draw_coin(200, rng)
        picture = Image.new("RGB", (240, 240), "white")
        picture.paste(coin, (20, 20), coin)
        answers += [service.predict(as_png(p)).label for p in (picture, draw_scenery(240, rng))]

    assert answers.count(NONE_OF_THESE) >= 95


def test_the_answer_comes_from_where_the_fruit_is(service: PredictionService) -> None:
    picture = Image.new("RGB", (400, 400), "white")
    picture.paste(draw_fruit("banana", 200), (0, 0))

    heat = np.array(service.predict(as_png(picture), explain=True).heat_map)

    assert heat[:3, :3].mean() > 2 * heat[3:, 3:].mean()


def as_png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def part(examination: Examination, source: str, every: int = 1, begin: int = 0) -> Examination:
    """Return every so-manieth of a source's images."""
    rows = [r for r, i in enumerate(examination.images) if i.source == source][begin::every]
    return Examination(
        tuple(examination.images[row] for row in rows),
        examination.confidence[rows],
        examination.statistics[rows],
    )


def sent(examination: Examination) -> Figures:
    """Return the figures of a server that was sent these images."""
    figures = Figures()
    for image, confidence, statistics in zip(
        examination.images, examination.confidence, examination.statistics, strict=True
    ):
        stages = dict.fromkeys(STAGES, 1.0)
        figures.add_prediction(image.answer, float(confidence), stages, statistics.tolist())
    return figures


def test_shop_photos_drift_from_a_version_that_was_tested_on_white_paper_alone() -> None:
    examination = Examination.read(baseline_folder() / EXAMINATION_NAME)
    white = references(part(examination, "fruits-360", every=2))
    shop = sent(part(examination, "grocery"))

    drift = assess(shop, white)

    assert drift.state == "drifted"
    assert drift.features[0].name == "white_border"
    assert drift.features[0].distance > 0.95
    # The shipped version was tested on both.
    assert assess(shop, references(examination)).state == "alike"


def test_more_of_the_same_does_not_drift() -> None:
    examination = Examination.read(baseline_folder() / EXAMINATION_NAME)
    for source in ("fruits-360", "grocery"):
        first, second = (part(examination, source, every=2, begin=begin) for begin in (0, 1))
        assert assess(sent(second), references(first)).state == "alike", source
