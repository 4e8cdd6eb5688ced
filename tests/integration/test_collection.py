"""Uploading over real files: what becomes of each, by the service and over REST."""

import asyncio
import hashlib
import io
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access import Access
from app.collection import CollectionService, UploadedFile, UploadReport
from app.errors import BadRequest, StoreFull
from app.handling import to_json
from app.rest import build_router
from app.results import ImageFile, Refusal
from app.service import PredictionService
from app.settings import Settings
from data.drawings import draw_fruit
from data.errors import InvalidLabel
from data.images import ImageLimits, Looks, look_at
from data.reviews import ReviewQueue
from data.splits import Split
from data.store import DatasetStore
from tests.conftest import local_client

SETTINGS = Settings(max_files=30)


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "store")


@pytest.fixture
def collection(
    store: DatasetStore, service: PredictionService, tmp_path: Path
) -> CollectionService:
    return CollectionService(store, service, ReviewQueue(tmp_path / "reviews"))


@pytest.fixture
def client(service: PredictionService, collection: CollectionService) -> TestClient:
    app = FastAPI()
    app.include_router(build_router(service, SETTINGS, Access(SETTINGS), collection))
    return local_client(app)


class Decoder:
    """Decodes, and remembers what; ``meanwhile`` is called before each picture."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[bytes] = []
        self.meanwhile: Callable[[], object] = lambda: None
        monkeypatch.setattr("data.store.look_at", self.look_at)

    def look_at(self, content: bytes, limits: ImageLimits) -> Looks:
        self.seen.append(content)
        self.meanwhile()
        return look_at(content, limits)


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> Decoder:
    return Decoder(monkeypatch)


def drawn(label: str, seed: int = 0, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    draw_fruit(label, 120, seed).save(buffer, format)
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def statuses(report: dict[str, object]) -> dict[str, str]:
    files = report["files"]
    assert isinstance(files, list)
    return {file["name"]: file["status"] for file in files}


def untimed(report: UploadReport) -> list[UploadedFile]:
    """Its files, without when the image that one equals came: a second may begin in between."""
    return [
        replace(file, existing=file.existing and replace(file.existing, added_at=""))
        for file in report.files
    ]


def test_each_file_gets_its_own_verdict(collection: CollectionService, store: DatasetStore) -> None:
    store.add(drawn("banana", 1), label="banana", source="fruits-360", original_name="t.png",
              split=Split.TEST)  # fmt: skip
    store.add(drawn("mango", 1), label="none of these", source="grocery", original_name="n.png")
    files = [
        ImageFile("new.png", drawn("banana", 2)),
        ImageFile("twice.png", drawn("banana", 2)),
        ImageFile("test.png", drawn("banana", 1)),
        ImageFile("other.png", drawn("mango", 1)),
        ImageFile("broken.jpg", b"no picture"),
        Refusal("part.zip", {"message": "Too large.", "type": "PayloadTooLarge"}),
    ]

    report = collection.upload(files, " Banana ").to_dict()

    assert statuses(report) == {
        "new.png": "added",
        "twice.png": "duplicate",
        "test.png": "is_test",
        "other.png": "other_label",
        "broken.jpg": "refused",
        "part.zip": "refused",
    }
    assert report["counts"] == {
        "added": 1, "duplicate": 1, "is_test": 1, "other_label": 1, "refused": 2,
    }  # fmt: skip
    assert {i.label for i in store.images(source="uploads")} == {"banana"}


def test_a_test_image_that_ships_with_the_model_is_refused_on_an_empty_store(
    store: DatasetStore, service: PredictionService, tmp_path: Path
) -> None:
    shipped = hashlib.sha256(drawn("banana", 1)).hexdigest()
    queue = ReviewQueue(tmp_path / "reviews")
    collection = CollectionService(store, service, queue, lambda: frozenset({shipped}))

    report = collection.upload(
        [ImageFile("1.png", drawn("banana", 1)), ImageFile("2.png", drawn("banana", 2))], "banana"
    )

    assert [file.status for file in report.files] == ["is_test", "added"]
    # As REST sends it: a member of an enumeration is no name there.
    assert orjson.loads(to_json(report.to_dict()).body)["counts"] == {"added": 1, "is_test": 1}
    assert "ship with the model" in report.files[0].message
    assert len(store.images()) == 1


def test_a_rehearsal_reports_the_same_and_keeps_nothing(
    collection: CollectionService, store: DatasetStore
) -> None:
    files = [ImageFile("a.png", drawn("banana", 2)), ImageFile("b.png", drawn("banana", 2))]

    rehearsed = collection.upload(files, "banana", keep=False)

    assert store.images() == []
    assert untimed(rehearsed) == untimed(collection.upload(files, "banana"))


def test_the_model_objects_to_a_photo_of_something_else(collection: CollectionService) -> None:
    files = [ImageFile("a.png", drawn("banana", 2)), ImageFile("b.png", drawn("orange", 2))]

    right, wrong = collection.upload(files, "banana").files

    assert right.warning == ""
    assert "sure that this is orange" in wrong.warning
    assert wrong.status == "added"  # a person decides


def test_the_report_names_the_class_and_the_folder_of_another(
    collection: CollectionService,
) -> None:
    files = [
        ImageFile("set/Kiwi/1.png", drawn("mango", 1)),
        ImageFile("set/MANGO/2.png", drawn("mango", 2)),
        ImageFile("3.png", drawn("mango", 3)),
    ]

    kiwi, mango, loose = collection.upload(files, "Mango").files

    assert kiwi.message.startswith("New mango; it will ")
    assert kiwi.warning == "Its folder is called kiwi."
    assert (mango.warning, loose.warning) == ("", "")


def test_a_class_that_means_another_is_told_until_it_is_one(
    collection: CollectionService,
) -> None:
    def upload(name: str, number: int) -> UploadedFile:
        return collection.upload([ImageFile(name, drawn("mango", number))], None).files[0]

    first, again, known = (
        upload("Mangoes/1.png", 1),
        upload("Mangoes/2.png", 2),
        upload("mango/3.png", 3),
    )

    assert first.label == "mangoes"
    assert "a class of its own beside mango; choose mango if" in first.warning
    assert "of its own" not in again.warning
    assert known.warning == ""


def test_a_folder_that_means_the_class_is_no_reason_to_look_again(
    collection: CollectionService,
) -> None:
    (file,) = collection.upload([ImageFile("Mangoes/1.png", drawn("mango", 1))], "mango").files

    assert (file.label, file.warning) == ("mango", "")


def test_an_opinion_is_not_counted_as_a_prediction(
    collection: CollectionService, service: PredictionService
) -> None:
    collection.upload([ImageFile("a.png", drawn("banana", 2))], "banana")

    assert service.status()["predictions"]["total"] == 0


def test_relabelling_in_the_same_step(collection: CollectionService, store: DatasetStore) -> None:
    store.add(drawn("mango", 1), label="none of these", source="grocery", original_name="n.png",
              split=Split.TRAIN)  # fmt: skip

    report = collection.upload([ImageFile("m.png", drawn("mango", 1))], "mango", relabel=True)

    assert [file.status for file in report.files] == ["relabelled"]
    assert [i.label for i in store.images()] == ["mango"]


def test_what_fails_unforeseen_leaves_nothing(
    collection: CollectionService, store: DatasetStore
) -> None:
    files = [ImageFile("a.png", drawn("banana", 2)), None]

    with pytest.raises(AttributeError):
        collection.upload(files, "banana")  # type: ignore[list-item]

    assert store.images() == []
    assert [p for p in store.images_dir.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("keep", [True, False])
def test_others_may_write_while_the_photos_of_an_upload_are_decoded(
    collection: CollectionService, store: DatasetStore, decoder: Decoder, keep: bool
) -> None:
    collection.upload([ImageFile("old.png", drawn("mango", 1))], "mango")
    (old,) = store.images()
    remover = threading.Thread(target=collection.remove, args=([old.digest],), daemon=True)
    waited: list[bool] = []

    def remove() -> None:
        remover.start()
        remover.join(60)
        waited.append(remover.is_alive())

    decoder.meanwhile = remove
    report = collection.upload([ImageFile("new.png", drawn("mango", 2))], "mango", keep=keep)

    remover.join()
    assert waited == [False]
    assert report.counts["added"] == 1
    assert [image.original_name for image in store.images()] == (["new.png"] if keep else [])


def test_each_photo_of_an_upload_is_decoded_once_and_what_is_known_is_not(
    collection: CollectionService, decoder: Decoder
) -> None:
    collection.upload([ImageFile("known.png", drawn("mango", 1))], "mango")
    decoder.seen.clear()
    files = [
        ImageFile("mango/known.png", drawn("mango", 1)),
        ImageFile("mango/new.png", drawn("mango", 2)),
        ImageFile("kiwi/twice.png", drawn("mango", 2)),
        ImageFile("mango/broken.png", b"no picture"),
        ImageFile("mango/broken too.png", b"no picture"),
        ImageFile("loose.png", b"no picture"),
        ImageFile("other.png", drawn("mango", 3)),
    ]

    report = collection.upload(files, None)

    assert decoder.seen == [drawn("mango", 2), b"no picture"]
    assert [file.status for file in report.files] == [
        "duplicate", "added", "other_label", "refused", "refused", "refused", "refused",
    ]  # fmt: skip
    assert all("is not a picture" in file.message for file in report.files[3:5])
    assert all("no folder that names" in file.message for file in report.files[5:])


def test_pictures_are_decoded_one_at_a_time_however_many_uploads_come(
    collection: CollectionService, decoder: Decoder
) -> None:
    at_once: list[int] = []
    decoding = 0
    both = threading.Barrier(2)

    def count() -> None:
        nonlocal decoding
        decoding += 1
        at_once.append(decoding)
        threading.Event().wait(0.05)
        decoding -= 1

    def send(seed: int) -> None:
        files = [ImageFile(f"{n}.png", drawn("mango", n)) for n in (seed, seed + 1)]
        both.wait()
        collection.upload(files, "mango", keep=False)

    decoder.meanwhile = count
    senders = [threading.Thread(target=send, args=(seed,)) for seed in (10, 20)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()

    assert at_once == [1, 1, 1, 1]


def test_removed_photos_are_not_deleted_while_a_job_may_read_them(
    store: DatasetStore, service: PredictionService, tmp_path: Path
) -> None:
    running = [True]
    collection = CollectionService(
        store, service, ReviewQueue(tmp_path / "reviews"), is_read=lambda: running[0]
    )
    store.add(drawn("mango"), label="mango", source="uploads", original_name="m.png")
    (image,) = store.images()
    collection.remove([image.digest])

    with pytest.raises(BadRequest, match="has ended"):
        collection.erase_removed()
    assert collection.restore([image.digest]) == 1

    collection.remove([image.digest])
    running[0] = False
    assert collection.erase_removed() == 1
    assert collection.removed_size() == (0, 0)


def test_removed_photos_count_where_the_store_is_full(
    store: DatasetStore, service: PredictionService, tmp_path: Path
) -> None:
    photo = drawn("mango")
    collection = CollectionService(
        store, service, ReviewQueue(tmp_path / "reviews"), max_bytes=len(photo) * 3 // 2
    )
    collection.upload([ImageFile("m.png", photo)], "mango")
    collection.remove([image.digest for image in store.images()])

    with pytest.raises(StoreFull, match="delete them for good"):
        collection.upload([ImageFile("n.png", drawn("mango", 1))], "mango")
    collection.erase_removed()
    assert collection.upload([ImageFile("n.png", drawn("mango", 1))], "mango").counts["added"] == 1


def test_a_class_name_must_keep_the_rules(collection: CollectionService) -> None:
    with pytest.raises(InvalidLabel, match=r"holds '\.'"):
        collection.upload([ImageFile("a.png", drawn("banana"))], "../x")
    with pytest.raises(BadRequest, match="No photo"):
        collection.upload([], "banana")


def test_progress_says_what_a_retraining_still_wants(collection: CollectionService) -> None:
    collection.upload([ImageFile("a.png", drawn("banana", 2))], "ぶどう")

    (row,) = collection.progress()

    assert (row["class_name"], row["photos"]) == ("ぶどう", 1)
    assert row["missing"] == 19
    assert collection.classes()[-2:] == ["ぶどう", "none_of_these"]


def test_rest_takes_photos_and_zips_and_gives_the_report(
    client: TestClient, store: DatasetStore
) -> None:
    files = [
        ("file", ("a.png", drawn("banana", 1))),
        ("file", ("more.zip", zipped({"x/b.png": drawn("banana", 2), "c.txt": b"text"}))),
    ]

    body = client.post(
        "/api/upload_retrain_data", data={"class_name": "banana"}, files=files
    ).json()

    assert statuses(body) == {"a.png": "added", "x/b.png": "added", "c.txt": "refused"}
    assert body["kept"] is True
    assert len(store.images(label="banana")) == 2


def test_rest_takes_the_class_from_the_folder_where_none_is_given(
    client: TestClient, store: DatasetStore
) -> None:
    content = zipped({"set/kiwi/1.png": drawn("banana", 1), "loose.png": drawn("mango", 1)})

    body = client.post("/api/upload_retrain_data", files={"file": ("set.zip", content)}).json()

    assert statuses(body) == {"set/kiwi/1.png": "added", "loose.png": "refused"}
    (loose,) = (file for file in body["files"] if file["name"] == "loose.png")
    assert "no folder that names its class" in loose["message"]
    assert [i.label for i in store.images()] == ["kiwi"]


def test_rest_takes_the_class_from_folders_that_backslashes_part(
    client: TestClient, store: DatasetStore
) -> None:
    content = zipped({"set\\kiwi\\1.png": drawn("banana", 1), "apple\\2.png": drawn("apple", 1)})

    body = client.post("/api/upload_retrain_data", files={"file": ("set.zip", content)}).json()

    assert statuses(body) == {"apple/2.png": "added", "set/kiwi/1.png": "added"}
    assert sorted(i.label for i in store.images()) == ["apple", "kiwi"]


def test_rest_rehearses(client: TestClient, store: DatasetStore) -> None:
    body = client.post(
        "/api/upload_retrain_data",
        data={"class_name": "banana", "dry_run": "true"},
        files={"file": ("a.png", drawn("banana", 1))},
    ).json()

    assert (body["kept"], statuses(body)) == (False, {"a.png": "added"})
    assert store.images() == []


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ("dry_run=true", {}),
        ("dry_run=true&relabel=", {"dry_run": "false", "relabel": ""}),
        ("dry_run=", {"dry_run": "true"}),
    ],
)
def test_rest_reads_the_options_in_the_query_and_behind_it_in_the_form(
    client: TestClient, store: DatasetStore, query: str, form: dict[str, str]
) -> None:
    body = client.post(
        f"/api/upload_retrain_data?{query}&class_name=banana",
        data=form,
        files={"file": ("a.png", drawn("banana", 1))},
    ).json()

    assert (body["kept"], statuses(body)) == (False, {"a.png": "added"})
    assert body["files"][0]["class_name"] == "banana"
    assert store.images() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"params": {"dryrun": "true"}}, "no option 'dryrun'"),
        ({"data": {"dryrun": "true"}}, "takes class_name, relabel, dry_run"),
        ({"params": {"dry_run": "maybe"}, "data": {"dry_run": "true"}}, "true or false"),
        ({"params": {"dry_run": "true"}, "data": {"dry_run": "maybe"}}, "true or false"),
    ],
)
def test_rest_keeps_nothing_where_an_option_is_unknown_or_cannot_be_read(
    client: TestClient, store: DatasetStore, arguments: dict[str, dict[str, str]], words: str
) -> None:
    files = {"file": ("banana/a.png", drawn("banana", 1))}

    response = client.post("/api/upload_retrain_data", files=files, **arguments)  # type: ignore[arg-type]

    assert response.status_code == 400
    assert words in response.json()["error"]["message"]
    assert store.images() == []


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ({"data": {"class_name": "x"}, "files": {"photo": b"x"}}, 400, "no field 'file'"),
        ({"content": b"x", "headers": {"content-type": "image/png"}}, 415, "class_name"),
        ({"data": {"class_name": "a/b"}, "files": {"file": b"x"}}, 422, "holds '/'"),
        ({"data": {"dry_run": "maybe"}, "files": {"file": b"x"}}, 400, "true or false"),
        ({"files": {"file": b"x", "class_name": b"x"}}, 400, "class_name is a file"),
    ],
)
def test_rest_says_what_is_wrong_with_a_request(
    client: TestClient, arguments: dict[str, object], status: int, words: str
) -> None:
    response = client.post("/api/upload_retrain_data", **arguments)  # type: ignore[arg-type]

    assert response.status_code == status
    assert words in response.json()["error"]["message"]


def test_many_uploads_leave_threads_for_everybody_else(
    service: PredictionService, collection: CollectionService, decoder: Decoder
) -> None:
    app = FastAPI()
    app.include_router(build_router(service, SETTINGS, Access(SETTINGS), collection))
    begun, going_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        going_on.wait(60)

    async def scenario() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(4))
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            uploads = [
                asyncio.create_task(
                    client.post(
                        "/api/upload_retrain_data",
                        data={"class_name": "mango"},
                        files={"file": ("a.png", drawn("mango", number))},
                    )
                )
                for number in range(6)
            ]
            try:
                await asyncio.to_thread(begun.wait, 60)
                async with asyncio.timeout(10):
                    assert (await client.get("/api/health")).status_code == 200
            finally:
                going_on.set()
                answers = await asyncio.gather(*uploads)
            assert [answer.status_code for answer in answers] == [200] * 6

    decoder.meanwhile = wait
    asyncio.run(scenario())


def test_openapi_describes_the_options_of_an_upload_in_both_places(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/api/upload_retrain_data"]["post"]
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]

    assert [p["name"] for p in operation["parameters"]] == ["class_name", "relabel", "dry_run"]
    assert set(form["properties"]) == {"file", "class_name", "relabel", "dry_run"}
    assert form["additionalProperties"] is False


def test_rest_lists_the_classes(client: TestClient) -> None:
    client.post(
        "/api/upload_retrain_data",
        data={"class_name": "kiwi"},
        files={"file": ("a.png", drawn("banana", 1))},
    )

    (row,) = client.get("/api/classes").json()
    assert (row["class_name"], row["photos"]) == ("kiwi", 1)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("x.org", False)],
)
def test_only_a_loopback_address_is_local(host: str, local: bool) -> None:
    assert Settings(host=host).is_local is local


def test_a_visitors_photo_waits_until_it_is_accepted(
    collection: CollectionService, store: DatasetStore
) -> None:
    review = collection.suggest(ImageFile("mine.png", drawn("mango", 3)), " Papaya ")

    assert (review.label, review.answered) == ("papaya", "mango")
    assert store.images() == []
    assert collection.reviews() == [review]

    report = collection.accept([review.digest])

    assert [file.status for file in report.files] == ["added"]
    assert [i.label for i in store.images()] == ["papaya"]
    assert collection.reviews() == []


def test_photos_that_visitor_and_model_dispute_come_first(
    collection: CollectionService,
) -> None:
    agreed = collection.suggest(ImageFile("a.png", drawn("mango", 3)), "mango")
    disputed = collection.suggest(ImageFile("b.png", drawn("orange", 3)), "papaya")

    assert collection.reviews() == [disputed, agreed]
    assert collection.reviews(1) == [disputed]


def test_accepting_under_another_class_and_discarding(
    collection: CollectionService, store: DatasetStore
) -> None:
    first = collection.suggest(ImageFile("1.png", drawn("mango", 3)), "papaya")
    second = collection.suggest(ImageFile("2.png", drawn("mango", 4)), "papaya")

    collection.accept([first.digest], "mango")
    assert collection.discard([second.digest]) == 1

    assert [i.label for i in store.images()] == ["mango"]
    assert collection.reviews() == []
    with pytest.raises(BadRequest, match="waits any more"):
        collection.accept([second.digest])


def test_a_waiting_photo_that_lost_its_file_keeps_no_other_from_being_accepted(
    collection: CollectionService, store: DatasetStore, tmp_path: Path
) -> None:
    gone = collection.suggest(ImageFile("1.png", drawn("mango", 3)), "mango")
    fine = collection.suggest(ImageFile("2.png", drawn("mango", 4)), "mango")
    (tmp_path / "reviews" / f"{gone.digest}.png").unlink()

    report = collection.accept([gone.digest, fine.digest])

    assert statuses(report.to_dict()) == {"1.png": "refused", "2.png": "added"}
    assert len(store.images()) == 1
    assert collection.reviews() == []


def test_an_empty_class_name_accepts_each_photo_as_what_its_visitor_said(
    collection: CollectionService, store: DatasetStore
) -> None:
    review = collection.suggest(ImageFile("1.png", drawn("mango", 3)), "papaya")

    report = collection.accept([review.digest], "  ")

    assert report.counts["added"] == 1
    assert [i.label for i in store.images()] == ["papaya"]


def test_a_waiting_photo_that_is_refused_goes_on_waiting(
    service: PredictionService, tmp_path: Path
) -> None:
    store = DatasetStore(tmp_path / "store", ImageLimits(max_pixels=1000))
    collection = CollectionService(store, service, ReviewQueue(tmp_path / "reviews"))
    review = collection.suggest(ImageFile("1.png", drawn("mango", 3)), "mango")

    report = collection.accept([review.digest])

    assert report.counts["refused"] == 1
    assert collection.reviews() == [review]
    assert collection.read_review(review) == drawn("mango", 3)


def test_a_photo_is_moved_to_no_class_too_many(
    store: DatasetStore, service: PredictionService, tmp_path: Path
) -> None:
    store.add(drawn("mango"), label="mango", source="uploads", original_name="m.png")
    (photo,) = store.images()
    queue = ReviewQueue(tmp_path / "reviews")
    limit = len(CollectionService(store, service, queue).classes())
    collection = CollectionService(store, service, queue, max_classes=limit)

    with pytest.raises(StoreFull, match=f"There would be {limit + 1} classes"):
        collection.relabel([photo.digest], "papaya")
    assert collection.relabel([photo.digest], " Apple ") == 1
    assert [i.label for i in store.images()] == ["apple"]


def test_photos_are_kept_and_reported_though_the_model_cannot_be_asked(
    collection: CollectionService,
    store: DatasetStore,
    service: PredictionService,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(content: bytes) -> None:
        raise RuntimeError("no memory for the graph")

    monkeypatch.setattr(service, "opinion", fail)

    (file,) = collection.upload([ImageFile("a.png", drawn("mango", 2))], "mango").files
    review = collection.suggest(ImageFile("b.png", drawn("mango", 3)), "mango")

    assert (file.status, file.warning) == ("added", "")
    assert (review.answered, review.probability) == ("", 0.0)
    assert len(store.images()) == 1
    assert "no memory for the graph" in caplog.text


def test_a_visitors_photo_is_decoded_when_no_other_is(
    collection: CollectionService, decoder: Decoder
) -> None:
    suggesting = threading.Thread(
        target=collection.suggest, args=(ImageFile("1.png", drawn("mango", 3)), "mango")
    )
    waited: list[bool] = []

    def suggest() -> None:
        suggesting.start()
        suggesting.join(0.2)
        waited.append(suggesting.is_alive())

    decoder.meanwhile = suggest
    collection.upload([ImageFile("new.png", drawn("mango", 2))], "mango", keep=False)

    suggesting.join()
    assert waited == [True]
    assert len(collection.reviews()) == 1
