"""The shipped baseline and the importer on the real archives.

They are read from ``FRUIT_DATA_DIR``, else from ``../shared/data`` beside the checkout; without
either these tests are skipped, and say so.
"""

import os
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.collection import CollectionService
from app.learning import LearningService
from app.results import ImageFile, Prediction
from app.service import PredictionService
from app.workers import WorkerPool
from data.importer import ImportReport, import_archive
from data.labels import BASE_LABELS, NONE_OF_THESE
from data.reviews import ReviewQueue
from data.sources import FRUITS_360
from data.splits import Split
from data.store import AddResult, DatasetStore, StoredImage
from models.registry import ModelRegistry, baseline_folder

pytestmark = pytest.mark.real_data

DATA_DIR = Path(
    os.environ.get("FRUIT_DATA_DIR") or Path(__file__).parents[2].parent / "shared" / "data"
)
FRUITS_ARCHIVE = DATA_DIR / "fruits-360-100x100-main.zip"
GROCERY_ARCHIVE = DATA_DIR / "GroceryStoreDataset-master.zip"

if not (FRUITS_ARCHIVE.exists() and GROCERY_ARCHIVE.exists()):
    pytest.skip(
        "the real photographs are not here; set FRUIT_DATA_DIR to the folder of the two archives",
        allow_module_level=True,
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PredictionService]:
    """The shipped baseline and nothing else."""
    registry = ModelRegistry(tmp_path_factory.mktemp("state") / "models", baseline_folder())
    service = PredictionService(
        registry, pool=WorkerPool(threads=2, max_pending=10_000, max_wait_s=60)
    )
    assert service.load()
    yield service
    service.close()


@pytest.fixture(scope="module")
def grocery(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[DatasetStore, ImportReport]]:
    """A store into which the shop photos were imported."""
    store = DatasetStore(tmp_path_factory.mktemp("store"))
    yield store, import_archive(store, GROCERY_ARCHIVE)
    store.close()


def accuracy(service: PredictionService, files: list[tuple[str, ImageFile]]) -> float:
    return right_and_wrong(service, files)[0]


def right_and_wrong(
    service: PredictionService, files: list[tuple[str, ImageFile]]
) -> tuple[float, float]:
    """Return the shares that get the right name and a wrong one; the rest is refused."""
    answers = service.predict_many([file for _, file in files])
    labels = [answer.label if isinstance(answer, Prediction) else "" for answer in answers]
    pairs = [(label, given) for (label, _), given in zip(files, labels, strict=True)]
    right = sum(given == label for label, given in pairs)
    wrong = sum(given not in (label, NONE_OF_THESE) for label, given in pairs)
    return right / len(files), wrong / len(files)


def test_the_baseline_names_the_filmed_fruit_of_every_variety(service: PredictionService) -> None:
    files = []
    with zipfile.ZipFile(FRUITS_ARCHIVE) as archive:
        for name in archive.namelist():
            placement = FRUITS_360.place(name.split("/")) if name.endswith(".jpg") else None
            if placement and placement.split == Split.TEST and placement.label != NONE_OF_THESE:
                files.append((placement.label, ImageFile(name, archive.read(name))))

    measured, wrong = right_and_wrong(service, files)

    stated = service.served.manifest.metrics["fruits-360/test"]
    assert len(files) == stated.images == 3093
    assert measured == pytest.approx(stated.accuracy, abs=0.001)
    assert measured >= 0.985
    assert wrong <= 0.001


def test_the_baselines_stated_score_on_shop_photos_is_the_measured_one(
    service: PredictionService, grocery: tuple[DatasetStore, ImportReport]
) -> None:
    store, _ = grocery
    images = [i for i in store.images(split=Split.TEST) if i.label != NONE_OF_THESE]
    files = [(i.label, ImageFile(i.original_name, store.read(i))) for i in images]

    stated = service.served.manifest.metrics["grocery/test"]
    assert len(files) == stated.images
    assert accuracy(service, files) == pytest.approx(stated.accuracy, abs=0.02)


def test_the_baseline_refuses_other_shop_goods_and_names_the_fruit(
    service: PredictionService, grocery: tuple[DatasetStore, ImportReport]
) -> None:
    store, _ = grocery
    images = store.images(split=Split.TEST)
    answers = service.predict_many([ImageFile(i.original_name, store.read(i)) for i in images])

    named: dict[bool, list[bool]] = {True: [], False: []}
    for image, answer in zip(images, answers, strict=True):
        assert isinstance(answer, Prediction)
        named[image.label != NONE_OF_THESE].append(answer.label != NONE_OF_THESE)

    assert sum(named[True]) / len(named[True]) >= 0.95
    assert sum(named[False]) / len(named[False]) <= 0.10


