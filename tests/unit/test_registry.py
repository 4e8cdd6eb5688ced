"""Versions are published whole, activated on purpose, and rolled back in order."""

import hashlib
import json
from pathlib import Path

import pytest

from models.errors import InvalidVersion, NothingBefore, VersionInUse, VersionNotFound
from models.manifest import InputSpec, ModelManifest
from models.registry import ModelRegistry, ModelVersion
from tests.conftest import FullDisk


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def manifest(version: str, content: bytes) -> ModelManifest:
    return ModelManifest(
        version=version,
        labels=("kiwi", "lime"),
        input=InputSpec(side_px=100),
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        network="seed_cnn",
        parameters=1,
    )


def publish(registry: ModelRegistry, content: bytes = b"model") -> ModelVersion:
    return registry.publish(lambda version: content, manifest)


def baseline(folder: Path, version: str = "v0003") -> Path:
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"shipped")
    (folder / "manifest.json").write_text(manifest(version, b"shipped").to_json())
    return folder


def test_versions_are_numbered_in_order(registry: ModelRegistry) -> None:
    assert [publish(registry).version for _ in range(3)] == ["v0001", "v0002", "v0003"]
    assert [version.version for version in registry.list()] == ["v0001", "v0002", "v0003"]


def test_numbers_go_on_from_the_baseline(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models", baseline(tmp_path / "baseline"))

    assert publish(registry).version == "v0004"


def test_attachments_are_published_with_the_version(registry: ModelRegistry) -> None:
    found = registry.publish(lambda version: b"m", manifest, lambda m: {f"{m.version}.png": b"png"})

    assert (found.folder / f"{found.version}.png").read_bytes() == b"png"


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failed_publish_leaves_nothing(
    registry: ModelRegistry, tmp_path: Path, failure: type[BaseException]
) -> None:
    def break_off(version: str) -> bytes:
        raise failure

    with pytest.raises(failure):
        registry.publish(break_off, manifest)

    assert registry.list() == ()
    assert list((tmp_path / "models" / "versions").iterdir()) == []


@pytest.mark.parametrize("at", [1, 2, 3, 4])  # card, curves, model, manifest
def test_a_disk_that_is_full_at_any_write_leaves_no_half_version(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    first = publish(registry)
    registry.activate(first.version, "the first")
    disk = FullDisk(monkeypatch, at)

    def attachments(manifest: ModelManifest) -> dict[str, bytes]:
        return {"README.md": b"a card", "curves.png": b"png"}

    with pytest.raises(OSError, match="No space left"):
        registry.publish(lambda version: b"model", manifest, attachments)
    assert disk.written == at
    assert [f.name for f in (tmp_path / "models" / "versions").iterdir()] == [first.version]
    assert registry.list() == (first,)
    assert registry.active() == first

    second = registry.publish(lambda version: b"model", manifest, attachments)
    assert second.version == "v0002"
    assert second.verify("curves.png").read_bytes() == b"png"


def test_a_disk_that_is_full_leaves_the_choice_as_it_was(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = publish(registry), publish(registry)
    registry.activate(first.version)
    registry.activate(second.version)
    before, kept = registry.activations(), sorted((tmp_path / "models").iterdir())
    disk = FullDisk(monkeypatch)

    for change in (lambda: registry.activate(first.version), registry.roll_back):
        disk.at = disk.written + 1
        with pytest.raises(OSError, match="No space left"):
            change()
        assert registry.active() == second
        assert registry.activations() == before
    assert sorted((tmp_path / "models").iterdir()) == kept
    assert registry.roll_back() == first


@pytest.mark.parametrize("at", [1, 2, 3])  # without the checksum, the file, with the checksum
def test_a_file_attached_on_a_full_disk_has_no_wrong_checksum(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    version = publish(registry).attach("notes.txt", b"old")
    FullDisk(monkeypatch, at)
    with pytest.raises(OSError, match="No space left"):
        version.attach("notes.txt", b"new")

    found = registry.get(version.version)
    assert found.verify().read_bytes() == b"model"
    if "notes.txt" in found.manifest.files:
        assert found.verify("notes.txt").read_bytes() == b"old"
    attached = found.attach("notes.txt", b"new")
    assert attached.verify("notes.txt").read_bytes() == b"new"


def test_a_manifest_that_does_not_match_is_refused(registry: ModelRegistry) -> None:
    with pytest.raises(InvalidVersion, match="checksum"):
        registry.publish(lambda version: b"one", lambda version, _: manifest(version, b"two"))


def test_a_version_without_manifest_does_not_exist(registry: ModelRegistry) -> None:
    folder = publish(registry).folder
    (folder / "manifest.json").unlink()

    assert registry.list() == ()
    with pytest.raises(VersionNotFound, match=r"'v0001'.*none is published"):
        registry.get("v0001")
    assert publish(registry).version == "v0002"  # its number is not used again


def test_the_baseline_is_active_until_another_is_chosen(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models", baseline(tmp_path / "baseline"))
    publish(registry)

    assert registry.active().version == "v0003"
    registry.activate("v0004")
    assert registry.active().version == "v0004"
    assert registry.roll_back().version == "v0003"


def test_without_a_baseline_publishing_alone_changes_nothing(registry: ModelRegistry) -> None:
    with pytest.raises(VersionNotFound, match="none is published"):
        registry.active()

    publish(registry)
    publish(registry)

    assert registry.active().version == "v0001"


def test_roll_back_walks_the_choices_backwards(registry: ModelRegistry) -> None:
    for _ in range(3):
        publish(registry)
    for version in ("v0001", "v0003", "v0002"):
        registry.activate(version)

    assert registry.roll_back().version == "v0003"
    assert registry.roll_back().version == "v0001"


def test_roll_back_skips_deleted_versions_and_says_when_there_is_none(
    registry: ModelRegistry,
) -> None:
    publish(registry)
    publish(registry)
    registry.activate("v0001")
    registry.activate("v0002")
    registry.delete("v0001")

    with pytest.raises(NothingBefore, match=r"No version was live before v.*available: v"):
        registry.roll_back()

    assert registry.active().version == "v0002"


def test_the_number_of_a_deleted_version_that_was_live_is_not_given_to_another(
    registry: ModelRegistry,
) -> None:
    for _ in range(3):
        publish(registry)
    for version in ("v0001", "v0003", "v0002"):
        registry.activate(version)
    registry.delete("v0003")

    assert publish(registry).version == "v0004"
    assert registry.roll_back().version == "v0001"


def test_the_number_of_a_deleted_version_that_was_never_live_is_not_given_either(
    registry: ModelRegistry,
) -> None:
    publish(registry)
    publish(registry)
    publish(registry)
    registry.delete("v0003")
    registry.delete("v0002")

    assert publish(registry).version == "v0004"


def test_a_version_with_the_number_of_a_later_baseline_does_not_go_live_by_that(
    tmp_path: Path,
) -> None:
    registry = ModelRegistry(tmp_path / "models", baseline(tmp_path / "old", "v0001"))
    own = publish(registry)
    assert own.version == "v0002"

    released = ModelRegistry(tmp_path / "models", baseline(tmp_path / "new", "v0002"))

    assert released.active().folder == tmp_path / "new"
    assert publish(released).version == "v0003"


def test_where_the_chosen_baseline_is_of_an_earlier_release_others_can_be_deleted(
    tmp_path: Path,
) -> None:
    registry = ModelRegistry(tmp_path / "models", baseline(tmp_path / "old", "v0001"))
    publish(registry)
    registry.activate("v0002")
    registry.roll_back()

    released = ModelRegistry(tmp_path / "models", baseline(tmp_path / "new", "v0005"))
    released.delete("v0002")

    assert [v.version for v in released.list()] == ["v0005"]


def test_every_change_is_kept_with_its_reason(registry: ModelRegistry) -> None:
    for _ in range(2):
        publish(registry)
    registry.activate("v0002", "job 3, by hand")
    registry.roll_back("rolled back")

    assert [(a.version, a.reason) for a in registry.activations()] == [
        ("v0002", "job 3, by hand"),
        ("v0001", "rolled back"),
    ]


def test_previous_names_what_roll_back_returns_to(registry: ModelRegistry) -> None:
    for _ in range(2):
        publish(registry)
    registry.activate("v0002")
    assert registry.previous().version == "v0001"
    assert registry.active().version == "v0002"


def test_sweep_removes_what_was_never_finished_and_is_old(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    publish(registry)
    left = tmp_path / "models" / "versions" / "v0002"
    left.mkdir()
    (left / "model.onnx").write_bytes(b"half")

    assert registry.sweep(older_than_s=60) == 0
    assert registry.sweep(older_than_s=-1) == 1
    assert not left.exists()
    assert [v.version for v in registry.list()] == ["v0001"]


def test_the_choice_survives_a_restart(registry: ModelRegistry, tmp_path: Path) -> None:
    publish(registry)
    publish(registry)
    registry.activate("v0001")

    assert ModelRegistry(tmp_path / "models").active().version == "v0001"


def test_a_damaged_model_is_not_activated(registry: ModelRegistry) -> None:
    publish(registry)
    publish(registry)
    registry.activate("v0002")
    registry.get("v0001").model_path.write_bytes(b"bit rot")

    with pytest.raises(InvalidVersion, match="SHA-256"):
        registry.activate("v0001")
    assert registry.active().version == "v0002"


def test_a_damaged_pointer_is_named(registry: ModelRegistry, tmp_path: Path) -> None:
    publish(registry)
    (tmp_path / "models" / "active.json").write_text("{")

    with pytest.raises(InvalidVersion, match=r"active\.json is damaged"):
        registry.active()


def test_neither_the_active_version_nor_the_baseline_can_be_deleted(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models", baseline(tmp_path / "baseline"))
    publish(registry)
    registry.activate("v0004")

    with pytest.raises(VersionInUse, match="active"):
        registry.delete("v0004")
    with pytest.raises(VersionInUse, match="baseline"):
        registry.delete("v0003")


def test_delete_removes_the_files(registry: ModelRegistry) -> None:
    publish(registry)
    folder = publish(registry).folder

    registry.delete("v0002")

    assert not folder.exists()
    assert [version.version for version in registry.list()] == ["v0001"]


@pytest.mark.parametrize("version", ["v9999", "../v0001", "", "latest"])
def test_get_names_what_there_is(registry: ModelRegistry, version: str) -> None:
    publish(registry)

    with pytest.raises(VersionNotFound, match="available: v0001"):
        registry.get(version)


def test_a_manifest_of_an_unknown_format_is_refused(registry: ModelRegistry) -> None:
    path = publish(registry).folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))

    with pytest.raises(InvalidVersion, match="not a model manifest"):
        registry.get("v0001")


def test_a_damaged_choice_is_set_aside_and_choosing_begins_anew(registry: ModelRegistry) -> None:
    first, second = (publish(registry) for _ in range(2))
    registry.activate(first.version)
    pointer = next(registry._root.glob("active.json"))
    pointer.write_bytes(b'{"history": ')

    problem = registry.set_aside_damaged_choice()

    assert "is damaged" in problem
    assert registry.set_aside_damaged_choice() == ""
    assert [path.read_bytes() for path in registry._root.glob("active.json.*")] == [b'{"history": ']
    registry.activate(second.version)
    assert registry.active().version == second.version


@pytest.mark.parametrize(
    "name",
    ["v" + "1" * 4000, "v0001\n", "..", "a\0b", "v\u0660\u0660\u0660\u0661", "x" * 10_000],
)
def test_a_name_that_no_version_can_have_is_not_found_in_few_words(
    registry: ModelRegistry, name: str
) -> None:
    with pytest.raises(VersionNotFound) as caught:
        registry.get(name)

    assert len(str(caught.value)) < 200
    assert str(registry._root) not in str(caught.value)


def test_the_shipped_baseline_takes_no_further_files(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models", baseline(tmp_path / "baseline"))

    with pytest.raises(VersionInUse, match="v0003 is the shipped baseline, whose files stay"):
        registry.changeable(None)

    assert registry.changeable(publish(registry).version).version == "v0004"


def test_a_manifest_that_could_not_be_read_again_is_not_published(registry: ModelRegistry) -> None:
    def diverged(version: str, content: bytes) -> ModelManifest:
        return manifest(version, content).model_copy(update={"history": [{"loss": float("nan")}]})

    with pytest.raises(InvalidVersion, match="manifest of v0001 holds"):
        registry.publish(lambda version: b"model", diverged)

    assert not registry.list()
