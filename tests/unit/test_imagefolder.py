"""The store as an image folder, against the documented rules of ``datasets``; and back."""

import json
import os
import sqlite3
from pathlib import Path

import pytest
import yaml

from data import imagefolder
from data.errors import InvalidBackup
from data.splits import Split
from data.store import DatasetStore, StoredImage
from tests.conftest import encode


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    """A store with an image of each split, a HEIC file and a removed image."""
    store = DatasetStore(tmp_path / "store")
    for label, split in (
        ("apple", Split.TRAIN),
        ("banana", Split.VALIDATION),
        ("mango", Split.TEST),
        ("onion", Split.TRAIN),
    ):
        store.add(
            encode(label), label=label, source="uploads", original_name=f"{label}.png", split=split
        )
    heic = encode("orange", "HEIF")
    store.add(heic, label="orange", source="uploads", original_name="o.heic", split=Split.TRAIN)
    store.remove([image.digest for image in store.images(label="onion")])
    return store


def write(store: DatasetStore, root: Path, target: Path) -> dict[str, StoredImage]:
    """Write the data set as it lies in a repository."""
    placed = imagefolder.layout(store)
    for path, image in placed.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(root / "images" / image.path, target / path)
    for path, content in imagefolder.metadata(placed).items():
        (target / path).write_bytes(content)
    imagefolder.copy_index(root, target)
    return placed


def test_each_line_of_the_metadata_names_a_file_beside_it(
    store: DatasetStore, tmp_path: Path
) -> None:
    target = tmp_path / "set"
    write(store, tmp_path / "store", target)

    found = {}
    for split in ("train", "validation", "test"):
        lines = (target / split / "metadata.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        for row in rows:
            assert (target / split / row["file_name"]).is_file()
        found[split] = [(row["label"], row["split"], row["original_name"]) for row in rows]
        # All files of metadata must have the same columns.
        assert {tuple(row) for row in rows} == {
            ("file_name", "label", "source", "split", "digest", "original_name", "added_at",
             "variety", "licence", "width_px", "height_px"),
        }  # fmt: skip

    assert found == {
        "train": [("apple", "train", "apple.png")],
        "validation": [("banana", "validation", "banana.png")],
        "test": [("mango", "test", "mango.png")],
    }


def test_what_cannot_be_opened_or_was_removed_lies_in_no_split(
    store: DatasetStore, tmp_path: Path
) -> None:
    folders = sorted(path.split("/")[0] for path in imagefolder.layout(store))

    assert folders == ["removed", "test", "train", "unlisted", "validation"]


def test_split_without_an_image_has_no_file_and_the_card_names_none(tmp_path: Path) -> None:
    store = DatasetStore(tmp_path / "store")
    store.add(
        encode("apple"), label="apple", source="uploads", original_name="a.png", split=Split.TRAIN
    )
    front = yaml.safe_load(imagefolder.CARD.split("---")[1])

    assert list(imagefolder.metadata(imagefolder.layout(store))) == ["train/metadata.jsonl"]
    # `datasets` refuses a split that the card lists and that has no file.
    assert "configs" not in front


def test_relabelling_moves_no_file(store: DatasetStore) -> None:
    before = imagefolder.layout(store)
    store.relabel([image.digest for image in store.images(label="apple")], "kiwi")
    after = imagefolder.layout(store)

    assert list(before) == list(after)
    assert imagefolder.metadata(before) != imagefolder.metadata(after)


def test_image_that_was_removed_and_added_again_is_in_its_split_alone(
    store: DatasetStore, tmp_path: Path
) -> None:
    content = encode("onion")
    outcome = store.add(content, label="onion", source="uploads", original_name="again.png")

    placed = [path for path in imagefolder.layout(store) if outcome.image.digest in path]

    assert placed == [f"{outcome.image.split}/{outcome.image.path}"]


def test_store_made_of_its_data_set_is_the_same(store: DatasetStore, tmp_path: Path) -> None:
    write(store, tmp_path / "store", tmp_path / "set")
    root = tmp_path / "again"
    root.mkdir()

    count = imagefolder.rebuild(tmp_path / "set", root)

    again = DatasetStore(root)
    assert count == 4
    assert again.images() == store.images()
    assert again.removed() == store.removed()
    page = {"label": None, "source": None, "limit": 10}
    assert again.page(**page) == store.page(**page)  # also in the order of adding
    assert again.restore([again.removed()[0].digest]) == 1
    assert [again.read(image) for image in again.images(label="onion")] == [encode("onion")]


def test_copy_of_an_index_holds_what_is_not_in_its_file_yet(
    store: DatasetStore, tmp_path: Path
) -> None:
    store.relabel([image.digest for image in store.images(label="apple")], "kiwi")
    assert (tmp_path / "store" / "index.db-wal").stat().st_size > 0
    target = tmp_path / "copy"
    target.mkdir()

    imagefolder.copy_index(tmp_path / "store", target)

    connection = sqlite3.connect(target / "index.db")
    labels = connection.execute("SELECT label FROM images ORDER BY label").fetchall()
    connection.close()
    assert labels == [("banana",), ("kiwi",), ("mango",), ("orange",)]


def test_store_that_is_gone_is_not_copied_as_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with pytest.raises(InvalidBackup, match="cannot be copied"):
        imagefolder.copy_index(tmp_path / "nowhere", tmp_path / "copy")


@pytest.mark.parametrize(("damage", "words"), [("cut", "is damaged"), ("gone", "cannot be read")])
def test_damaged_data_set_makes_no_store(
    store: DatasetStore, tmp_path: Path, damage: str, words: str
) -> None:
    placed = write(store, tmp_path / "store", tmp_path / "set")
    path = tmp_path / "set" / next(iter(placed))
    content = path.read_bytes()
    path.unlink()  # a link to the store's own
    if damage == "cut":
        path.write_bytes(content[:-1])
    (tmp_path / "again").mkdir()

    with pytest.raises(InvalidBackup, match=words):
        imagefolder.rebuild(tmp_path / "set", tmp_path / "again")
