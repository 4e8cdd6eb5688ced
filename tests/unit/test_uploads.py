"""Paths to named images: files, zips, folders, and what is refused."""

import io
import zipfile
from pathlib import Path

import pytest

from app.errors import TooManyFiles
from app.results import ImageFile, Refusal
from app.settings import Settings
from app.uploads import read_images, unpack

SETTINGS = Settings(max_file_bytes=100, max_files=3)


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_files_zip_and_folder_give_named_images(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(b"1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "three.jpg").write_bytes(b"3")
    members = {"a/two.jpg": b"2", "__MACOSX/a/._two.jpg": b"x", "a/.DS_Store": b"x"}
    archive = write_zip(tmp_path / "some.zip", members)

    found = read_images([tmp_path / "one.jpg", archive, tmp_path / "folder"], SETTINGS, "id")

    assert found == [
        ImageFile("one.jpg", b"1"),
        ImageFile("a/two.jpg", b"2"),
        ImageFile("three.jpg", b"3"),
    ]


def test_what_cannot_be_read_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "big.jpg").write_bytes(b"x" * 101)
    (tmp_path / "fine.jpg").write_bytes(b"1")

    found = read_images([tmp_path / n for n in ("gone.jpg", "big.jpg", "fine.jpg")], SETTINGS, "id")

    assert [type(item) for item in found] == [Refusal, Refusal, ImageFile]
    assert isinstance(found[1], Refusal)
    assert "big.jpg has 101 bytes; the limit is 100" in found[1].error["message"]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "holds no files"),
        ({f"{n}.jpg": b"1" for n in range(4)}, "holds 4 files; the limit is 3"),
        ({f"{n}.jpg": b"1" for n in range(9)}, "holds 9 files or more; the limit is 6"),
    ],
)
def test_unfit_zip_is_one_refusal(tmp_path: Path, members: dict[str, bytes], reason: str) -> None:
    found = read_images([write_zip(tmp_path / "a.zip", members)], SETTINGS, "id")

    assert len(found) == 1
    assert isinstance(found[0], Refusal)
    assert reason in found[0].error["message"]


def test_file_named_zip_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip")

    (found,) = read_images([tmp_path / "a.zip"], SETTINGS, "id")

    assert isinstance(found, Refusal)
    assert found.error["type"] == "InvalidArchive"


def test_large_member_is_refused_by_name(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"big.jpg": b"x" * 101, "ok.jpg": b"1"})

    found = read_images([archive], SETTINGS, "id")

    assert [item.name for item in found] == ["big.jpg", "ok.jpg"]
    assert isinstance(found[0], Refusal)


def test_more_files_than_allowed_together_is_too_many(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.jpg" for n in range(4)]
    for path in paths:
        path.write_bytes(b"1")

    with pytest.raises(TooManyFiles, match="the limit is 3"):
        read_images(paths, SETTINGS, "id")


def test_several_zips_share_the_limits_of_one_request() -> None:
    zips = [ImageFile(f"{n}.zip", zip_of({f"{n}-{m}.jpg": b"1" for m in range(3)})) for n in (1, 2)]

    with pytest.raises(TooManyFiles):
        unpack(zips, SETTINGS, "id")
    assert len(unpack(zips[:1], SETTINGS, "id")) == 3


def test_a_broken_zip_is_named_as_it_was_sent() -> None:
    (found,) = unpack([ImageFile("my holiday.zip", b"PK\x03\x04 and no more")], SETTINGS, "id")

    assert isinstance(found, Refusal)
    assert found.name == "my holiday.zip"
    assert found.error["message"].startswith("my holiday.zip is not a complete zip file")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.ZIP", b"no zip", "a.ZIP is not a complete zip file"),
        ("some", b"PK\x03\x04 and no more", "some is not a complete zip file"),
        ("none", b"PK\x05\x06" + bytes(18), "none holds no files"),
    ],
)
def test_a_zip_is_told_by_its_name_or_its_first_bytes_wherever_it_comes_from(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)

    (dropped,) = read_images([tmp_path / name], SETTINGS, "id")
    (sent,) = unpack([ImageFile(name, content)], SETTINGS, "id")

    assert dropped == sent
    assert isinstance(sent, Refusal)
    assert sent.error["message"].startswith(words)


def test_a_zip_without_suffix_gives_its_photos(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "photos", {"a/1.jpg": b"1"})

    assert read_images([path], SETTINGS, "id") == [ImageFile("a/1.jpg", b"1")]
    assert unpack([ImageFile("photos", path.read_bytes())], SETTINGS, "id") == [
        ImageFile("a/1.jpg", b"1")
    ]


def test_members_whose_names_lead_outside_are_refused(tmp_path: Path) -> None:
    members = {"../up.jpg": b"1", "/root.jpg": b"1", "in.jpg": b"1"}

    found = read_images([write_zip(tmp_path / "a.zip", members)], SETTINGS, "id")

    assert {item.name: type(item) for item in found} == {
        "../up.jpg": Refusal,
        "/root.jpg": Refusal,
        "in.jpg": ImageFile,
    }


def test_backslashes_part_folders_as_slashes_do(tmp_path: Path) -> None:
    # As the Compress-Archive of Windows writes them.
    members = {
        "apple\\1.jpg": b"1", "set\\kiwi\\2.jpg": b"2", "set\\.hidden": b"x",
        "__MACOSX\\._1.jpg": b"x",
    }  # fmt: skip

    found = read_images([write_zip(tmp_path / "a.zip", members)], SETTINGS, "id")

    assert found == [ImageFile("apple/1.jpg", b"1"), ImageFile("set/kiwi/2.jpg", b"2")]


def test_backslashes_do_not_lead_outside(tmp_path: Path) -> None:
    members = {"..\\up.jpg": b"1", "C:\\Windows\\a.jpg": b"1", "a\\..\\..\\b.jpg": b"1"}

    found = read_images([write_zip(tmp_path / "a.zip", members)], SETTINGS, "id")

    assert [type(item) for item in found] == [Refusal] * 3


def test_a_member_that_is_refused_is_named_by_its_folder_too(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"apple\\big.jpg": b"x" * 101})

    (found,) = read_images([archive], SETTINGS, "id")

    assert isinstance(found, Refusal)
    assert found.name == "apple/big.jpg"
    assert found.error["message"].startswith("apple/big.jpg was skipped: it has more than 100")


def test_a_file_that_cannot_be_read_is_told_without_its_folder(tmp_path: Path) -> None:
    (found,) = read_images([tmp_path / "gone.jpg"], SETTINGS, "id")

    assert isinstance(found, Refusal)
    assert found.error["message"] == "gone.jpg cannot be read: No such file or directory."


def zip_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()
