"""Collecting photos: what becomes of each uploaded file, and what the store holds.

The flow is upload, validate, dedupe, report, store. A rehearsal gives the same report and keeps
nothing, so a person sees what will happen before it does.
"""

import hashlib
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from app.errors import BadRequest, StoreFull
from app.results import ImageFile, Prediction, Refusal
from app.service import PredictionService
from data.errors import DataError, InvalidImage
from data.images import Looks
from data.labels import BASE_LABELS, NONE_OF_THESE, normalise_label, same_class, spoken
from data.reviews import Review, ReviewQueue
from data.splits import Split
from data.store import AddOutcome, AddResult, DatasetStore, StoreBatch, StoredImage

_log = logging.getLogger(__name__)

SOURCE: Final = "uploads"
_REFUSED: Final = "refused"
# A photo that the model calls something else with at least this probability is worth a second look.
FIRM: Final = 0.90
# What a class should have before a retraining: enough to learn from, and some to be judged by.
ENOUGH: Final = {Split.TRAIN: 15, Split.VALIDATION: 2, Split.TEST: 3}


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """What became of one uploaded file.

    Attributes:
        name: as it was uploaded.
        status: a value of ``AddResult``, or ``refused``.
        message: what that means, in a sentence.
        label: the class that it was offered for; empty where that was not clear.
        existing: the image of the store that it equals or nearly equals, None without one.
        warning: why a person may want to look again; empty without a reason.
    """

    name: str
    status: str
    message: str
    label: str
    existing: StoredImage | None = None
    warning: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of the report, ready for JSON."""
        existing = self.existing
        return {
            "name": self.name,
            "status": self.status,
            "message": self.message,
            "class_name": self.label,
            "existing": None
            if existing is None
            else {
                "digest": existing.digest,
                "class_name": existing.label,
                "source": existing.source,
                "split": str(existing.split),
                "name": existing.original_name,
            },
            "warning": self.warning or None,
        }


@dataclass(frozen=True)
class UploadReport:
    """What became of an upload, or would.

    Attributes:
        kept: whether the store was changed; False for a rehearsal.
        files: in the order of the upload.
    """

    kept: bool
    files: tuple[UploadedFile, ...]

    @property
    def counts(self) -> Counter[str]:
        """How many files have each status."""
        return Counter(file.status for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as the REST route and the Gradio API give it."""
        return {
            "kept": self.kept,
            "counts": dict(sorted(self.counts.items())),
            "files": [file.to_dict() for file in self.files],
        }


