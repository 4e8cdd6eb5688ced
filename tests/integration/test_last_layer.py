"""``fit-head``: a version with its columns of other things fitted anew, in either precision.

And ``average``, the mean of such versions; and ``calibrate``, one with another calibration.
"""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from app.predictor import OnnxPredictor
from data.labels import NONE_OF_THESE
from data.store import take_snapshot
from models.manifest import (
    FOLDS_PRECISION,
    KERAS_NAME,
    REHEARSAL_NAME,
    Calibration,
    ModelManifest,
)
from models.registry import ModelRegistry, ModelVersion
from tests.conftest import NEXT
from tests.integration.test_quantize import features_of, shown, start_quantized
from tests.integration.test_quick import COLOURS, ROOT
from training.calibration import calibrated
from training.columns import Columns
from training.config import TrainConfig
from training.cross_validation import CrossValidation, _answers, cross_validate
from training.dataset import load_images
from training.folds import KeptFolds
from training.saved import load_network

# Several trainings, each with a limit of its own, in one fixture; under a minute on two idle cores.
pytestmark = pytest.mark.timeout(900)


def train(state: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "training", "--state-dir", str(state), *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)


def fit_head(state: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    return train(state, "fit-head", *flags)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v0001 in floats, NEXT of it in eight bits, and of each another with a fitted head."""
    state = tmp_path_factory.mktemp("state")
    start_quantized(state)
    for version in ("v0001", NEXT):
        done = fit_head(state, "--version", version, "--drawn", "200")
        assert done.returncode == 0, done.stdout + done.stderr
    return state


def pairs(state: Path) -> list[tuple[ModelVersion, ModelVersion]]:
    """Return each version and the one that was fitted from it."""
    registry = ModelRegistry(state / "models")
    fitted = [v for v in registry.list() if "head_drawn" in v.manifest.training]
    return [(registry.get(v.manifest.parent or ""), v) for v in fitted]


def test_only_the_columns_of_other_things_differ(state: Path) -> None:
    assert [start.version for start, _ in pairs(state)] == ["v0001", NEXT]
    for start, fitted in pairs(state):
        before, after = (
            keras.saving.load_model(v.verify(KERAS_NAME), compile=False) for v in (start, fitted)
        )
        weights = [model.get_weights() for model in (before, after)]
        for old, new in zip(*(w[:-2] for w in weights), strict=True):
            np.testing.assert_array_equal(old, new)
        (old_kernel, old_bias), (kernel, bias) = (w[-2:] for w in weights)
        classes = len(start.manifest.classes)
        np.testing.assert_array_equal(kernel[:, :classes], old_kernel[:, :classes])
        np.testing.assert_array_equal(bias[:classes], old_bias[:classes])
        assert np.abs(kernel[:, classes:] - old_kernel[:, classes:]).max() > 0
        np.testing.assert_array_equal(
            features_of(fitted, shown("apple")), features_of(start, shown("apple"))
        )
        assert (fitted.folder / REHEARSAL_NAME).read_bytes() == (
            start.folder / REHEARSAL_NAME
        ).read_bytes()


def test_it_knows_what_was_known_and_refuses_what_is_made_up(state: Path) -> None:
    for start, fitted in pairs(state):
        manifest = fitted.manifest
        predictor = OnnxPredictor.load(fitted)
        for label in COLOURS:
            answers = predictor.run(shown(label)).argmax(axis=1)
            assert {manifest.labels[column] for column in answers} == {label}
        assert manifest.labels[-1] == NONE_OF_THESE
        assert manifest.precision == start.manifest.precision
        assert manifest.calibration == start.manifest.calibration


def test_it_says_where_it_came_from_and_how_it_compares(state: Path) -> None:
    for start, fitted in pairs(state):
        manifest = fitted.manifest
        assert manifest.training["head_drawn"] == 200
        assert manifest.gate is not None
        assert (manifest.gate.against, manifest.gate.passed) == (start.version, True)
        assert max(manifest.parity.values()) <= 1e-5
        assert "head_drawn 200" in (fitted.folder / "README.md").read_text()


def test_fewer_threads_than_none_are_said_and_do_not_end_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training", "--state-dir", str(tmp_path), "--threads", "-1"]

    for name in ("fit-head", "quantize"):
        done = subprocess.run(
            [*command, name], cwd=ROOT, capture_output=True, text=True, timeout=200
        )

        assert done.returncode == 1
        assert "ValueError: threads is -1; the least is 0" in " ".join(done.stderr.split())


def test_without_photographs_it_says_what_is_missing(state: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(state / "models")

    done = fit_head(tmp_path, "--version", "v0001")

    assert done.returncode == 1
    assert "The store holds 0 images to draw from" in " ".join(done.stderr.split())


def test_a_mean_lies_half_way_and_is_in_floats(state: Path) -> None:
    start, fitted = pairs(state)[1]  # in eight bits: the floats that they came from count
    done = train(state, "average", start.version, fitted.version)
    assert done.returncode == 0, done.stdout + done.stderr

    mean = ModelRegistry(state / "models").list()[-1]

    first, second, found = (
        keras.saving.load_model(v.verify(KERAS_NAME), compile=False).get_weights()
        for v in (start, fitted, mean)
    )
    for one, other, between in zip(first, second, found, strict=True):
        np.testing.assert_allclose(between, (one + other) / 2, atol=1e-7)
    assert mean.manifest.precision == "float32"
    assert mean.manifest.training["mean_of"] == [start.version, fitted.version]
    # Half of what each was fitted with is in the columns of the mean.
    calibration = fitted.manifest.calibration
    assert calibration is not None
    added, both = (v.manifest.training["head_shift"] for v in (start, fitted))
    assert added != both
    between = (added + both) / 2
    assert mean.manifest.training["head_shift"] == pytest.approx(between)
    assert mean.manifest.calibration == calibration.model_copy(
        update={"none_shift": pytest.approx(calibration.none_shift - both + between)}
    )
    assert (mean.manifest.parent, mean.manifest.rejected) == (fitted.version, False)
    assert (mean.folder / REHEARSAL_NAME).exists()
    answers = OnnxPredictor.load(mean).run(shown("apple")).argmax(axis=1)
    assert {mean.manifest.labels[column] for column in answers} == {"apple"}


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        (["v0001", "v0001"], "is nothing new. Name two versions or more."),
        (["v0001", "v9999"], "No model version 'v9999'"),
    ],
)
def test_what_has_no_mean_is_said(state: Path, versions: list[str], words: str) -> None:
    done = train(state, "average", *versions)

    assert done.returncode == 1
    assert words in " ".join(done.stderr.split())


@pytest.mark.parametrize("version", ["v0001", NEXT], ids=["float32", "int8"])
def test_a_fold_answers_as_its_network_would_be_served(state: Path, version: str) -> None:
    start = ModelRegistry(state / "models").get(version)
    manifest, snapshot = start.manifest, take_snapshot(state)
    images = load_images(
        snapshot.root, snapshot.images[::9], manifest.labels, manifest.input.side_px
    )
    file = start.verify().read_bytes() if manifest.precision == "int8" else None

    logits = _answers(
        load_network(start), file, snapshot.root, images.images, Columns.of_version(manifest)
    )

    how = manifest.calibration
    assert how is not None
    found = np.exp(calibrated(logits, how.temperature, manifest.none_column, how.none_shift))
    np.testing.assert_allclose(found, OnnxPredictor.load(start).run(images.pixels), atol=1e-4)


def test_folds_in_eight_bits_need_a_network_with_features(state: Path, tmp_path: Path) -> None:
    config = TrainConfig(schedule="cosine")

    with pytest.raises(ValueError, match="--precision int8 cannot be used with seed_cnn"):
        cross_validate(take_snapshot(state), config, 2, KeptFolds(tmp_path), precision="int8")


FOLDS = Calibration(
    temperature=2.0,
    none_shift=0.5,
    none_threshold=0.4,
    chosen_on="drawn/cross-validation",
    images=40,
)


def judged_in(manifest: ModelManifest) -> dict[str, str]:
    """Return what is recorded of the folds' precision."""
    return {FOLDS_PRECISION: "int8"} if manifest.precision == "int8" else {}


def folds_file(folder: Path, registry: ModelRegistry, version: str, **changes: object) -> str:
    """Write what a cross-validation with the settings of the version found."""
    manifest = registry.get(version).manifest
    (scores, *_) = registry.get(NEXT).manifest.metrics.values()
    found = CrossValidation(
        snapshot=manifest.snapshot,
        training=manifest.training | judged_in(manifest),
        labels=manifest.labels,
        calibration=FOLDS,
        metrics={"drawn/cross-validation": scores},
        others={},
        folds=[],
    )
    path = folder / "folds.json"
    path.write_text(found.model_copy(update=changes).model_dump_json())
    return str(path)


@pytest.mark.parametrize("fitted", [False, True], ids=["as trained", "by fit-head"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_it_answers_as_before_but_for_the_calibration(
    state: Path, tmp_path: Path, precision: str, fitted: bool
) -> None:
    registry = ModelRegistry(state / "models")
    start = pairs(state)[precision == "int8"][fitted]
    version = start.version
    done = train(state, "calibrate", folds_file(tmp_path, registry, version), "--version", version)
    assert done.returncode == 0, done.stdout + done.stderr

    found = registry.list()[-1]

    manifest, old = found.manifest, start.manifest.calibration
    assert old is not None
    # fit-head lowered the columns by what was added while it fitted them.
    added = start.manifest.training["head_shift"]
    assert added == (old.none_shift if fitted else -0.05)
    expected_calibration = FOLDS.model_copy(update={"none_shift": FOLDS.none_shift + added})
    assert manifest.calibration == expected_calibration
    assert manifest.training == start.manifest.training | {"head_shift": added}
    assert (manifest.parent, manifest.precision) == (version, precision)
    assert manifest.folds == start.manifest.training | judged_in(manifest)
    assert {"drawn/cross-validation", "drawn/test"} <= manifest.metrics.keys()
    assert set(manifest.files) >= {KERAS_NAME, REHEARSAL_NAME}
    assert (found.folder / KERAS_NAME).read_bytes() == (start.folder / KERAS_NAME).read_bytes()
    before, after = (
        np.log(OnnxPredictor.load(v).run(shown("apple")).astype(np.float64)) for v in (start, found)
    )
    none = manifest.none_column
    assert none is not None
    other = 1 if none == 0 else 0
    ratios = after[:, none] - after[:, other]
    expected = (before[:, none] - before[:, other]) * old.temperature
    expected += expected_calibration.none_shift - old.none_shift
    np.testing.assert_allclose(ratios * FOLDS.temperature, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"snapshot": "0" * 64}, "judged the images of snapshot 0000000000000000"),
        ({"training": {"seed": 99}}, "seed 99 instead of"),
        ({"labels": ("apple", "mango")}, "the labels apple, mango"),
    ],
)
def test_folds_of_something_else_do_not_calibrate(
    state: Path, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    registry = ModelRegistry(state / "models")
    before = [v.version for v in registry.list()]

    path = folds_file(tmp_path, registry, "v0001", **changes)
    done = train(state, "calibrate", path, "--version", "v0001")

    assert done.returncode == 1
    assert words in " ".join(done.stderr.split())
    assert [v.version for v in registry.list()] == before
