"""Is each version still what was published? Finds what is damaged, and mends what can be mended.

Looking changes nothing and may be done while the app runs. Mending deletes nothing but what a
crash left half written: what is damaged is moved to ``set-aside``, where a person can look at it.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from models.card import CARD_NAME
from models.errors import InvalidVersion
from models.manifest import MANIFEST_NAME, MODEL_NAME, ModelManifest
from models.registry import (
    POINTER_NAME,
    SET_ASIDE_NAME,
    VERSIONS_NAME,
    ModelRegistry,
    ModelVersion,
    checksum,
    is_version,
)

# What is younger may be being written by a training just now.
SETTLED_S: Final = 3600.0
_REASON: Final = "python -m models check"


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        where: the file or folder, relative to the registry.
        message: what is wrong, in a sentence.
        remedy: what mending does, or what a person has to do.
        mend: does it; None where a person has to.
    """

    where: str
    message: str
    remedy: str
    mend: Callable[[], None] | None = None


@dataclass(frozen=True)
class Report:
    """What a look at the registry found: versions whose model is sound, and every problem."""

    sound: tuple[str, ...]
    problems: tuple[Problem, ...]


def check(
    registry: ModelRegistry,
    *,
    settled_s: float = SETTLED_S,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Compare every file of every version with its checksum, and look at the active pointer.

    The problems are to be mended in their order.

    Args:
        registry: its versions; the shipped one is never mended.
        settled_s: age from which on something half written is held for a crash's, in seconds.
        on_progress: called with the versions done and in all.
    """
    root, baseline = registry.root, registry.baseline
    versions = root / VERSIONS_NAME
    folders = sorted(versions.iterdir()) if versions.is_dir() else []
    folders = [folder for folder in folders if is_version(folder.name)]
    total = len(folders) + (baseline is not None)
    sound: list[ModelVersion] = []
    problems: list[Problem] = []
    if baseline:
        found = list(_baseline_problems(baseline))
        problems += found
        if not found:
            sound.append(ModelVersion(ModelManifest.read(baseline / MANIFEST_NAME), baseline))
        on_progress(1, total)
    for done, folder in enumerate(folders, total - len(folders) + 1):
        version = _sound(folder)
        if isinstance(version, ModelVersion):
            sound.append(version)
            problems += _file_problems(root, version, settled_s)
        elif (folder / MANIFEST_NAME).exists():
            aside = partial(_set_aside, root, folder, folder.name)
            problems.append(Problem(_name(root, folder), version, "It is set aside.", aside))
        elif _age_s(folder) >= settled_s:
            remove = partial(shutil.rmtree, folder)
            problems.append(
                Problem(_name(root, folder), "It was never finished.", "It is removed.", remove)
            )
        on_progress(done, total)
    problems += _leftovers(root, root, settled_s)
    problems += _pointer_problems(registry, sound)
    return Report(tuple(sorted({version.version for version in sound})), tuple(problems))


def _sound(folder: Path) -> ModelVersion | str:
    """Return the version in the folder, or why its model cannot be served."""
    try:
        version = ModelVersion(ModelManifest.read(folder / MANIFEST_NAME), folder)
        if version.version != folder.name:
            return f"Its manifest is that of {version.version}."
        version.verify()
    except InvalidVersion as error:
        return str(error)
    return version


def _baseline_problems(baseline: Path) -> Iterator[Problem]:
    remedy = "Install the package again, or restore models/baseline from the repository."
    try:
        version = ModelVersion(ModelManifest.read(baseline / MANIFEST_NAME), baseline)
        for name in version.checksums:
            version.verify(name)
    except InvalidVersion as error:
        yield Problem("the shipped baseline", str(error), remedy)


def _file_problems(root: Path, version: ModelVersion, settled_s: float) -> Iterator[Problem]:
    """Yield what is wrong with the files beside a sound model: none of them keeps it from serving.

    A retraining that needs one of them says so.
    """
    folder = version.folder
    for name in version.manifest.files:
        path = folder / name
        try:
            version.verify(name)
        except InvalidVersion as error:
            remedy = (
                f"It is set aside; {version.version} is served without it."
                if path.exists()
                else "The manifest no longer names it."
            )
            yield Problem(_name(root, path), str(error), remedy, partial(_drop, root, path))
    known = {MANIFEST_NAME, MODEL_NAME, CARD_NAME, *version.manifest.files}
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith(".") and path.name not in known:
            yield Problem(
                _name(root, path),
                "The manifest has no checksum of it, as in versions of an earlier release.",
                "Its checksum is recorded as it is now.",
                partial(_record, path),
            )
    yield from _leftovers(root, folder, settled_s)


def _leftovers(root: Path, folder: Path, settled_s: float) -> Iterator[Problem]:
    """Yield the temporary files of ``write_atomically`` that a crash left in a folder."""
    for path in sorted(folder.glob(".*.*")):
        if path.is_file() and _age_s(path) >= settled_s:
            remove = partial(path.unlink, missing_ok=True)
            message = "A crash left it half written."
            yield Problem(_name(root, path), message, "It is removed.", remove)


def _pointer_problems(registry: ModelRegistry, sound: list[ModelVersion]) -> Iterator[Problem]:
    names = {version.version for version in sound}
    history: tuple[str, ...] = ()
    damaged = False
    try:
        history = registry.choices()
        registry.activations()
    except (InvalidVersion, TypeError) as error:
        message, damaged = f"Which version is active cannot be read: {error}", True
    else:
        if not history or history[-1] in names:
            return
        message = f"{history[-1]} is active, but there is no sound version of that name."
    choice = next((name for name in reversed(history) if name in names), None) or _newest(sound)
    if choice is None:
        yield Problem(POINTER_NAME, message, "Train a version first: python -m training.")
        return
    yield Problem(
        POINTER_NAME,
        message,
        f"{choice} is made active.",
        partial(_choose, registry, choice, damaged=damaged),
    )


def _newest(sound: list[ModelVersion]) -> str | None:
    """Return the newest sound version that the gate did not reject."""
    names = [version.version for version in sound if not version.manifest.rejected]
    return max(names, key=lambda name: int(name[1:]), default=None)


def _choose(registry: ModelRegistry, version: str, *, damaged: bool) -> None:
    if damaged:
        _set_aside(registry.root, registry.root / POINTER_NAME, POINTER_NAME)
    registry.activate(version, _REASON)


def _drop(root: Path, path: Path) -> None:
    """Take a file out of its version: out of the manifest first, then out of the folder."""
    version = ModelVersion(ModelManifest.read(path.parent / MANIFEST_NAME), path.parent)
    files = {name: digest for name, digest in version.manifest.files.items() if name != path.name}
    version.with_checksums(files)
    if path.exists():
        _set_aside(root, path, f"{version.version}.{path.name}")


def _record(path: Path) -> None:
    version = ModelVersion(ModelManifest.read(path.parent / MANIFEST_NAME), path.parent)
    version.with_checksums(version.manifest.files | {path.name: checksum(path.read_bytes())})


def _set_aside(root: Path, path: Path, name: str) -> None:
    folder = root / SET_ASIDE_NAME
    folder.mkdir(exist_ok=True)
    target, number = folder / name, 1
    while target.exists():
        number += 1
        target = folder / f"{name}.{number}"
    path.rename(target)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:  # finished meanwhile
        return 0.0


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
