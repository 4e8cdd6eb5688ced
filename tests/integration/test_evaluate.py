"""``python -m training evaluate`` scores a real ONNX file on real files."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from data.drawings import draw_fruit
from models.errors import InvalidVersion
from models.registry import ModelVersion
from training.__main__ import main
from training.score import score_archive


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Drawn fruit: three in the right folder, one in a wrong one, and things that do not count."""
    drawings = {
        "apple/1.png": "apple",
        "banana/1.png": "banana",
        "orange/1.png": "orange",
        "orange/2.png": "banana",  # mislabelled on purpose
        "none of these/1.png": "mango",
        "kiwi/1.png": "onion",
    }
    root = tmp_path / "unseen"
    for name, label in drawings.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        draw_fruit(label, 160).save(buffer, "PNG")
        path.write_bytes(buffer.getvalue())
    (root / "apple" / "broken.jpg").write_bytes(b"no picture")
    (root / "apple" / "notes.txt").write_bytes(b"hello")
    return root


def test_known_classes_are_scored_and_the_rest_is_counted(
    version: ModelVersion, folder: Path
) -> None:
    report = score_archive(version, folder)

    scores = report.metrics["folders"]
    assert scores.images == 4
    assert scores.accuracy == 0.75
    assert scores.per_class["orange"].recall == 0.5
    assert scores.per_class["banana"].precision == 0.5
    others = report.others["folders"]
    assert others.images == 2  # the kiwi that it does not know, and the mango
    assert others.refused == 0.0  # this version cannot refuse
    assert [name for name, _ in report.skipped] == ["apple/broken.jpg"]
    assert report.unknown == {"kiwi": 1}


def test_a_folder_that_means_a_class_in_other_words_counts_as_that_class(
    version: ModelVersion, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "orange").rename(folder / "Oranges")

    report = score_archive(version, folder)

    assert report.metrics["folders"].per_class["orange"].recall == 0.5
    assert report.read_as == {"oranges": "orange"}
    assert report.unknown == {"kiwi": 1}
    main(["--state-dir", str(tmp_path), "evaluate", "--data", str(folder)])
    assert "Counted as orange: oranges." in capsys.readouterr().out


def test_a_version_whose_model_was_changed_is_not_scored(
    version: ModelVersion, folder: Path
) -> None:
    version.model_path.write_bytes(version.model_path.read_bytes() + b"\0")

    with pytest.raises(InvalidVersion, match="SHA-256"):
        score_archive(version, folder)


def test_the_command_prints_tables(
    version: ModelVersion, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--state-dir", str(tmp_path), "evaluate", "--data", str(folder)]) == 0

    printed = capsys.readouterr().out
    assert "75.00%" in printed
    assert "Pictures of none of the classes" in printed
    assert "broken.jpg" in printed


def test_the_command_prints_json(
    version: ModelVersion, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--version", version.version, "--data", str(folder), "--json"]

    assert main(["--state-dir", str(tmp_path), *arguments]) == 0

    scores = json.loads(capsys.readouterr().out)
    assert scores["metrics"]["folders"]["accuracy"] == 0.75
    assert scores["others"]["folders"]["images"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "absent"], "no file or folder 'absent'"),
        (["--version", "v0099", "--data", "."], "No model version 'v0099'"),
    ],
)
def test_what_is_not_there_is_named(
    version: ModelVersion,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    assert main(["--state-dir", str(tmp_path), "evaluate", *arguments]) == 1
    assert words in capsys.readouterr().err


def test_a_folder_without_a_picture_says_which_classes_are_known(
    version: ModelVersion, tmp_path: Path
) -> None:
    (tmp_path / "x" / "kiwi").mkdir(parents=True)
    (tmp_path / "x" / "kiwi" / "1.png").write_bytes(b"no picture")

    with pytest.raises(ValueError, match="apple, avocado"):
        score_archive(version, tmp_path / "x")


def test_a_version_that_can_refuse_is_scored_with_what_it_refused(
    refusing: ModelVersion, folder: Path
) -> None:
    (folder / "none of these" / "1.png").unlink()
    (folder / "kiwi" / "1.png").unlink()
    Image.new("RGB", (64, 64), (25, 77, 230)).save(folder / "kiwi" / "sky.png")
    Image.new("RGB", (64, 64), (25, 77, 230)).save(folder / "apple" / "sky.png")

    scores = score_archive(refusing, folder).metrics["folders"]

    assert scores.images == 5
    assert scores.named == 0.8
    assert scores.accuracy == 0.6  # one in a wrong folder, one refused
    assert scores.others is not None
    assert (scores.others.images, scores.others.refused) == (1, 1.0)
    assert scores.confusion[0][-1] == 1  # the apple that was refused


def test_a_folder_of_other_things_alone_is_scored(refusing: ModelVersion, tmp_path: Path) -> None:
    folder = tmp_path / "others" / "none_of_these"
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 64), (25, 77, 230)).save(folder / "sky.png")
    draw_fruit("apple", 64).save(folder / "apple.png")

    report = score_archive(refusing, tmp_path / "others")

    assert report.metrics == {}
    assert report.others["folders"].images == 2
    assert report.others["folders"].refused == 0.5