class CollectionService:
    """The labelled photos: adding, looking, relabelling, removing.

    Args:
        store: the only owner of the images.
        service: asked for a second opinion on each new photo.
        reviews: the photos that visitors gave with a right name.
        shipped_tests: gives the digests of test images that are not in the store but judge the
            models all the same.
        is_read: says whether a job reads the photos just now.
        max_classes: how many classes there may be.
        max_bytes: how many bytes uploads may fill the store with.
    """

    def __init__(
        self,
        store: DatasetStore,
        service: PredictionService,
        reviews: ReviewQueue,
        shipped_tests: Callable[[], frozenset[str]] = frozenset,
        *,
        is_read: Callable[[], bool] = lambda: False,
        max_classes: int = sys.maxsize,
        max_bytes: int = sys.maxsize,
    ) -> None:
        self._store = store
        self._shipped_tests = shipped_tests
        self._service = service
        self._reviews = reviews
        self._is_read = is_read
        self._max_classes = max_classes
        self._max_bytes = max_bytes
        self._writing = threading.Lock()  # a rehearsal and an upload must not see each other
        self._decoding = threading.Lock()  # one large picture in memory, however many uploads come

    def upload(
        self,
        files: Sequence[ImageFile | Refusal],
        class_name: str | None,
        *,
        keep: bool = True,
        relabel: bool = False,
    ) -> UploadReport:
        """Add photos to a class, and return what became of each.

        Where anything unforeseen fails, nothing of the upload stays.

        Args:
            files: photos with their names; what was already refused stays in its place.
            class_name: the class of all of them; None or empty for the folder each one lies in.
            keep: False to only rehearse.
            relabel: whether photos that are in the store under another class take this one.

        Raises:
            InvalidLabel: the class name breaks the rules.
            BadRequest: there is no file.
            StoreFull: the store would have more classes or bytes than it may.
        """
        if not files:
            raise BadRequest("No photo was sent. Choose some, or a zip of them.")
        label = _chosen(class_name)
        tests = self._shipped_tests()
        self._check_room(files, label)
        known = self.classes()
        looks = self._looked_at(files, label, tests)
        with self._writing, self._store.batch(keep=keep) as batch:
            outcomes = [_add(batch, file, label, relabel, tests, looks) for file in files]
        report = [
            outcome
            if isinstance(outcome, UploadedFile)
            else self._described(file, label or _folder_label(file.name), outcome, known)
            for file, outcome in zip(files, outcomes, strict=True)
        ]
        return UploadReport(keep, tuple(report))

    def suggest(self, file: ImageFile, class_name: str) -> Review:
        """Keep a visitor's photo, with what it shows, until somebody decides about it.

        Args:
            file: the photo.
            class_name: what the visitor says it shows.

        Raises:
            InvalidImage: it is no image within the limits.
            InvalidLabel: the class name breaks the rules.
            QueueFull: as many photos wait as may.
        """
        answer = self._opinion(file.content)
        with self._decoding:
            return self._reviews.add(
                file.content,
                label=class_name,
                answered=answer.label if answer else "",
                probability=answer.probability if answer else 0.0,
                version=answer.version if answer else "",
                name=file.name,
            )

    def reviews(self, limit: int | None = None) -> list[Review]:
        """Return the photos that wait for a decision, those that need a person most first.

        That is where visitor and model disagree, and then where the model was least sure.
        """
        waiting = self._reviews.pending()
        waiting.sort(key=lambda r: (r.label == r.answered, r.probability))
        return waiting[:limit]

    def read_review(self, review: Review) -> bytes:
        """Return the file of a photo that waits."""
        return self._reviews.read(review)

    def accept(self, digests: Sequence[str], class_name: str | None = None) -> UploadReport:
        """Add waiting photos to the store, and return what became of each.

        They leave the queue, also those that were there already, judge the models or have lost
        their file. One that is refused goes on waiting.

        Args:
            digests: of the photos.
            class_name: what they show; None or empty for what each visitor said.

        Raises:
            InvalidLabel: the class name breaks the rules.
            BadRequest: none of the photos waits any more.
            StoreFull: the store would have more classes or bytes than it may.
        """
        label = _chosen(class_name)
        waiting = self._reviews.get(digests)
        if not waiting:
            raise BadRequest("None of these photos waits any more. Choose others.")
        found: list[UploadedFile] = []
        settled: list[str] = []
        for review in waiting:
            photo = self._reviewed(review)
            found += self.upload([photo], label or review.label, relabel=True).files
            if found[-1].status != _REFUSED or isinstance(photo, Refusal):
                settled.append(review.digest)
        self._reviews.remove(settled)
        return UploadReport(True, tuple(found))

    def discard(self, digests: Sequence[str]) -> int:
        """Forget waiting photos and their files, and return how many."""
        return self._reviews.remove(digests)

    def classes(self) -> list[str]:
        """Return every class name: of the base set, of the served model and of the store."""
        served = self._service.health()["version"]
        known = set(self._service.served.manifest.classes) if served else set()
        stored = {label for _, label, _ in self._store.counts()}
        return [*sorted((set(BASE_LABELS) | known | stored) - {NONE_OF_THESE}), NONE_OF_THESE]

    def sources(self) -> list[str]:
        """Return the sources that the store has images of."""
        return sorted({source for source, _, _ in self._store.counts()})

    def progress(self) -> list[dict[str, Any]]:
        """Return, by class, how many photos play each part and what is missing for a retraining."""
        counts: dict[str, Counter[Split]] = {}
        for (_, label, split), count in self._store.counts().items():
            counts.setdefault(label, Counter())[split] += count
        return [
            {
                "class_name": label,
                "photos": sum(by_split.values()),
                **{str(split): by_split[split] for split in Split},
                "missing": sum(max(0, need - by_split[s]) for s, need in ENOUGH.items()),
            }
            for label, by_split in sorted(counts.items())
        ]

    def all_images(self, *, label: str | None, source: str | None) -> list[StoredImage]:
        """Return all images of a class and source, as they are at one moment."""
        return self._store.images(label=label, source=source)

    def images(
        self, *, label: str | None, source: str | None, limit: int, offset: int = 0
    ) -> tuple[list[StoredImage], int]:
        """Return some images of a class and source, the newest first, and how many there are."""
        return self._store.page(label=label, source=source, limit=limit, offset=offset)

    def removed(self, limit: int) -> list[StoredImage]:
        """Return the images that were taken out, the latest first."""
        return self._store.removed(limit)

    def read(self, image: StoredImage) -> bytes:
        """Return an image's file."""
        return self._store.read(image)

    def relabel(self, digests: Sequence[str], class_name: str) -> int:
        """Give images another class, and return how many had a different one.

        Raises:
            InvalidLabel: the class name breaks the rules.
            StoreFull: there would be more classes than there may.
        """
        label = normalise_label(class_name)
        with self._writing:
            self._check_classes({label})
            return self._store.relabel(digests, label)

    def remove(self, digests: Sequence[str]) -> int:
        """Take images out, and return how many; ``restore`` puts them back."""
        with self._writing:
            return self._store.remove(digests)

    def restore(self, digests: Sequence[str]) -> int:
        """Put images back, and return how many."""
        with self._writing:
            return self._store.restore(digests)

    def removed_size(self) -> tuple[int, int]:
        """Return how many images were taken out and can be put back, and their bytes on disk."""
        return self._store.removed_size()

    def erase_removed(self) -> int:
        """Delete the images that were taken out for good, and return how many.

        Raises:
            BadRequest: a job is running, which may have begun with one of them.
        """
        if self._is_read():
            raise BadRequest(
                "A job reads the photos just now. Delete them when it has ended, or end it on the "
                "Retrain tab."
            )
        with self._writing:
            return self._store.erase_removed()

    def close(self) -> None:
        """Close the store."""
        self._store.close()
        self._reviews.close()

    def _check_room(self, files: Sequence[ImageFile | Refusal], label: str | None) -> None:
        photos = [file for file in files if isinstance(file, ImageFile)]
        size_bytes = self._store.size_bytes() + sum(len(photo.content) for photo in photos)
        if size_bytes > self._max_bytes:
            raise StoreFull(
                f"The store would hold {size_bytes:,} bytes of photos; the limit is "
                f"{self._max_bytes:,}. Remove some and delete them for good, or raise "
                "FRUIT_MAX_STORE_BYTES."
            )
        self._check_classes({label} if label else _folder_labels(photo.name for photo in photos))

    def _check_classes(self, wanted: Set[str]) -> None:
        known = set(self.classes())
        count = len(known | wanted)
        if wanted - known and count > self._max_classes:
            raise StoreFull(
                f"There would be {count:,} classes; the limit is {self._max_classes:,}. Use one "
                "that there is, or raise FRUIT_MAX_CLASSES."
            )

    def _looked_at(
        self, files: Sequence[ImageFile | Refusal], label: str | None, tests: frozenset[str]
    ) -> dict[str, Looks | str]:
        """Return what the store has to find out of the pictures that are new to it, by the digest
        of the file; of those that are none, why.

        That takes nearly all the time of an upload, so others may write meanwhile.
        """
        wanted = {
            digest: file.content
            for file in files
            if isinstance(file, ImageFile)
            and (digest := _digest(file)) not in tests
            and (label or _folder_labels([file.name]))
        }
        with self._writing, self._store.batch(keep=False) as batch:
            new = {
                digest: content for digest, content in wanted.items() if not batch.knows(content)
            }
        looks: dict[str, Looks | str] = {}
        # A batch that has ended still looks: that asks nothing of the index.
        for digest, content in new.items():
            try:
                with self._decoding:
                    looks[digest] = batch.look_at(content)
            except InvalidImage as error:
                looks[digest] = str(error)  # not itself: it holds the picture
        return looks

    def _reviewed(self, review: Review) -> ImageFile | Refusal:
        try:
            return ImageFile(review.name, self._reviews.read(review))
        except FileNotFoundError:
            return Refusal(review.name, {"message": "Its file is gone, so nothing was kept."})

    def _described(
        self, file: ImageFile | Refusal, label: str, outcome: AddOutcome, known: Sequence[str]
    ) -> UploadedFile:
        """Return the entry of a file that the store looked at; the model is asked of new ones.

        ``known`` are the classes that there were before.
        """
        used = outcome.result in (AddResult.ADDED, AddResult.RELABELLED)
        opinion = self._opinion(file.content) if used and isinstance(file, ImageFile) else None
        namesake = same_class(label, known) if used and label not in known else None
        return _described(file.name, label, outcome, opinion, namesake)

    def _opinion(self, content: bytes) -> Prediction | None:
        """Return what the model says of a photo, None where it cannot: that spoils no upload."""
        try:
            with self._decoding:
                return self._service.opinion(content)
        except Exception:  # the photos are kept by now, whatever ONNX Runtime has met
            _log.exception("the model could not be asked of a photo")
            return None


