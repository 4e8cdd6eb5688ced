"""The whole retrain flow on drawn fruit: two epochs of Keras, ONNX, parity, a published version.

TensorFlow runs in subprocesses here, as it does in use; the commands are the users' own.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from data.drawings import draw_fruit
from data.images import load_model_input
from data.splits import Split
from data.store import DatasetStore
from models.card import CARD_NAME
from models.examination import EXAMINATION_NAME, Examination
from models.manifest import FOLDS_PRECISION
from models.registry import ModelRegistry, ModelVersion
from tests.conftest import confusion_of
from training.config import DRAWS, OTHERS_WEIGHT

# Several trainings, each with a limit of its own, in one fixture; under a minute on two idle cores.
pytestmark = pytest.mark.timeout(900)
LABELS = ("banana", "eggplant", "orange")
FLAGS = ("--side-px", "48", "--batch-size", "8", "--threads", "2")


def encoded(label: str, seed: int) -> bytes:
    buffer = io.BytesIO()
    draw_fruit(label, 64, seed).save(buffer, "PNG")
    return buffer.getvalue()


def run(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FRUIT_STATE_DIR": str(state), "COLUMNS": "160"}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def interrupted(state: Path, *arguments: str, after: str) -> tuple[int, str]:
    """Run a command, press Ctrl-C once it has said so, and return its exit status and errors."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env={**os.environ, "FRUIT_STATE_DIR": str(state), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in the background ignore Ctrl-C, and the child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    deadline = time.monotonic() + 120
    while after not in process.stdout.readline():
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with ten drawn pictures a class: six train, two choose, two judge."""
    state = tmp_path_factory.mktemp("state")
    store = DatasetStore(state / "store")
    splits = [Split.TRAIN] * 6 + [Split.VALIDATION] * 2 + [Split.TEST] * 2
    with store.batch() as batch:
        for label in LABELS:
            for seed, split in enumerate(splits):
                batch.add(
                    encoded(label, seed),
                    label=label,
                    source="drawn",
                    original_name=f"{label}-{seed}.png",
                    variety=f"{label} drawing",
                    split=split,
                    joins_scenes=False,
                )
        batch.add(
            encoded("apple", 99), label="none of these", source="drawn", original_name="other.png"
        )
    store.close()
    return state


@pytest.fixture(scope="module")
def published(state: Path) -> tuple[ModelVersion, str]:
    """The version that the users' command publishes, and what it printed."""
    result = run(state, "training", "--epochs", "2", *FLAGS)
    assert result.returncode == 0, result.stderr
    return ModelRegistry(state / "models").list()[-1], result.stdout


def test_training_publishes_a_version_with_its_scores(
    published: tuple[ModelVersion, str],
) -> None:
    version, output = published

    manifest = version.manifest
    version.verify()
    assert manifest.labels == LABELS
    assert manifest.network == "seed_cnn"
    assert manifest.training["epochs"] == 2
    assert len(manifest.history) == 2
    assert set(manifest.metrics) == {"drawn/validation", "drawn/test"}
    assert manifest.metrics["drawn/test"].images == 6
    assert np.array(manifest.metrics["drawn/test"].confusion).sum() == 6
    assert set(manifest.metrics["drawn/test"].per_group) == {f"{n} drawing" for n in LABELS}
    assert sum(manifest.sources[0].images.values()) == 31
    assert manifest.libraries["tensorflow"] != "unknown"
    assert "epoch 2/2" in output
    assert f"Published {version.version}" in output


def test_parity_with_keras_is_recorded_and_small(published: tuple[ModelVersion, str]) -> None:
    parity = published[0].manifest.parity

    assert set(parity) == {"1", "3"}
    assert max(parity.values()) <= 1e-5


def test_the_onnx_file_alone_suffices_to_predict(published: tuple[ModelVersion, str]) -> None:
    session = onnxruntime.InferenceSession(published[0].model_path)

    described = session.get_modelmeta().custom_metadata_map
    preprocessing = json.loads(described["preprocessing"])
    images = np.stack(
        [load_model_input(encoded(label, 7), preprocessing["side_px"]) for label in LABELS]
    )
    (probabilities,) = session.run([described["output"]], {preprocessing["name"]: images})
    assert json.loads(described["labels"]) == list(LABELS)
    assert described["version"] == published[0].version
    assert probabilities.shape == (3, 3)
    assert probabilities.sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-5)


def test_pictures_of_the_evaluation_are_published(published: tuple[ModelVersion, str]) -> None:
    pictures = sorted(path.name for path in published[0].folder.glob("*.png"))

    assert pictures == ["confusion-drawn-test.png", "confusion-drawn-validation.png", "history.png"]


def test_the_card_and_the_trained_network_are_published(
    published: tuple[ModelVersion, str],
) -> None:
    version, _ = published

    assert f"# Fruit classifier {version.version}" in (version.folder / "README.md").read_text()
    assert zipfile.is_zipfile(version.folder / "model.keras")


