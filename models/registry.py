"""Published versions on disk: publish, get, list, activate, roll back, delete.

Layout under the root::

    versions/v0002/model.onnx      and whatever else training publishes
    versions/v0002/manifest.json   written last: without it the version does not exist
    set-aside/v0003/               what ``python -m models check --mend`` took out, to be looked at
    active.json                    the choice of the app, the choices before it, and a log of both

The registry reads the state directory first and falls back to the baseline that ships with the
code, so a fresh clone predicts at once. Numbers go on from the highest of both.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from models.card import CARD_NAME
from models.errors import InvalidVersion, NothingBefore, VersionInUse, VersionNotFound
from models.manifest import MANIFEST_NAME, MODEL_NAME, ModelManifest

VERSIONS_NAME: Final = "versions"
POINTER_NAME: Final = "active.json"
SET_ASIDE_NAME: Final = "set-aside"
_LAST_NAME: Final = "last-deleted"  # the highest number of those that were
_VERSION: Final = re.compile(r"v([0-9]{4,9})")
_HISTORY_LENGTH: Final = 100
_LOG_LENGTH: Final = 500


@dataclass(frozen=True)
class ModelVersion:
    """A published version: its manifest and the folder that holds its files."""

    manifest: ModelManifest
    folder: Path

    @property
    def version(self) -> str:
        """The version's name, such as ``v0001``."""
        return self.manifest.version

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return self.folder / MODEL_NAME

    @property
    def checksums(self) -> dict[str, str]:
        """SHA-256 of every file that the manifest vouches for, by name."""
        return {MODEL_NAME: self.manifest.sha256, **self.manifest.files}

    def verify(self, name: str = MODEL_NAME) -> Path:
        """Check a file against its checksum in the manifest, and return where it is.

        Args:
            name: of the file; the ONNX file by default.

        Raises:
            InvalidVersion: it is missing or differs, or the manifest does not vouch for it.
        """
        path = self.folder / name
        try:
            digest = checksum(path.read_bytes())
        except OSError as error:
            raise InvalidVersion(
                f"{name} of {self.version} cannot be read: {error.strerror}."
            ) from error
        expected = self.checksums.get(name)
        if expected is None:
            raise InvalidVersion(
                f"{name} has no checksum in the manifest of {self.version}, so nobody knows "
                "whether it is what was published. If you trust it, stop the app and run "
                "'python -m models check --mend', which records the checksum."
            )
        if digest != expected:
            raise InvalidVersion(
                f"{name} of {self.version} has SHA-256 {digest}; its manifest says {expected}. "
                "'python -m models "
                "check' lists what is damaged."
            )
        return path

    def attach(self, name: str, content: bytes) -> "ModelVersion":
        """Add or replace a file of the version, and return the version that knows it.

        A crash leaves at worst a whole file without a checksum, never one with a wrong checksum.
        """
        others = {key: value for key, value in self.manifest.files.items() if key != name}
        self.with_checksums(others)
        write_atomically(self.folder / name, content)
        return self.with_checksums(others | {name: checksum(content)})

    def with_checksums(self, files: Mapping[str, str]) -> "ModelVersion":
        """Let the manifest vouch for these files and no others, and return the version with it."""
        manifest = self.manifest.model_copy(update={"files": dict(sorted(files.items()))})
        write_atomically(self.folder / MANIFEST_NAME, manifest.to_json().encode())
        return ModelVersion(manifest, self.folder)


@dataclass(frozen=True)
class Activation:
    """One change of the active version: which, when (ISO 8601, UTC) and why."""

    version: str
    at: str
    reason: str


