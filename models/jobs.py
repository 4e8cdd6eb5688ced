"""The files of a job: what the app asks for, what the job tells, and what came of it."""

from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from models.errors import InvalidJob
from models.registry import write_atomically

REQUEST_NAME: Final = "request.json"
PROGRESS_NAME: Final = "progress.jsonl"
RESULT_NAME: Final = "result.json"
LOG_NAME: Final = "log.txt"

Mode = Literal["quick", "thorough"]
FETCH: Final = "fetch"
M = TypeVar("M", bound="_File")


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FetchRequest(_File):
    """What a job shall fetch into the store.

    Attributes:
        mode: tells it from a retraining.
        state_dir: the folder of all mutable state.
        sources: names of public sources.
        mirror: address of a folder with ``<source>.zip``; empty for the publishers' own.
        niceness: as for a retraining.
    """

    mode: Literal["fetch"] = FETCH
    state_dir: str
    sources: tuple[str, ...]
    mirror: str
    niceness: int

    def write(self, folder: Path) -> None:
        """Write the request into the job's folder."""
        write_atomically(folder / REQUEST_NAME, self.model_dump_json(indent=2).encode())


class JobRequest(_File):
    """What a retraining shall do.

    Attributes:
        mode: ``quick`` fits the last layer, ``thorough`` the whole network.
        state_dir: the folder of all mutable state; its store holds the images to learn from.
        start: the active version, that the candidate starts from and is compared with.
        threads: of TensorFlow and ONNX Runtime.
        niceness: added to the process's own, 0 to 19.
    """

    mode: Mode
    state_dir: str
    start: str
    threads: int
    niceness: int

    def write(self, folder: Path) -> None:
        """Write the request into the job's folder."""
        write_atomically(folder / REQUEST_NAME, self.model_dump_json(indent=2).encode())


def read_request(folder: Path) -> JobRequest | FetchRequest:
    """Return the request in the job's folder, of either kind.

    Raises:
        InvalidJob: there is none, or it is damaged.
    """
    try:
        return _REQUEST.validate_json((folder / REQUEST_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidJob(f"{folder / REQUEST_NAME} cannot be read: {error}") from error


_REQUEST: TypeAdapter[JobRequest | FetchRequest] = TypeAdapter(JobRequest | FetchRequest)


class JobResult(_File):
    """What came of a job: a sentence, whether it failed, and the version that it published."""

    version: str | None = None
    message: str
    failed: bool = False

    def write(self, folder: Path) -> None:
        """Write the result into the job's folder."""
        write_atomically(folder / RESULT_NAME, self.model_dump_json(indent=2).encode())

    @classmethod
    def read(cls, folder: Path) -> "JobResult | None":
        """Return the result in the job's folder, None before there is one.

        Raises:
            InvalidJob: it is damaged.
        """
        path = folder / RESULT_NAME
        return _read(cls, path) if path.exists() else None


class JobProgress(_File):
    """One line of a job's progress: a stage, a step within it, or an epoch of training."""

    stage: str = ""
    step: int = 0
    steps: int = 0
    epoch: int = 0
    epochs: int = 0
    metrics: dict[str, float] = {}


def read_progress(folder: Path) -> dict[str, Any]:
    """Return how far a job is: its stages, the steps of the last one, and every epoch.

    A line that is still being written is left out.
    """
    stages: list[str] = []
    epochs: list[dict[str, float]] = []
    step, steps, most = 0, 0, 0
    path = folder / PROGRESS_NAME
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            entry = JobProgress.model_validate_json(line)
        except ValidationError:
            continue
        if entry.stage:
            stages.append(entry.stage)
            step = steps = 0
        elif entry.epoch:
            # A fold begins again at the first epoch; what counts is the last run.
            epochs = [*(epochs if entry.epoch > 1 else ()), dict(entry.metrics)]
            most = entry.epochs
        else:
            step, steps = entry.step, entry.steps
    return {"stages": stages, "step": step, "steps": steps, "epochs": epochs, "max_epochs": most}


def _read(kind: type[M], path: Path) -> M:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidJob(f"{path} cannot be read: {error}") from error
