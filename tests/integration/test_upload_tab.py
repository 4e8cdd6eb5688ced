"""The Upload tab over real files: photos that cannot be shown, and the zip of all of them."""

import asyncio
import errno
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from app.collection import CollectionService
from app.errors import NotStored
from app.mirror import Mirror
from app.results import ImageFile
from app.service import PredictionService
from app.settings import Settings
from app.tabs import reviews, upload
from data.reviews import ReviewQueue
from data.store import DatasetStore, StoredImage
from models.manifest import Suspect
from models.registry import ModelRegistry, ModelVersion
from tests.conftest import encode

ROOM = SimpleNamespace(total=100_000_000_000, free=50_000_000_000)
LARGE_BYTES = 21_000_000  # more than a photo may have by default


class FakeLearning:
    """Doubts the label of each stored photo that was not confirmed and is no kiwi."""

    def __init__(self, store: DatasetStore) -> None:
        self._store = store
        self.confirmed: set[str] = set()

    def suspects(self) -> list[tuple[StoredImage, Suspect]]:
        return [
            (image, Suspect(digest=image.digest, label=image.label, suggested="kiwi",
                            probability=0.9))
            for image in self._store.images()
            if image.digest not in self.confirmed and image.label != "kiwi"
        ]  # fmt: skip

    def confirm(self, digests: list[str]) -> int:
        self.confirmed.update(digests)
        return len(digests)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "gradio").mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: ROOM)
    return Settings(state_dir=tmp_path, max_file_bytes=30_000_000)


@pytest.fixture
def store(settings: Settings) -> Iterator[DatasetStore]:
    store = DatasetStore(settings.state_dir / "store", settings.image_limits)
    yield store
    store.close()


@pytest.fixture
def collection(
    settings: Settings, store: DatasetStore, registry: ModelRegistry, version: ModelVersion
) -> Iterator[CollectionService]:
    service = PredictionService(registry, limits=settings.image_limits)
    service.load()
    reviews = ReviewQueue(settings.state_dir / "reviews", settings.image_limits)
    yield CollectionService(store, service, reviews)
    reviews.close()
    service.close()


@pytest.fixture
def page(collection: CollectionService, store: DatasetStore, settings: Settings) -> gr.Blocks:
    async def build() -> gr.Blocks:  # without a running loop, Gradio opens some and closes none
        with gr.Blocks(analytics_enabled=False) as page, gr.Tab() as tab:
            learning: Any = FakeLearning(store)
            upload.build_tab(collection, learning, Mirror(settings), settings, tab)
        return page

    return asyncio.run(build())


def handler(page: gr.Blocks, name: str) -> Callable[..., Any]:
    found: list[Any] = [block.fn for block in page.fns.values() if block.fn]
    return next(fn for fn in found if fn.__qualname__ == name.replace(".", ".<locals>."))


def add(store: DatasetStore, label: str, content: bytes) -> StoredImage:
    return store.add(content, label=label, source="uploads", original_name=f"{label}.jpg").image


def is_grey(gallery: gr.Gallery) -> list[bool]:
    files = [shown["image"]["path"] for shown in gallery.value or []]
    return [np.ptp(np.asarray(Image.open(file).convert("RGB"))) == 0 for file in files]


def file_of(store: DatasetStore, image: StoredImage) -> Path:
    return store.images_dir / image.path


def names_in(path: str) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_photos_as_large_as_the_settings_allow_are_shown(
    page: gr.Blocks, collection: CollectionService, store: DatasetStore
) -> None:
    large = encode("mango", "JPEG") + bytes(LARGE_BYTES)
    add(store, "mango", large)
    collection.suggest(ImageFile("m.jpg", large), "mango")

    reviews, *_ = handler(page, "build_reviews.show")()
    suspects, *_ = handler(page, "build_suspects.show")()
    gallery, *_ = handler(page, "build_gallery.show")("any", "any", 1)

    assert [is_grey(shown) for shown in (reviews, suspects, gallery)] == [[False]] * 3


