"""Features: what a network's backbone makes of images, and the file of those to rehearse."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray

from data.cores import available_cores
from data.images import STORED_LIMITS, load_model_input
from data.labels import spoken
from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split
from export.parity import Predict, onnx_predict
from models.manifest import FEATURES_OUTPUT, REHEARSAL_NAME
from models.registry import ModelVersion
from models.rehearsal import Rehearsal, RehearsedImage
from training.augment import augment
from training.errors import NotEnoughData
from training.network import backbone_digest, backbone_of
from training.sampling import decode_to_vary, in_turn

Progress = Callable[[int, int], None]

# Of one folder of a publisher: neighbouring photos of one product or frames of one film add little.
MAX_PER_VARIETY: Final = 24
MAX_OF_NO_VARIETY: Final = 10_000  # of a label's photos and the others' in turn: 26 MB
REHEARSING: Final = "Keeping features to rehearse in a quick retraining"
_BATCH: Final = 32


@dataclass(frozen=True)
class Backbone:
    """Everything of a network before its last layer.

    Attributes:
        run: from uint8 (N, side_px, side_px, 3) to float32 (N, D).
        side_px: of the pictures that it takes.
        width: D.
        digest: by which features know what made them.
    """

    run: Predict
    side_px: int
    width: int
    digest: str

    @classmethod
    def of(cls, model: keras.Model, quantized: bytes | None = None) -> "Backbone":
        """Return that of a trained network.

        Args:
            model: of the table.
            quantized: the ONNX file that it became, if that computes other features.

        Raises:
            NoBackbone: the network has no features.
        """
        layers = backbone_of(model)
        if quantized is None:

            def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
                return np.asarray(layers(pixels, training=False))

        else:
            maps = onnx_predict(quantized, FEATURES_OUTPUT)

            def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
                return np.asarray(maps(pixels).mean(axis=(1, 2)))

        return cls(run, layers.input.shape[1], layers.output.shape[-1], backbone_digest(model))

    @classmethod
    def of_version(cls, version: ModelVersion, model: keras.Model) -> "Backbone":
        """Return that of a published version.

        Args:
            version: its files are verified.
            model: its network.

        Raises:
            NoBackbone: the network has no features.
            InvalidVersion: the version's ONNX file is damaged.
        """
        in_floats = version.manifest.precision == "float32"
        return cls.of(model, None if in_floats else version.verify().read_bytes())


@dataclass(frozen=True)
class Features:
    """Features of images, and what the images show.

    Attributes:
        values: float32 (N, D).
        images: the N images; without a path where only the feature is there.
    """

    values: NDArray[np.float32]
    images: tuple[SnapshotImage, ...]

    def __len__(self) -> int:
        return len(self.images)

    def where(self, keep: Callable[[SnapshotImage], bool]) -> "Features":
        """Return those of the images for which ``keep`` holds."""
        rows = [row for row, image in enumerate(self.images) if keep(image)]
        return Features(self.values[rows], tuple(self.images[row] for row in rows))

    def and_(self, other: "Features") -> "Features":
        """Return these and the others behind them."""
        return Features(np.concatenate([self.values, other.values]), self.images + other.images)


def photo_features(
    backbone: Backbone,
    root: Path,
    images: Sequence[SnapshotImage],
    on_progress: Progress = lambda done, total: None,
) -> Features:
    """Return the features of photos, decoded as serving decodes them.

    Args:
        backbone: what makes them.
        root: the snapshot's root folder.
        images: rows of the snapshot.
        on_progress: told how many are done, and how many there are.

    Raises:
        OSError: a file of the snapshot is gone.
        InvalidImage: a file of the snapshot is damaged.
    """
    side_px = backbone.side_px

    def as_served(image: SnapshotImage) -> NDArray[np.uint8]:
        content = (root / image.path).read_bytes()
        return load_model_input(content, side_px, limits=STORED_LIMITS)[None]

    return Features(_run(backbone, as_served, images, 1, on_progress), tuple(images))


def view_features(
    backbone: Backbone,
    root: Path,
    images: Sequence[SnapshotImage],
    views: int,
    seed: int,
    on_progress: Progress = lambda done, total: None,
) -> NDArray[np.float32]:
    """Return the features of random variations of photos: crops, light, blur, other surroundings.

    Args:
        backbone, root, images, on_progress: as for ``photo_features``.
        views: how many variations of each.
        seed: where they come from; a photo's variations follow from it and its digest.

    Returns:
        float32 (N * views, D), the variations of one photo behind one another.
    """
    side_px = backbone.side_px

    def varied(image: SnapshotImage) -> NDArray[np.uint8]:
        pixels = decode_to_vary((root / image.path).read_bytes())
        seeds = ((seed, number, int(image.digest[:8], 16)) for number in range(views))
        return np.stack([augment(pixels, side_px, (), np.random.default_rng(s)) for s in seeds])

    return _run(backbone, varied, images, views, on_progress)


def make_rehearsal(
    backbone: Backbone, snapshot: Snapshot, on_progress: Progress = lambda done, total: None
) -> Rehearsal:
    """Return the features of a snapshot's images, thinned, to rehearse and to judge by.

    Args:
        backbone: what makes them.
        snapshot: images of every split.
        on_progress: told how many are done, and how many there are.
    """
    chosen = _thin(snapshot.images)
    found = photo_features(backbone, snapshot.root, chosen, on_progress)
    return Rehearsal(
        backbone.digest,
        found.values.astype(np.float16),
        tuple(
            RehearsedImage(i.label, str(i.split), i.source, i.variety, i.scene, i.digest)
            for i in chosen
        ),
    )


def learned_from(
    version: ModelVersion, snapshot: Snapshot, on_stage: Callable[[str], None] = lambda stage: None
) -> Snapshot:
    """Return the images of a snapshot that a version knows: what was added since is new to it.

    They are those that it rehearses, or, where it has no such file, those of its sources.

    Args:
        version: whose labels they are of.
        snapshot: the store's images.
        on_stage: told in words how many of those that it rehearses are left out, and why.

    Raises:
        NotEnoughData: the snapshot has nothing to learn a label from that the version knows.
        InvalidVersion: the version's rehearsal is damaged.
    """
    labels, lost = set(version.manifest.labels), 0
    if REHEARSAL_NAME in version.checksums:
        # As the version knows them: a label that was corrected since is new to it.
        paths = {image.digest: image.path for image in snapshot.images}
        known = rehearsed(Rehearsal.read(version.verify(REHEARSAL_NAME))).images
        images = [replace(i, path=paths[i.digest]) for i in known if i.digest in paths]
        # What a quick retraining taught is learned from its photos, and not rehearsed.
        labels &= _taught(known)
        lost = len(known) - len(images)
    else:
        sources = {source.name for source in version.manifest.sources}
        images = [image for image in snapshot.images if image.source in sources]
    if missing := sorted(labels - _taught(images)):
        raise NotEnoughData(
            f"The store holds no image to rehearse of {', '.join(map(spoken, missing))}, which "
            f"{version.version} knows; it takes some of every label. Import the photographs that "
            "it was trained on first: python -m data fetch grocery."
        )
    if lost:
        on_stage(
            f"Of {len(images) + lost:,} images that {version.version} rehearses, {len(images):,} "
            f"are kept. The photographs of the other {lost:,} are not in the store, so a quick "
            "retraining will not rehearse them; to keep them too, import those first."
        )
    return Snapshot.of(snapshot.root, images)


def _taught(images: Iterable[SnapshotImage]) -> set[str]:
    """Return the labels that images to learn from show."""
    return {image.label for image in images if image.split != Split.TEST}


def rehearsed(rehearsal: Rehearsal) -> Features:
    """Return the features of a rehearsal file."""
    return Features(
        rehearsal.features.astype(np.float32),
        tuple(
            SnapshotImage("", i.label, i.digest, Split(i.split), i.source, i.variety, i.scene)
            for i in rehearsal.images
        ),
    )


def _thin(images: Sequence[SnapshotImage]) -> list[SnapshotImage]:
    """Return images, no more than so many that judge and so many others of each variety.

    Of one's own, which have none, each label gives as many as the others, or all that it has.
    """
    own = [row for row, image in enumerate(images) if not image.variety]
    few = {own[place] for place in in_turn(images[row].label for row in own)[:MAX_OF_NO_VARIETY]}
    seen: Counter[tuple[str, str, bool]] = Counter()
    kept = []
    for row, image in enumerate(images):
        key = (image.source, image.variety, image.split == Split.TEST)
        seen[key] += 1
        if row in few or (image.variety and seen[key] <= MAX_PER_VARIETY):
            kept.append(image)
    return kept


def _run(
    backbone: Backbone,
    pictures_of: Callable[[SnapshotImage], NDArray[np.uint8]],
    images: Sequence[SnapshotImage],
    each: int,
    on_progress: Progress,
) -> NDArray[np.float32]:
    """Return the features of so many pictures of each image, float32 (N * each, D)."""
    found = np.zeros((len(images) * each, backbone.width), np.float32)
    done, at_once = 0, max(1, _BATCH // each)
    with ThreadPoolExecutor(available_cores()) as pool:
        for start in range(0, len(images), at_once):
            pixels = np.concatenate(list(pool.map(pictures_of, images[start : start + at_once])))
            found[done : done + len(pixels)] = backbone.run(pixels)
            done += len(pixels)
            on_progress(done, len(found))
    return found
