"""What a retraining learns, rehearses and leaves out."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from data.labels import NONE_OF_THESE
from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split
from models.manifest import DIGEST_PART, REHEARSAL_NAME, DataSource
from models.registry import ModelVersion
from models.rehearsal import Rehearsal, RehearsedImage
from tests.conftest import manifest_of
from training.errors import NotEnoughData
from training.features import MAX_OF_NO_VARIETY, Features, _thin, learned_from
from training.quick import VIEWS, _learned, _sources, deal, is_a_kind, plan_quick, views_of
from training.thorough import teachable

START = manifest_of("v0002", ("apple", "mango", NONE_OF_THESE))


def image(
    digest: str, label: str, split: Split = Split.TRAIN, source: str = "uploads", variety: str = ""
) -> SnapshotImage:
    return SnapshotImage(f"{digest}.png", label, digest, split, source, variety)


KNOWN = (
    image("a", "apple", source="shop", variety="Fruit/Apple"),
    image("b", "apple", Split.TEST, "shop", "Fruit/Apple"),
    image("k", NONE_OF_THESE, source="shop", variety="Fruit/Kiwi"),
    image("m", NONE_OF_THESE, source="shop", variety="Packages/Milk"),
)
UPLOADS = DataSource(name="uploads", licence="", citation="", images={"train": 1})
FEATURES = Features(np.arange(8, dtype=np.float32).reshape(4, 2), KNOWN)


def plan(*added: SnapshotImage) -> object:
    return plan_quick(Snapshot.of(Path(), added), START, FEATURES)


def kiwis(count: int) -> list[SnapshotImage]:
    return [image(f"new{number}", "kiwi") for number in range(count)]


def test_a_new_class_takes_its_namesakes_out_of_none_of_these() -> None:
    found = plan(*kiwis(10))

    assert found.labels == ("apple", "kiwi", "mango", NONE_OF_THESE)
    assert [i.digest for i in found.known.images] == ["a", "b", "m"]
    np.testing.assert_array_equal(found.known.values, [[0, 1], [2, 3], [6, 7]])
    assert len(found.fresh) == 10


def test_a_class_of_an_earlier_quick_retraining_keeps_its_namesakes_out() -> None:
    labels = ("apple", "kiwi", "mango", NONE_OF_THESE)
    start = START.model_copy(update={"labels": labels})
    relabelled = image("r", "kiwi", source="shop", variety="Fruit/Kiwi")
    snapshot = Snapshot.of(Path(), [*kiwis(3), relabelled, image("x", "mango")])

    found = plan_quick(snapshot, start, FEATURES)

    assert "k" not in [i.digest for i in found.known.images]
    assert {i.digest for i in found.fresh} == {"new0", "new1", "new2", "r", "x"}


def test_namesakes_of_a_source_that_is_not_rehearsed_are_not_learned_as_other_things() -> None:
    films = [
        image(f"film{number}", NONE_OF_THESE, source="films", variety=f"{kind} 1")
        for number, kind in enumerate(("Kiwi", "Kiwi", "Pear"))
    ]
    found = plan(*kiwis(10), *films)

    assert {i.digest for i in found.fresh if i.label == NONE_OF_THESE} == {"film2"}
    assert found.notes == (
        "Pictures of Fruit/Kiwi, Kiwi 1 count no longer as none of the classes.",
    )
    taught = START.model_copy(update={"labels": ("apple", "kiwi", "mango", NONE_OF_THESE)})
    with pytest.raises(NotEnoughData, match="no new photo"):
        plan_quick(Snapshot.of(Path(), films[:2]), taught, FEATURES)


def test_photos_added_after_a_thorough_retraining_rehearses_uploads_are_new() -> None:
    """Such a version's features to rehearse are of uploads too, so their source is known."""
    rehearsed = Features(np.zeros((1, 2), np.float32), (image("old", "mango"),)).and_(FEATURES)
    film = image("f", "apple", source="shop", variety="Fruit/Apple")  # of more than are rehearsed

    found = plan_quick(
        Snapshot.of(Path(), [image("old", "mango"), image("x", "mango"), film]), START, rehearsed
    )

    assert [i.digest for i in found.fresh] == ["x"]


def test_a_new_class_with_too_few_photos_is_left_out_and_said() -> None:
    found = plan(*kiwis(9), image("x", "mango"))

    assert "kiwi" not in found.labels
    assert [i.digest for i in found.fresh] == ["x"]
    assert found.notes == ("kiwi is left out: it has 9 photos to learn from; 10 are needed.",)


