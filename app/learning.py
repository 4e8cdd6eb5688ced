"""Retraining and versions: start jobs, follow them, put versions live and roll back.

The flow right of the process boundary is in ``training``; here is what leads to it and what follows
from it: a request goes out, a published version with the gate's report comes back, and only a
version that passed is served.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from app.collection import SOURCE
from app.errors import AnotherIsLive, BadRequest, NoModel, NotReady
from app.job_table import Job, JobState, JobTable
from app.jobs import COMMAND, JobRunner
from app.scheduler import Schedule, Scheduler
from app.service import PredictionService
from data.confirmations import Confirmations
from data.labels import NONE_OF_THESE, spoken
from data.sources import PUBLIC_SOURCES
from data.splits import Split
from data.state import jobs_dir, store_dir
from data.store import DatasetStore, StoredImage
from data.sufficiency import (
    MIN_NEW_CLASS,
    nothing_to_judge_by,
    too_few_to_learn,
    too_few_to_rehearse,
    where_to_get,
)
from models.errors import ModelError, VersionInUse
from models.jobs import (
    FETCH,
    FetchRequest,
    JobRequest,
    JobResult,
    Mode,
    read_progress,
)
from models.manifest import KERAS_NAME, REHEARSAL_NAME, Suspect
from models.registry import ModelRegistry, ModelVersion
from models.rehearsal import rehearsed_labels

MODES: Final[tuple[Mode, ...]] = ("quick", "thorough")
_NICENESS: Final = 19  # every prediction goes before
_BY_HAND: Final = "by hand"
_NO_MODEL: Final = (
    "No model is loaded, and a retraining goes on from the one that is live. Put a version live, "
    "or train one with 'python -m training'."
)
_PUBLIC: Final = frozenset(source.name for source in PUBLIC_SOURCES)


@dataclass(frozen=True)
class Readiness:
    """Whether a retraining can start, and what it would learn.

    Attributes:
        ready: whether it can.
        problems: why it cannot, in sentences.
        learns: new photos to learn from, by class.
        notes: what else a person should know.
    """

    problems: tuple[str, ...]
    learns: dict[str, int]
    notes: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether it can start."""
        return not self.problems


