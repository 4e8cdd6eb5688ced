"""``python -m training evaluate`` scores a real ONNX file on real files."""

import io
import json
from pathlib import Path

import pytest

from data.drawings import draw_fruit
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
    assert report.others == {"folders": 2}  # the kiwi that it does not know, and the mango
    assert [name for name, _ in report.skipped] == ["apple/broken.jpg"]


def test_the_command_prints_tables(
    version: ModelVersion, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--state-dir", str(tmp_path), "evaluate", "--data", str(folder)]) == 0

    printed = capsys.readouterr().out
    assert "75.00%" in printed
    assert "2 pictures of other things" in printed
    assert "broken.jpg" in printed


def test_the_command_prints_json(
    version: ModelVersion, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--version", version.version, "--data", str(folder), "--json"]

    assert main(["--state-dir", str(tmp_path), *arguments]) == 0

    scores = json.loads(capsys.readouterr().out)
    assert scores["metrics"]["folders"]["accuracy"] == 0.75
    assert scores["others"] == {"folders": 2}


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


def test_a_folder_without_a_known_class_says_which_are_known(
    version: ModelVersion, tmp_path: Path
) -> None:
    (tmp_path / "x" / "kiwi").mkdir(parents=True)
    draw_fruit("apple", 64).save(tmp_path / "x" / "kiwi" / "1.png")

    with pytest.raises(ValueError, match="apple, avocado"):
        score_archive(version, tmp_path / "x")
