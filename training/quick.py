"""The quick retrain flow: features of the new photos, a new last layer, the gate, publish.

The layers before the last stay those of the version that it starts from. Images that are known are
rehearsed from the features that ship with that version, so their photographs need not be there.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray

from data.labels import NONE_OF_THESE
from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split
from data.sufficiency import MIN_NEW_CLASS, too_few_to_learn
from export.parity import check_parity, onnx_predict
from models.card import CARD_NAME, model_card
from models.examination import EXAMINATION_NAME
from models.manifest import (
    DIGEST_PART,
    KERAS_NAME,
    MAPS_OUTPUT,
    REHEARSAL_NAME,
    DataSource,
    ModelManifest,
    Suspect,
)
from models.registry import ModelRegistry, ModelVersion
from models.rehearsal import Rehearsal
from training.calibration import calibrated
from training.columns import Columns
from training.config import HEAD_SHIFT, SMOOTHING, TRAIN_SIDE
from training.dataset import load_images
from training.epoch import Epoch
from training.errors import NotEnoughData
from training.evaluate import rows_by, score
from training.examine import examination, statistics_since
from training.features import Backbone, Features, photo_features, rehearsed, view_features
from training.gate import Judged, NewPhotos, judge
from training.head import PULL_KNOWN, PULL_NEW, Head, fit_head
from training.label_errors import likely_mislabelled
from training.namesakes import namesakes
from training.network import head_of, widened_head, with_head
from training.other_columns import head_shift
from training.pictures import confusion_pictures
from training.publishing import library_versions, reheaded
from training.sampling import in_turn, shares, tell_left_out
from training.saved import load_network, model_file

VIEWS: Final = 5  # random variations of each new photo, beside the photo itself
# Photos and variations together; half of them leave room for one variation of each. Their features
# take 310 MB, three times that while the layer is fitted.
MOST_LOOKS: Final = 60_000
NEW_SHARE: Final = 0.3  # weight of a new class: that of none-of-these, from which it must part
# Of one that the network knows already as a kind of other thing; it then takes less from others.
KIND_SHARE: Final = 0.005
_FOLDS: Final = 4
_PARITY_IMAGES: Final = 12

OnStage = Callable[[str], None]


@dataclass(frozen=True)
class _Plan:
    """What a quick retraining learns from and is judged by.

    Attributes:
        labels: the K labels of the candidate.
        known: features of rehearsed images.
        fresh: new photos of those labels.
        notes: what a person should know: what was left out and why.
    """

    labels: tuple[str, ...]
    known: Features
    fresh: tuple[SnapshotImage, ...]
    notes: tuple[str, ...]


def quick_retrain(
    snapshot: Snapshot,
    start: ModelVersion,
    registry: ModelRegistry,
    *,
    seed: int = 20,
    on_stage: OnStage = lambda stage: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> ModelVersion:
    """Teach the last layer of a version the new photos, publish the candidate, and return it.

    It carries the gate's report; it is not made active. An exception before the end leaves nothing
    published.

    Args:
        snapshot: the store's images; those that the version did not ship with are new.
        start: the active version, that the candidate starts from and is compared with.
        registry: where the candidate is published.
        seed: of the variations and the folds.
        on_stage: told in words what happens next.
        on_epoch: told what each iteration of the fit gave.
        on_step: told how many photos are looked at, and how many there are.

    Raises:
        NotEnoughData: there is nothing new to learn.
        NoBackbone: the version's network has no features.
        InvalidVersion: the version's Keras file or its rehearsal is missing or another's.
    """
    on_stage(f"Reading {start.version}")
    model = load_network(start)
    rehearsal = Rehearsal.read(start.verify(REHEARSAL_NAME))
    backbone = Backbone.of_version(start, model)
    if rehearsal.backbone != backbone.digest:
        raise NotEnoughData(
            f"The features that ship with {start.version} are of another network. Retrain "
            "thoroughly instead."
        )
    plan = plan_quick(snapshot, start.manifest, rehearsed(rehearsal))
    for note in plan.notes:
        on_stage(note)
    learned = tuple(i for i in plan.fresh if i.split != Split.TEST)
    on_stage(f"Looking at {len(plan.fresh)} new photos")
    photos = photo_features(backbone, snapshot.root, plan.fresh, on_step)
    each = views_of(len(learned))
    on_stage(f"Looking at {each} variation{'s' * (each > 1)} of {len(learned)} new photos")
    views = view_features(backbone, snapshot.root, learned, each, seed, on_step)
    fitting = _Fitting(model, start.manifest, plan, photos, views)

    on_stage("Checking how well photos are recognised that were not learned from")
    new_photos, suspects = fitting.new_photos(seed)
    on_stage(f"Learning {', '.join(fitting.changed)}")
    head, history = fitting.fit(learned, on_epoch)

    on_stage("Exporting to ONNX and comparing with Keras")
    trained = with_head(model, *head)
    pixels = load_images(
        snapshot.root, plan.fresh[:_PARITY_IMAGES], plan.labels, start.manifest.input.side_px
    ).pixels
    parity: dict[str, float] = {}

    def make_model(version: str) -> bytes:
        content = reheaded(
            start, trained, fitting.columns, start.manifest.calibration, plan.labels, version
        )
        manifest = start.manifest.model_copy(update={"labels": plan.labels})
        parity.update(
            check_parity(
                lambda images: probabilities_of(backbone.run(images), head, manifest),
                onnx_predict(content),
                pixels,
            )
        )
        return content

    def make_manifest(version: str, content: bytes) -> ModelManifest:
        on_stage(f"Comparing the candidate with {start.version}")
        manifest = start.manifest.model_copy(
            update={
                "version": version,
                "created_at": datetime.now(UTC),
                "labels": plan.labels,
                "none_label": NONE_OF_THESE if NONE_OF_THESE in plan.labels else None,
                "maps_output": MAPS_OUTPUT,
                "sha256": hashlib.sha256(content).hexdigest(),
                "size_bytes": len(content),
                "parameters": trained.count_params(),
                "training": {
                    "mode": "quick", "views": each, "pull_new": PULL_NEW,
                    "pull_known": PULL_KNOWN, "seed": seed,
                    SMOOTHING: start.manifest.training.get(SMOOTHING, 0.0),
                    TRAIN_SIDE: start.manifest.training.get(TRAIN_SIDE, 0),
                    HEAD_SHIFT: head_shift(start.manifest),
                    "learned": dict(Counter(i.label for i in learned)),
                    "notes": list(plan.notes),
                },
                "folds": {},
                "others": {},
                "history": history,
                "snapshot": snapshot.digest,
                "sources": _sources(start.manifest.sources, (*plan.known.images, *plan.fresh)),
                "parity": parity,
                "libraries": library_versions(),
                "parent": start.version,
                "learned": _learned(start.manifest.learned, learned),
            }
        )  # fmt: skip
        test = fitting.test
        candidate = Judged(probabilities_of(test.values, head, manifest), manifest)
        active = Judged(
            probabilities_of(test.values, head_of(model), start.manifest), start.manifest
        )
        return manifest.model_copy(
            update={
                "gate": judge(test.images, candidate, active, new_photos, suspects),
                "metrics": score(
                    test.images, candidate.probabilities, plan.labels, manifest.none_threshold
                ),
            }
        )

    def make_attachments(manifest: ModelManifest) -> dict[str, bytes]:
        test = fitting.test
        examined = examination(
            test.images,
            probabilities_of(test.values, head, manifest),
            manifest,
            statistics_since(start, snapshot.root, test.images),
        )
        return confusion_pictures(manifest.metrics, plan.labels) | {
            CARD_NAME: model_card(manifest).encode(),
            EXAMINATION_NAME: examined.to_bytes(),
            KERAS_NAME: model_file(trained),
            REHEARSAL_NAME: (start.folder / REHEARSAL_NAME).read_bytes(),
        }

    return registry.publish(make_model, make_manifest, make_attachments)


def plan_quick(snapshot: Snapshot, start: ModelManifest, known: Features) -> _Plan:
    """Return what a quick retraining learns: its labels, what it rehearses and what is new.

    Pictures of none of the classes whose publisher calls them as a new class is called are left
    out: they show it. Of more than 30,000 new photos (half of ``MOST_LOOKS``) each label gives as
    many as the others, or all that it has.

    Args:
        snapshot: the store's images.
        start: the version that it starts from.
        known: what that version ships with.

    Raises:
        NotEnoughData: no photo was added, or too few of a class.
    """
    shipped = {image.digest: image for image in known.images}
    sources = {image.source for image in known.images}
    rehearsed_labels = {image.label for image in known.images}

    def is_new(image: SnapshotImage) -> bool:
        there = shipped.get(image.digest)
        if there is None:
            # Of a publisher's variety a part is rehearsed; of one's own photos every one.
            one_of_more = bool(image.variety) and image.source in sources
            return not one_of_more or image.label not in rehearsed_labels
        # The store is right about what an image shows, but the test images stay what they are.
        judges = there.split == Split.TEST and there.label in start.classes
        return image.label != there.label and not judges

    fresh = [image for image in snapshot.images if is_new(image)]
    counts = Counter(i.label for i in fresh if i.split != Split.TEST)
    known_labels = {*start.labels, NONE_OF_THESE}
    few = too_few_to_learn(counts, known_labels)
    new = set(counts) - known_labels - set(few)
    notes = [
        f"{label} is left out: it has {count} photo{'s' * (count != 1)} to learn from; "
        f"{MIN_NEW_CLASS} are needed."
        for label, count in few.items()
    ]
    if NONE_OF_THESE in counts and not start.none_label:
        notes.append(f"None of these is left out: {start.version} cannot refuse.")
    labels = tuple(sorted((*start.classes, *new)))
    if start.none_label:
        labels = (*labels, start.none_label)
    # What the store calls otherwise is not rehearsed under its old name, learned or not.
    taken = {image.digest for image in fresh}
    fresh = [image for image in fresh if image.label in labels]
    renamed = namesakes([*fresh, *(i for i in known.images if i.digest not in taken)], labels)

    def shows_a_class(image: SnapshotImage) -> bool:
        return image.label == NONE_OF_THESE and image.variety in renamed

    fresh = [image for image in fresh if not shows_a_class(image)]
    if not any(image.split != Split.TEST for image in fresh):
        raise NotEnoughData(
            " ".join(
                (
                    "There is no new photo to learn from.",
                    *notes,
                    "Add photos on the Upload tab first.",
                )
            )
        )
    if renamed:
        notes.append(
            f"Pictures of {', '.join(sorted(renamed))} count no longer as none of the classes."
        )
    chosen = np.sort(in_turn(image.label for image in fresh)[: MOST_LOOKS // 2])
    tell_left_out(notes.append, "that are new", len(chosen), len(fresh) - len(chosen))
    fresh = [fresh[row] for row in chosen]
    kept = known.where(
        lambda i: i.digest not in taken and i.label in labels and not shows_a_class(i)
    )
    return _Plan(labels, kept, tuple(fresh), tuple(notes))


def views_of(photos: int) -> int:
    """Return how many variations of each of so many photos are looked at."""
    return min(VIEWS, MOST_LOOKS // photos - 1)


class _Fitting:
    """Fits the last layer to what is rehearsed and to some of the new photos."""

    def __init__(
        self,
        model: keras.Model,
        start: ModelManifest,
        plan: _Plan,
        photos: Features,
        views: NDArray[np.float32],
    ) -> None:
        self._plan = plan
        self._start = start
        self._old_head = head_of(model)
        self.columns = Columns.of_version(start, plan.labels)
        self._shift = start.calibration.none_shift if start.calibration else 0.0
        self._smoothing = float(start.training.get(SMOOTHING, 0.0))
        self._rehearsed = plan.known.where(lambda i: i.split != Split.TEST)
        self._photos = photos.where(lambda i: i.split != Split.TEST)
        self._views, self._each = views, len(views) // len(self._photos)
        values_of = {
            label: self._photos.values[rows]
            for label, rows in rows_by(i.label for i in self._photos.images).items()
        }
        looks = {label: values.mean(axis=0) for label, values in values_of.items()}
        self._head = widened_head(model, start, self.columns.classes, looks)
        self._kinds = {
            label
            for label, values in values_of.items()
            if is_a_kind(values, self._old_head, len(self.columns.kinds))
        }
        self.test = plan.known.where(lambda i: i.split == Split.TEST).and_(
            photos.where(lambda i: i.split == Split.TEST)
        )
        self.changed = sorted({image.label for image in self._photos.images})

    def fit(
        self,
        learned: Sequence[SnapshotImage],
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    ) -> tuple[Head, list[dict[str, float]]]:
        """Return the last layer that learned from these new photos, and the history."""
        digests = {image.digest for image in learned}
        rows = [row for row, i in enumerate(self._photos.images) if i.digest in digests]
        seen = [row * self._each + view for row in rows for view in range(self._each)]
        photos = [self._photos.images[row] for row in rows]
        values = np.concatenate(
            [self._rehearsed.values, self._photos.values[rows], self._views[seen]]
        )
        images = [*self._rehearsed.images, *photos]
        weights = self._weights(images)
        old, new = np.split(weights, [len(self._rehearsed)])
        new /= self._each + 1
        spread = np.concatenate([old, new, np.repeat(new, self._each)])
        targets = self.columns.of([*images, *np.repeat(np.array(photos, object), self._each)])
        classes = len(self.columns.classes)
        label_of = [*self.columns.classes, *[NONE_OF_THESE] * len(self.columns.kinds)]
        pulls = {
            column: PULL_KNOWN if label in self._start.labels else PULL_NEW
            for column, label in enumerate(label_of)
            if label in self.changed
        }
        # Fitted as it is served: with the shift of none-of-these.
        (kernel, bias), history = fit_head(
            values, targets, spread, self._shifted(), pulls, self._smoothing, classes, on_epoch
        )
        bias[classes:] -= self._shift
        return (kernel, bias), history

    def new_photos(self, seed: int) -> tuple[NewPhotos | None, list[Suspect]]:
        """Return what fits that did not see them say of the new photos, a fold at a time.

        Of those that the version that it starts from has learned nothing is said: no fit that goes
        on from it has not seen them. Labels that were doubted when it learned them are still.
        """
        images = self._photos.images
        learned = {(label, part) for label, parts in self._start.learned.items() for part in parts}
        unseen = [
            row for row, i in enumerate(images) if (i.label, i.digest[:DIGEST_PART]) not in learned
        ]
        digests = {images[row].digest for row in unseen}
        before = self._start.gate.suspects if self._start.gate else []
        earlier = [suspect for suspect in before if suspect.digest not in digests]
        if not unseen:
            return None, earlier
        fold_of = deal(images, _FOLDS, seed)
        probabilities = np.zeros((len(images), len(self._plan.labels)), np.float32)
        manifest = self._start.model_copy(update={"labels": self._plan.labels})
        for fold in range(_FOLDS):
            rows = np.flatnonzero(fold_of == fold)
            if len(rows):
                head, _ = self.fit([images[row] for row in np.flatnonzero(fold_of != fold)])
                probabilities[rows] = probabilities_of(self._photos.values[rows], head, manifest)
        active = probabilities_of(self._photos.values[unseen], self._old_head, self._start)
        doubted = likely_mislabelled(images, probabilities, self._plan.labels)
        new = NewPhotos(
            [images[row] for row in unseen],
            Judged(probabilities[unseen], manifest).answers,
            Judged(active, self._start).answers,
        )
        return new, [*(suspect for suspect in doubted if suspect.digest in digests), *earlier]

    def _weights(self, images: Sequence[SnapshotImage]) -> NDArray[np.float64]:
        weights = shares(images)
        labels = np.array([image.label for image in images])
        for label in set(self._plan.labels) - set(self._start.labels):
            mine = labels == label
            if mine.any():
                share = KIND_SHARE if label in self._kinds else NEW_SHARE
                weights[mine] *= share / weights[mine].sum()
        return weights

    def _shifted(self) -> Head:
        kernel, bias = self._head[0], self._head[1].copy()
        bias[len(self.columns.classes) :] += self._shift
        return kernel, bias


def is_a_kind(values: NDArray[np.float32], head: Head, kinds: int) -> bool:
    """Return whether a network takes most photos for one kind of other thing that it was taught.

    Args:
        values: the photos' features, float32 (N, D).
        head: kernel float32 (D, width) and bias float32 (width,).
        kinds: how many of its last columns are of other things; the very last is of no kind.
    """
    kernel, bias = head
    counts = np.bincount((values @ kernel + bias).argmax(axis=1), minlength=len(bias))
    column = int(counts.argmax())
    return column in range(len(bias) - kinds, len(bias) - 1) and counts[column] * 2 > len(values)


def deal(images: Sequence[SnapshotImage], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each image: photos of one scene together, each class spread over all.

    A class that was photographed in fewer scenes than there are folds is dealt photo by photo.
    """
    fold_of = np.zeros(len(images), np.int64)
    rng = np.random.default_rng(seed)
    for _, rows in rows_by(image.label for image in images).items():
        scenes = rows_by(images[row].scene or images[row].digest for row in rows)
        groups = (
            [rows[found] for found in scenes.values()]
            if len(scenes) >= folds
            else [np.array([row]) for row in rows]
        )
        for place, group in enumerate(rng.permutation(len(groups))):
            fold_of[groups[group]] = place % folds
    return fold_of