def test_a_photo_that_was_renamed_is_not_rehearsed_under_its_old_name() -> None:
    found = plan(image("k", "kiwi"), image("x", "mango"))

    assert found.notes == ("kiwi is left out: it has 1 photo to learn from; 10 are needed.",)
    assert [i.digest for i in found.known.images] == ["a", "b", "m"]


def test_of_more_photos_than_memory_has_room_for_each_label_gives_as_many_as_another() -> None:
    mangoes = [image(f"m{number}", "mango") for number in range(40_000)]

    found = plan(*mangoes, *kiwis(10))

    labels = [i.label for i in found.fresh]
    assert (labels.count("mango"), labels.count("kiwi")) == (29_990, 10)
    assert "Of 40,010 images that are new, 30,000 fit into the memory" in found.notes[1]


@pytest.mark.parametrize(
    ("photos", "views"), [(1, VIEWS), (10_000, VIEWS), (12_000, 4), (30_000, 1)]
)
def test_the_more_photos_the_fewer_variations_of_each(photos: int, views: int) -> None:
    assert views_of(photos) == views


def test_a_version_that_cannot_refuse_is_not_taught_to() -> None:
    start = START.model_copy(update={"labels": ("apple", "mango"), "none_label": None})
    others = [image(f"n{number}", NONE_OF_THESE) for number in range(12)]

    found = plan_quick(Snapshot.of(Path(), [*others, image("x", "mango")]), start, FEATURES)

    assert found.labels == ("apple", "mango")
    assert [i.digest for i in found.fresh] == ["x"]
    assert "None of these is left out: v0002 cannot refuse." in found.notes


def test_without_a_new_photo_there_is_nothing_to_learn() -> None:
    with pytest.raises(NotEnoughData, match=r"no new photo.*Upload"):
        plan(image("a", "apple", source="shop"))


def test_a_thorough_retraining_needs_a_photo_of_a_new_class_to_judge_it_by() -> None:
    rehearsed = [
        image(f"{label}{split}{number}", label, split)
        for label in START.labels
        for split, count in ((Split.TRAIN, 10), (Split.TEST, 1))
        for number in range(count)
    ]
    with pytest.raises(NotEnoughData, match="All photos of kiwi are to learn from, and none"):
        teachable(Snapshot.of(Path(), [*rehearsed, *kiwis(10)]), START)

    judged = image("v", "kiwi", Split.VALIDATION)
    assert judged in teachable(Snapshot.of(Path(), [*rehearsed, *kiwis(10), judged]), START).images


def test_a_known_image_under_another_label_is_new() -> None:
    found = plan(image("k", "apple"))

    assert [i.digest for i in found.fresh] == ["k"]
    assert "k" not in [i.digest for i in found.known.images]


def test_a_test_image_stays_one_whatever_it_is_called_now() -> None:
    found = plan(image("b", "mango"), image("x", "mango"))

    assert [i.digest for i in found.fresh] == ["x"]
    assert "b" in [i.digest for i in found.known.images]


def test_folds_keep_scenes_together_and_spread_each_class() -> None:
    images = [
        SnapshotImage("", label, f"{label}{n}", Split.TRAIN, "uploads", "", f"scene {n // 2}")
        for label in ("kiwi", "lemon")
        for n in range(16)
    ]
    folds = deal(images, 4, seed=1)

    for start in range(0, 32, 2):
        assert folds[start] == folds[start + 1]
    assert np.bincount(folds[:16]).tolist() == [4, 4, 4, 4]


def test_a_class_of_one_scene_is_dealt_photo_by_photo() -> None:
    images = [
        SnapshotImage("", "kiwi", str(n), Split.TRAIN, "uploads", "", "one") for n in range(8)
    ]
    assert np.bincount(deal(images, 4, seed=1)).tolist() == [2, 2, 2, 2]


def test_a_public_source_keeps_its_attribution_when_its_photos_are_relabelled() -> None:
    shop = DataSource(name="shop", licence="MIT", citation="A paper.", images={"train": 9})
    uploads = DataSource(name="uploads", licence="", citation="", images={"train": 1})

    found = _sources([shop, uploads], [image("r", "kiwi", source="shop"), *kiwis(2)])

    assert found == [shop, uploads.model_copy(update={"images": {"train": 2}})]


