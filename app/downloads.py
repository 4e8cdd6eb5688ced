"""The photos of a class and source as one zip, for a person to take away."""

import shutil
import tempfile
import zipfile
from pathlib import Path

from app.collection import CollectionService
from app.disk import require_room


def zip_photos(
    collection: CollectionService,
    folder: Path,
    *,
    label: str | None,
    source: str | None,
    min_free_bytes: int,
) -> Path:
    """Return a zip of the photos, one folder per class, in a new folder.

    A photo whose file is missing is left out. Where anything fails, nothing stays on the disk.

    Args:
        collection: has the photos.
        folder: where the new folder is made.
        label, source: None for any.
        min_free_bytes: what the zip has to leave free on the disk.

    Raises:
        NotStored: it would leave less.
    """
    images = collection.all_images(label=label, source=source)
    size_bytes = sum(image.size_bytes for image in images)
    require_room(size_bytes, folder, min_free_bytes, what="the zip")
    target = Path(tempfile.mkdtemp(dir=folder))
    path = target / "photos.zip"
    try:
        with zipfile.ZipFile(path, "w") as archive:
            for image in images:
                try:
                    content = collection.read(image)
                except FileNotFoundError:
                    continue
                archive.writestr(f"{image.label}/{image.digest[:16]}{image.suffix}", content)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return path