def _chosen(class_name: str | None) -> str | None:
    """Return the class that was named for all photos, None for none."""
    return normalise_label(class_name) if class_name and class_name.strip() else None


def _folder_label(name: str) -> str:
    parent = PurePosixPath(name).parent.name
    if not parent:
        raise BadRequest(
            "It lies in no folder that names its class. Choose a class, or put the photos into one "
            "folder per class."
        )
    return normalise_label(parent)


def _folder_labels(names: Iterable[str]) -> set[str]:
    """Return the classes that the folders of photos name; a bad name is said of each file later."""
    found = set()
    for name in names:
        with suppress(DataError, BadRequest):
            found.add(_folder_label(name))
    return found


def _add(
    batch: StoreBatch,
    file: ImageFile | Refusal,
    label: str | None,
    relabel: bool,
    tests: frozenset[str],
    looks: Mapping[str, Looks | str],
) -> AddOutcome | UploadedFile:
    """Return what the store made of a file, or the entry of one that was refused."""
    if isinstance(file, Refusal):
        return _refused(file.name, file.error["message"], label or "")
    digest = _digest(file)
    if digest in tests:
        message = f"It is one of the test images that ship with the model, {_JUDGES}"
        return UploadedFile(file.name, str(AddResult.IS_TEST), message, label or "")
    try:
        wanted = label or _folder_label(file.name)
        seen = looks.get(digest)
        if isinstance(seen, str):
            return _refused(file.name, seen, label or "")
        return batch.add(
            file.content,
            label=wanted,
            source=SOURCE,
            original_name=file.name,
            relabels=relabel,
            guards_test=True,
            looks=seen,
        )
    except (DataError, BadRequest) as error:
        return _refused(file.name, str(error), label or "")


