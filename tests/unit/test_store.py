"""The store adds, refuses doubles, keeps scenes together, and loses nothing half-way."""

import io
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sqlalchemy import Connection, event

from data.errors import InvalidImage, InvalidLabel
from data.splits import Split
from data.store import (
    KEPT_SNAPSHOTS,
    NEAR_DISTANCE_BITS,
    AddResult,
    DatasetStore,
    StoredImage,
    take_snapshot,
)


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store")


def picture(seed: int, image_format: str = "PNG", shift: int = 0, **options: object) -> bytes:
    """Blurred noise: every seed is another scene, every shift a slightly other brightness."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 200, (8, 9, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((90, 80), Image.Resampling.BICUBIC)) + np.uint8(shift)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format, **options)
    return buffer.getvalue()


def add(store: DatasetStore, content: bytes, label: str = "kiwi", **details: object) -> AddResult:
    return store.add(
        content, label=label, source="folders", original_name="a.png", **details
    ).result


def test_add_keeps_the_file_under_its_digest_with_what_is_known(store: DatasetStore) -> None:
    content = picture(1)

    outcome = store.add(
        content, label=" Kiwi ", source="folders", original_name="x/1.png", licence="CC0"
    )

    assert outcome.result is AddResult.ADDED
    image = store.get(outcome.image.digest)
    assert image is not None
    assert (image.label, image.licence, image.original_name) == ("kiwi", "CC0", "x/1.png")
    assert (image.width_px, image.height_px, image.suffix) == (90, 80, ".png")
    assert store.read(image) == content
    assert image.path == f"{image.digest[:2]}/{image.digest}.png"


def test_add_returns_duplicate_for_same_pixels_in_another_file(store: DatasetStore) -> None:
    assert add(store, picture(1, "PNG")) is AddResult.ADDED
    assert add(store, picture(1, "PNG")) is AddResult.DUPLICATE
    assert add(store, picture(1, "BMP")) is AddResult.DUPLICATE
    assert len(store.images()) == 1


def test_add_returns_other_label_and_keeps_the_first(store: DatasetStore) -> None:
    add(store, picture(1), "kiwi")

    assert add(store, picture(1, "BMP"), "lime") is AddResult.OTHER_LABEL
    assert [image.label for image in store.images()] == ["kiwi"]


def test_an_image_in_test_stays_there_whatever_name_it_comes_back_under(
    store: DatasetStore,
) -> None:
    add(store, picture(1), split=Split.TEST, scene="published")

    again = store.add(picture(1, "BMP"), label="kiwi", source="other", original_name="new.bmp")

    assert again.result is AddResult.DUPLICATE
    assert again.image.split == Split.TEST
    assert [image.split for image in store.images()] == [Split.TEST]


def test_a_near_identical_photo_joins_the_scene_and_split_of_the_first(
    store: DatasetStore,
) -> None:
    add(store, picture(1), split=Split.VALIDATION, scene="bin 1")

    near = store.add(picture(1, shift=3), label="kiwi", source="folders", original_name="b.png")
    far = store.add(picture(2), label="kiwi", source="folders", original_name="c.png")

    assert (near.result, near.image.scene) == (AddResult.ADDED, "bin 1")
    assert near.image.split == Split.VALIDATION
    assert far.image.scene == f"folders/{far.image.digest}"


def test_a_publishers_own_test_image_never_joins_a_training_scene(store: DatasetStore) -> None:
    add(store, picture(1), split=Split.TRAIN, scene="bin 1")

    kept = store.add(
        picture(1, shift=3),
        label="kiwi",
        source="folders",
        original_name="b.png",
        split=Split.TEST,
        scene="bin 2",
    )

    assert (kept.image.split, kept.image.scene) == (Split.TEST, "bin 2")


@pytest.mark.parametrize(
    ("content", "label", "error"),
    [(b"text", "kiwi", InvalidImage), (picture(1), "a/b", InvalidLabel)],
)
def test_a_refused_image_leaves_nothing_behind(
    store: DatasetStore, content: bytes, label: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        add(store, content, label)

    assert store.images() == []
    assert [path for path in store.images_dir.rglob("*") if path.is_file()] == []


def test_nothing_of_a_failed_batch_stays(store: DatasetStore) -> None:
    def break_off() -> None:
        with store.batch() as batch:
            batch.add(picture(1), label="kiwi", source="folders", original_name="1.png")
            raise RuntimeError("pulled the plug")

    with pytest.raises(RuntimeError, match="pulled the plug"):
        break_off()

    assert store.images() == []
    assert [path for path in store.images_dir.rglob("*") if path.is_file()] == []


def test_the_index_survives_a_restart(store: DatasetStore, tmp_path: Path) -> None:
    add(store, picture(1), split=Split.TRAIN)
    store.close()

    assert DatasetStore(tmp_path / "store").counts() == {("folders", "kiwi", Split.TRAIN): 1}


def test_snapshot_lists_every_image_with_a_path_that_exists(store: DatasetStore) -> None:
    for seed in range(3):
        add(store, picture(seed))

    snapshot = store.snapshot()

    assert len(snapshot.images) == 3
    assert all((snapshot.root / image.path).is_file() for image in snapshot.images)


def test_a_rehearsal_says_the_same_and_keeps_nothing(store: DatasetStore) -> None:
    details = {"label": "kiwi", "source": "uploads", "original_name": "a.png"}
    with store.batch(keep=False) as batch:
        rehearsed = [batch.add(c, **details).result for c in (picture(1), picture(1), picture(2))]

    assert rehearsed == [AddResult.ADDED, AddResult.DUPLICATE, AddResult.ADDED]
    assert store.images() == []
    assert [p for p in store.images_dir.rglob("*") if p.is_file()] == []
    assert add(store, picture(1)) is AddResult.ADDED


def test_a_test_image_is_refused_under_any_name_quality_or_label(store: DatasetStore) -> None:
    add(store, picture(1, "PNG"), split=Split.TEST)
    details = {"source": "uploads", "original_name": "mine.jpg", "guards_test": True}

    same = store.add(picture(1, "BMP"), label="lime", relabels=True, **details)
    saved_again = store.add(picture(1, "JPEG", quality=80), label="kiwi", **details)

    assert same.result is saved_again.result is AddResult.IS_TEST
    assert [i.label for i in store.images()] == ["kiwi"]


def ball(colour: tuple[int, int, int], side_px: int = 120, **options: object) -> bytes:
    """A round fruit on white."""
    image = Image.new("RGB", (240, 240), "white")
    ImageDraw.Draw(image).ellipse((30, 40, 210, 220), fill=colour)
    buffer = io.BytesIO()
    image.resize((side_px, side_px)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def test_another_fruit_of_the_same_form_is_no_test_image(store: DatasetStore) -> None:
    add(store, ball((200, 30, 40)), split=Split.TEST)
    details = {"label": "orange", "source": "uploads", "original_name": "b.jpg"}

    other = store.add(ball((240, 150, 30)), guards_test=True, **details)
    saved_again = store.add(ball((200, 30, 40), 60, quality=90), guards_test=True, **details)

    orange, apple = store.images()
    bits = int(apple.difference_hash, 16) ^ int(orange.difference_hash, 16)
    assert bits.bit_count() <= NEAR_DISTANCE_BITS
    assert (other.result, other.near) == (AddResult.ADDED, None)
    assert saved_again.result is AddResult.IS_TEST


@pytest.mark.parametrize(("by_form", "scenes"), [(False, 2), (True, 1)])
def test_fruit_of_one_form_is_one_scene_only_where_the_form_alone_tells(
    store: DatasetStore, by_form: bool, scenes: int
) -> None:
    red, yellow = (200, 30, 40), (240, 150, 30)
    for content in (ball(red), ball(yellow), ball(red, 60, quality=90)):
        store.add(
            content, label="apple", source="uploads", original_name="a.jpg", joins_by_form=by_form
        )

    assert len({image.scene for image in store.images()}) == scenes


def test_a_near_picture_whose_file_is_gone_is_passed_over(store: DatasetStore) -> None:
    gone = store.add(ball((200, 30, 40)), label="apple", source="shop", original_name="a.jpg").image
    (store.images_dir / gone.path).unlink()

    again = store.add(
        ball((200, 30, 40), 60), label="apple", source="uploads", original_name="b.jpg",
        guards_test=True,
    )  # fmt: skip

    assert (again.result, again.near) == (AddResult.ADDED, None)


def test_nearly_the_same_picture_is_added_and_told_of(store: DatasetStore) -> None:
    first = store.add(
        picture(1, "PNG"), label="kiwi", source="uploads", original_name="1.png", split=Split.TRAIN
    )

    again = store.add(
        picture(1, "JPEG", quality=80),
        label="kiwi", source="uploads", original_name="2.jpg", guards_test=True,
    )  # fmt: skip

    assert again.result is AddResult.ADDED
    assert again.near == first.image
    assert (again.image.scene, again.image.split) == (first.image.scene, Split.TRAIN)


def test_relabels_what_is_there_under_another_label_only_where_asked(store: DatasetStore) -> None:
    add(store, picture(1), "none of these")

    assert add(store, picture(1), "kiwi") is AddResult.OTHER_LABEL
    assert add(store, picture(1), "kiwi", relabels=True) is AddResult.RELABELLED
    assert [i.label for i in store.images()] == ["kiwi"]


def test_removed_images_come_back_as_they_were(store: DatasetStore) -> None:
    for seed in (1, 2):
        add(store, picture(seed))
    before = store.images()

    assert store.remove([before[0].digest]) == 1
    assert store.images() == before[1:]
    assert store.removed() == before[:1]
    assert store.restore([before[0].digest]) == 1
    assert store.images() == before
    assert store.read(before[0])
    assert store.removed() == []


def test_a_rehearsal_of_a_removed_image_leaves_its_file(store: DatasetStore) -> None:
    add(store, picture(1))
    (image,) = store.images()
    store.remove([image.digest])

    with store.batch(keep=False) as batch:
        batch.add(
            picture(1), label="kiwi", source="uploads", original_name="a.png", joins_scenes=False
        )

    assert store.restore([image.digest]) == 1
    assert store.read(image) == picture(1)


def test_nearly_the_same_photos_of_ones_own_are_of_one_split(store: DatasetStore) -> None:
    """Also those of which the digest alone would say another."""
    for shift in range(20):
        store.add(
            picture(1, shift=shift), label="kiwi", source="uploads", original_name="a.png",
            guards_test=True,
        )  # fmt: skip

    assert len({i.split for i in store.images()}) == 1
    assert len({i.scene for i in store.images()}) == 1


def test_a_photo_that_another_process_adds_meanwhile_keeps_its_file(tmp_path: Path) -> None:
    first, second = DatasetStore(tmp_path), DatasetStore(tmp_path)
    found: list[AddResult] = []
    with first.batch() as batch:
        batch.add(picture(1), label="kiwi", source="folders", original_name="a.png")
        other = threading.Thread(target=lambda: found.append(add(second, picture(1))))
        other.start()
        time.sleep(0.1)  # it waits
    other.join()

    assert found == [AddResult.DUPLICATE]
    (image,) = first.images()
    assert first.read(image) == picture(1)
    first.close()
    second.close()


def test_restoring_what_was_added_again_keeps_one(store: DatasetStore) -> None:
    add(store, picture(1))
    digest = store.images()[0].digest
    store.remove([digest])
    add(store, picture(1), "lime")

    assert store.restore([digest]) == 0
    assert [i.label for i in store.images()] == ["lime"]


def test_undo_keeps_hold_of_what_it_cannot_put_back(store: DatasetStore) -> None:
    """Its pixels are there again in another file; its own file can still be deleted for good."""
    add(store, picture(1))
    (first,) = store.images()
    store.remove([first.digest])
    assert add(store, picture(1, "BMP")) is AddResult.ADDED

    assert store.restore([first.digest]) == 0

    assert [i.digest for i in store.removed()] == [first.digest]
    assert store.erase_removed() == 1
    assert not (store.images_dir / first.path).exists()
    assert len(store.images()) == 1


def test_an_interrupt_right_after_the_commit_keeps_the_files(
    store: DatasetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    @event.listens_for(store._engine, "commit")
    def interrupt(connection: Connection) -> None:
        connection.connection.driver_connection.commit()
        event.remove(store._engine, "commit", interrupt)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add(store, picture(1))

    (image,) = store.images()
    assert store.read(image) == picture(1)


def test_a_test_image_is_guarded_also_where_another_photo_is_nearer(store: DatasetStore) -> None:
    for shift, split in ((0, Split.TRAIN), (1, Split.TEST)):
        store.add(
            picture(1, shift=shift), label="kiwi", source="shop", original_name="a.png",
            split=split, joins_scenes=False,
        )  # fmt: skip

    again = store.add(
        picture(1, shift=2), label="kiwi", source="uploads", original_name="b.png",
        guards_test=True,
    )  # fmt: skip

    assert again.result is AddResult.IS_TEST


def test_removed_images_are_deleted_for_good_with_their_files(store: DatasetStore) -> None:
    for seed in (1, 2, 3):
        add(store, picture(seed))
    kept, again, gone = store.images()
    store.remove([again.digest, gone.digest])
    with store.batch() as batch:
        batch.add(store.read(again), label="lime", source="uploads", original_name="b.png")
    in_all = sum(image.size_bytes for image in (kept, again, gone))
    assert store.removed_size() == (2, gone.size_bytes)
    assert store.size_bytes() == in_all

    assert store.erase_removed() == 2

    assert store.removed() == []
    assert store.removed_size() == (0, 0)
    assert store.size_bytes() == in_all - gone.size_bytes
    assert store.restore([gone.digest]) == 0
    assert not (store.images_dir / gone.path).exists()
    assert {i.digest: i.label for i in store.images()} == {
        kept.digest: "kiwi",
        again.digest: "lime",
    }
    assert all(store.read(image) for image in store.images())


def test_a_lost_index_does_not_bring_back_what_was_deleted_for_good(tmp_path: Path) -> None:
    store = DatasetStore(tmp_path)
    for seed in (1, 2):
        add(store, picture(seed))
    gone, kept = store.images()
    store.remove([gone.digest])
    store.erase_removed()
    store.close()
    (tmp_path / "index.db").unlink()

    store = DatasetStore(tmp_path)

    assert store.images() == [kept]
    assert store.removed() == []
    store.close()


def test_relabel_counts_what_changed(store: DatasetStore) -> None:
    add(store, picture(1), "kiwi")
    add(store, picture(2), "lime")

    assert store.relabel([i.digest for i in store.images()], " Lime ") == 1
    assert {i.label for i in store.images()} == {"lime"}


def test_a_page_of_images_and_how_many_there_are(store: DatasetStore) -> None:
    for seed in range(5):
        add(store, picture(seed), "kiwi" if seed else "lime")

    first, count = store.page(label="kiwi", source=None, limit=3)
    second, _ = store.page(label="kiwi", source=None, limit=3, offset=3)

    assert count == 4
    assert len(first) == 3
    assert len({i.digest for i in first + second}) == 4


def test_a_store_of_an_earlier_release_gets_the_indexes_it_lacks(tmp_path: Path) -> None:
    DatasetStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "index.db")) as connection:
        connection.execute("DROP INDEX ix_images_kind")
    DatasetStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "index.db")) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT source, label, split, count(*) FROM images GROUP BY 1, 2, 3"
        ).fetchall()
    assert "COVERING INDEX ix_images_kind" in str(plan)


def test_a_page_begins_with_what_came_last(store: DatasetStore) -> None:
    for seed in range(3):
        store.add(picture(seed), label="apple", source="uploads", original_name=str(seed))
    found, count = store.page(label="apple", source="uploads", limit=2)
    assert ([image.original_name for image in found], count) == (["2", "1"], 3)


def filled(folder: Path) -> DatasetStore:
    """Return a store in which everything that can become of an image became of one."""
    store = DatasetStore(folder)
    for seed, label in enumerate(("kiwi", "kiwi", "lime", "lime")):
        store.add(picture(seed), label=label, source="uploads", original_name=f"{seed}.png")
    by_name = {image.original_name: image.digest for image in store.images()}
    store.relabel([by_name["0.png"]], "lemon")
    store.remove([by_name["1.png"], by_name["2.png"]])
    store.restore([by_name["2.png"]])
    return store


def what_is_there(store: DatasetStore) -> tuple[list[StoredImage], list[StoredImage]]:
    def named(images: Sequence[StoredImage]) -> list[StoredImage]:
        return sorted(images, key=lambda image: image.original_name)

    return named(store.images()), named(store.removed())


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"", None])
def test_a_lost_index_is_made_anew_from_the_journal(
    tmp_path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    store = filled(tmp_path)
    before = what_is_there(store)
    store.close()
    for path in tmp_path.glob("index.db*"):
        path.unlink()
    if damage is not None:
        (tmp_path / "index.db").write_bytes(damage)

    again = DatasetStore(tmp_path)

    assert what_is_there(again) == before
    assert [len(part) for part in before] == [3, 1]
    assert "the index of the photos was lost" in caplog.text
    aside = list(tmp_path.glob("index.db.damaged-*"))
    assert [path.read_bytes() for path in aside] == ([damage] if damage else [])
    again.close()


def test_what_was_undone_does_not_come_back(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with store.batch(keep=False) as batch:
        batch.add(picture(9), label="kiwi", source="uploads", original_name="9.png")
    before = what_is_there(store)
    store.close()
    with (tmp_path / "index.jsonl").open("a") as journal:
        journal.write('{"digest": "half a li')
    (tmp_path / "index.db").unlink()

    again = DatasetStore(tmp_path)
    assert what_is_there(again) == before
    again.add(picture(7), label="kiwi", source="uploads", original_name="7.png")
    again.close()
    (tmp_path / "index.db").unlink()

    assert len(DatasetStore(tmp_path).images()) == 4


def test_a_store_of_an_earlier_release_gets_a_journal(tmp_path: Path) -> None:
    store = filled(tmp_path)
    before = what_is_there(store)
    store.close()
    (tmp_path / "index.jsonl").unlink()
    DatasetStore(tmp_path).close()
    (tmp_path / "index.db").unlink()

    assert what_is_there(DatasetStore(tmp_path)) == before


@pytest.mark.parametrize("lost", [("index.db",), ("index.db", "index.jsonl")])
def test_a_photo_that_was_removed_and_added_again_is_there_after_the_index_was_lost(
    tmp_path: Path, lost: tuple[str, ...]
) -> None:
    store = DatasetStore(tmp_path)
    for label in ("apple", "pear"):
        store.remove([image.digest for image in store.images()])
        add(store, picture(1), label)
    store.close()
    if len(lost) > 1:  # as an earlier release left it, which wrote no journal
        (tmp_path / "index.jsonl").unlink()
        DatasetStore(tmp_path).close()
    (tmp_path / "index.db").unlink()

    with closing(DatasetStore(tmp_path)) as again:
        assert [image.label for image in again.images()] == ["pear"]
        again.erase_removed()
        assert again.read(again.images()[0]) == picture(1)


def test_only_the_newest_snapshots_are_kept(tmp_path: Path) -> None:
    for seed in range(KEPT_SNAPSHOTS + 2):
        with closing(DatasetStore(tmp_path / "store")) as store:
            add(store, picture(seed))
        newest = take_snapshot(tmp_path)

    kept = list((tmp_path / "snapshots").glob("*.json"))

    assert len(kept) == KEPT_SNAPSHOTS
    assert f"{newest.digest[:16]}.json" in {path.name for path in kept}