def test_what_a_version_learned_is_not_forgotten_with_the_photo() -> None:
    before = {"kiwi": ["a" * DIGEST_PART], "lime": ["b" * DIGEST_PART]}

    found = _learned(before, [image("c" * 64, "kiwi"), image("a" * 64, "kiwi")])

    assert found == {
        "kiwi": ["a" * DIGEST_PART, "c" * DIGEST_PART],
        "lime": ["b" * DIGEST_PART],
    }


def rehearsing(folder: Path, *images: RehearsedImage) -> ModelVersion:
    """Return a version in the folder that rehearses the images."""
    content = Rehearsal("tiny", np.zeros((len(images), 2), np.float16), images).to_bytes()
    (folder / REHEARSAL_NAME).write_bytes(content)
    files = {REHEARSAL_NAME: hashlib.sha256(content).hexdigest()}
    return ModelVersion(START.model_copy(update={"files": files}), folder)


def test_a_version_knows_what_it_rehearses_as_it_was_labelled_then(tmp_path: Path) -> None:
    version = rehearsing(
        tmp_path,
        RehearsedImage("apple", "test", "shop", "", "", "a"),
        RehearsedImage("mango", "train", "shop", "", "", "m"),
        RehearsedImage("mango", "train", "shop", "", "", "gone"),
    )
    store = Snapshot.of(tmp_path, [image("a", "mango"), image("m", "mango"), image("new", "mango")])

    known, _ = learned_from(version, store).images

    assert (known.digest, known.label, known.split) == ("a", "apple", Split.TEST)
    assert known.path == "a.png"


def test_what_the_store_lacks_of_what_is_rehearsed_is_told(tmp_path: Path) -> None:
    version = rehearsing(
        tmp_path, *(RehearsedImage("mango", "train", "shop", "", "", name) for name in "lmno")
    )
    told = list[str]()

    here = learned_from(version, Snapshot.of(tmp_path, [image("m", "mango")]), told.append)
    whole = Snapshot.of(tmp_path, [image(name, "mango") for name in "lmno"])
    learned_from(version, whole, told.append)

    assert [i.digest for i in here.images] == ["m"]
    (words,) = told
    assert words.startswith("Of 4 images that v0002 rehearses, 1 are kept. The photographs of the ")
    assert "other 3 are not in the store" in words


def test_a_label_of_which_the_store_has_nothing_to_rehearse_is_named(tmp_path: Path) -> None:
    version = rehearsing(
        tmp_path,
        RehearsedImage("apple", "train", "shop", "", "", "a"),
        RehearsedImage(NONE_OF_THESE, "train", "shop", "", "", "k"),
        RehearsedImage(NONE_OF_THESE, "test", "shop", "", "", "j"),
    )
    told = list[str]()
    store = Snapshot.of(tmp_path, [image("a", "apple"), image("j", NONE_OF_THESE, Split.TEST)])

    with pytest.raises(NotEnoughData, match=r"rehearse of none of these,.*data fetch grocery"):
        learned_from(version, store, told.append)
    assert told == []
    without = ModelVersion(START.model_copy(update={"sources": [UPLOADS]}), tmp_path)
    with pytest.raises(NotEnoughData, match=r"no image to rehearse of apple, none of these, which"):
        learned_from(without, Snapshot.of(tmp_path, [image("m", "mango")]))


def test_what_is_rehearsed_of_own_photos_is_bounded_and_shared_among_the_labels() -> None:
    own = [image(f"m{number}", "mango") for number in range(MAX_OF_NO_VARIETY)]

    kept = _thin([*own, *kiwis(10), *KNOWN])

    assert sum(not i.variety for i in kept) == MAX_OF_NO_VARIETY
    assert sum(i.label == "kiwi" for i in kept) == 10
    assert set(KNOWN) <= set(kept)


@pytest.mark.parametrize(
    ("taken_for", "known"),
    [
        ([2, 2, 2, 0], True),  # a kind: most photos
        ([2, 2, 3, 3], False),  # as often a kind as not
        ([0, 0, 0, 2], False),  # a class
        ([4, 4, 4, 2], False),  # of no kind
    ],
)
def test_a_new_class_is_known_where_most_photos_are_taken_for_one_kind(
    taken_for: list[int], known: bool
) -> None:
    head = (np.eye(5, dtype=np.float32), np.zeros(5, np.float32))  # two classes, two kinds, no kind

    assert is_a_kind(np.eye(5, dtype=np.float32)[taken_for], head, 3) == known


def test_a_network_without_kinds_knows_no_new_class() -> None:
    head = (np.eye(3, dtype=np.float32), np.zeros(3, np.float32))

    assert not is_a_kind(np.eye(3, dtype=np.float32)[[2, 2]], head, 1)
