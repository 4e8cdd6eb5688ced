"""The registry as the files of a model repository, and back.

Layout::

    README.md                        the model card of the active version
    active.json                      the choice, the choices before it, and a log of both
    versions/v0002/manifest.json     every published version, with its own card as README.md

The shipped baseline comes with the code and is left out. Knows nothing of where the files are kept.
"""

import os
from contextlib import suppress
from pathlib import Path

from models.card import CARD_NAME, model_card
from models.errors import InvalidVersion, VersionNotFound
from models.manifest import MANIFEST_NAME
from models.registry import POINTER_NAME, VERSIONS_NAME, ModelRegistry, baseline_folder


def published_folders(root: Path) -> list[Path]:
    """Return the folders of the published versions under a registry's root, oldest first."""
    versions = root / VERSIONS_NAME
    folders = sorted(versions.iterdir()) if versions.is_dir() else []
    return [folder for folder in folders if (folder / MANIFEST_NAME).is_file()]


def contents(root: Path, baseline: Path | None = None) -> dict[str, Path | bytes]:
    """Return each file of the repository: its path there, and the local file or the bytes.

    Args:
        root: folder of the registry.
        baseline: folder of the shipped version; None for the one within this package.

    Raises:
        InvalidVersion: the choice or a manifest is damaged.
    """
    found: dict[str, Path | bytes] = {}
    # The choice first: a version that is published meanwhile is then one more, and not one less.
    if (root / POINTER_NAME).is_file():
        found[POINTER_NAME] = (root / POINTER_NAME).read_bytes()
    registry = ModelRegistry(root, baseline or baseline_folder())
    for folder in published_folders(root):
        place = f"{VERSIONS_NAME}/{folder.name}"
        found[f"{place}/{CARD_NAME}"] = model_card(registry.get(folder.name).manifest).encode()
        for file in sorted(folder.iterdir()):
            if file.is_file() and not file.name.startswith("."):
                found[f"{place}/{file.name}"] = file
    with suppress(VersionNotFound):  # nothing is published yet, so there is nothing to describe
        found[CARD_NAME] = model_card(registry.active().manifest).encode()
    return found


def rebuild(download: Path, root: Path, baseline: Path | None = None) -> int:
    """Make a registry of a downloaded repository, and return how many versions it has.

    The files are moved, not copied. The version that shipped with an earlier release is in no
    repository; that it was chosen is forgotten.

    Args:
        download: the repository.
        root: folder of the registry to be, with nothing in it.
        baseline: folder of the shipped version; None for the one within this package.

    Raises:
        InvalidVersion: a version's files are damaged.
        VersionNotFound: the chosen version is not there.
    """
    folders = published_folders(download)
    (root / VERSIONS_NAME).mkdir()
    for folder in folders:
        os.replace(folder, root / VERSIONS_NAME / folder.name)
    if (download / POINTER_NAME).is_file():
        os.replace(download / POINTER_NAME, root / POINTER_NAME)
    registry = ModelRegistry(root, baseline or baseline_folder())
    for folder in folders:
        version = registry.get(folder.name)
        if version.version != folder.name:
            raise InvalidVersion(f"The manifest in {folder.name} names {version.version!r}.")
        version.verify()
    registry.forget_earlier_releases()
    if (root / POINTER_NAME).is_file():
        registry.active()
    return len(folders)