def _digest(file: ImageFile) -> str:
    return hashlib.sha256(file.content).hexdigest()


def _refused(name: str, message: str, label: str) -> UploadedFile:
    return UploadedFile(name, _REFUSED, message, label)


def _described(
    name: str,
    label: str,
    outcome: AddOutcome,
    opinion: Prediction | None,
    namesake: str | None,
) -> UploadedFile:
    there = outcome.near or (None if outcome.result is AddResult.ADDED else outcome.image)
    where = f"{outcome.image.original_name} ({spoken(outcome.image.label)})"
    message = {
        AddResult.ADDED: f"New {spoken(label)}; it will {_PART[outcome.image.split]}.",
        AddResult.DUPLICATE: f"Already here as {where}.",
        AddResult.OTHER_LABEL: f"Already here as {where}; relabel it to use it for "
        f"{spoken(label)}.",
        AddResult.RELABELLED: f"Was here under another class, and is {spoken(label)} now.",
        AddResult.IS_TEST: f"It is one of the test images, {where}, {_JUDGES}",
    }[outcome.result]
    warnings = []
    if outcome.near and outcome.result is AddResult.ADDED:
        near = outcome.near
        warnings.append(f"Nearly the same as {near.original_name} ({spoken(near.label)}).")
    if outcome.result in (AddResult.ADDED, AddResult.RELABELLED):
        others = _folder_labels([name]) - {label}
        warnings += [
            f"Its folder is called {spoken(o)}." for o in others if not same_class(o, [label])
        ]
        if namesake:
            warnings.append(
                f"{spoken(label).capitalize()} is a class of its own beside {spoken(namesake)}; "
                f"choose {spoken(namesake)} if they are the same."
            )
    if opinion and _disagrees(opinion, label):
        warnings.append(
            f"The model is {opinion.probability:.0%} sure that this is {spoken(opinion.label)}."
        )
    return UploadedFile(name, str(outcome.result), message, label, there, " ".join(warnings))


_JUDGES: Final = "by which models are judged; it is not learned from."
_PART: Final = {
    Split.TRAIN: "be learned from",
    Split.VALIDATION: "be learned from by a quick retraining",
    Split.TEST: "judge the models",
}


def _disagrees(opinion: Prediction, label: str) -> bool:
    """Return whether the model firmly says something else.

    None-of-these is no objection to a class that it does not know yet.
    """
    return opinion.label not in (label, NONE_OF_THESE) and opinion.probability >= FIRM
