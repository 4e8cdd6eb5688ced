"""The predict flow, top to bottom, and the swap of the version that answers.

From Python::

    from app.service import PredictionService
    from models.registry import open_registry

    service = PredictionService(open_registry(Path("var")))
    service.load()
    prediction = service.predict(Path("photo.jpg").read_bytes())
    print(prediction.label, prediction.probability, prediction.version)
    answers = service.predict_many([ImageFile(p.name, p.read_bytes()) for p in paths])
    service.close()
"""

import asyncio
import io
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.errors import (
    AnotherIsLive,
    BadRequest,
    ModelMismatch,
    NoModel,
    Overloaded,
    ServingError,
    describe_error,
)
from app.explain import heat_from_maps, heat_from_occlusion
from app.metrics import Metrics
from app.predictor import OnnxPredictor, Predictor
from app.rates import Pace
from app.results import ImageFile, Prediction, Refusal, Timing, new_request_id, rank
from app.workers import Task, WorkerPool
from data.errors import DataError
from data.images import DEFAULT_LIMITS, ImageLimits, load_model_input
from models.decision import decide, nearest
from models.errors import ModelError, VersionRejected
from models.examination import picture_statistics
from models.manifest import ModelManifest
from models.registry import ModelRegistry, ModelVersion

_log = logging.getLogger(__name__)

_HEALTH_EVERY_S: Final = 10.0
# To look what a picture is like takes a tenth of an answer where all threads are busy; for a
# comparison with the test images a part of the photos is as good as all.
_LOOKS_AT_ONCE: Final = 500
_LOOKS_PER_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Served:
    """A version that answers: everything one prediction needs, taken as one reference."""

    predictor: Predictor
    manifest: ModelManifest
    since: datetime