def test_the_answers_to_the_test_images_are_published(
    published: tuple[ModelVersion, str],
) -> None:
    version, _ = published

    found = Examination.read(version.folder / EXAMINATION_NAME)

    assert len(found.images) == 6
    scores = version.manifest.metrics["drawn/test"]
    assert confusion_of(found, "drawn", version.manifest) == scores.confusion
    assert np.isfinite(found.statistics).all()
    assert found.statistics[:, 3].min() > 0.5  # drawn on white, some with a shadow to the edge


def test_a_version_is_examined_by_command_as_it_was_at_publishing(
    state: Path, published: tuple[ModelVersion, str], tmp_path: Path
) -> None:
    version, _ = published
    shutil.copytree(state, tmp_path / "state")
    path = tmp_path / "state/models/versions" / version.version / EXAMINATION_NAME
    path.unlink()

    result = run(tmp_path / "state", "training", "examine", "--version", version.version)

    assert result.returncode == 0, result.stderr
    assert f"{EXAMINATION_NAME}." in result.stdout
    again, first = Examination.read(path), Examination.read(version.folder / EXAMINATION_NAME)
    # The store also holds pictures of none of the classes.
    rows = [row for row, image in enumerate(again.images) if image.label in LABELS]
    assert tuple(again.images[row] for row in rows) == first.images
    assert again.confidence[rows] == pytest.approx(first.confidence, abs=1e-3)
    np.testing.assert_array_equal(again.statistics[rows], first.statistics)


def test_the_temperature_is_chosen_on_the_validation_images(
    published: tuple[ModelVersion, str],
) -> None:
    calibration = published[0].manifest.calibration

    assert calibration is not None
    assert (calibration.chosen_on, calibration.images) == ("drawn/validation", 6)
    assert calibration.none_threshold is None


@pytest.fixture(scope="module")
def refit(state: Path) -> tuple[ModelVersion, str]:
    """The version trained with the settings and the calibration of a cross-validation."""
    store = DatasetStore(state / "store")
    with store.batch() as batch:
        for seed, split in enumerate([Split.TRAIN] * 4 + [Split.VALIDATION] * 3 + [Split.TEST] * 2):
            batch.add(
                encoded("apple", seed), label="none of these", source="drawn",
                original_name=f"other-{seed}.png", variety="others", split=split,
                joins_scenes=False,
            )  # fmt: skip
        for seed in range(20, 24):  # films of other things, two objects
            batch.add(
                encoded("orange", seed), label="none of these", source="films",
                original_name=f"film-{seed}.png", variety=f"Pear {seed % 2}",
                scene=f"film {seed % 2}", split=Split.TRAIN, joins_scenes=False,
            )  # fmt: skip
    store.close()
    scenes = ("--augmentation", "scenes", "--none-of-these", "--kinds", "--schedule", "cosine")
    command = (
        "training", "cross-validate", "--folds", "2", "--epochs", "1", "--steps-per-epoch", "3",
        "--network", "efficientnet_lite0", "--head-drawn", "40", "--precision", "int8",
        *scenes, *FLAGS,
    )  # fmt: skip
    returncode, errors = interrupted(state, *command, after="Its answers are kept")
    assert returncode == 130, errors
    judged = run(state, *command)
    assert judged.returncode == 0, judged.stderr
    (result,) = (state / "cross-validations").iterdir()
    given = ("--network", "efficientnet_lite1", "--networks", "2", "--threads", "2")
    trained = run(state, "training", "--refit", str(result), *given)
    assert trained.returncode == 0, trained.stderr
    return ModelRegistry(state / "models").list()[-1], judged.stdout + trained.stdout


def test_a_cross_validation_judges_every_image_that_may_be_trained_on(
    refit: tuple[ModelVersion, str],
) -> None:
    version, output = refit

    scores = version.manifest.metrics["drawn/cross-validation"]
    assert scores.images == 24  # eight of each class: those of training and of validation
    assert scores.others is not None
    assert scores.others.images == 8
    assert "accuracy of the folds" in output


def test_a_cross_validation_that_was_stopped_trains_no_finished_fold_again(
    refit: tuple[ModelVersion, str],
) -> None:
    _, output = refit

    assert "Fold 1 of 2: finished before" in output
    assert "Fold 2 of 2: judging" in output
    assert output.count("epoch 1/1") == 1


def test_other_things_are_fitted_again_in_the_folds_and_in_the_refit(
    refit: tuple[ModelVersion, str],
) -> None:
    version, output = refit

    assert output.count("Looking at 40 drawn pictures") == 2  # one fold was finished before
    assert version.manifest.training["head_drawn"] == 40
    assert version.manifest.folds["head_others_weight"] == OTHERS_WEIGHT


def test_folds_can_judge_in_eight_bits(refit: tuple[ModelVersion, str]) -> None:
    version, output = refit

    assert output.count("Quantizing") == 1  # one fold was finished before
    assert version.manifest.folds[FOLDS_PRECISION] == "int8"
    assert "Those networks were in eight bits." in (version.folder / CARD_NAME).read_text()