class ModelRegistry:
    """The versions under ``root`` and the read-only baseline.

    Args:
        root: folder of the registry; made at the first write.
        baseline: folder of the shipped version, or None for none.
    """

    def __init__(self, root: Path, baseline: Path | None = None) -> None:
        self._root = root
        self._versions = root / VERSIONS_NAME
        self._pointer = root / POINTER_NAME
        self._last = root / _LAST_NAME
        self._baseline = baseline

    @property
    def root(self) -> Path:
        """The folder of the registry."""
        return self._root

    @property
    def baseline(self) -> Path | None:
        """The folder of the shipped version, None without one."""
        return self._baseline

    def list(self) -> tuple[ModelVersion, ...]:
        """Return every published version, oldest first; damaged manifests are left out."""
        found: dict[str, ModelVersion] = {}
        for folder in self._folders():
            try:
                manifest = ModelManifest.read(folder / MANIFEST_NAME)
            except InvalidVersion:
                continue
            found.setdefault(manifest.version, ModelVersion(manifest, folder))
        return tuple(sorted(found.values(), key=lambda version: _number(version.version)))

    def get(self, version: str) -> ModelVersion:
        """Return the version of that name.

        Raises:
            VersionNotFound: no such version is published.
            InvalidVersion: its manifest is damaged.
        """
        folder = self._versions / version
        if _VERSION.fullmatch(version) and (folder / MANIFEST_NAME).is_file():
            return ModelVersion(ModelManifest.read(folder / MANIFEST_NAME), folder)
        if self._baseline and (self._baseline / MANIFEST_NAME).is_file():
            manifest = ModelManifest.read(self._baseline / MANIFEST_NAME)
            if manifest.version == version:
                return ModelVersion(manifest, self._baseline)
        raise VersionNotFound(version, [v.version for v in self.list()])

    def active(self) -> ModelVersion:
        """Return the chosen version; where none was chosen, the baseline, else the oldest.

        The oldest that no gate rejected, so that publishing alone never changes what is active.

        Raises:
            VersionNotFound: nothing is published at all, or the chosen one is gone.
        """
        chosen = self.choices()
        if chosen:
            return self.get(chosen[-1])
        if shipped := self._shipped():
            return shipped
        versions = self.list()
        if not versions:
            raise VersionNotFound("active", [])
        return next((v for v in versions if not v.manifest.rejected), versions[0])

    def present(self) -> str:
        """Return the name of the chosen version, be it there or not; without one, as ``active``.

        Raises:
            VersionNotFound: none was chosen and nothing is published.
        """
        return (self.choices() or (self.active().version,))[-1]

    def publish(
        self,
        make_model: Callable[[str], bytes],
        make_manifest: Callable[[str, bytes], ModelManifest],
        make_attachments: Callable[[ModelManifest], Mapping[str, bytes]] = lambda manifest: {},
    ) -> ModelVersion:
        """Publish the next version; it exists only once its manifest is in place.

        Args:
            make_model: given the version's name, returns the ONNX file (the name is inside it).
            make_manifest: given the name and the ONNX bytes, returns the manifest.
            make_attachments: given the manifest, returns further files of the version, by name.

        Returns:
            The published version.

        Raises:
            InvalidVersion: the manifest does not fit the name or the bytes.
        """
        folder = self._reserve()
        try:
            model = make_model(folder.name)
            manifest = make_manifest(folder.name, model)
            if manifest.version != folder.name:
                raise InvalidVersion(f"The manifest names {manifest.version!r}, not {folder.name}.")
            if manifest.sha256 != checksum(model):
                raise InvalidVersion(f"The manifest of {folder.name} has another checksum.")
            attachments = make_attachments(manifest)
            manifest = manifest.model_copy(update={"files": checksums(attachments)})
            _check_readable(manifest)
            for name, content in {**attachments, MODEL_NAME: model}.items():
                write_atomically(folder / name, content)
            write_atomically(folder / MANIFEST_NAME, manifest.to_json().encode())
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return ModelVersion(manifest, folder)

    def changeable(self, version: str | None) -> ModelVersion:
        """Return a version that files may be attached to.

        Args:
            version: None for the active one.

        Raises:
            VersionNotFound: no such version is published.
            VersionInUse: it is the shipped baseline, which is read only.
        """
        found = self.get(version) if version else self.active()
        if found.folder == self._baseline:
            raise VersionInUse(
                f"{found.version} is the shipped baseline, whose files stay as they are. Name a "
                "version that was made here (--version)."
            )
        return found

    def activate(self, version: str, reason: str = "") -> ModelVersion:
        """Make the version the chosen one, and return it.

        Args:
            version: of those published.
            reason: kept in the log.

        Raises:
            VersionNotFound: no such version is published.
            InvalidVersion: its files are damaged.
        """
        found = self.get(version)
        found.verify()
        history = self.choices() or (self.active().version,)
        self._write_choices(history if history[-1] == version else (*history, version), reason)
        return found

    def previous(self) -> ModelVersion:
        """Return the version that was chosen before the present one, to which one can roll back.

        Raises:
            VersionNotFound: there was none before.
        """
        return self.get(self._earlier()[-1])

    def roll_back(self, reason: str = "") -> ModelVersion:
        """Return to the version that was chosen before the present one.

        Args:
            reason: kept in the log.

        Raises:
            VersionNotFound: there was none before.
            InvalidVersion: its files are damaged.
        """
        earlier = self._earlier()
        found = self.get(earlier[-1])
        found.verify()
        self._write_choices(earlier, reason)
        return found

    def set_aside_damaged_choice(self) -> str:
        """Begin the choices anew where their file is damaged, and return what was wrong with it."""
        try:
            self._read_pointer()
        except InvalidVersion as error:
            moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
            self._pointer.replace(self._pointer.with_name(f"{self._pointer.name}.damaged-{moment}"))
            return str(error)
        return ""

    def forget_earlier_releases(self) -> None:
        """Forget the latest choices of versions that shipped with earlier releases, and are gone.

        Numbers grow with every release, so theirs are below the shipped version's. A higher one was
        made here: that it is lost is not passed over.
        """
        shipped = self._shipped()
        below = _number(shipped.version) if shipped else 0
        there = {version.version for version in self.list()}
        kept = chosen = self.choices()
        while kept and kept[-1] not in there and _number(kept[-1]) < below:
            kept = kept[:-1]
        if kept and kept != chosen:
            self._write_choices(kept, f"{chosen[-1]} is not there")
        elif kept != chosen:
            self._pointer.unlink()

    def choices(self) -> tuple[str, ...]:
        """Return the chosen versions, the present one last; empty where none was ever chosen.

        Raises:
            InvalidVersion: the file that holds them is damaged.
        """
        return tuple(str(version) for version in self._read_pointer().get("history", ()))

    def activations(self) -> tuple[Activation, ...]:
        """Return the changes of the active version, the latest last; the oldest are forgotten."""
        return tuple(Activation(**entry) for entry in self._read_pointer().get("log", ()))

    def sweep(self, older_than_s: float = 3600.0) -> int:
        """Remove folders of versions that were never finished, and return how many.

        Args:
            older_than_s: younger ones stay, because a training may be writing them.
        """
        cut = time.time() - older_than_s
        left = [
            folder
            for folder in (self._versions.iterdir() if self._versions.is_dir() else ())
            if not (folder / MANIFEST_NAME).exists() and folder.stat().st_mtime < cut
        ]
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)
        return len(left)

    def delete(self, version: str) -> None:
        """Delete a version's files for good.

        Raises:
            VersionNotFound: no such version is published.
            VersionInUse: it is the active version or the shipped baseline.
        """
        found = self.get(version)
        if found.folder == self._baseline:
            raise VersionInUse(f"{version} is the shipped baseline and cannot be deleted.")
        if self.present() == version:
            raise VersionInUse(
                f"{version} is the active version; activate another one before deleting it."
            )
        # What a job or a log says of this version is never to be read of another one.
        last = max(_number(version), self._last_deleted())
        write_atomically(self._last, f"{last}\n".encode())
        # Without a manifest the version does not exist, so a crash half-way leaves no half version.
        (found.folder / MANIFEST_NAME).unlink()
        shutil.rmtree(found.folder)

    def _folders(self) -> tuple[Path, ...]:
        published = sorted(self._versions.iterdir()) if self._versions.is_dir() else ()
        baseline = (self._baseline,) if self._baseline else ()
        return (*(folder for folder in published if _VERSION.fullmatch(folder.name)), *baseline)

    def _reserve(self) -> Path:
        """Make the next version's folder; ``mkdir`` is what two publishers cannot both win."""
        self._versions.mkdir(parents=True, exist_ok=True)
        aside = (self._root / SET_ASIDE_NAME).glob("v*")
        taken = [_number(f.name.partition(".")[0]) for f in (*self._folders(), *aside)]
        taken += [_number(v.version) for v in self.list()]
        # One that is gone lives on in the history of choices and of jobs, which must mean no other.
        taken += [_number(version) for version in self.choices() if is_version(version)]
        taken.append(self._last_deleted())
        number = max(taken, default=0) + 1
        while True:
            folder = self._versions / f"v{number:04d}"
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder

    def _shipped(self) -> ModelVersion | None:
        """Return the baseline, also where a version made here has its number; None if unsound."""
        if self._baseline:
            with suppress(InvalidVersion):
                return ModelVersion(
                    ModelManifest.read(self._baseline / MANIFEST_NAME), self._baseline
                )
        return None

    def _last_deleted(self) -> int:
        """Return the highest number of a version that was deleted, 0 where none was."""
        try:
            return int(self._last.read_text())
        except (OSError, ValueError):
            return 0

    def _earlier(self) -> tuple[str, ...]:
        """Return the choices before the present one, that there is still a version for."""
        history = self.choices()
        available = {v.version for v in self.list()}
        earlier = tuple(version for version in history[:-1] if version in available)
        while earlier and earlier[-1] == history[-1]:  # what stood between was deleted
            earlier = earlier[:-1]
        if not earlier:
            raise NothingBefore(self.present(), sorted(available))
        return earlier

    def _read_pointer(self) -> dict[str, Any]:
        try:
            content = json.loads(self._pointer.read_bytes())
            if not isinstance(content.get("history"), list):
                raise ValueError("it holds no history")
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError) as error:
            raise InvalidVersion(f"{POINTER_NAME} is damaged: {error}") from error
        return dict(content)

    def _write_choices(self, history: tuple[str, ...], reason: str) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        now = Activation(history[-1], datetime.now(UTC).isoformat(), reason)
        content = {
            "version": now.version,
            "activated_at": now.at,
            "history": history[-_HISTORY_LENGTH:],
            "log": [asdict(entry) for entry in (*self.activations(), now)[-_LOG_LENGTH:]],
        }
        write_atomically(self._pointer, (json.dumps(content, indent=2) + "\n").encode())