class PredictionService:
    """Answers which fruit is on an image, with the version that is active.

    Args:
        registry: where versions come from.
        limits: bounds on one image.
        pool: threads and the bounded queue before them; one thread by default.
        metrics: where answers and refusals are counted.
        load_predictor: makes the predictor of a version.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        *,
        limits: ImageLimits = DEFAULT_LIMITS,
        pool: WorkerPool | None = None,
        metrics: Metrics | None = None,
        load_predictor: Callable[[ModelVersion], Predictor] = OnnxPredictor.load,
    ) -> None:
        self._registry = registry
        self._limits = limits
        self._pool = pool or WorkerPool(threads=1, max_pending=128, max_wait_s=10.0)
        self._load_predictor = load_predictor
        self._swap_lock = threading.Lock()
        self._served: Served | None = None
        self._problem = "Nothing was loaded yet."
        self._answered = ("", 0.0)  # the version, and when it last did
        self._looks = Pace(_LOOKS_AT_ONCE, _LOOKS_PER_S)
        self.metrics = metrics or Metrics()

    @property
    def served(self) -> Served:
        """The version that answers now.

        Raises:
            NoModel: none could be loaded.
        """
        served = self._served
        if served is None:
            raise NoModel(self._problem)
        return served

    def load(self) -> bool:
        """Load the active version at start; where that fails, the newest that can be loaded.

        Returns:
            Whether a version answers. The reason why not is in ``health``.
        """
        with self._swap_lock:
            lost = self._registry.set_aside_damaged_choice()
            try:
                first = [] if lost else [self._registry.active()]
                self._problem = lost
            except ModelError as error:
                first, self._problem = [], self._for_everybody(error)
            tried = [v.version for v in first]
            others = [
                version
                for version in reversed(self._registry.list())
                if version.version not in tried and not version.manifest.rejected
            ]
            for version in [*first, *others]:
                try:
                    self._served = self._prepare(version)
                except (ModelError, ModelMismatch) as error:
                    _log.error("cannot serve %s: %s", version.version, error)
                    self._problem = self._problem or self._for_everybody(error)
                else:
                    if self._problem:
                        _log.error("%s answers: %s", version.version, self._problem)
                    if lost:  # else the next start would choose again
                        self._registry.activate(version.version, "the choice was lost")
                    return True
        _log.error("no model version could be loaded: %s", self._problem)
        return False

    def swap(
        self,
        version: str,
        reason: str = "",
        *,
        override: bool = False,
        instead_of: Collection[str] | None = None,
    ) -> ModelManifest:
        """Serve another version from the next request on, and make it the active one.

        It is loaded, verified and warmed up first, so no request waits for it; those in flight
        finish on the version they began with. Where anything fails, nothing has changed.

        Args:
            version: name of a published version.
            reason: kept in the registry's log.
            override: serve it even though the gate rejected it.
            instead_of: the versions of which one must be live; None for any.

        Returns:
            Its manifest.

        Raises:
            AnotherIsLive: none of those is live any more.
            VersionNotFound: there is no such version.
            VersionRejected: the gate rejected it.
            InvalidVersion: its files are damaged.
            ModelMismatch: its model is not what its manifest says.
        """
        with self._swap_lock:
            if instead_of is not None and self.served.manifest.version not in instead_of:
                raise AnotherIsLive(self.served.manifest.version)
            found = self._registry.get(version)
            if found.manifest.rejected and not override:
                raise VersionRejected(version, found.manifest.problems)
            served = self._prepare(found)
            self._registry.activate(version, reason)
            self._served, self._problem = served, ""
        _log.info("now serving %s: %s", version, reason or "asked for")
        return served.manifest

    def roll_back(self, reason: str = "") -> ModelManifest:
        """Serve the version that was active before the present one, as ``swap`` does.

        Raises:
            VersionNotFound: there was none before.
            InvalidVersion: its files are damaged.
            ModelMismatch: its model is not what its manifest says.
        """
        with self._swap_lock:
            served = self._prepare(self._registry.previous())
            self._registry.roll_back(reason)
            self._served, self._problem = served, ""
        _log.info("back to %s: %s", served.manifest.version, reason or "asked for")
        return served.manifest

    def predict(
        self,
        content: bytes,
        *,
        top_k: int | None = None,
        explain: bool = False,
        request_id: str | None = None,
    ) -> Prediction:
        """Return the answer to one image; waits for a worker.

        Args:
            content: the encoded file, as the user has it.
            top_k: how many probabilities to return, most probable first; all by default.
            explain: add the heat map of what the answer rests on.
            request_id: names the request in the log; a new one by default.

        Raises:
            InvalidImage: the bytes are no image within the limits.
            BadRequest: ``top_k`` is below 1.
            Overloaded: too many requests are pending.
            NoModel: no version could be loaded.
        """
        return self._submit(content, top_k, explain, request_id).result()

    async def predict_async(
        self,
        content: bytes,
        *,
        top_k: int | None = None,
        explain: bool = False,
        request_id: str | None = None,
    ) -> Prediction:
        """As ``predict``, without holding the event loop."""
        return await asyncio.wrap_future(self._submit(content, top_k, explain, request_id))

    def predict_many(
        self,
        files: Sequence[ImageFile | Refusal],
        *,
        top_k: int | None = None,
        explain: bool = False,
        request_id: str | None = None,
    ) -> list[Prediction | Refusal]:
        """Return the answers to several images in their order; one refused spoils no other.

        Images run one by one, spread over the workers: a batch gains nothing on a CPU, and each
        answer is to the last digit what ``predict`` gives. Each is timed from when it may have the
        next worker; it is only the first that may not wait too long.

        Args:
            files: images with their names; what was already refused stays in its place.
            top_k, explain: as for ``predict``.
            request_id: as for ``predict``, the same for all.

        Raises:
            BadRequest, Overloaded, NoModel: as ``predict``, for all of them together.
        """
        with self._admitted(files, top_k, explain, request_id) as tasks:
            return list(self._pool.run_all(tasks))

    async def predict_many_async(
        self,
        files: Sequence[ImageFile | Refusal],
        *,
        top_k: int | None = None,
        explain: bool = False,
        request_id: str | None = None,
    ) -> list[Prediction | Refusal]:
        """As ``predict_many``, without holding the event loop."""
        with self._admitted(files, top_k, explain, request_id) as tasks:
            return await self._pool.run_all_async(tasks)

    def opinion(self, content: bytes) -> Prediction | None:
        """Return what the served version says of an image, outside of every count and queue.

        Returns:
            The answer; None without a version, or where the bytes are no image.
        """
        if self._served is None:
            return None
        try:
            return self._predict_one(content, None, False, new_request_id(), 0.0)
        except DataError:
            return None

    def require_room(self) -> None:
        """Refuse a request that would be refused anyway, before its image is even read.

        Raises:
            Overloaded: too many requests are pending.
        """
        with self._counted():
            self._pool.require_room()

    def health(self) -> dict[str, Any]:
        """Return whether predictions are answered, by which version, and if not, why."""
        served = self._served
        if served is None:
            return {"status": "no model", "ready": False, "version": None, "problem": self._problem}
        return {
            "status": "degraded" if self._problem else "ok",
            "ready": True,
            "version": served.manifest.version,
            "problem": self._problem or None,
        }

    def check_health(self) -> dict[str, Any]:
        """Return ``health``, after the served version answered a black image just now.

        One look in ten seconds is enough; others in between get its result.
        """
        health = self.health()
        if not health["ready"]:
            return health
        served = self.served
        version, at = self._answered
        if version == served.manifest.version and time.monotonic() - at < _HEALTH_EVERY_S:
            return health
        try:
            served.predictor.warm_up()
        except Exception as error:  # whatever it is, the version does not answer
            _log.exception("%s does not answer", served.manifest.version)
            return health | {"status": "failing", "ready": False, "problem": str(error)}
        self._answered = (served.manifest.version, time.monotonic())
        return health

    def status(self) -> dict[str, Any]:
        """Return the served version, what is known of it, and the figures since the start."""
        served = self._served
        model = _describe_model(served) if served else None
        return (
            self.health()
            | {"model": model, "pending": self._pool.pending}
            | (self.metrics.snapshot())
        )

    def close(self) -> None:
        """Finish what runs and end the workers."""
        self._pool.close()

    def _for_everybody(self, error: Exception) -> str:
        """Return what is wrong with a version without where it lies; the log has that too."""
        message = str(error)
        for folder in filter(None, (self._registry.root, self._registry.baseline)):
            message = message.replace(f"{folder}/", "")
        return message

    def _submit(
        self, content: bytes, top_k: int | None, explain: bool, request_id: str | None
    ) -> Future[Prediction]:
        request_id = request_id or new_request_id()
        task = partial(self._predict_counted, content, top_k, explain, request_id)
        with self._counted():
            future = self._pool.submit(task)
        future.add_done_callback(self._count_too_late)
        return future

    def _count_too_late(self, future: Future[Prediction]) -> None:
        """Count a request that waited too long for a worker, so that its task never began."""
        if not future.cancelled() and isinstance(error := future.exception(), Overloaded):
            self.metrics.refused(type(error).__name__)

    def _predict_counted(
        self, content: bytes, top_k: int | None, explain: bool, request_id: str, waited_s: float
    ) -> Prediction:
        with self._counted():
            prediction = self._predict_one(content, top_k, explain, request_id, waited_s)
        self.metrics.predicted(prediction)
        return prediction

    def _predict_one(
        self, content: bytes, top_k: int | None, explain: bool, request_id: str, waited_s: float
    ) -> Prediction:
        served = self.served  # one reference: a swap beside this call cannot mix two versions
        if top_k is not None and top_k < 1:
            raise BadRequest(f"top_k is {top_k}; it must be 1 or more. Leave it out for all.")
        started_at = time.perf_counter()
        image = load_model_input(content, served.manifest.input.side_px, limits=self._limits)
        decoded_at = time.perf_counter()
        rows, maps = (  # (1, H, W, 3) -> (1, K), (1, h, w, K)
            served.predictor.run_with_maps(image[None])
            if explain
            else (served.predictor.run(image[None]), None)
        )
        answered_at = time.perf_counter()
        manifest, labels = served.manifest, served.manifest.labels
        answer = int(decide(rows, manifest.none_column, manifest.none_threshold)[0])
        refused = answer == manifest.none_column
        timing = Timing(
            wait=_ms(waited_s),
            decode=_ms(decoded_at - started_at),
            inference=_ms(answered_at - decoded_at),
            total=_ms(waited_s + (answered_at - started_at)),
        )
        return Prediction(
            label=labels[answer],
            probabilities=rank(labels, rows[0], answer, top_k),
            version=manifest.version,
            timing_ms=timing,
            request_id=request_id,
            nearest=labels[nearest(rows, answer)[0]] if refused else None,
            heat_map=_heat_map(served.predictor, image, maps, answer) if explain else None,
            statistics=tuple(picture_statistics(image).tolist()) if self._looks.take() else (),
        )

    @contextmanager
    def _admitted(
        self,
        files: Sequence[ImageFile | Refusal],
        top_k: int | None,
        explain: bool,
        request_id: str | None,
    ) -> Iterator[list[Task[Prediction | Refusal]]]:
        """Admit several images as one request, and give the task of each, which counts itself."""
        with ExitStack() as held:
            with self._counted():
                held.enter_context(self._pool.admitted())
                _ = self.served  # without a model the whole request fails, not each image by itself
            request_id = request_id or new_request_id()
            try:
                yield [
                    partial(self._predict_or_refuse, f, top_k, explain, request_id) for f in files
                ]
            except Overloaded as error:  # it waited too long for a worker, and no task has begun
                self.metrics.refused(type(error).__name__)
                raise

    def _predict_or_refuse(
        self,
        file: ImageFile | Refusal,
        top_k: int | None,
        explain: bool,
        request_id: str,
        waited_s: float,
    ) -> Prediction | Refusal:
        if isinstance(file, Refusal):
            self.metrics.refused(file.error["type"])
            return file
        try:
            answer = self._predict_counted(file.content, top_k, explain, request_id, waited_s)
        except DataError as error:
            return Refusal(file.name, describe_error(error, request_id)[1])
        return replace(answer, name=file.name)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count whatever leaves the block: refusals by kind, anything unknown as an error."""
        try:
            yield
        except (DataError, ServingError) as error:
            self.metrics.refused(type(error).__name__)
            raise
        except Exception:
            self.metrics.failed()
            raise

    def _prepare(self, version: ModelVersion) -> Served:
        predictor = self._load_predictor(version)
        predictor.warm_up()
        _warm_up_decoder()
        return Served(predictor, version.manifest, datetime.now(UTC))


