"""Old uploads go, while new ones come."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gradio import route_utils

from app.cleaning import delete_old_files, delete_through_copies


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


def test_gradio_deletes_through_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_utils, "delete_files_created_by_app", None)

    delete_through_copies()

    assert route_utils.delete_files_created_by_app is delete_old_files
