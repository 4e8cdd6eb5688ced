"""The registry as the files of a model repository, and back."""

from pathlib import Path

import pytest

from models import repository
from models.errors import InvalidVersion, VersionNotFound
from models.registry import ModelRegistry
from tests.conftest import colour_model, publish


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A registry with two versions, of which the second is chosen."""
    registry = ModelRegistry(tmp_path / "models")
    publish(registry, colour_model())
    publish(registry, colour_model())
    registry.activate("v0002", "better")
    (tmp_path / "models" / "versions" / "v0003").mkdir()  # one that training is writing
    return tmp_path / "models"


def write(root: Path, target: Path) -> Path:
    """Write the repository as it lies on the Hub."""
    for path, content in repository.contents(root).items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    return target


def test_repository_has_each_published_version_its_card_and_the_choice(root: Path) -> None:
    files = repository.contents(root)

    assert sorted(files) == [
        "README.md", "active.json",
        "versions/v0001/README.md", "versions/v0001/manifest.json", "versions/v0001/model.onnx",
        "versions/v0002/README.md", "versions/v0002/manifest.json", "versions/v0002/model.onnx",
    ]  # fmt: skip
    assert b"# Fruit classifier v0002" in bytes(files["README.md"])  # type: ignore[arg-type]


def test_registry_made_of_its_repository_is_the_same(root: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()

    count = repository.rebuild(write(root, tmp_path / "set"), again)

    before, after = ModelRegistry(root), ModelRegistry(again)
    assert count == 2
    assert [v.manifest for v in after.list()] == [v.manifest for v in before.list()]
    assert after.active().version == "v0002"
    assert after.activations() == before.activations()


def test_damaged_model_makes_no_registry(root: Path, tmp_path: Path) -> None:
    download = write(root, tmp_path / "set")
    (download / "versions" / "v0001" / "model.onnx").write_bytes(b"cut")
    (tmp_path / "again").mkdir()

    with pytest.raises(InvalidVersion, match="SHA-256"):
        repository.rebuild(download, tmp_path / "again")


def test_choice_without_its_version_makes_no_registry(root: Path, tmp_path: Path) -> None:
    download = write(root, tmp_path / "set")
    (download / "versions" / "v0002" / "manifest.json").unlink()
    (tmp_path / "again").mkdir()

    with pytest.raises(VersionNotFound, match="v0002"):
        repository.rebuild(download, tmp_path / "again", baseline=tmp_path / "none")


@pytest.mark.parametrize(("chosen_before", "expected"), [(True, ("v0001", "v0002")), (False, ())])
def test_choice_of_a_version_that_shipped_with_an_earlier_release_is_forgotten(
    root: Path, tmp_path: Path, chosen_before: bool, expected: tuple[str, ...]
) -> None:
    if not chosen_before:
        (root / "active.json").unlink()
    ModelRegistry(root, shipped(tmp_path / "old", "v0009")).activate("v0009", "gone back to")
    download = write(root, tmp_path / "set")
    again = tmp_path / "again"
    again.mkdir()
    released = shipped(tmp_path / "new", "v0012")

    assert repository.rebuild(download, again, baseline=released) == 2

    after = ModelRegistry(again, released)
    assert after.choices() == expected
    assert after.active().version == (expected or ("v0012",))[-1]
    reasons = [change.reason for change in after.activations()]
    assert reasons[-1:] == (["v0009 is not there"] if expected else [])


def shipped(folder: Path, name: str) -> Path:
    """Return the folder of a version that ships with a release."""
    version = publish(ModelRegistry(folder), colour_model())
    manifest = version.manifest.model_copy(update={"version": name})
    (version.folder / "manifest.json").write_text(manifest.to_json())
    return version.folder