def _heat_map(
    predictor: Predictor, image: NDArray[np.uint8], maps: NDArray[np.float32] | None, answer: int
) -> tuple[tuple[float, ...], ...]:
    heat = (
        heat_from_occlusion(predictor, image, answer)
        if maps is None
        else heat_from_maps(maps[0], answer)
    )
    return tuple(tuple(row) for row in heat.round(3).tolist())


def _describe_model(served: Served) -> dict[str, Any]:
    manifest = served.manifest
    return {
        "version": manifest.version,
        "since": served.since.isoformat(timespec="seconds"),
        "created_at": manifest.created_at.isoformat(timespec="seconds"),
        "labels": list(manifest.labels),
        "none_label": manifest.none_label,
        "none_threshold": manifest.none_threshold,
        "network": manifest.network,
        "parameters": manifest.parameters,
        "size_bytes": manifest.size_bytes,
        "input_side_px": manifest.input.side_px,
        # By source and split, never averaged over sources: filmed fruit says little of shop photos.
        "metrics": {
            name: {
                "images": metrics.images,
                "accuracy": metrics.accuracy,
                "macro_f1": metrics.macro_f1,
                "mean_confidence": metrics.mean_confidence,
                "calibration_error": metrics.calibration_error,
                "named": metrics.named,
                "others": metrics.others.model_dump() if metrics.others else None,
                "intervals": metrics.intervals,
            }
            for name, metrics in manifest.metrics.items()
        },
    }


def _warm_up_decoder() -> None:
    """Decode one small JPEG: Pillow imports its format plugins, 40 ms, on first use."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    load_model_input(buffer.getvalue(), 16)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
