"""Looking into a version: the photos behind a figure, and how sure it was."""

from pathlib import Path

import numpy as np
import pytest

from app.inspection import InspectionService
from data.splits import Split
from data.store import DatasetStore
from models.errors import VersionNotFound
from models.examination import EXAMINATION_NAME, Examination, ExaminedImage
from models.registry import ModelRegistry, ModelVersion
from tests.conftest import encode

PART = "grocery/test"


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    store = DatasetStore(tmp_path / "store")
    for side_px in (60, 61):
        store.add(
            encode("apple", side_px=side_px), label="apple", source="grocery",
            original_name=f"{side_px}.png", split=Split.TEST,
        )  # fmt: skip
    return store


@pytest.fixture
def inspection(
    registry: ModelRegistry, version: ModelVersion, store: DatasetStore
) -> InspectionService:
    digests = [image.digest for image in store.images()]
    rows = [
        (digests[0], "grocery", "apple", "mango", 0.95),
        (digests[1], "grocery", "apple", "mango", 0.55),
        ("ab" * 32, "grocery", "apple", "mango", 0.99),
        ("cd" * 32, "grocery", "apple", "apple", 0.97),
        ("ef" * 32, "grocery", "none_of_these", "apple", 0.96),
        ("01" * 32, "fruits-360", "apple", "mango", 0.9),
    ]
    images = tuple(ExaminedImage(d, s, "test", label, answer) for d, s, label, answer, _ in rows)
    examination = Examination(
        images, np.array([row[-1] for row in rows], np.float32), np.zeros((6, 5), np.float32)
    )
    (version.folder / EXAMINATION_NAME).write_bytes(examination.to_bytes())
    return InspectionService(registry, store)


def test_a_cell_gives_its_photos_the_surest_first(inspection: InspectionService) -> None:
    found, count = inspection.photos("v0001", PART, "apple", "mango", 10)
    assert count == 3  # one of them is not in the store
    assert [round(confidence, 2) for _, confidence in found] == [0.95, 0.55]
    assert inspection.read(found[0][0]).startswith(b"\x89PNG")


def test_strangers_are_told_how_many_and_shown_none(
    inspection: InspectionService, registry: ModelRegistry
) -> None:
    strangers = InspectionService(registry)
    assert strangers.photos("v0001", PART, "apple", "mango", 10) == ([], 3)
    assert not strangers.shows_photos("v0001", PART)
    assert inspection.shows_photos("v0001", PART)
    assert not inspection.shows_photos("v0001", "grocery/cross-validation")


def test_reliability_counts_pictures_of_the_classes(inspection: InspectionService) -> None:
    low, high = inspection.reliability("v0001", PART)
    assert (low.images, low.accuracy) == (1, 0.0)
    assert (high.images, round(high.accuracy, 3)) == (3, 0.333)
    assert inspection.reliability("v0001", "elsewhere/test") == []


def test_a_version_without_an_examination_is_shown_all_the_same(
    registry: ModelRegistry, version: ModelVersion, store: DatasetStore
) -> None:
    inspection = InspectionService(registry, store)
    assert inspection.photos("v0001", PART, "apple", "mango", 10) == ([], 0)
    assert inspection.reliability("v0001", PART) == []
    assert inspection.manifest("v0001").version == "v0001"


def test_a_version_whose_examination_is_damaged_is_shown_all_the_same(
    inspection: InspectionService, version: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    path = version.folder / EXAMINATION_NAME
    path.write_bytes(path.read_bytes()[:50])

    assert inspection.photos("v0001", PART, "apple", "mango", 10) == ([], 0)
    assert inspection.reliability("v0001", PART) == []
    assert not inspection.shows_photos("v0001", PART)
    assert "v0001 is shown without its photos" in caplog.text
    with pytest.raises(VersionNotFound):
        inspection.shows_photos("v0009", PART)
