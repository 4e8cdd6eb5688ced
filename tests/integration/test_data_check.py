"""``python -m data check`` finds damaged and stray photos, and mends without losing any."""

import io
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import data.__main__
from data.check import check
from data.drawings import draw_fruit
from data.reviews import ReviewQueue
from data.splits import Split
from data.state import app_lock
from data.store import DatasetStore, StoredImage

HOUR_S = 3600.0
OPEN = """
import sys
from pathlib import Path
from data.store import DatasetStore

store = DatasetStore(Path(sys.argv[1]))
store.counts()
print("open", flush=True)
sys.stdin.read()
"""


def encoded(label: str, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    draw_fruit(label, 48, seed).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A store of three photos and a snapshot of them."""
    with closing(DatasetStore(tmp_path / "store")) as store:
        for label in ("apple", "banana", "mango"):
            store.add(
                encoded(label), label=label, source="grocery", original_name=f"{label}.png",
                variety=f"{label} shelf", split=Split.TRAIN, joins_scenes=False,
            )  # fmt: skip
        store.snapshot().save(tmp_path / "snapshots" / "one.json")
    return tmp_path


def photo(state: Path, label: str) -> tuple[StoredImage, Path]:
    with closing(DatasetStore(state / "store")) as store:
        (image,) = store.images(label=label)
    return image, state / "store" / "images" / image.path


def labels(state: Path) -> list[str]:
    with closing(DatasetStore(state / "store")) as store:
        return sorted(image.label for image in store.images())


def problems(state: Path, settled_s: float = 0) -> dict[str, str]:
    return {p.where: p.message for p in check(state, settled_s=settled_s).problems}


def mend(state: Path) -> None:
    for problem in check(state, settled_s=0).problems:
        assert problem.mend is not None
        problem.mend()


def aside(state: Path) -> list[str]:
    return sorted(path.name for path in (state / "store" / "set-aside").iterdir())


def forget_row(state: Path, digest: str) -> None:
    """Take a row out of the index behind the store's back, as an older copy of it would."""
    with closing(sqlite3.connect(state / "store" / "index.db")) as connection:
        connection.execute("DELETE FROM images WHERE digest = ?", (digest,))
        connection.commit()


def test_what_was_added_is_sound(state: Path) -> None:
    report = check(state)

    assert report.problems == ()
    assert report.sound == 3


def test_an_empty_state_is_sound_and_stays_empty(tmp_path: Path) -> None:
    report = check(tmp_path)

    assert (report.sound, report.problems) == (0, ())
    assert list(tmp_path.iterdir()) == []


def test_a_removed_photo_is_sound_while_its_file_is_there(state: Path) -> None:
    image, _ = photo(state, "apple")
    with closing(DatasetStore(state / "store")) as store:
        store.remove([image.digest])

    assert check(state, settled_s=0).problems == ()


def test_a_missing_file_takes_the_photo_out_and_it_cannot_be_put_back(state: Path) -> None:
    image, path = photo(state, "apple")
    path.unlink()

    found = problems(state)
    mend(state)

    where = f"store/images/{image.path}"
    assert found == {where: "The index names it, but there is no such file."}
    assert check(state).problems == ()
    assert labels(state) == ["banana", "mango"]
    with closing(DatasetStore(state / "store")) as store:
        assert store.restore([image.digest]) == 0
    assert labels(state) == ["banana", "mango"]


def test_a_damaged_file_is_set_aside_and_the_photo_taken_out(state: Path) -> None:
    image, path = photo(state, "apple")
    path.write_bytes(path.read_bytes()[:-7])

    found = problems(state)
    mend(state)

    assert "the digest differs" in found[f"store/images/{image.path}"]
    assert check(state).problems == ()
    assert aside(state) == [path.name]
    assert labels(state) == ["banana", "mango"]


def test_the_same_photo_can_be_added_again_after_its_file_was_damaged(state: Path) -> None:
    _, path = photo(state, "apple")
    path.write_bytes(b"")
    mend(state)

    with closing(DatasetStore(state / "store")) as store:
        store.add(encoded("apple"), label="apple", source="grocery", original_name="a.png")

    assert check(state).problems == ()
    assert check(state).sound == 3


def test_a_file_without_a_row_comes_back_as_the_snapshot_describes_it(state: Path) -> None:
    image, _ = photo(state, "apple")
    forget_row(state, image.digest)

    found = problems(state)
    mend(state)

    assert found == {f"store/images/{image.path}": "No index names this file."}
    back, _ = photo(state, "apple")
    assert (back.source, back.variety, back.split) == ("grocery", "apple shelf", Split.TRAIN)
    assert (back.scene, back.pixel_digest) == (image.scene, image.pixel_digest)
    assert "Marcus Klasson" in back.licence
    assert check(state).problems == ()


def test_a_file_that_nothing_describes_is_set_aside(state: Path) -> None:
    image, path = photo(state, "apple")
    content = path.read_bytes()
    forget_row(state, image.digest)
    (state / "snapshots" / "one.json").unlink()

    mend(state)

    assert labels(state) == ["banana", "mango"]
    assert (state / "store" / "set-aside" / path.name).read_bytes() == content


@pytest.mark.parametrize("lost", ["index.db*", "index.*"])
def test_all_photos_come_back_when_the_index_is_lost(state: Path, lost: str) -> None:
    """From the journal; where that is lost too, from a snapshot."""
    for path in (state / "store").glob(lost):
        path.unlink()

    found = problems(state)
    mend(state)

    assert len(found) == 3
    assert labels(state) == ["apple", "banana", "mango"]
    assert check(state).sound == 3


def test_a_file_that_may_be_in_the_middle_of_being_added_is_no_problem(state: Path) -> None:
    image, _ = photo(state, "apple")
    forget_row(state, image.digest)

    assert problems(state, settled_s=HOUR_S) == {}


def test_what_a_crash_left_half_written_is_removed(state: Path) -> None:
    _, path = photo(state, "apple")
    left = [path.parent / "tmp8x_1k2ab", state / "snapshots" / "tmpab12cd34"]
    for file in left:
        file.write_bytes(b"half")
        stamp = file.stat().st_mtime - 2 * HOUR_S
        os.utime(file, (stamp, stamp))

    found = problems(state, settled_s=HOUR_S)
    mend(state)

    assert set(found.values()) == {"A crash left it half written."}
    assert len(found) == 2
    assert not any(file.exists() for file in left)
    assert not (state / "store" / "set-aside").exists()


def test_a_damaged_snapshot_is_set_aside(state: Path) -> None:
    path = state / "snapshots" / "one.json"
    path.write_text(path.read_text().replace("apple", "melon"))

    found = problems(state)
    mend(state)

    assert "the digest does not match" in found["snapshots/one.json"]
    assert aside(state) == ["one.json"]


def test_photos_that_wait_for_review_are_checked_too(state: Path) -> None:
    with closing(ReviewQueue(state / "reviews")) as queue:
        gone, spoilt, fine = (
            queue.add(
                encoded(label), label="kiwi", answered="mango", probability=0.6,
                version="v0001", name="a.png",
            )
            for label in ("orange", "onion", "cucumber")
        )  # fmt: skip
    folder = state / "reviews"
    (folder / f"{gone.digest}.png").unlink()
    (folder / f"{spoilt.digest}.png").write_bytes(b"half a photo")
    (folder / f"{'0' * 64}.png").write_bytes(b"stray")

    found = problems(state)
    mend(state)

    assert set(found) == {f"reviews/{name}.png" for name in (gone.digest, spoilt.digest, "0" * 64)}
    assert aside(state) == sorted([f"{'0' * 64}.png", f"{spoilt.digest}.png"])
    with closing(ReviewQueue(folder)) as queue:
        assert [review.digest for review in queue.pending()] == [fine.digest]
    assert check(state, settled_s=0).problems == ()


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def test_a_damaged_index_of_the_database_is_built_again(state: Path) -> None:
    path = state / "store" / "index.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'ix_images_label'"
        (page,) = connection.execute(query).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = path.read_bytes()[(page - 1) * size : page * size]
    overwrite(path, (page - 1) * size, content.replace(b"banana", b"bananb"))

    found = problems(state)
    mend(state)

    assert "SQLite finds it damaged" in found["store/index.db"]
    assert check(state, settled_s=0).problems == ()
    assert labels(state) == ["apple", "banana", "mango"]


def test_a_database_beyond_mending_is_said_and_no_photo_is_touched(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = state / "store" / "index.db"
    overwrite(path, 0, b"no database at all, not any more" * 40)
    files = sorted((state / "store" / "images").glob("*/*"))

    status = data.__main__.main(["--state-dir", str(state), "check", "--mend"])

    shown = capsys.readouterr().out
    assert status == 1
    assert "store/index.db: SQLite finds it damaged: file is not a database" in shown
    assert "Not mended:" in shown
    assert "move it away and start again: the photos" in shown
    assert sorted((state / "store" / "images").glob("*/*")) == files
    assert not (state / "store" / "set-aside").exists()


def test_the_command_says_what_is_wrong_mends_it_and_then_says_that_all_is_well(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    image, path = photo(state, "apple")
    path.write_bytes(b"bit rot")

    def command(*arguments: str) -> tuple[int, str]:
        status = data.__main__.main(["--state-dir", str(state), "check", *arguments])
        return status, capsys.readouterr().out.strip()

    status, looked = command()
    assert status == 1
    assert f"store/images/{image.path}: Its bytes are not those that were added" in looked
    assert "To mend: It is set aside." in looked
    assert "python -m data check --mend" in looked
    assert path.exists()
    status, mended = command("--mend")
    assert status == 1
    assert "Mended: It is set aside." in mended
    assert command() == (0, "2 photos are what was added.")


def test_looking_is_allowed_while_another_process_uses_the_store_and_mending_is_not(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, path = photo(state, "apple")
    path.write_bytes(b"bit rot")
    other = subprocess.Popen(
        [sys.executable, "-c", OPEN, str(state / "store")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        looked = data.__main__.main(["--state-dir", str(state), "check"])
        refused = data.__main__.main(["--state-dir", str(state), "check", "--mend"])
    finally:
        other.communicate()

    shown = capsys.readouterr().err
    assert (looked, refused) == (1, 2)
    assert f"(process {other.pid}). Stop the app" in shown
    assert path.read_bytes() == b"bit rot"


def test_an_unknown_flag_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as ended:
        data.__main__.main(["check", "--repair"])

    assert ended.value.code == 2


def test_a_removed_photo_stays_removed_where_the_index_is_made_anew(state: Path) -> None:
    image, path = photo(state, "apple")
    with closing(DatasetStore(state / "store")) as store:
        store.remove([image.digest])
    (state / "store" / "index.db").unlink()

    mend(state)

    assert labels(state) == ["banana", "mango"]
    assert path.exists()
    with closing(DatasetStore(state / "store")) as store:
        assert store.restore([image.digest]) == 1


def test_a_store_that_an_app_of_another_container_holds_is_not_mended(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with app_lock(state):
        assert data.__main__.main(["--state-dir", str(state), "check", "--mend"]) == 2
    assert "in use by an app" in capsys.readouterr().err

    assert data.__main__.main(["--state-dir", str(state), "check", "--mend"]) == 0
