"""Labels that a person has called right."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from data import imagefolder
from data.confirmations import Confirmations
from data.store import INDEX_NAME, DatasetStore
from tests.conftest import encode


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DatasetStore]:
    store = DatasetStore(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def confirmations(store: DatasetStore, tmp_path: Path) -> Iterator[Confirmations]:
    confirmations = Confirmations(tmp_path / "store")
    yield confirmations
    confirmations.close()


def confirmed_mango(store: DatasetStore, confirmations: Confirmations) -> str:
    image = store.add(encode("mango"), label="mango", source="uploads", original_name="m").image
    confirmations.add({image.digest: "mango"})
    return image.digest


def test_what_was_confirmed_is_there_after_a_restart(
    store: DatasetStore, confirmations: Confirmations, tmp_path: Path
) -> None:
    digest = confirmed_mango(store, confirmations)
    confirmations.add({})
    confirmations.add({digest: "mango"})  # by somebody else too

    reopened = Confirmations(tmp_path / "store")

    assert reopened.of([digest, "another"]) == {digest: "mango"}
    assert reopened.of([]) == {}
    reopened.close()


def test_a_label_that_is_given_again_stays_confirmed(
    store: DatasetStore, confirmations: Confirmations
) -> None:
    digest = confirmed_mango(store, confirmations)

    store.relabel([digest], "Mango")
    store.remove([digest])
    store.restore([digest])

    assert confirmations.of([digest]) == {digest: "mango"}


@pytest.mark.parametrize("by_upload", [True, False])
def test_another_label_makes_it_void(
    store: DatasetStore, confirmations: Confirmations, by_upload: bool
) -> None:
    digest = confirmed_mango(store, confirmations)

    if by_upload:
        store.add(encode("mango"), label="kiwi", source="uploads", original_name="m", relabels=True)
    else:
        assert store.relabel([digest], "kiwi") == 1
    store.relabel([digest], "mango")

    assert confirmations.of([digest]) == {}


def test_a_rehearsed_relabelling_leaves_it_as_it_is(
    store: DatasetStore, confirmations: Confirmations
) -> None:
    digest = confirmed_mango(store, confirmations)

    with store.batch(keep=False) as batch:
        batch.add(encode("mango"), label="kiwi", source="uploads", original_name="m", relabels=True)

    assert confirmations.of([digest]) == {digest: "mango"}


def test_a_copy_of_the_store_holds_it(
    store: DatasetStore, confirmations: Confirmations, tmp_path: Path
) -> None:
    digest = confirmed_mango(store, confirmations)
    (tmp_path / "copy").mkdir()

    imagefolder.copy_index(tmp_path / "store", tmp_path / "copy")

    copy = Confirmations(tmp_path / "copy")
    assert copy.of([digest]) == {digest: "mango"}
    copy.close()


def test_to_open_an_index_waits_for_nobody_who_writes(store: DatasetStore, tmp_path: Path) -> None:
    index = sqlite3.connect(tmp_path / "store" / INDEX_NAME, isolation_level=None)
    index.execute("BEGIN IMMEDIATE")

    opened = Confirmations(tmp_path / "store")

    assert opened.of(["0" * 64]) == {}
    opened.close()
    index.close()
