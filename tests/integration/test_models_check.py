"""``python -m models check`` finds damaged versions, and mends without losing anything."""

import hashlib
import json
import os
from pathlib import Path

import pytest

import models.__main__
from models.check import check
from models.manifest import GateCheck, GateReport, InputSpec, ModelManifest
from models.registry import ModelRegistry, ModelVersion

HOUR_S = 3600.0


def publish(registry: ModelRegistry, *, rejected: bool = False) -> ModelVersion:
    failed = GateCheck(name="Accuracy", passed=False, message="It loses.")
    return registry.publish(
        lambda name: f"model of {name}".encode(),
        lambda name, content: ModelManifest(
            version=name,
            labels=("kiwi", "lime"),
            input=InputSpec(side_px=100),
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            network="seed_cnn",
            parameters=1,
            gate=GateReport(against="v0001", checks=[failed]) if rejected else None,
        ),
        lambda manifest: {"model.keras": b"network", "README.md": b"card"},
    )


def problems(registry: ModelRegistry) -> dict[str, str]:
    return {problem.where: problem.message for problem in check(registry).problems}


def mend(registry: ModelRegistry) -> None:
    for problem in check(registry).problems:
        assert problem.mend is not None
        problem.mend()


def make_old(path: Path) -> None:
    stamp = path.stat().st_mtime - 2 * HOUR_S
    os.utime(path, (stamp, stamp))


def test_what_was_published_is_sound(registry: ModelRegistry) -> None:
    publish(registry)
    publish(registry)
    registry.activate("v0002")

    report = check(registry)

    assert report.problems == ()
    assert report.sound == ("v0001", "v0002")


def test_the_shipped_baseline_is_sound() -> None:
    registry = models.__main__.open_registry(Path("nowhere"))

    report = check(registry)

    assert report.problems == ()
    assert len(report.sound) == 1


def test_a_damaged_model_sets_its_version_aside_and_the_choice_before_it_is_active(
    registry: ModelRegistry,
) -> None:
    for _ in range(3):
        publish(registry)
    for name in ("v0001", "v0003", "v0002"):
        registry.activate(name)
    registry.get("v0002").model_path.write_bytes(b"bit rot")

    found = problems(registry)
    mend(registry)

    assert "SHA-256" in found["versions/v0002"]
    assert found["active.json"].startswith("v0002 is active, but there is no sound version")
    assert check(registry).problems == ()
    assert registry.active().version == "v0003"
    aside = registry.root / "set-aside" / "v0002"
    assert (aside / "model.onnx").read_bytes() == b"bit rot"
    assert (aside / "model.keras").read_bytes() == b"network"


def test_the_number_of_a_version_set_aside_is_not_used_again(registry: ModelRegistry) -> None:
    publish(registry)
    (publish(registry).folder / "manifest.json").write_text("{")

    mend(registry)

    assert publish(registry).version == "v0003"


def test_a_damaged_manifest_or_one_of_another_version_is_set_aside(
    registry: ModelRegistry,
) -> None:
    first, second, third = (publish(registry).folder for _ in range(3))
    (first / "manifest.json").write_bytes((first / "manifest.json").read_bytes()[:-40])
    (second / "manifest.json").write_bytes((third / "manifest.json").read_bytes())

    found = problems(registry)
    mend(registry)

    assert "is not a model manifest" in found["versions/v0001"]
    assert found["versions/v0002"] == "Its manifest is that of v0003."
    assert check(registry).sound == ("v0003",)


def test_a_damaged_file_beside_the_model_is_set_aside_and_the_version_stays(
    registry: ModelRegistry,
) -> None:
    version = publish(registry)
    (version.folder / "model.keras").write_bytes(b"other")

    found = problems(registry)
    mend(registry)

    assert list(found) == ["versions/v0001/model.keras"]
    assert check(registry).problems == ()
    assert registry.get("v0001").manifest.files == {}
    assert (registry.root / "set-aside" / "v0001.model.keras").read_bytes() == b"other"


