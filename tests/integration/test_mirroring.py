"""Restoring and following, with the real client of the Hub and a Hub on loopback that fails."""

import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import huggingface_hub
import pytest

from app.errors import HubChanged, HubError, HubRefused, StateElsewhere
from app.hub import HubRepository, limit_waiting
from app.mirror import MirrorState, PartStatus
from app.mirrored import Photos, Versions
from app.mirroring import RepositoryMirror
from data.store import DatasetStore, StoredImage
from models.registry import ModelRegistry
from tests.conftest import colour_model, encode, publish, wait_until
from tests.hub_server import DROP, DROP_AFTER, READER, TOKEN, HubServer, running_hub

# The library uploads files in a way that its own HTTP client calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


@cache
def picture(label: str) -> bytes:
    return encode(label, side_px=40)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with running_hub() as hub:
        yield hub
    huggingface_hub.close_session()


class Disk:
    """A state folder, its store and registry, and their mirrors."""

    def __init__(self, folder: Path, hub: HubServer, token: str = TOKEN) -> None:
        self.folder = folder
        self.told: list[PartStatus] = []
        where = (token, hub.url)
        self.photos = RepositoryMirror(
            Photos(folder), HubRepository("orchard/photos", "dataset", *where),
            folder / "mirror", self.told.append, back_off_s=0.05, patience_s=0.0,
        )  # fmt: skip
        self.versions = RepositoryMirror(
            Versions(folder), HubRepository("orchard/models", "model", *where),
            folder / "mirror", self.told.append, back_off_s=0.05, patience_s=0.0,
        )  # fmt: skip
        self._store: DatasetStore | None = None

    @property
    def store(self) -> DatasetStore:
        """Opened when it is first asked for, as the app does after the restore."""
        self._store = self._store or DatasetStore(self.folder / "store")
        return self._store

    def add(self, label: str, drawn: str = "") -> StoredImage:
        content = picture(drawn or label)
        name = f"{label}.png"
        return self.store.add(content, label=label, source="uploads", original_name=name).image


@pytest.fixture
def first(tmp_path: Path, hub: HubServer) -> Disk:
    """A disk with two photos, which were mirrored."""
    disk = Disk(tmp_path / "first", hub)
    disk.add("apple")
    disk.add("banana")
    disk.photos.push()
    return disk


@pytest.fixture
def second(tmp_path: Path, hub: HubServer) -> Disk:
    """An empty disk."""
    return Disk(tmp_path / "second", hub)


def paths(hub: HubServer) -> set[str]:
    return {path.split("/")[0] for path in hub.dataset().files}


def test_repository_is_made_for_its_owner_alone_and_gets_one_commit(
    first: Disk, hub: HubServer
) -> None:
    assert hub.dataset().private
    assert len(hub.dataset().commits) == 2  # the Hub's own, and this one
    assert first.photos.status.private
    assert paths(hub) >= {".gitattributes", "README.md", "index.db", "mirror.json"}