def open_registry(state_dir: Path) -> ModelRegistry:
    """Return the registry within the folder of all mutable state, over the shipped baseline."""
    return ModelRegistry(state_dir / "models", baseline_folder())


def baseline_folder() -> Path:
    """Return the folder of the model that ships with the code, in a checkout or a wheel."""
    return Path(str(files("models.baseline")))


def write_atomically(path: Path, content: bytes) -> None:
    """Write the file so that it is there whole or not at all, even after a power cut."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if os.name == "nt":  # a folder cannot be opened there
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def checksum(content: bytes) -> str:
    """Return SHA-256 of a file's content, as manifests hold it."""
    return hashlib.sha256(content).hexdigest()


def _check_readable(manifest: ModelManifest) -> None:
    """Check that a manifest can be read again once it is written.

    Raises:
        InvalidVersion: it holds what JSON cannot, such as a number that is none.
    """
    try:
        ModelManifest.model_validate_json(manifest.to_json())
    except ValidationError as error:
        raise InvalidVersion(f"The manifest of {manifest.version} holds {error}") from error


def checksums(contents: Mapping[str, bytes]) -> dict[str, str]:
    """Return SHA-256 of the contents of a version's files, by name; the card is left out."""
    return {
        name: checksum(content) for name, content in sorted(contents.items()) if name != CARD_NAME
    }


def is_version(name: str) -> bool:
    """Return whether a folder of that name is a version's."""
    return _VERSION.fullmatch(name) is not None


def _number(version: str) -> int:
    match = _VERSION.fullmatch(version)
    return int(match.group(1)) if match else 0