def probabilities_of(
    features: NDArray[np.float32], head: Head, manifest: ModelManifest
) -> NDArray[np.float32]:
    """Return the calibrated probabilities that a last layer gives features, float32 (N, K)."""
    logits = Columns.of_version(manifest).merge(features @ head[0] + head[1])
    calibration = manifest.calibration
    temperature, shift = (
        (calibration.temperature, calibration.none_shift) if calibration else (1.0, 0.0)
    )
    return np.exp(calibrated(logits, temperature, manifest.none_column, shift)).astype(np.float32)


def _learned(
    before: Mapping[str, Sequence[str]], learned: Sequence[SnapshotImage]
) -> dict[str, list[str]]:
    """Return the digests of what it learned by label, with those that it has from before."""
    found = {label: set(digests) for label, digests in before.items()}
    for image in learned:
        found.setdefault(image.label, set()).add(image.digest[:DIGEST_PART])
    return {label: sorted(digests) for label, digests in found.items()}


def _sources(known: Sequence[DataSource], images: Sequence[SnapshotImage]) -> list[DataSource]:
    """Return the sources with those of one's own photos; a public one keeps its attribution."""
    public = [source for source in known if source.licence]
    named = {source.name for source in public}
    added = [
        DataSource(
            name=name,
            licence="",
            citation="",
            images=dict(Counter(str(images[row].split) for row in rows)),
        )
        for name, rows in rows_by(image.source for image in images).items()
        if name not in named
    ]
    return [*public, *added]