def test_repository_that_its_owner_makes_public_is_noticed_although_nothing_changes(
    first: Disk, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.mirroring.POLL_S", 0.02)
    monkeypatch.setattr(first.photos, "_look_every_s", 0.0)
    closing = threading.Event()
    thread = threading.Thread(target=first.photos.follow, args=(closing,))
    thread.start()

    hub.fail("GET", "/api/datasets/", 500)  # a look that fails is passed over
    hub.dataset().private = False
    try:
        wait_until(lambda: first.photos.status.private is False)
    finally:
        closing.set()
        thread.join()

    assert first.told[-1].private is False
    assert {status.state for status in first.told} == {MirrorState.MIRRORED}
    assert len(hub.dataset().commits) == 2


def test_nothing_is_committed_where_nothing_changed(first: Disk, hub: HubServer) -> None:
    first.photos.push()

    assert len(hub.dataset().commits) == 2


def test_empty_disk_gets_labels_removals_and_order_back(first: Disk, second: Disk) -> None:
    apple, banana = first.store.images(label="apple")[0], first.store.images(label="banana")[0]
    first.store.relabel([apple.digest], "kiwi")
    first.store.remove([banana.digest])
    first.photos.push()

    assert second.photos.restore()

    assert second.store.images() == first.store.images()
    assert [image.label for image in second.store.images()] == ["kiwi"]
    assert second.store.removed() == first.store.removed() == [banana]
    assert second.photos.status.restored == 1
    assert second.store.restore([banana.digest]) == 1
    assert second.store.read(second.store.images(label="banana")[0]) == picture("banana")


def test_what_was_deleted_for_good_is_no_longer_in_the_repository(
    first: Disk, second: Disk, hub: HubServer
) -> None:
    (banana,) = first.store.images(label="banana")
    first.store.remove([banana.digest])
    first.photos.push()
    assert any(banana.digest in path for path in hub.dataset().files)

    first.store.erase_removed()
    first.photos.push()

    assert not any(banana.digest in path for path in hub.dataset().files)
    assert second.photos.restore()
    assert second.store.removed() == []


def test_restored_disk_goes_on_mirroring(first: Disk, second: Disk, hub: HubServer) -> None:
    second.photos.restore()
    second.photos.push()
    assert len(hub.dataset().commits) == 2  # there was nothing to write

    second.add("mango")
    second.photos.push()

    assert len(hub.dataset().commits) == 3
    assert sum(path.endswith(".png") for path in hub.dataset().files) == 3


def test_disk_whose_index_was_lost_or_damaged_is_not_restored(first: Disk, second: Disk) -> None:
    """It is made anew from its journal when the store is opened."""
    second.add("mango")
    second.store.close()
    index = second.folder / "store" / "index.db"

    index.write_bytes(b"garbage")
    assert not second.photos.restore()
    index.unlink()
    assert not second.photos.restore()

    assert [i.label for i in DatasetStore(second.folder / "store").images()] == ["mango"]


def test_photo_that_was_damaged_and_set_aside_does_not_hold_the_others_up(
    first: Disk, hub: HubServer
) -> None:
    apple = first.store.images(label="apple")[0]
    first.store.remove([apple.digest])
    (first.folder / "store" / "images" / apple.path).unlink()
    first.add("mango")

    first.photos.push()

    assert sum(path.endswith(".png") for path in hub.dataset().files) == 2


def test_disk_that_holds_photos_is_not_restored(first: Disk, second: Disk) -> None:
    second.add("mango")

    assert not second.photos.restore()

    assert [image.label for image in second.store.images()] == ["mango"]


def test_disk_with_photos_of_its_own_does_not_write_over_another(
    first: Disk, second: Disk, hub: HubServer
) -> None:
    second.add("mango")
    before = dict(hub.dataset().files)

    with pytest.raises(StateElsewhere, match="another state folder"):
        second.photos.push()

    assert hub.dataset().files == before


def test_repository_with_files_of_something_else_is_left_alone(
    second: Disk, hub: HubServer
) -> None:
    HubRepository("orchard/photos", "dataset", TOKEN, hub.url).create()
    theirs = hub.dataset().files | {"train/cat/1.jpg": b"a cat"}
    hub.dataset().add("my cats", theirs)
    second.add("mango")

    assert not second.photos.restore()
    with pytest.raises(StateElsewhere, match=r"something else \(train/cat/1.jpg\)"):
        second.photos.push()

    assert hub.dataset().files == theirs


def test_of_two_writers_the_slower_one_stops(first: Disk, second: Disk, hub: HubServer) -> None:
    second.photos.restore()
    second.photos.push()
    first.add("mango")
    first.photos.push()
    before = dict(hub.dataset().files)

    second.add("onion")
    with pytest.raises(HubChanged):
        second.photos.push()
    with pytest.raises(StateElsewhere):
        second.photos.push()

    assert hub.dataset().files == before


def test_failed_restore_never_empties_the_repository(
    first: Disk, second: Disk, hub: HubServer
) -> None:
    before = dict(hub.dataset().files)
    hub.fail("GET", "/resolve/.*png", 403)

    assert not second.photos.restore()
    second.add("kiwi", "mango")
    second.photos.run(threading.Event(), restores=False)  # ends by itself: it stops

    assert second.told[-1].state is MirrorState.STOPPED
    assert "could not be restored" in str(second.told[-1].problem)
    assert hub.dataset().files == before


@pytest.mark.parametrize("is_done", [False, True])
def test_restore_that_is_killed_when_all_is_downloaded_never_empties_the_repository(
    first: Disk, second: Disk, hub: HubServer, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    before = dict(hub.dataset().files)
    put_in_place = Photos.replace

    def end(part: Photos, download: Path, scratch: Path) -> int:
        if is_done:
            put_in_place(part, download, scratch)
        raise SystemExit  # which no handler of errors sees, as none sees a kill

    monkeypatch.setattr(Photos, "replace", end)
    with pytest.raises(SystemExit):
        second.photos.restore()

    again = Disk(second.folder, hub)
    assert len(again.store.images()) == (2 if is_done else 0)  # the app opens what is there
    with pytest.raises(StateElsewhere):
        again.photos.push()
    assert hub.dataset().files == before


def test_problem_of_the_disk_is_told_without_its_path(
    first: Disk, second: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    second.folder.mkdir()
    (second.folder / "store").write_bytes(b"not a folder")

    second.photos.run(threading.Event(), restores=True)  # ends by itself: it stops

    problems = [status.problem for status in second.told if status.problem]
    assert problems[0] == "What was kept could not be restored: Not a directory"
    assert not any(str(second.folder) in problem for problem in problems)
    assert str(second.folder) in caplog.text


def test_restore_that_failed_leaves_nothing_half_and_goes_well_at_the_next_start(
    first: Disk, second: Disk, hub: HubServer
) -> None:
    hub.fail("GET", "/resolve/.*png", 403)
    assert not second.photos.restore()
    assert not (second.folder / "store").exists()

    DatasetStore(second.folder / "store").close()  # as the app does then
    assert second.photos.restore()

    assert second.store.images() == first.store.images()
    assert sorted(path.name for path in (second.folder / "mirror").iterdir()) == ["photos.json"]


def test_damaged_photo_on_the_hub_is_not_restored(
    first: Disk, second: Disk, hub: HubServer
) -> None:
    files = hub.dataset().files
    path = next(path for path in files if path.endswith(".png"))
    files[path] = files[path][:-1] + b"?"

    assert not second.photos.restore()

    assert not (second.folder / "store").exists()
    assert "is damaged" in str(second.told[-1].problem)


def test_hub_that_is_away_at_start_is_told_and_written_later_where_it_holds_nothing(
    second: Disk, hub: HubServer
) -> None:
    hub.stop()
    assert not second.photos.restore()
    assert second.told[-1].state is MirrorState.FAILING
    assert "refused" in str(second.told[-1].problem)

    hub.start()
    second.add("apple")
    second.photos.push()

    assert second.photos.status.state is MirrorState.MIRRORED
    assert second.photos.status.problem is None
    assert sum(path.endswith(".png") for path in hub.dataset().files) == 1


@pytest.mark.parametrize("status", [500, 429, DROP])
def test_failed_upload_is_tried_again_by_itself(first: Disk, hub: HubServer, status: int) -> None:
    hub.fail("POST", "/commit/", status, times=2)
    first.add("mango")
    closing = threading.Event()
    thread = threading.Thread(target=first.photos.follow, args=(closing,))

    thread.start()
    while len(hub.dataset().commits) < 3 and thread.is_alive():
        thread.join(0.02)
    closing.set()
    thread.join()

    assert [s.state for s in first.told].count(MirrorState.FAILING) == 2
    assert first.told[-1].state is MirrorState.MIRRORED
    assert first.told[-1].failing_since is None


def test_photo_that_the_hub_drops_once_is_sent_again_by_the_library(
    first: Disk, hub: HubServer
) -> None:
    hub.fail("PUT", "/lfs/", 503)
    first.add("mango")

    first.photos.push()

    assert sum(path.endswith(".png") for path in hub.dataset().files) == 3


def test_commit_whose_answer_was_lost_is_recognised(first: Disk, hub: HubServer) -> None:
    hub.fail("POST", "/commit/", DROP_AFTER)
    first.add("mango")
    with pytest.raises(HubError):
        first.photos.push()
    assert len(hub.dataset().commits) == 3

    first.add("onion")
    first.photos.push()

    assert len(hub.dataset().commits) == 4
    assert sum(path.endswith(".png") for path in hub.dataset().files) == 4


def test_commit_after_which_the_process_was_killed_is_recognised(
    first: Disk, hub: HubServer, tmp_path: Path
) -> None:
    hub.fail("POST", "/commit/", DROP_AFTER)
    first.add("mango")
    with pytest.raises(HubError):
        first.photos.push()

    again = Disk(tmp_path / "first", hub)
    assert not again.photos.restore()
    again.photos.push()

    assert again.photos.status.state is MirrorState.MIRRORED


def test_many_photos_go_in_several_commits_and_the_index_in_the_last(
    first: Disk, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.batches.MOST_FILES", 2)
    for label in ("mango", "onion", "orange"):
        first.add(label)
    index = hub.dataset().files["index.db"]

    first.photos.push()

    _, early, last = (files for _, _, files in hub.dataset().commits[-3:])
    assert sum(path.endswith(".png") for path in early) == 4
    assert early["index.db"] == index
    assert sum(path.endswith(".png") for path in last) == 5
    assert last["index.db"] != index


@pytest.mark.parametrize(("token", "words"), [("hf_wrong", "401"), (READER, "403")])
def test_token_that_may_not_write_is_told_in_words_without_it(
    tmp_path: Path, hub: HubServer, token: str, words: str
) -> None:
    disk = Disk(tmp_path / "disk", hub, token)
    disk.add("apple")

    with pytest.raises(HubRefused, match=words) as caught:
        disk.photos.push()

    assert token not in str(caught.value)


def test_request_for_which_the_library_sets_no_limit_does_not_wait_for_ever(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is set below is undone after the test.
    library = "huggingface_hub.utils._http._GLOBAL_CLIENT_FACTORY"
    monkeypatch.setattr(library, huggingface_hub.utils._http._GLOBAL_CLIENT_FACTORY)
    limit_waiting(0.1)

    with hub.lock, pytest.raises(Exception, match="timed out"):  # every answer waits for the lock
        huggingface_hub.get_session().get(f"{hub.url}/api/models/a/b", timeout=None)


def test_photos_that_wait_for_review_are_not_mirrored(first: Disk, hub: HubServer) -> None:
    (first.folder / "reviews").mkdir()
    (first.folder / "reviews" / "ab.jpg").write_bytes(encode("onion", "JPEG"))
    first.add("mango")

    first.photos.push()

    assert paths(hub) == {
        ".gitattributes", "README.md", "index.db", "mirror.json",
        *(image.split for image in first.store.images()),
    }  # fmt: skip


def test_store_that_vanishes_while_it_is_mirrored_is_kept_there(
    first: Disk, hub: HubServer
) -> None:
    before = dict(hub.dataset().files)
    first.store.close()
    for file in (first.folder / "store").glob("index.db*"):
        file.unlink()

    first.photos.push()

    assert hub.dataset().files == before


def test_owners_words_on_the_card_stay(first: Disk, hub: HubServer) -> None:
    repository = hub.dataset()
    repository.add("my words", repository.files | {"README.md": b"mine", "notes.txt": b"mine"})
    first.add("mango")

    with pytest.raises(HubChanged):
        first.photos.push()
    first.photos.push()

    assert (repository.files["README.md"], repository.files["notes.txt"]) == (b"mine", b"mine")
    assert sum(path.endswith(".png") for path in repository.files) == 3


def test_another_disk_gets_versions_choice_and_log(
    tmp_path: Path, second: Disk, hub: HubServer
) -> None:
    first = Disk(tmp_path / "first", hub)
    registry = ModelRegistry(first.folder / "models")
    publish(registry, colour_model())
    publish(registry, colour_model())
    registry.activate("v0002", "better")
    first.versions.push()

    assert second.versions.restore()

    again = ModelRegistry(second.folder / "models")
    assert [version.version for version in again.list()] == ["v0001", "v0002"]
    assert again.active().version == "v0002"
    assert again.activations() == registry.activations()
    assert b"Fruit classifier v0002" in hub.model().files["README.md"]


def test_version_whose_number_was_given_anew_replaces_the_deleted_one(
    tmp_path: Path, hub: HubServer
) -> None:
    disk = Disk(tmp_path / "disk", hub)
    registry = ModelRegistry(disk.folder / "models")
    publish(registry, colour_model())
    publish(registry, colour_model())
    registry.activate("v0001")
    disk.versions.push()
    registry.delete("v0002")
    (disk.folder / "models" / "last-deleted").unlink()  # as on a new disk, which knows of none
    disk.versions.push()
    assert "versions/v0002/model.onnx" not in hub.model().files

    model = colour_model(("apple", "banana"))
    publish(registry, model, ("apple", "banana"))
    disk.versions.push()

    assert hub.model().files["versions/v0002/model.onnx"] == model
