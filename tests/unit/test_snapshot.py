"""A snapshot is immutable, comes back as it was written, and notices damage."""

from pathlib import Path

import pytest

from data.errors import InvalidSnapshot
from data.snapshot import Snapshot, SnapshotImage, thin
from data.splits import Split

IMAGES = (
    SnapshotImage("bb/b.png", "lime", "b" * 64, Split.TEST, "folders", ""),
    SnapshotImage("aa/a.png", "kiwi", "a" * 64, Split.TRAIN, "folders", "Kiwi 1"),
)


def test_save_and_load_give_the_same_snapshot(tmp_path: Path) -> None:
    snapshot = Snapshot.of(tmp_path, IMAGES)

    snapshot.save(tmp_path / "deep" / "s.json")

    assert Snapshot.load(tmp_path / "deep" / "s.json") == snapshot


def test_digest_ignores_order_and_root_but_not_labels(tmp_path: Path) -> None:
    snapshot = Snapshot.of(tmp_path, IMAGES)
    moved = Snapshot.of(tmp_path / "elsewhere", reversed(IMAGES))
    relabelled = Snapshot.of(
        tmp_path,
        [IMAGES[0], SnapshotImage("aa/a.png", "lime", "a" * 64, Split.TRAIN, "folders", "")],
    )

    assert snapshot.digest == moved.digest
    assert snapshot.digest != relabelled.digest


def test_select_and_counts(tmp_path: Path) -> None:
    snapshot = Snapshot.of(tmp_path, IMAGES)

    assert [image.label for image in snapshot.select(split=Split.TEST)] == ["lime"]
    assert snapshot.select(source="grocery") == ()
    assert snapshot.counts()["folders", "kiwi", Split.TRAIN] == 1


@pytest.mark.parametrize("damage", [("lime", "kiwi"), ('"format": 1', '"format": 9'), ("{", "")])
def test_load_refuses_a_damaged_file(tmp_path: Path, damage: tuple[str, str]) -> None:
    path = tmp_path / "s.json"
    Snapshot.of(tmp_path, IMAGES).save(path)
    path.write_text(path.read_text().replace(*damage, 1))

    with pytest.raises(InvalidSnapshot, match=r"s\.json is not a snapshot"):
        Snapshot.load(path)


def test_thin_keeps_so_many_of_each_variety_and_all_without_one() -> None:
    images = [
        SnapshotImage(f"{n}.png", "kiwi", f"{n}" * 64, Split.TRAIN, "films", variety)
        for n, variety in enumerate(["Kiwi 1", "Kiwi 1", "Kiwi 2", "Kiwi 1", "", "", ""])
    ]

    kept = [image.path for image in thin(images, 2)]

    assert kept == ["0.png", "1.png", "2.png", "4.png", "5.png", "6.png"]
    assert thin(images, 0) == tuple(images)
