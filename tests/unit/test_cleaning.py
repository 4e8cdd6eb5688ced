"""Old uploads go, while new ones come."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gradio import components, route_utils
from gradio.data_classes import FileData

from app.cleaning import clean_up_well, delete_old_files
from app.leftovers import begin_upload


def page(*names: Path) -> Any:
    return SimpleNamespace(blocks={}, temp_file_sets=[{str(name) for name in names}])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{number}.jpg" for number in range(3)]
    for file in found:
        file.write_bytes(b"photo")
    return found


def test_old_files_go_with_their_names_and_new_ones_stay(files: list[Path]) -> None:
    blocks = page(*files)

    delete_old_files(blocks, 3600)
    assert all(file.exists() for file in files)
    assert len(blocks.temp_file_sets[0]) == 3

    delete_old_files(blocks, None)
    assert not any(file.exists() for file in files)
    assert blocks.temp_file_sets == [set()]


def test_old_files_go_with_their_folders_and_from_all_sets_of_names(tmp_path: Path) -> None:
    """An upload is in the set of uploads and in that of the component that it is given to."""
    old, beside, kept = (tmp_path / name for name in ("a/old.jpg", "b/old.jpg", "b/kept.jpg"))
    for file in (old, beside, kept):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"photo")
    blocks = page(old, beside)
    blocks.temp_file_sets.append({str(old)})

    delete_old_files(blocks, None)

    assert blocks.temp_file_sets == [set(), set()]
    assert sorted(tmp_path.rglob("*")) == [kept.parent, kept]


def test_an_upload_that_arrives_meanwhile_stops_nothing(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = page(*files)
    remove = os.remove

    def remove_while_another_arrives(name: str) -> None:
        remove(name)
        blocks.temp_file_sets[0].add(f"{name} and another")

    monkeypatch.setattr(os, "remove", remove_while_another_arrives)
    delete_old_files(blocks, None)

    assert not any(file.exists() for file in files)
    assert blocks.temp_file_sets == [{f"{file} and another" for file in files}]


def test_gradio_cleans_up_that_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_utils, "delete_files_created_by_app", None)
    monkeypatch.setattr(route_utils, "NamedTemporaryFile", None)
    monkeypatch.setattr(components.file, "tempfile", None)

    clean_up_well()

    assert route_utils.delete_files_created_by_app is delete_old_files
    assert route_utils.NamedTemporaryFile is begin_upload


def test_a_file_that_is_handed_to_a_handler_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    clean_up_well()
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"photo")

    given = components.File(type="filepath").preprocess(FileData(path=str(photo)))

    assert given == str(photo)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [photo]