class LearningService:
    """Retrain jobs and model versions.

    Args:
        service: serves the versions.
        registry: publishes and remembers them.
        store: the photos to learn from.
        state_dir: everything the program writes.
        threads: of a retrain job.
        mirror: where the public archives are; empty for the publishers' own addresses.
        command: what runs a job; the training package by default.
    """

    def __init__(
        self,
        service: PredictionService,
        registry: ModelRegistry,
        store: DatasetStore,
        state_dir: Path,
        *,
        threads: int = 1,
        mirror: str = "",
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._service = service
        self._registry = registry
        self._store = store
        self._state_dir = state_dir
        self._threads = threads
        self._mirror = mirror
        self._confirmed = Confirmations(store_dir(state_dir))
        self._table = JobTable(jobs_dir(state_dir) / "jobs.db")
        self._runner = JobRunner(
            self._table,
            jobs_dir(state_dir),
            self._prepare,
            self._finish,
            command=command,
            threads=threads,
        )
        self._scheduler = Scheduler(
            jobs_dir(state_dir) / "schedule.json", self.retrain, self.count_new
        )

    def start(self) -> None:
        """Settle what a crash left, run what is queued, and keep the schedule."""
        self._registry.sweep()
        self._runner.start()
        self._scheduler.start()

    def retrain(self, mode: str = "quick", reason: str = _BY_HAND) -> Job:
        """Queue a retraining, and return its job; one that waits already is returned instead.

        Raises:
            BadRequest: there is no such mode.
            NotReady: it cannot start, and why.
        """
        readiness = self.readiness(mode)
        if not readiness.ready:
            raise NotReady(" ".join(readiness.problems))
        return self._runner.submit(mode, reason)

    def lacks_base_set(self) -> bool:
        """Return whether a public set is missing in the store, or was not fetched to its end."""
        there = {source for source, _, _ in self._store.counts()}
        fetched = next((job for job in self._table.list() if job.mode == FETCH), None)
        unfinished = fetched is not None and fetched.state is not JobState.SUCCEEDED
        return unfinished or any(source.name not in there for source in PUBLIC_SOURCES)

    def fetching(self) -> Job | None:
        """Return the job that fetches the public sets, be it waiting or running; None for none."""
        pending = self._table.in_state(JobState.QUEUED, JobState.RUNNING)
        return next((job for job in pending if job.mode == FETCH), None)

    def fetch_base_set(self, reason: str = _BY_HAND) -> Job:
        """Queue the download and import of the public sets, and return the job.

        What is there already is neither downloaded nor added again. One that waits or runs already
        is returned instead: another would find nothing left to do.
        """
        return self.fetching() or self._runner.submit(FETCH, reason)

    def readiness(self, mode: str) -> Readiness:
        """Return whether a retraining can start, and what it would learn.

        Raises:
            BadRequest: there is no such mode.
        """
        if mode not in MODES:
            raise BadRequest(f"The mode is {mode!r}; it must be one of {', '.join(MODES)}.")
        try:
            active = self._service.served.manifest
        except NoModel:
            return Readiness((_NO_MODEL,), {}, ())
        counts: Counter[tuple[str, Split]] = Counter()
        fresh: Counter[str] = Counter()
        for (source, label, split), count in self._store.counts().items():
            counts[label, split] += count
            if split != Split.TEST and (source not in _PUBLIC or label not in active.labels):
                # A thorough retraining keeps those of validation to choose by.
                fresh[label] += count if mode == "quick" or split == Split.TRAIN else 0
        if mode == "quick":
            fresh -= self._rehearsed(active.version)
        few = too_few_to_learn(fresh, active.labels)
        learns = {n: c for n, c in sorted(fresh.items()) if c and n not in few}
        notes = [
            f"{spoken(n)} is left out: {c} of {MIN_NEW_CLASS} photos to learn from."
            for n, c in few.items()
        ]
        problems = []
        if find_spec("tensorflow") is None:
            problems.append(
                "Retraining needs TensorFlow, which is not installed here: in the folder of this "
                "program, pip install -e '.[train]', and start it again."
            )
        if mode == "quick":
            problems += self._quick_problems(active.version, learns)
        else:
            if missing := too_few_to_rehearse(active.labels, counts):
                problems.append(
                    f"A thorough retraining rehearses every class from photographs; of "
                    f"{', '.join(map(spoken, missing))} there are too few here. "
                    f"{where_to_get(missing)}, or retrain quickly, which needs none of them."
                )
            new = [label for label in learns if label not in active.labels]
            if unjudged := nothing_to_judge_by(new, counts):
                problems.append(
                    f"All photos of {', '.join(map(spoken, unjudged))} are to learn from, and "
                    "none is left to judge by. Add some more, of which a part is set aside, or "
                    "retrain quickly, which judges a new class by what it learns of the others of "
                    "its photos."
                )
        return Readiness(tuple(problems), learns, tuple(notes))

    def _rehearsed(self, version: str) -> Counter[str]:
        """Return how many of one's own photos a version rehearses, as one trained thoroughly."""
        try:
            known = rehearsed_labels(self._registry.get(version).folder / REHEARSAL_NAME, _PUBLIC)
        except ModelError:
            return Counter()
        # The page asks every second, and the shipped version rehearses none.
        own = self._store.own_labels(_PUBLIC) if known else []
        return Counter(
            n for digest, n, split in own if split != Split.TEST and known.get(digest) == n
        )

    def _quick_problems(self, version: str, learns: dict[str, int]) -> list[str]:
        problems = []
        if not learns:
            problems.append(
                f"There is no new photo to learn from. Add some on the Upload tab: {MIN_NEW_CLASS} "
                "or more of a new class, or any number of a known one."
            )
        if not self._starts_quickly(version):
            problems.append(
                f"{version} ships without what a quick retraining starts from; retrain thoroughly."
            )
        return problems

    def _starts_quickly(self, version: str) -> bool:
        """Return whether a version has what a quick retraining starts from."""
        try:
            folder = self._registry.get(version).folder
        except ModelError:  # damaged, or taken away, while it answers
            return False
        return all((folder / name).exists() for name in (KERAS_NAME, REHEARSAL_NAME))

    def count_new(self) -> int:
        """Return how many photos were added since a job was last queued."""
        return self._store.added_since(self._table.last_queued_at(MODES), SOURCE)

    def is_busy(self) -> bool:
        """Return whether a job runs."""
        return bool(self._table.in_state(JobState.RUNNING))

    def jobs(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the jobs, the newest first."""
        return [job.to_dict() for job in self._table.list(limit)]

    def job(self, job_id: int) -> dict[str, Any]:
        """Return a job with its progress and, where it published a version, the gate's report.

        Raises:
            JobNotFound: there is none of that number.
        """
        job = self._table.get(job_id)
        gate = None
        if job.version:
            with suppress(ModelError):  # deleted since, or damaged
                gate = self._registry.get(job.version).manifest.gate
        return job.to_dict() | {
            "progress": read_progress(self._runner.folder_of(job_id)),
            "gate": gate.model_dump() | {"passed": gate.passed} if gate else None,
        }

    def suspects(self) -> list[tuple[StoredImage, Suspect]]:
        """Return the photos that the newest comparison holds for mislabelled, the worst first.

        Left out are those that were relabelled or removed since, and whose label was confirmed.
        """
        published = {version.version: version.manifest.gate for version in self._registry.list()}
        gates = (published.get(job.version or "") for job in self._table.list())
        gate = next((gate for gate in gates if gate), None)
        found = [(self._store.get(s.digest), s) for s in (gate.suspects if gate else ())]
        doubted = [(image, s) for image, s in found if image and image.label == s.label]
        confirmed = self._confirmed.of([image.digest for image, _ in doubted])
        return [(image, s) for image, s in doubted if confirmed.get(image.digest) != image.label]

    def confirm(self, digests: Collection[str]) -> int:
        """Hold the doubtful labels of photos for right, and return how many.

        They are not told as doubtful any more, whatever a later comparison finds, as long as the
        photos keep them. A photo whose label is not doubtful is left out.
        """
        doubted = {image.digest: image.label for image, _ in self.suspects()}
        labels = {digest: doubted[digest] for digest in digests if digest in doubted}
        self._confirmed.add(labels)
        return len(labels)

    def cancel(self, job_id: int) -> dict[str, Any]:
        """End a job that waits or runs, and return it; one that is over stays as it is.

        Raises:
            JobNotFound: there is none of that number.
        """
        return self._runner.cancel(job_id).to_dict()

    def models(self) -> list[dict[str, Any]]:
        """Return the published versions, the newest first, and which one is served."""
        served = self._service.health()["version"]
        return [_describe(v, served) for v in reversed(self._registry.list())]

    def activations(self) -> list[dict[str, str]]:
        """Return the changes of the served version, the latest first."""
        return [
            {"version": a.version, "at": a.at, "reason": a.reason}
            for a in reversed(self._registry.activations())
        ]

    def activate(self, version: str, *, override: bool = False, reason: str = "") -> dict[str, Any]:
        """Serve a version from the next request on, and return it.

        Args:
            version: of those published.
            override: serve it even though the gate rejected it; that needs a reason.
            reason: kept with the change.

        Raises:
            VersionNotFound: there is no such version.
            VersionRejected: the gate rejected it.
            BadRequest: it was to be overridden without a reason.
        """
        if override and not reason.strip():
            raise BadRequest("To override the gate, say why: the reason is kept with the version.")
        overrides = override and self._registry.get(version).manifest.rejected
        said = f"overriding the gate: {reason.strip()}" if overrides else reason.strip() or _BY_HAND
        manifest = self._service.swap(version, said[:500], override=override)
        return _describe(self._registry.get(manifest.version), manifest.version)

    def roll_back(self) -> dict[str, Any]:
        """Serve the version that was active before the present one, and return it.

        Raises:
            VersionNotFound: there was none before.
        """
        manifest = self._service.roll_back("rolled back")
        return _describe(self._registry.get(manifest.version), manifest.version)

    def delete(self, version: str) -> dict[str, Any]:
        """Delete a version for good, and return what it was.

        Raises:
            VersionNotFound: there is no such version.
            VersionInUse: it is live, or the shipped one, or a retraining may be working with it.
        """
        what = _describe(self._registry.get(version), None)
        if version == self._service.health()["version"]:
            raise VersionInUse(f"{version} is live; put another one live before you delete it.")
        if self.is_busy():
            raise VersionInUse("A job is running; delete versions when it is over.")
        self._registry.delete(version)
        return what

    @property
    def schedule(self) -> Schedule:
        """When a retraining starts by itself."""
        return self._scheduler.schedule

    def set_schedule(self, schedule: Schedule) -> None:
        """Let retrainings start by themselves at other times."""
        self._scheduler.set(schedule)

    def describe_schedule(self) -> dict[str, Any]:
        """Return the schedule, the next start, and how many photos are new."""
        following = self._scheduler.next_start()
        return self.schedule.model_dump() | {
            "next_start": following.isoformat(timespec="seconds") if following else None,
            "new_photos": self.count_new(),
        }

    def close(self) -> None:
        """End what runs; it begins again at the next start."""
        self._scheduler.close()
        self._runner.close()
        self._table.close()
        self._confirmed.close()

    def _prepare(self, job: Job, folder: Path) -> None:
        if job.mode == FETCH:
            FetchRequest(
                state_dir=str(self._state_dir.absolute()),
                sources=tuple(source.name for source in PUBLIC_SOURCES),
                mirror=self._mirror,
                niceness=_NICENESS,
            ).write(folder)
            return
        JobRequest(
            mode=job.mode,  # type: ignore[arg-type]  # pydantic checks it
            state_dir=str(self._state_dir.absolute()),
            start=self._service.served.manifest.version,
            threads=self._threads,
            niceness=_NICENESS,
        ).write(folder)

    def _finish(self, job: Job, result: JobResult) -> tuple[JobState, str]:
        """Serve what a job published, if the gate let it pass and nobody else changed the model."""
        if job.mode == FETCH:
            return JobState.SUCCEEDED, result.message
        published = self._registry.get(result.version or "")
        gate = published.manifest.gate
        if gate is None or not gate.passed:
            reasons = [c.message for c in gate.checks if not c.passed] if gate else []
            return JobState.REJECTED, " ".join(("Not better.", *reasons))
        try:
            self._service.swap(
                published.version,
                f"job {job.id}, {job.reason}",
                instead_of=(gate.against, published.version),
            )
        except AnotherIsLive as error:
            return JobState.REJECTED, (
                f"It was compared with {gate.against}, but {error.version} was put live meanwhile. "
                f"Put {published.version} live by hand if you want it."
            )
        except OSError as error:
            return JobState.FAILED, (
                f"{published.version} passed, but the disk does not take that it goes live "
                f"({error.strerror or error}). Make room, then put it live by hand."
            )
        return JobState.SUCCEEDED, f"{published.version} went live."


def _describe(version: ModelVersion, served: str | None) -> dict[str, Any]:
    manifest = version.manifest
    return {
        "version": manifest.version,
        "active": manifest.version == served,
        "state": "rejected" if manifest.rejected else "published",
        "created_at": manifest.created_at.isoformat(timespec="seconds"),
        "classes": [label for label in manifest.labels if label != NONE_OF_THESE],
        "parent": manifest.parent,
        "mode": manifest.training.get("mode", "full"),
        "accuracy": {n: m.accuracy for n, m in manifest.metrics.items() if n.endswith("/test")},
        "problems": manifest.problems,
    }
