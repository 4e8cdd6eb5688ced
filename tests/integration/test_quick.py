"""Quick retraining on a small network of its own: a new colour is learned, the others are kept.

TensorFlow runs in a process of its own, as it does in use; this file is the program as well.
"""

import hashlib
import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.predictor import OnnxPredictor
from data.labels import NONE_OF_THESE
from data.splits import Split
from data.store import DatasetStore
from models.examination import EXAMINATION_NAME, Examination
from models.jobs import JobRequest, JobResult, Mode, read_progress
from models.manifest import (
    KERAS_NAME,
    MANIFEST_NAME,
    REHEARSAL_NAME,
    InputSpec,
    ModelManifest,
    Suspect,
)
from models.registry import ModelRegistry
from models.rehearsal import Rehearsal
from tests.conftest import NEXT, confusion_of

ROOT = Path(__file__).parents[2]
SIDE_PX = 16
COLOURS = {"apple": (200, 30, 30), "banana": (220, 200, 40), NONE_OF_THESE: (60, 60, 60)}
KIWI = (60, 170, 60)


def picture(colour: tuple[int, int, int], rng: np.random.Generator) -> bytes:
    pixels = np.clip(np.array(colour) + rng.normal(0, 12, (SIDE_PX, SIDE_PX, 3)), 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def fill(store: DatasetStore, label: str, colour: tuple[int, int, int], source: str) -> None:
    rng = np.random.default_rng(len(label) + sum(colour))
    with store.batch() as batch:
        for number in range(24):
            split = (Split.TEST, Split.TRAIN, Split.TRAIN, Split.VALIDATION)[number % 4]
            batch.add(
                picture(colour, rng), label=label, source=source, original_name=f"{number}.png",
                scene=f"{source} {label} {number}", split=split, joins_scenes=False,
            )  # fmt: skip


def publish_start(state: Path, blocks: int = 0) -> None:
    """Train a small network on the first three colours and publish it as v0001.

    Each block adds to the features: a convolution of each channel, then one of all channels at each
    place.
    """
    import keras
    from keras import layers

    from export.convert import to_onnx
    from models.manifest import Calibration, OtherMetrics
    from training.columns import OTHER, Columns
    from training.dataset import load_images
    from training.features import Backbone, make_rehearsal
    from training.network import serving_network

    store = DatasetStore(state / "base")
    snapshot = store.snapshot()
    store.close()
    labels = tuple(COLOURS)
    train = load_images(snapshot.root, snapshot.select(split=Split.TRAIN), labels, SIDE_PX)
    keras.utils.set_random_seed(3)
    image = keras.Input((SIDE_PX, SIDE_PX, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(24, 3, activation="relu")(x)
    for _ in range(blocks):
        added = x
        for convolve in (layers.DepthwiseConv2D(3, padding="same"), layers.Conv2D(24, 1)):
            added = layers.ReLU(6)(layers.BatchNormalization(momentum=0.8)(convolve(added)))
        x = layers.Add()([x, added])
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    columns = Columns(labels[:2], ("pear", OTHER))
    model = keras.Model(image, layers.Dense(columns.width, name="logits")(x), name="tiny")
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.learning_rate = 0.03
    model.fit(train.pixels, columns.of(train.images), epochs=60, verbose=0)
    calibration = Calibration(
        temperature=1, none_shift=-0.1, none_threshold=0.5, chosen_on="drawn", images=9
    )
    spec = InputSpec(side_px=SIDE_PX)
    serving = serving_network(model, columns, calibration)
    content = to_onnx(serving, labels=labels, version="v0001", input_spec=spec)
    model.save(state / KERAS_NAME)
    ModelRegistry(state / "models").publish(
        lambda name: content,
        lambda name, model_bytes: ModelManifest(
            version=name, labels=labels, none_label=NONE_OF_THESE, input=spec,
            kinds=columns.kinds,
            maps_output="activation_maps", calibration=calibration, network="tiny", parameters=1,
            sha256=hashlib.sha256(model_bytes).hexdigest(), size_bytes=len(model_bytes),
            training={"label_smoothing": 0.1, "train_side_px": 20, "head_shift": -0.05},
            folds={"networks": 1},
            others={"drawn/cross-validation": OtherMetrics(images=9, refused=1, auroc=1)},
        ),
        lambda manifest: {
            KERAS_NAME: (state / KERAS_NAME).read_bytes(),
            REHEARSAL_NAME: make_rehearsal(Backbone.of(model), snapshot).to_bytes(),
        },
    )  # fmt: skip


def start_state(state: Path, blocks: int = 0) -> None:
    """Put v0001, as ``publish_start`` makes it, into a state that has no store yet."""
    base = DatasetStore(state / "base")
    for label, colour in COLOURS.items():
        fill(base, label, colour, "drawn")
    base.close()
    run(sys.executable, "-c", START, str(state), str(blocks))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of three colours, and a store that holds nothing but a fourth."""
    state = tmp_path_factory.mktemp("state")
    start_state(state)
    store = DatasetStore(state / "store")
    fill(store, "kiwi", KIWI, "uploads")
    store.close()
    return state


@pytest.fixture
def everything(state: Path, tmp_path: Path) -> Path:
    """The same version, and a store that holds the photographs of all four colours."""
    shutil.copytree(state / "models" / "versions" / "v0001", tmp_path / "models/versions/v0001")
    store = DatasetStore(tmp_path / "store")
    for label, colour in (COLOURS | {"kiwi": KIWI}).items():
        fill(store, label, colour, "drawn")
    store.close()
    return tmp_path


START = """
import sys
from pathlib import Path
import tests.integration.test_quick as test
test.publish_start(Path(sys.argv[1]), blocks=int(sys.argv[2]))
"""


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def start_job(
    state: Path, folder: Path, mode: Mode = "quick", start: str = "v0001"
) -> "subprocess.Popen[bytes]":
    folder.mkdir()
    JobRequest(mode=mode, state_dir=str(state), start=start, threads=1, niceness=5).write(folder)
    return subprocess.Popen(
        [sys.executable, "-m", "training.job", str(folder)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def candidate(state: Path) -> tuple[Path, JobResult]:
    """The folder of a finished quick job, and its result."""
    folder = state / "job"
    process = start_job(state, folder)
    output = process.communicate(timeout=200)[0]
    result = JobResult.read(folder)
    assert result is not None, output.decode()
    assert result.version == NEXT, output.decode()
    return folder, result


def test_the_new_class_is_recognised_and_the_others_are_kept(
    state: Path, candidate: tuple[Path, JobResult]
) -> None:
    version = ModelRegistry(state / "models").get(NEXT)
    assert version.manifest.labels == ("apple", "banana", "kiwi", NONE_OF_THESE)
    predictor = OnnxPredictor.load(version)
    rng = np.random.default_rng(99)

    for label, colour in (COLOURS | {"kiwi": KIWI}).items():
        shown = np.clip(np.array(colour) + rng.normal(0, 12, (9, SIDE_PX, SIDE_PX, 3)), 0, 255)
        answers = predictor.run(shown.astype(np.uint8)).argmax(axis=1)
        assert {version.manifest.labels[a] for a in answers} == {label}


def test_the_candidate_tells_how_it_compares_and_where_it_came_from(
    state: Path, candidate: tuple[Path, JobResult]
) -> None:
    manifest = ModelRegistry(state / "models").get(NEXT).manifest

    assert manifest.parent == "v0001"
    assert manifest.gate is not None
    assert manifest.gate.against == "v0001"
    assert manifest.gate.passed, manifest.gate.checks
    assert manifest.gate.comparisons["drawn/test"].images == 12
    assert manifest.gate.new_photos["kiwi"].images == 18
    assert manifest.gate.recalls["uploads/test"]["kiwi"].recall == 1.0
    assert manifest.training["learned"] == {"kiwi": 18}
    # What a thorough retraining that goes on from it has to know.
    assert manifest.training["label_smoothing"] == 0.1
    assert manifest.training["train_side_px"] == 20
    assert manifest.training["head_shift"] == -0.05
    # What was measured of the version that it starts from, and is not true of this one.
    assert not manifest.folds
    assert not manifest.others
    assert max(manifest.parity.values()) <= 1e-5


def test_the_candidate_is_retrained_in_turn_and_judged_by_photos_that_it_has_not_learned(
    state: Path, candidate: tuple[Path, JobResult], tmp_path: Path
) -> None:
    folder = ModelRegistry(state / "models").get(NEXT).folder
    assert NEXT in (folder / "README.md").read_text()
    for name in ("store", "models"):
        shutil.copytree(state / name, tmp_path / name)
    store = DatasetStore(tmp_path / "store")
    store.add(
        picture(KIWI, np.random.default_rng(77)), label="kiwi", source="uploads",
        original_name="later.png", scene="later", split=Split.TRAIN, joins_scenes=False,
    )  # fmt: skip
    store.close()

    output = start_job(tmp_path, tmp_path / "again", start=NEXT).communicate(timeout=200)[0]

    result = JobResult.read(tmp_path / "again")
    assert result is not None, output.decode()
    assert result.version, output.decode()
    manifest = ModelRegistry(tmp_path / "models").get(result.version).manifest
    assert manifest.training["learned"] == {"kiwi": 19}
    assert len(manifest.learned["kiwi"]) == 19
    assert manifest.gate is not None
    assert manifest.gate.new_photos["kiwi"].images == 1  # the other 18 are in the head already
    assert manifest.gate.passed, manifest.gate.checks


def test_a_label_stays_doubtful_where_no_photo_is_new(
    state: Path, candidate: tuple[Path, JobResult], tmp_path: Path
) -> None:
    for name in ("store", "models"):
        shutil.copytree(state / name, tmp_path / name)
    start = ModelRegistry(tmp_path / "models").get(NEXT)
    assert start.manifest.gate is not None
    store = DatasetStore(tmp_path / "store")
    image = store.images(label="kiwi")[0]
    store.close()
    doubt = Suspect(digest=image.digest, label="kiwi", suggested="apple", probability=0.9)
    gate = start.manifest.gate.model_copy(update={"suspects": [doubt]})
    doubting = start.manifest.model_copy(update={"gate": gate})
    (start.folder / MANIFEST_NAME).write_text(doubting.to_json())

    output = start_job(tmp_path, tmp_path / "again", start=NEXT).communicate(timeout=200)[0]

    result = JobResult.read(tmp_path / "again")
    assert result is not None, output.decode()
    assert result.version, output.decode()
    again = ModelRegistry(tmp_path / "models").get(result.version).manifest.gate
    assert again is not None
    assert (again.new_photos, again.suspects) == ({}, [doubt])


def test_the_candidate_keeps_its_answers_to_the_test_images(
    state: Path, candidate: tuple[Path, JobResult]
) -> None:
    version = ModelRegistry(state / "models").get(NEXT)

    found = Examination.read(version.folder / EXAMINATION_NAME)

    assert len(found.images) == 24  # six of each of the four
    for source in ("drawn", "uploads"):
        scores = version.manifest.metrics[f"{source}/test"]
        assert confusion_of(found, source, version.manifest) == scores.confusion
    # Of the rehearsed images there is no photograph, and the first version has no such file.
    seen = np.isfinite(found.statistics).all(axis=1)
    assert seen.tolist() == [image.label == "kiwi" for image in found.images]


def test_the_job_told_its_progress(candidate: tuple[Path, JobResult]) -> None:
    progress = read_progress(candidate[0])

    assert "Looking at 24 new photos" in progress["stages"]
    assert progress["epochs"][-1]["loss"] <= progress["epochs"][0]["loss"]


def test_a_thorough_job_goes_on_training_every_layer(everything: Path) -> None:
    state, folder = everything, everything / "thorough"
    output = start_job(state, folder, "thorough").communicate(timeout=250)[0]
    result = JobResult.read(folder)
    assert result is not None, output.decode()
    assert result.version, output.decode()

    manifest = ModelRegistry(state / "models").get(result.version).manifest
    assert manifest.labels == ("apple", "banana", "kiwi", NONE_OF_THESE)
    assert manifest.parent == "v0001"
    assert manifest.training["head_drawn"] == 8_000
    assert manifest.training["head_shift"] == -0.05
    assert manifest.gate is not None
    assert manifest.gate.against == "v0001"
    assert manifest.gate.comparisons["drawn/test"].images == 12
    assert manifest.gate.recalls["drawn/validation"]["kiwi"].images == 6
    assert manifest.metrics["drawn/test"].accuracy >= 0.9
    assert set(manifest.metrics) == {"drawn/test"}  # the version before may know the others
    assert manifest.calibration is not None
    assert manifest.calibration.chosen_on == "drawn"  # as it was
    found = Examination.read(state / "models/versions" / result.version / EXAMINATION_NAME)
    assert confusion_of(found, "drawn", manifest) == manifest.metrics["drawn/test"].confusion
    assert np.isfinite(found.statistics).all()
    first = Rehearsal.read(state / "models" / "versions" / "v0001" / REHEARSAL_NAME)
    own = Rehearsal.read(state / "models" / "versions" / result.version / REHEARSAL_NAME)
    assert own.backbone != first.backbone
    assert len(own.images) == 96


def test_a_thorough_job_without_photographs_offers_the_base_set(state: Path) -> None:
    folder = state / "too-little"
    start_job(state, folder, "thorough").communicate(timeout=100)
    result = JobResult.read(folder)

    assert result is not None
    assert result.version is None
    assert "apple, banana, none of these there are too few" in result.message
    assert "data fetch grocery" in result.message


def test_one_photo_of_a_known_class_is_enough(state: Path, tmp_path: Path) -> None:
    shutil.copytree(state / "models" / "versions" / "v0001", tmp_path / "models/versions/v0001")
    store = DatasetStore(tmp_path / "store")
    store.add(
        picture(COLOURS["apple"], np.random.default_rng(5)), label="apple", source="uploads",
        original_name="one.png", scene="one", split=Split.TRAIN, joins_scenes=False,
    )  # fmt: skip
    store.close()

    output = start_job(tmp_path, tmp_path / "job").communicate(timeout=200)[0]

    result = JobResult.read(tmp_path / "job")
    assert result is not None, output.decode()
    assert result.version, output.decode()


def test_a_job_that_cannot_learn_says_why(state: Path, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    shutil.copytree(state / "models" / "versions" / "v0001", tmp_path / "models/versions/v0001")

    process = start_job(tmp_path, folder)
    process.communicate(timeout=100)

    assert process.returncode == 1
    result = JobResult.read(folder)
    assert result is not None
    assert "There is no new photo to learn from." in result.message
