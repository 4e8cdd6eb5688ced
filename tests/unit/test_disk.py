"""How much of the disk has to stay free."""

import shutil
from pathlib import Path

import pytest

from app.disk import require_room
from app.errors import NotStored


@pytest.fixture
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    total, free = request.param
    usage = shutil._ntuple_diskusage(total, total - free, free)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)


@pytest.mark.parametrize("disk", [(100_000_000, 1_500_000), (10_000_000, 1_000_000)], indirect=True)
@pytest.mark.usefixtures("disk")
def test_what_leaves_just_enough_has_room(tmp_path: Path) -> None:
    require_room(500_000, tmp_path, 1_000_000)


@pytest.mark.parametrize("disk", [(100_000_000, 1_499_999)], indirect=True)
@pytest.mark.usefixtures("disk")
def test_what_leaves_less_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotStored, match="only 1 MB are free"):
        require_room(500_000, tmp_path, 1_000_000)


@pytest.mark.parametrize("disk", [(100_000_000, 9_000_000)], indirect=True)
@pytest.mark.usefixtures("disk")
def test_a_file_that_has_a_name_is_told_with_its_size(tmp_path: Path) -> None:
    with pytest.raises(NotStored, match="the zip takes 7 MB, and 9 MB are free"):
        require_room(7_000_000, tmp_path, 3_000_000, what="the zip")


@pytest.mark.parametrize("disk", [(10_000_000, 999_999)], indirect=True)
@pytest.mark.usefixtures("disk")
def test_of_a_small_disk_a_twentieth_stays_free(tmp_path: Path) -> None:
    with pytest.raises(NotStored):
        require_room(500_000, tmp_path, 1_000_000)
