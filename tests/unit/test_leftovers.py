"""Half uploads, and those of a server that was killed, do not stay."""

from pathlib import Path

import pytest

from app.leftovers import begin_upload, discard_uploads, half_uploads_deleted
from tests.conftest import wait_until


def test_what_did_not_become_an_upload_is_deleted(tmp_path: Path) -> None:
    with half_uploads_deleted():
        for _ in range(2):
            with begin_upload(dir=tmp_path, delete=False) as file:
                file.write(b"half of a photo")
        Path(file.name).rename(tmp_path / "photo.jpg")

    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_it_is_deleted_where_the_request_fails(tmp_path: Path) -> None:
    def upload() -> None:
        begin_upload(dir=tmp_path, delete=False).close()
        raise OSError("full")

    with pytest.raises(OSError, match="full"), half_uploads_deleted():
        upload()
    assert not list(tmp_path.iterdir())


def test_a_request_deletes_nothing_of_another(tmp_path: Path) -> None:
    with half_uploads_deleted():
        begin_upload(dir=tmp_path, delete=False).close()
        with half_uploads_deleted():
            pass
        assert len(list(tmp_path.iterdir())) == 1


def test_the_uploads_of_an_earlier_run_are_discarded(tmp_path: Path) -> None:
    uploads, discarded = tmp_path / "gradio", tmp_path / "discarded"
    for folder in (uploads, discarded / "of a run before that"):
        folder.mkdir(parents=True)
        (folder / "photo.jpg").write_bytes(b"photo")

    discard_uploads(uploads, discarded)
    assert not uploads.exists()
    wait_until(lambda: not discarded.exists())


def test_where_nothing_was_uploaded_nothing_is_made(tmp_path: Path) -> None:
    discard_uploads(tmp_path / "gradio", tmp_path / "discarded")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_refuses_stops_no_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gradio").mkdir()
    (tmp_path / "discarded").write_text("not a folder")

    discard_uploads(tmp_path / "gradio", tmp_path / "discarded")
    assert "are kept" in caplog.text
