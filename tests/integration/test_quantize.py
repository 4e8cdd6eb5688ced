"""A version in eight bits, on a small network of its own, and the retrainings that start from it.

TensorFlow runs in a process of its own, as it does in use; this file is the program as well.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from app.predictor import OnnxPredictor
from data.images import load_model_input
from data.labels import NONE_OF_THESE
from data.splits import Split
from data.store import DatasetStore
from export.errors import ConversionError
from export.parity import onnx_predict
from export.quantize import quantized
from models.examination import EXAMINATION_NAME, Examination
from models.jobs import JobResult, Mode
from models.manifest import (
    FEATURES_OUTPUT,
    KERAS_NAME,
    MANIFEST_NAME,
    REHEARSAL_NAME,
    GateReport,
    Suspect,
)
from models.registry import ModelRegistry, ModelVersion
from models.rehearsal import Rehearsal
from tests.conftest import NEXT, confusion_of
from tests.integration.test_quick import (
    COLOURS,
    KIWI,
    ROOT,
    SIDE_PX,
    fill,
    start_job,
    start_state,
)


def quantize(state: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "training", "--state-dir", str(state), "quantize", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)


def start_quantized(state: Path) -> None:
    """Put v0001 in floats, NEXT of it in eight bits, and its photographs into a state."""
    start_state(state, blocks=4)
    store = DatasetStore(state / "store")
    for label, colour in COLOURS.items():
        fill(store, label, colour, "drawn")
    store.close()
    done = quantize(state, "--version", "v0001")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v0001 in floats, NEXT of it in eight bits, and the photographs of a fourth colour too."""
    state = tmp_path_factory.mktemp("state")
    store = DatasetStore(state / "store")
    fill(store, "kiwi", KIWI, "uploads")  # v0001 knows nothing of it, and must not rehearse it
    store.close()
    start_quantized(state)
    return state


def version_of(state: Path, name: str) -> ModelVersion:
    return ModelRegistry(state / "models").get(name)


def weights_of(version: ModelVersion) -> dict[int, int]:
    """Return how many weights of each type the ONNX file holds."""
    found: dict[int, int] = {}
    for weight in onnx.load(version.model_path).graph.initializer:
        found[weight.data_type] = found.get(weight.data_type, 0) + int(np.prod(weight.dims))
    return found