def test_objects_of_none_of_the_classes_are_held_out_too(refit: tuple[ModelVersion, str]) -> None:
    manifest, output = refit[0].manifest, refit[1]

    assert manifest.others.keys() == {"films/cross-validation"}
    films = manifest.others["films/cross-validation"]
    assert films.images == 4
    assert films.auroc is not None
    assert 0 <= films.auroc <= 1
    assert "films/cross-validation" in output


def test_a_refit_takes_settings_and_calibration_from_it(refit: tuple[ModelVersion, str]) -> None:
    manifest = refit[0].manifest

    assert manifest.labels == (*LABELS, "none_of_these")
    assert manifest.none_label == "none_of_these"
    assert manifest.kinds == ("pear", "other")  # the graph merges them
    assert manifest.training["augmentation"] == "scenes"
    assert manifest.training["steps_per_epoch"] == 3
    # Another network and another number than were judged, as the flags asked:
    judged = {name: value for name, value in manifest.folds.items() if name != FOLDS_PRECISION}
    assert manifest.training == {**judged, "network": "efficientnet_lite1", "networks": 2}
    assert manifest.network == "efficientnet_lite1"
    assert manifest.training["draws"] == DRAWS
    assert len(manifest.history) == 2
    assert manifest.calibration is not None
    assert manifest.calibration.chosen_on == "drawn/cross-validation"
    assert manifest.calibration.none_threshold is not None
    assert set(manifest.metrics) == {"drawn/cross-validation", "drawn/test"}
    assert "val_loss" not in manifest.history[0]  # those images were trained on


def test_a_cross_validation_of_other_images_is_refused(
    state: Path, refit: tuple[ModelVersion, str]
) -> None:
    (result,) = (state / "cross-validations").iterdir()
    store = DatasetStore(state / "store")
    with store.batch() as batch:
        batch.add(encoded("orange", 77), label="orange", source="drawn", original_name="late.png")
    store.close()

    refused = run(state, "training", "--refit", str(result))

    assert refused.returncode == 1
    assert "InvalidCrossValidation" in refused.stderr


def test_a_store_that_memory_has_no_room_for_is_sampled_and_it_is_said(state: Path) -> None:
    code = (
        "import sys; from training import dataset; from training.__main__ import main\n"
        f"dataset.POOL_BYTES, dataset.JUDGING_BYTES = ({3 * 48**2} * n for n in (24, 3))\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    # One picture of each class chooses and another judges, of two each; TensorFlow copies the rest.
    done = subprocess.run(
        [sys.executable, "-c", code, "--state-dir", str(state), "--epochs", "1", *FLAGS],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    for words in ("to choose by, 3 fit into", "to judge by, 3 fit into", "to learn from, 12 fit"):
        assert words in told
    assert "Training seed_cnn on 12 images" in told
    manifest = ModelRegistry(state / "models").list()[-1].manifest
    assert all(note in told for note in manifest.training["notes"])
    assert len(manifest.training["notes"]) == 3
    assert manifest.metrics["drawn/test"].images == 3
    assert [row.support for row in manifest.metrics["drawn/test"].per_class.values()] == [1, 1, 1]


def test_a_network_without_features_gets_a_column_for_a_new_class(
    published: tuple[ModelVersion, str], state: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from models.registry import ModelRegistry\n"
        "from training.network import widened_head, with_head\n"
        "from training.saved import load_network\n"
        "version = ModelRegistry(Path(sys.argv[1])).get(sys.argv[2])\n"
        "model = load_network(version)\n"
        "classes = (*version.manifest.classes, 'kiwi')\n"
        "print(with_head(model, *widened_head(model, version.manifest, classes, {})).output.shape)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(state / "models"), published[0].version],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.stdout.strip() == f"(None, {len(LABELS) + 1})", done.stderr


def test_interrupting_leaves_nothing_published(state: Path) -> None:
    before = _versions(state)
    returncode, errors = interrupted(
        state, "training", "--epochs", "500", "--patience-epochs", "500", *FLAGS,
        after="epoch 1/500",
    )  # fmt: skip

    assert returncode == 130
    assert "Stopped. Nothing was published." in errors
    assert _versions(state) == before


def _versions(state: Path) -> list[str]:
    return [version.version for version in ModelRegistry(state / "models").list()]


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    result = run(tmp_path, "training")

    assert result.returncode == 1
    assert "NotEnoughData" in result.stderr
    assert "python -m data fetch fruits-360" in result.stderr


def test_an_unknown_network_names_what_there_is(state: Path) -> None:
    result = run(state, "training", "--network", "resnet", *FLAGS)

    assert result.returncode == 1
    said = " ".join(result.stderr.split())  # the console breaks lines
    networks = "efficientnet_lite0, efficientnet_lite1, efficientnet_lite2, seed_cnn"
    assert f"No network 'resnet'; available: {networks}" in said


def test_the_seed_network_is_the_seeds(tmp_path: Path) -> None:
    code = (
        "from training.config import TrainConfig; from training.network import build_network;"
        "print(build_network(TrainConfig(), 8).count_params())"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )

    assert result.stdout.strip() == "3374280"
