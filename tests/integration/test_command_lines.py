"""The commands of the store and the registry, as a person types them."""

import hashlib
import io
from pathlib import Path

import pytest

import data.__main__
import models.__main__
from data.drawings import draw_fruit
from models.examination import EXAMINATION_NAME
from models.manifest import (
    REHEARSAL_NAME,
    GateCheck,
    GateReport,
    InputSpec,
    ModelManifest,
)
from models.registry import ModelRegistry


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label in ("apple", "mango"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for seed in range(3):
            buffer = io.BytesIO()
            draw_fruit(label, 48, seed).save(buffer, "PNG")
            (tmp_path / "photos" / label / f"{seed}.png").write_bytes(buffer.getvalue())
    return tmp_path / "photos"


def test_import_then_audit(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = str(tmp_path / "state")

    assert data.__main__.main(["--state-dir", state, "import", str(photos)]) == 0
    assert "6 added, 0 duplicates" in capsys.readouterr().out
    assert data.__main__.main(["--state-dir", state, "import", str(photos)]) == 0
    assert "0 added, 6 duplicates" in capsys.readouterr().out
    assert data.__main__.main(["--state-dir", state, "audit"]) == 0
    audited = capsys.readouterr().out
    assert "mango" in audited
    assert "Largest class against smallest, in training" in audited


def test_audit_of_an_empty_store_says_how_to_fill_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data.__main__.main(["--state-dir", str(tmp_path / "s"), "audit"]) == 0
    assert "python -m data fetch fruits-360" in capsys.readouterr().out


def test_import_of_nothing_fails_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data.__main__.main(["--state-dir", str(tmp_path / "s"), "import", "absent.zip"]) == 1
    assert "There is no file or folder 'absent.zip'" in capsys.readouterr().err


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    registry = ModelRegistry(tmp_path / "state" / "models")
    for content in (b"one", b"two"):
        registry.publish(lambda version, content=content: content, _manifest)  # type: ignore[misc]
    return registry


def _manifest(version: str, content: bytes) -> ModelManifest:
    return ModelManifest(
        version=version,
        labels=("apple", "mango"),
        input=InputSpec(side_px=100),
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        network="seed_cnn",
        parameters=1,
    )


def command(tmp_path: Path, *arguments: str) -> int:
    return models.__main__.main(["--state-dir", str(tmp_path / "state"), *arguments])


def test_models_activate_list_and_roll_back(
    registry: ModelRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = registry.list()[-1].version

    assert command(tmp_path, "activate", newest) == 0
    assert f"{newest} is active" in capsys.readouterr().out
    assert command(tmp_path, "list") == 0
    assert newest in capsys.readouterr().out
    assert command(tmp_path, "show", newest) == 0
    assert f'"version": "{newest}"' in capsys.readouterr().out
    assert command(tmp_path, "roll-back") == 0


def test_models_delete_asks_first(
    registry: ModelRegistry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (version.version for version in registry.list())
    command(tmp_path, "activate", second)
    monkeypatch.setattr("builtins.input", lambda question: "n")

    assert command(tmp_path, "delete", first) == 0
    assert "Nothing was deleted." in capsys.readouterr().out
    assert command(tmp_path, "delete", first, "--yes") == 0
    assert [version.version for version in registry.list()] == [second]
    assert command(tmp_path, "delete", second, "--yes") == 1
    assert "VersionInUse" in capsys.readouterr().err


def test_models_copy_takes_along_what_was_published(
    registry: ModelRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = registry.list()[0]
    (first.folder / EXAMINATION_NAME).write_bytes(b"answers")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / REHEARSAL_NAME).write_bytes(b"of a version that was there before")

    assert command(tmp_path, "copy", first.version, str(tmp_path / "copy")) == 0

    assert not (tmp_path / "copy" / REHEARSAL_NAME).exists()

    assert (tmp_path / "copy" / EXAMINATION_NAME).read_bytes() == b"answers"
    assert (tmp_path / "copy" / "model.onnx").read_bytes() == b"one"


def test_models_activates_a_rejected_version_only_with_a_reason(
    registry: ModelRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check = GateCheck(name="shop", passed=False, message="Worse.")
    rejected = GateReport(against="v0001", checks=[check])
    second = registry.list()[1]
    manifest = second.manifest.model_copy(update={"gate": rejected})
    (second.folder / "manifest.json").write_text(manifest.to_json())

    assert command(tmp_path, "activate", second.version) == 1
    assert "Worse. To serve it all the same" in capsys.readouterr().err
    assert command(tmp_path, "activate", second.version, "--override", "a demonstration") == 0
    assert registry.activations()[-1].reason == "overriding the gate: a demonstration"


def test_models_copy_onto_itself_changes_nothing(
    registry: ModelRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = registry.list()[0]

    assert command(tmp_path, "copy", first.version, str(first.folder)) == 0

    assert "nothing was copied" in capsys.readouterr().out
    first.verify()


def test_models_names_an_unknown_version(
    registry: ModelRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, "activate", "v9999") == 1
    assert "No model version 'v9999'" in capsys.readouterr().err