def test_a_stored_photo_without_a_file_is_grey_and_can_be_removed(
    page: gr.Blocks, store: DatasetStore
) -> None:
    gone = add(store, "mango", encode("mango"))
    add(store, "apple", encode("apple"))
    file_of(store, gone).unlink()

    suspects, ticks, _ = handler(page, "build_suspects.show")()
    gallery, found, words, *_ = handler(page, "build_gallery.show")("any", "any", 1)
    event = gr.SelectData(None, {"index": found.index(gone), "value": None})
    details, chosen = handler(page, "build_gallery.choose")(event, found)
    handler(page, "build_gallery.remove")(chosen)

    assert sorted(is_grey(suspects)) == [False, True]
    assert gone.digest in [digest for _, digest in ticks.choices]
    assert [is_grey(gallery), words] == [[False, True], "2 photos"]  # the newest first
    assert "missing, damaged or too large" in details
    assert 'src="data:image/jpeg' in details
    assert [image.label for image in store.images()] == ["apple"]


def test_a_damaged_photo_that_waits_is_grey_and_can_be_discarded(
    page: gr.Blocks, collection: CollectionService, settings: Settings
) -> None:
    damaged = collection.suggest(ImageFile("m.png", encode("mango")), "mango")
    collection.suggest(ImageFile("a.png", encode("apple")), "apple")
    path = settings.state_dir / "reviews" / f"{damaged.digest}.png"
    path.write_bytes(path.read_bytes()[:100])

    gallery, ticks, *_ = handler(page, "build_reviews.show")()
    said = handler(page, "build_reviews.discard")([damaged.digest])

    assert sorted(is_grey(gallery)) == [False, True]
    assert damaged.digest in [digest for _, digest in ticks.choices]
    assert "1 discarded" in said
    assert [review.label for review in collection.reviews()] == ["apple"]


def test_photos_whose_labels_are_right_are_not_listed_any_more(
    page: gr.Blocks, store: DatasetStore
) -> None:
    right, wrong = (add(store, label, encode(label)) for label in ("mango", "apple"))
    confirm, show = (handler(page, f"build_suspects.{name}") for name in ("confirm", "show"))

    with pytest.raises(gr.Error, match="Choose a photo first: tick it"):
        confirm([])
    said = confirm([right.digest])

    assert "1 label confirmed" in said
    _, ticks, _ = show()
    assert [digest for _, digest in ticks.choices] == [wrong.digest]
    assert store.get(right.digest) == right