def features_of(version: ModelVersion, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return onnx_predict(version.model_path.read_bytes(), FEATURES_OUTPUT)(pixels)


def shown(label: str) -> NDArray[np.uint8]:
    rng = np.random.default_rng(99)
    colour = np.array((COLOURS | {"kiwi": KIWI})[label])
    return np.clip(colour + rng.normal(0, 12, (9, SIDE_PX, SIDE_PX, 3)), 0, 255).astype(np.uint8)


def test_it_holds_integers_behind_the_first_layers_and_floats_behind_the_features(
    state: Path,
) -> None:
    before, after = version_of(state, "v0001"), version_of(state, NEXT)

    assert onnx.TensorProto.INT8 not in weights_of(before)
    # Behind the stem and five more: two convolutions of 24 x 24 and one of 3 x 3 x 24.
    assert weights_of(after)[onnx.TensorProto.INT8] >= 2 * 24 * 24 + 9 * 24
    assert after.manifest.precision == "int8"
    graph = onnx.load(after.model_path).graph
    made_by = {name: node for node in graph.node for name in node.output}
    matrix = next(node for node in graph.node if node.op_type in ("Gemm", "MatMul"))
    assert made_by[matrix.input[0]].op_type != "DequantizeLinear"


def test_weights_leave_room_for_the_sums_of_old_processors(state: Path) -> None:
    graph = onnx.load(version_of(state, NEXT).model_path).graph
    values = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    widest: dict[int, int] = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in values:
            weight = values[node.input[0]].astype(int)
            if weight.ndim == 4:
                channels = weight.shape[1]
                widest[channels] = max(widest.get(channels, 0), int(np.abs(weight).max()))

    assert widest[24] <= 64  # 255 * 64 * 2 fits into 16 bits
    assert 64 < widest[1] <= 127  # nothing is added up before there are 32


def test_it_answers_as_the_version_that_it_came_from(state: Path) -> None:
    predictors = [OnnxPredictor.load(version_of(state, name)) for name in ("v0001", NEXT)]

    for label in COLOURS:
        before, after = (predictor.run(shown(label)) for predictor in predictors)
        assert np.abs(before - after).max() < 0.1
        assert np.abs(before - after).max() > 0  # it is another network
        labels = version_of(state, NEXT).manifest.labels
        assert {labels[column] for column in after.argmax(axis=1)} == {label}


def test_it_says_where_it_came_from_and_how_it_compares(state: Path) -> None:
    version = version_of(state, NEXT)
    manifest = version.manifest

    assert manifest.parent == "v0001"
    assert manifest.gate is not None
    assert manifest.gate.against == "v0001"
    assert manifest.gate.comparisons["drawn/test"].images == 12
    assert max(manifest.parity.values()) <= 1e-5
    found = Examination.read(version.folder / EXAMINATION_NAME)
    assert confusion_of(found, "drawn", manifest) == manifest.metrics["drawn/test"].confusion
    assert "most of it in eight-bit integers" in (version.folder / "README.md").read_text()
    first = version_of(state, "v0001").folder
    assert (version.folder / KERAS_NAME).read_bytes() == (first / KERAS_NAME).read_bytes()


def test_what_a_quick_retraining_rehearses_was_made_by_the_integers(state: Path) -> None:
    version = version_of(state, NEXT)
    rehearsal = Rehearsal.read(version.folder / REHEARSAL_NAME)
    store = DatasetStore(state / "store")
    snapshot = store.snapshot()
    store.close()
    one = next(i for i in snapshot.select(split=Split.TEST) if i.label == "apple")
    row = next(r for r, image in enumerate(rehearsal.images) if image.digest == one.digest)
    pixels = load_model_input((snapshot.root / one.path).read_bytes(), SIDE_PX)[None]

    expected = features_of(version, pixels).mean(axis=(1, 2))[0]

    np.testing.assert_array_equal(rehearsal.features[row], expected.astype(np.float16))
    in_floats = Rehearsal.read(version_of(state, "v0001").folder / REHEARSAL_NAME)
    assert in_floats.images == rehearsal.images
    assert (in_floats.features != rehearsal.features).any()


def retrained(state: Path, folder: Path, mode: Mode) -> ModelVersion:
    output = start_job(state, folder, mode, NEXT).communicate(timeout=250)[0]
    result = JobResult.read(folder)
    assert result is not None, output.decode()
    assert result.version, output.decode()
    version = version_of(state, result.version)
    assert version.manifest.precision == "int8"
    assert version.manifest.parent == NEXT
    assert version.manifest.labels == ("apple", "banana", "kiwi", NONE_OF_THESE)
    assert onnx.TensorProto.INT8 in weights_of(version)
    # What was judged is what was published.
    found = Examination.read(version.folder / EXAMINATION_NAME)
    scores = version.manifest.metrics["drawn/test"]
    assert confusion_of(found, "drawn", version.manifest) == scores.confusion
    assert scores.accuracy >= 0.9
    return version


def test_a_quick_retraining_keeps_everything_before_the_last_layer_to_the_bit(
    state: Path, tmp_path: Path
) -> None:
    version = retrained(state, tmp_path / "job", "quick")

    assert version.manifest.gate is not None
    assert version.manifest.gate.passed, version.manifest.gate.checks
    answers = OnnxPredictor.load(version).run(shown("kiwi")).argmax(axis=1)
    assert {version.manifest.labels[column] for column in answers} == {"kiwi"}
    before = features_of(version_of(state, NEXT), shown("kiwi"))
    np.testing.assert_array_equal(features_of(version, shown("kiwi")), before)


def test_a_thorough_retraining_is_quantized_anew(state: Path, tmp_path: Path) -> None:
    version = retrained(state, tmp_path / "job", "thorough")
    assert version.manifest.training["mode"] == "thorough"

    before = features_of(version_of(state, NEXT), shown("kiwi"))
    assert np.abs(features_of(version, shown("kiwi")) - before).max() > 0
    rehearsal = Rehearsal.read(version.folder / REHEARSAL_NAME)
    assert len(rehearsal.images) == 96


def test_a_version_in_eight_bits_is_not_quantized_again(state: Path) -> None:
    versions = [v.version for v in ModelRegistry(state / "models").list()]

    done = quantize(state, "--version", NEXT)

    assert done.returncode == 1
    assert f"{NEXT} is in eight bits already. Name a version in floats." in done.stderr
    assert [v.version for v in ModelRegistry(state / "models").list()] == versions


def test_without_photographs_it_says_what_is_missing(state: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(state / "models")

    done = quantize(tmp_path, "--version", "v0001")

    assert done.returncode == 1
    assert "The store holds 0 training and 0 test images of what v0001 knows" in " ".join(
        done.stderr.split()
    )


@pytest.fixture
def store(state: Path, tmp_path: Path) -> Iterator[DatasetStore]:
    """The photographs that v0001 rehearses, beside a copy of it."""
    shutil.copytree(state / "models" / "versions" / "v0001", tmp_path / "models/versions/v0001")
    store = DatasetStore(tmp_path / "store")
    for label, colour in COLOURS.items():
        fill(store, label, colour, "drawn")
    yield store
    store.close()


def test_what_the_store_lacks_is_told_and_doubts_about_labels_stay(
    store: DatasetStore, tmp_path: Path
) -> None:
    store.remove([image.digest for image in store.images(label="banana")[:5]])
    apple = store.images(label="apple")[0]
    doubt = Suspect(digest=apple.digest, label="apple", suggested="banana", probability=0.9)
    start = version_of(tmp_path, "v0001")
    gate = GateReport(against="v0000", checks=[], suspects=[doubt])
    manifest = start.manifest.model_copy(update={"gate": gate})
    (start.folder / MANIFEST_NAME).write_text(manifest.to_json())

    done = quantize(tmp_path, "--version", "v0001")

    assert done.returncode == 0, done.stderr
    assert (
        "Of 72 images that v0001 rehearses, 67 are kept. The photographs of the other 5 are not in "
        "the store, so a quick retraining will not rehearse them;"
    ) in " ".join(done.stdout.split())
    made = ModelRegistry(tmp_path / "models").list()[-1]
    assert made.manifest.precision == "int8"
    assert len(Rehearsal.read(made.folder / REHEARSAL_NAME).images) == 67
    assert made.manifest.gate is not None
    assert made.manifest.gate.suspects == [doubt]


def test_a_label_of_which_nothing_is_left_to_rehearse_stops_it(
    store: DatasetStore, tmp_path: Path
) -> None:
    bananas = [i for i in store.images(label="banana") if i.split != Split.TEST]
    store.remove([image.digest for image in bananas])

    done = quantize(tmp_path, "--version", "v0001")

    assert done.returncode == 1
    assert (
        "NotEnoughData: The store holds no image to rehearse of banana, which v0001 knows; it "
        "takes some of every label. Import the photographs that it was trained on first: python "
        "-m data fetch grocery."
    ) in " ".join(done.stderr.split())
    assert [v.version for v in ModelRegistry(tmp_path / "models").list()] == ["v0001"]


def test_a_model_without_features_is_refused(state: Path) -> None:
    model = onnx.load(version_of(state, "v0001").model_path)
    kept = [output for output in model.graph.output if output.name != FEATURES_OUTPUT]
    del model.graph.output[:]
    model.graph.output.extend(kept)

    with pytest.raises(ConversionError, match="no output 'features'"):
        quantized(model.SerializeToString(), shown("apple"))
