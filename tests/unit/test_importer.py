"""Imports are safe, say what they did, and change nothing the second time."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from data.archives import ArchiveLimits
from data.drawings import draw_fruit
from data.errors import InvalidArchive
from data.importer import import_archive
from data.splits import Split
from data.store import AddResult, DatasetStore


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store")


def drawn(label: str, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    draw_fruit(label, 48, seed).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_import_takes_pictures_and_lists_what_it_skips(store: DatasetStore, tmp_path: Path) -> None:
    archive = zipped(
        tmp_path / "photos.zip",
        {
            "photos/Kiwi/1.png": drawn("apple", 1),
            "photos/Kiwi/2.png": drawn("apple", 1),
            "photos/lime/3.png": drawn("mango", 2),
            "photos/lime/4.png": b"no picture",
            "photos/lime/notes.txt": b"read me",
            "photos/a<b/5.png": drawn("onion"),
            "__MACOSX/photos/Kiwi/._1.png": b"resource fork",
        },
    )

    report = import_archive(store, archive)

    assert report.results == {AddResult.ADDED: 2, AddResult.DUPLICATE: 1}
    assert {name.rpartition("/")[2]: why for name, why in report.skipped}.keys() == {
        "4.png",
        "notes.txt",
        "5.png",
    }
    assert sum(report.added.values()) == 2
    assert {image.label for image in store.images()} == {"kiwi", "lime"}


def test_importing_twice_changes_nothing(store: DatasetStore, tmp_path: Path) -> None:
    members = {f"{label}/{n}.png": drawn(label, n) for label in ("apple", "mango") for n in (1, 2)}
    archive = zipped(tmp_path / "photos.zip", members)
    import_archive(store, archive)
    before = store.images()

    report = import_archive(store, archive)

    assert report.results == {AddResult.DUPLICATE: 4}
    assert store.images() == before


def test_a_folder_imports_like_a_zip(store: DatasetStore, tmp_path: Path) -> None:
    (tmp_path / "photos" / "kiwi").mkdir(parents=True)
    (tmp_path / "photos" / "kiwi" / "1.png").write_bytes(drawn("apple"))
    (tmp_path / "photos" / "kiwi" / "link.png").symlink_to("/etc/hostname")

    report = import_archive(store, tmp_path / "photos")

    assert report.results == {AddResult.ADDED: 1}
    assert report.skipped == [("kiwi/link.png", "it is a link, not a file")]


def test_names_of_any_bytes_are_imported_and_said(store: DatasetStore, tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "kiwi"
    folder.mkdir(parents=True)
    (folder / os.fsdecode(b"\xe4pfel.png")).write_bytes(drawn("apple"))
    (folder / os.fsdecode(b"\xe4.txt")).write_bytes(b"text")

    report = import_archive(store, tmp_path / "photos")

    assert [image.original_name for image in store.images()] == ["kiwi/?pfel.png"]
    assert report.skipped == [("kiwi/?.txt", "it is not a picture")]


def test_public_layouts_keep_the_publishers_test_split(store: DatasetStore, tmp_path: Path) -> None:
    archive = zipped(
        tmp_path / "f.zip",
        {
            "fruits-360-100x100-main/Training/Apple Red 1/0_100.jpg": drawn("apple", 1),
            "fruits-360-100x100-main/Test/Apple Red 1/1_100.jpg": drawn("apple", 2),
        },
    )

    report = import_archive(store, archive)

    assert report.source.name == "fruits-360"
    assert report.added == {("apple", Split.TRAIN): 1, ("apple", Split.TEST): 1}
    assert store.images()[0].licence.startswith("CC BY-SA 4.0")


@pytest.mark.parametrize(
    "name", ["../../evil/1.png", "/etc/1.png", "C:\\x\\1.png", "a/../../b/1.png"]
)
def test_names_that_point_outside_are_skipped_and_nothing_leaves_the_store(
    store: DatasetStore, tmp_path: Path, name: str
) -> None:
    archive = zipped(tmp_path / "e.zip", {name: drawn("apple"), "kiwi/1.png": drawn("mango")})
    outside = sorted(path for path in tmp_path.rglob("*") if "store" not in path.parts)

    report = import_archive(store, archive)

    assert report.skipped == [(name, "its name points outside the archive")]
    assert sorted(p for p in tmp_path.rglob("*") if "store" not in p.parts) == outside


def test_a_link_and_an_encrypted_member_are_skipped(store: DatasetStore, tmp_path: Path) -> None:
    path = zipped(tmp_path / "l.zip", {"kiwi/ok.png": drawn("apple")})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("kiwi/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("kiwi/secret.png", drawn("mango"))
        archive.infolist()[-1].flag_bits |= 0x1  # written into the central directory on close

    report = import_archive(store, path)

    assert [why.partition(";")[0] for _, why in sorted(report.skipped)] == [
        "it is a link, not a file",
        "it is encrypted",
    ]


def test_a_member_that_inflates_beyond_the_limit_is_skipped(
    store: DatasetStore, tmp_path: Path
) -> None:
    path = zipped(
        tmp_path / "bomb.zip", {"kiwi/big.png": b"\0" * 5_000_000, "kiwi/1.png": drawn("apple")}
    )

    report = import_archive(store, path, limits=ArchiveLimits(max_member_bytes=1_000_000))

    assert report.skipped == [("kiwi/big.png", "it has more than 1,000,000 bytes, the limit")]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ArchiveLimits(max_entries=1), "the limit is 1"),
        (ArchiveLimits(max_total_bytes=100), "inflates to more than 100 bytes"),
    ],
)
def test_an_archive_beyond_the_limits_is_refused(
    store: DatasetStore, tmp_path: Path, limits: ArchiveLimits, words: str
) -> None:
    path = zipped(tmp_path / "p.zip", {f"kiwi/{n}.png": drawn("apple", n) for n in range(2)})

    with pytest.raises(InvalidArchive, match=words):
        import_archive(store, path, limits=limits)


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 cut off"])
def test_what_is_no_archive_is_refused(store: DatasetStore, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)

    with pytest.raises(InvalidArchive, match=r"x\.zip is not a complete zip"):
        import_archive(store, tmp_path / "x.zip")


def test_an_archive_without_pictures_is_refused_with_an_example(
    store: DatasetStore, tmp_path: Path
) -> None:
    path = zipped(tmp_path / "t.zip", {"a/readme.txt": b"hello"})

    with pytest.raises(InvalidArchive, match=r"'a/readme.txt': it is not a picture"):
        import_archive(store, path)


def test_names_that_macos_zips_without_the_utf8_flag_are_read_rightly(
    store: DatasetStore, tmp_path: Path
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for folder in ("Äpfel", "りんご", "Kirschen"):
            archive.writestr(f"{folder}/{len(folder)}.png", drawn("apple", len(folder)))
    content = path.read_bytes()
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # APPNOTE 4.3.7 and 4.3.12
        parts = content.split(mark)
        flagless = [part[: at - 4] + b"\0\0" + part[at - 2 :] for part in parts[1:]]
        content = mark.join([parts[0], *flagless])
    path.write_bytes(content)

    report = import_archive(store, path)

    assert report.skipped == []
    assert {label for label, _ in report.added} == {"äpfel", "りんご", "kirschen"}


def test_a_folder_that_is_linked_or_closed_is_not_left_out_in_silence(
    store: DatasetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    (photos / "kiwi").mkdir(parents=True)
    (photos / "kiwi" / "1.png").write_bytes(drawn("apple"))
    (photos / "lime").symlink_to(photos / "kiwi")

    with pytest.raises(InvalidArchive, match="lime is a link"):
        import_archive(store, photos)
    (photos / "lime").unlink()

    def closed(path: str) -> object:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", closed)  # root may read any folder
    with pytest.raises(InvalidArchive, match=r"photos cannot be read \(Permission denied\)"):
        import_archive(store, photos)


def test_names_that_would_drive_a_terminal_are_made_harmless(
    store: DatasetStore, tmp_path: Path
) -> None:
    path = zipped(tmp_path / "a.zip", {"a/1.png": drawn("apple"), "a/\x1b]0;x\x07.txt": b"x"})

    assert import_archive(store, path).skipped[0][0] == "a/?]0;x?.txt"