def test_the_shop_photos_are_imported_with_every_class_in_every_split(
    grocery: tuple[DatasetStore, ImportReport],
) -> None:
    store, report = grocery

    assert report.source.name == "grocery"
    assert report.results == {AddResult.ADDED: 2936}
    assert len(report.skipped) == 5  # the licence, the readme and three lists
    by_label = Counter(label for _, label, _ in store.counts())
    assert by_label.keys() >= {"apple", "avocado", "banana", "cucumber", "eggplant", "mango"}
    assert set(by_label.values()) == {3}


def test_no_scene_of_the_shop_photos_falls_on_two_sides(
    grocery: tuple[DatasetStore, ImportReport],
) -> None:
    splits: dict[str, set[Split]] = {}
    for image in grocery[0].images():
        splits.setdefault(image.scene, set()).add(image.split)

    assert [scene for scene, found in splits.items() if len(found) > 1] == []


def test_importing_the_shop_photos_again_changes_nothing(
    grocery: tuple[DatasetStore, ImportReport],
) -> None:
    store, _ = grocery
    before = store.counts()

    report = import_archive(store, GROCERY_ARCHIVE)

    assert report.results == {AddResult.DUPLICATE: 2936}
    assert store.counts() == before


@pytest.fixture
def learning(tmp_path: Path) -> Iterator[LearningService]:
    """The whole loop over the shipped baseline and an empty store; nothing was downloaded."""
    registry = ModelRegistry(tmp_path / "models", baseline_folder())
    service = PredictionService(registry, pool=WorkerPool(2, 10_000, 60))
    assert service.load()
    store = DatasetStore(tmp_path / "store")
    learning = LearningService(service, registry, store, tmp_path, threads=2)
    learning.start()
    yield learning
    learning.close()
    service.close()
    store.close()


def retrained(learning: LearningService) -> dict[str, Any]:
    job_id = learning.retrain("quick").id
    while (job := learning.job(job_id))["state"] in ("queued", "running"):
        time.sleep(0.2)
    return job


def test_forty_photos_of_a_new_class_are_learned_and_nothing_is_forgotten(
    grocery: tuple[DatasetStore, ImportReport], learning: LearningService, tmp_path: Path
) -> None:
    shop, _ = grocery
    tomatoes = [i for i in shop.images(label=NONE_OF_THESE) if "Tomato" in i.variety]
    learned, unseen = by_scenes(tomatoes, 40)
    assert len(unseen) >= 20
    reviews = ReviewQueue(tmp_path / "reviews")
    collection = CollectionService(learning._store, learning._service, reviews)
    report = collection.upload([ImageFile(i.digest, shop.read(i)) for i in learned], "tomato")
    assert report.counts[AddResult.ADDED] >= 35

    job = retrained(learning)

    assert job["state"] == "succeeded", job["message"]
    service = learning._service
    assert accuracy(service, [("tomato", ImageFile(i.digest, shop.read(i))) for i in unseen]) >= 0.9
    before = job["gate"]["comparisons"]["grocery/test"]
    assert before["accuracy"] >= before["active_accuracy"] - 0.01 - 1e-9
    test = [i for i in shop.images(split=Split.TEST) if i.label != NONE_OF_THESE]
    files = [(i.label, ImageFile(i.digest, shop.read(i))) for i in test]
    assert accuracy(service, files) == pytest.approx(before["accuracy"], abs=0.013)


def test_what_mislabelled_photos_taught_is_rejected_with_the_reason(
    grocery: tuple[DatasetStore, ImportReport], learning: LearningService
) -> None:
    shop, _ = grocery
    shipped = learning._service.served.manifest.version
    some = BASE_LABELS[:4]
    for label, wrong in zip(some, (*some[1:], some[0]), strict=True):
        right = [i for i in shop.images(label=label) if i.split != Split.TEST]
        for image in right[:30]:
            learning._store.add(
                shop.read(image), label=wrong, source="uploads", original_name=image.original_name
            )

    job = retrained(learning)

    assert job["state"] == "rejected"
    assert f"photos wrong that {shipped} gets right" in job["message"]
    assert "Are the labels right?" in job["message"]
    assert learning._service.served.manifest.version == shipped


def by_scenes(images: list[StoredImage], count: int) -> tuple[list[StoredImage], list[StoredImage]]:
    """Return so many images of scenes dealt at random, and those of all other scenes."""
    scenes: dict[str, list[StoredImage]] = {}
    for image in images:
        scenes.setdefault(image.scene, []).append(image)
    learned: list[StoredImage] = []
    unseen: list[StoredImage] = []
    for scene in np.random.default_rng(1).permutation(sorted(scenes)):
        (learned if len(learned) < count else unseen).extend(scenes[scene])
    return learned[:count], unseen