def test_a_missing_file_is_no_longer_promised(registry: ModelRegistry) -> None:
    (publish(registry).folder / "model.keras").unlink()

    mend(registry)

    assert registry.get("v0001").manifest.files == {}


def test_files_of_an_earlier_release_get_their_checksums(registry: ModelRegistry) -> None:
    publish(registry).with_checksums({})

    found = problems(registry)
    mend(registry)

    assert "no checksum" in found["versions/v0001/model.keras"]
    expected = hashlib.sha256(b"network").hexdigest()
    assert registry.get("v0001").manifest.files == {"model.keras": expected}


def test_a_card_may_be_edited(registry: ModelRegistry) -> None:
    (publish(registry).folder / "README.md").write_text("a better sentence")

    assert check(registry).problems == ()


def test_what_crashes_left_is_removed_once_it_is_old(registry: ModelRegistry) -> None:
    published = publish(registry).folder
    unfinished = registry.root / "versions" / "v0002"
    unfinished.mkdir()
    (unfinished / "model.onnx").write_bytes(b"half")
    half_written = published / ".manifest.json.x7b2"
    half_written.write_bytes(b"{")
    assert check(registry).problems == ()  # a training may be writing them just now
    make_old(unfinished)
    make_old(half_written)

    found = problems(registry)
    mend(registry)

    assert found["versions/v0002"] == "It was never finished."
    assert found["versions/v0001/.manifest.json.x7b2"] == "A crash left it half written."
    assert not unfinished.exists()
    assert not half_written.exists()
    assert check(registry).sound == ("v0001",)


@pytest.mark.parametrize("content", ["{", '{"history": "v0001"}', '{"history": [], "log": [1]}'])
def test_a_damaged_pointer_gives_way_to_the_newest_version_that_was_not_rejected(
    registry: ModelRegistry, content: str
) -> None:
    publish(registry)
    publish(registry)
    publish(registry, rejected=True)
    (registry.root / "active.json").write_text(content)

    found = problems(registry)
    mend(registry)

    assert found["active.json"].startswith("Which version is active cannot be read")
    assert registry.active().version == "v0002"
    assert registry.activations()[-1].reason == "python -m models check"
    assert (registry.root / "set-aside" / "active.json").read_text() == content


def test_without_a_sound_version_a_person_has_to_train(registry: ModelRegistry) -> None:
    publish(registry).model_path.unlink()
    registry.root.joinpath("active.json").write_text("{")

    last = check(registry).problems[-1]

    assert last.mend is None
    assert last.remedy == "Train a version first: python -m training."


def test_a_folder_that_is_no_version_is_left_alone(registry: ModelRegistry) -> None:
    publish(registry)
    own = registry.root / "versions" / "notes"
    own.mkdir()
    make_old(own)

    assert check(registry).problems == ()


def test_the_command_says_what_is_wrong_mends_it_and_then_says_that_all_is_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    registry = models.__main__.open_registry(tmp_path)
    version = publish(registry)
    registry.activate(version.version)
    version.model_path.write_bytes(b"bit rot")
    before = json.loads((tmp_path / "models" / "active.json").read_text())

    def command(*arguments: str) -> tuple[int, str]:
        status = models.__main__.main(["--state-dir", str(tmp_path), "check", *arguments])
        return status, capsys.readouterr().out.strip()

    status, looked = command()
    assert status == 1
    assert f"versions/{version.version}: " in looked
    assert "To mend: It is set aside." in looked
    assert "python -m models check --mend" in looked
    assert json.loads((tmp_path / "models" / "active.json").read_text()) == before
    status, mended = command("--mend")
    assert status == 1
    assert "Mended: It is set aside." in mended
    assert command() == (0, f"Sound: {before['history'][0]}.")
    assert registry.active().folder == registry.baseline


def test_an_unknown_flag_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as ended:
        models.__main__.main(["check", "--repair"])

    assert ended.value.code == 2