def test_doubtful_labels_that_a_page_does_not_show_are_told(
    page: gr.Blocks, store: DatasetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tabs.suspects.PAGE_LENGTH", 1)
    for label in ("mango", "apple"):
        add(store, label, encode(label))

    _, ticks, words = handler(page, "build_suspects.show")()

    assert len(ticks.choices) == 1
    assert "Doubtful: 1 and 1 more, which comes once these are decided." in words


def test_of_doubtful_photos_that_were_relabelled_meanwhile_none_is_counted(
    page: gr.Blocks, store: DatasetStore
) -> None:
    first, second = (add(store, label, encode(label)) for label in ("mango", "apple"))
    store.relabel([first.digest], "kiwi")

    said = handler(page, "build_suspects.relabel")([first.digest, second.digest])

    assert "1 relabelled" in said
    assert [image.label for image in store.images()] == ["kiwi", "kiwi"]


def test_one_photo_is_told_in_the_singular(
    page: gr.Blocks,
    collection: CollectionService,
    store: DatasetStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = add(store, "mango", encode("mango"))
    for label in ("mango", "apple"):
        collection.suggest(ImageFile("a.png", encode(label)), label)
    monkeypatch.setattr(reviews, "PAGE_LENGTH", 1)

    *_, shown, _, _ = handler(page, "build_gallery.show")("any", "any", 1)
    *_, waiting, _ = handler(page, "build_reviews.show")()
    removed, _ = handler(page, "build_suspects.remove")([image.digest])

    assert shown == "1 photo"
    assert waiting.startswith("Waiting: 1 and 1 more, which comes once these are decided.")
    assert "1 removed; “Undo remove” below puts it back." in removed


def test_the_zip_holds_every_photo_that_has_a_file(page: gr.Blocks, store: DatasetStore) -> None:
    kept, gone = (add(store, label, encode(label)) for label in ("mango", "apple"))
    file_of(store, gone).unlink()

    path = handler(page, "build_gallery.download")("any", "any")

    assert names_in(path) == [f"mango/{kept.digest[:16]}.png"]


def test_the_zip_is_cut_at_no_number_of_photos(page: gr.Blocks, store: DatasetStore) -> None:
    oldest = add(store, "mango", encode("mango"))
    with sqlite3.connect(store.images_dir.parent / "index.db") as index:  # of photos without files
        index.execute(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000) "
            "INSERT INTO images SELECT 'no' || n, 'no' || n, '0', 'mango', 'uploads', '', '', "
            "'train', '', '', '', 9, 9, 0, '.png' FROM n"
        )
    index.close()

    path = handler(page, "build_gallery.download")("mango", "any")

    assert names_in(path) == [f"mango/{oldest.digest[:16]}.png"]


def test_a_zip_for_which_there_is_no_room_is_not_begun(
    page: gr.Blocks, store: DatasetStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, "mango", encode("mango", "JPEG") + bytes(LARGE_BYTES))
    nearly_full = SimpleNamespace(total=ROOM.total, free=settings.min_free_bytes + LARGE_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: nearly_full)

    with pytest.raises(NotStored, match="the zip takes 21 MB, and 521 MB are free"):
        handler(page, "build_gallery.download")("any", "any")

    assert os.listdir(settings.state_dir / "gradio") == []


def test_a_zip_that_fails_half_way_leaves_nothing(
    page: gr.Blocks, store: DatasetStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("mango", "apple"):
        add(store, label, encode(label))
    last = store.images()[-1]
    read = DatasetStore.read

    def fill(self: DatasetStore, image: StoredImage) -> bytes:
        if image == last:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return read(self, image)

    monkeypatch.setattr(DatasetStore, "read", fill)

    with pytest.raises(OSError, match="No space left on device"):
        handler(page, "build_gallery.download")("any", "any")

    assert os.listdir(settings.state_dir / "gradio") == []


def test_a_filter_whose_choice_has_gone_shows_any(page: gr.Blocks, store: DatasetStore) -> None:
    add(store, "kiwi", encode("mango"))
    choices = handler(page, "build_gallery.choices")

    there = choices("kiwi", "uploads")
    store.remove([image.digest for image in store.images()])
    gone = choices("kiwi", "uploads")

    assert [part.constructor_args.get("value") for part in there] == [None, None, None]
    assert [part.constructor_args.get("value") for part in gone] == ["any", "any", None]
    assert "kiwi" not in dict(gone[0].choices).values()


def test_undo_passes_over_what_cannot_come_back(page: gr.Blocks, store: DatasetStore) -> None:
    older, newer = (add(store, label, encode(label)) for label in ("mango", "apple"))
    store.remove([older.digest, newer.digest])
    add(store, "apple", encode("apple", compress_level=1))  # the same pixels in another file
    with sqlite3.connect(store.images_dir.parent / "index.db") as index:
        index.execute(
            "UPDATE removed_images SET removed_at = '2020' WHERE digest = ?", [older.digest]
        )
    index.close()

    said, _ = handler(page, "build_gallery.undo")([])
    again, _ = handler(page, "build_gallery.undo")([])

    assert "It is back." in said
    assert store.get(older.digest) == older
    assert "There is nothing to put back." in again
    assert [image.digest for image in store.removed()] == [newer.digest]


def test_a_stored_photo_beyond_the_limits_of_now_is_shown_beside_its_twin(
    collection: CollectionService, store: DatasetStore, settings: Settings
) -> None:
    add(store, "apple", encode("mango", "JPEG") + bytes(LARGE_BYTES))
    files = [ImageFile("m.jpg", encode("mango", "JPEG"))]
    report = collection.upload(files, "mango", keep=False)

    pairs = upload._pairs(files, report, collection, replace(settings, max_file_bytes=20_000_000))

    assert [uri.startswith("data:image/jpeg") for uri in pairs[0]] == [True, True]
