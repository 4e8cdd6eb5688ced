"""What the REST routes take and give, as OpenAPI shows it at ``/docs``.

``RetrainBody`` and ``ActivateBody`` check what comes in. The others are for the documentation
alone; the answers are made by ``app.results`` and ``app.service``, without a second validation on
the way out.
"""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from app.bodies import FIELD


class LabelProbability(BaseModel):
    """One class and how probable it is."""

    label: str = Field(examples=["banana"])
    probability: float = Field(ge=0, le=1, examples=[0.9731])


class TimingMs(BaseModel):
    """Where the time went, in milliseconds."""

    wait: float = Field(examples=[0.12], description="For a worker.")
    decode: float = Field(examples=[1.21])
    inference: float = Field(examples=[1.05])
    total: float = Field(examples=[2.43])


class PredictionBody(BaseModel):
    """The answer to one image."""

    label: str = Field(
        examples=["banana"], description="A class, or `none_of_these` where none fits."
    )
    probability: float = Field(ge=0, le=1, examples=[0.9731], description="Of `label`.")
    nearest: str | None = Field(
        description="The most probable class where the label is `none_of_these`, else null."
    )
    probabilities: list[LabelProbability] = Field(
        description="The answer first, then the others, most probable first."
    )
    version: str = Field(examples=["v0001"])
    timing_ms: TimingMs
    request_id: str = Field(examples=["5f1c0d9a3b7e4c21"])
    heat_map: list[list[float]] | None = Field(
        default=None,
        description="With `explain`: how strongly each place of the picture speaks for the label, "
        "rows from the top, 0 to 1.",
    )


class NamedPrediction(PredictionBody):
    """The answer to one of several images."""

    name: str = Field(examples=["photo.jpg"])


class ErrorDetail(BaseModel):
    """What happened, in a sentence, and the request that it happened to."""

    message: str
    type: str = Field(examples=["InvalidImage"])
    request_id: str


class ErrorBody(BaseModel):
    """Why a request was refused."""

    error: ErrorDetail


class NamedError(ErrorBody):
    """Why one of several images was refused; the others were answered."""

    name: str = Field(examples=["notes.txt"])


class HealthBody(BaseModel):
    """Whether predictions are answered."""

    status: str = Field(description="`ok`, `degraded`, `failing` or `no model`.")
    ready: bool
    version: str | None
    problem: str | None = Field(description="Why it is not `ok`.")


class LiveBody(BaseModel):
    """That the server runs."""

    live: bool


class AlertBody(BaseModel):
    """Something to look at."""

    id: int
    kind: str = Field(
        description="`retrain_failed`, `drift`, `errors`, `disk`, `model` or `mirror`."
    )
    subject: str
    message: str
    raised_at: str
    acknowledged_at: str | None


class StatusBody(HealthBody):
    """The served version and all figures of now."""

    model_config = ConfigDict(extra="allow")

    model: dict[str, Any] | None
    pending: int
    started_at: str
    uptime_s: float
    predictions: dict[str, Any]
    refusals: dict[str, Any]
    errors: int
    latency_ms: dict[str, Any]
    memory_bytes: int


class ExistingImage(BaseModel):
    """The image of the store that an uploaded one equals, or nearly equals."""

    digest: str
    class_name: str
    source: str
    split: str
    name: str


class UploadedFileBody(BaseModel):
    """What became of one file."""

    name: str
    status: str = Field(
        description="`added`, `duplicate`, `other_label`, `relabelled`, `is_test` or `refused`."
    )
    message: str
    class_name: str
    existing: ExistingImage | None
    warning: str | None


class UploadReportBody(BaseModel):
    """What became of an upload."""

    kept: bool = Field(description="False where it was a rehearsal.")
    counts: dict[str, int] = Field(description="How many files have each status.")
    files: list[UploadedFileBody]


class ClassProgress(BaseModel):
    """The photos of a class, by the part they play."""

    class_name: str
    photos: int
    train: int
    validation: int
    test: int
    missing: int = Field(description="How many a retraining still wants, at least.")


class RetrainBody(BaseModel):
    """What a retraining shall be."""

    model_config = ConfigDict(extra="forbid")

    mode: str = Field(
        default="quick",
        json_schema_extra={"enum": ["quick", "thorough"]},
        description=(
            "`quick` learns new photos, mostly within a minute; `thorough` trains every layer."
        ),
    )


class ActivateBody(BaseModel):
    """How a version is put live."""

    model_config = ConfigDict(extra="forbid")

    override: bool = Field(
        default=False, strict=True, description="Although the gate rejected it; give a `reason`."
    )
    reason: str = Field(default="", max_length=400, description="Kept; needed to override.")


class JobStarted(BaseModel):
    """The retraining that was queued."""

    job_id: int
    state: str


class JobBody(BaseModel):
    """One retraining."""

    job_id: int
    mode: str
    state: str = Field(
        description="`queued`, `running`, `succeeded`, `rejected`, `failed` or `cancelled`."
    )
    reason: str = Field(description="Who or what asked for it.")
    queued_at: str
    started_at: str | None
    heartbeat_at: str | None
    ended_at: str | None
    pid: int | None
    attempts: int
    version: str | None = Field(description="The version that it published.")
    message: str


class JobDetails(JobBody):
    """One retraining with its progress and what decided it."""

    progress: dict[str, Any]
    gate: dict[str, Any] | None = Field(description="How its version compares with the one before.")


class ModelBody(BaseModel):
    """One published version."""

    version: str
    active: bool
    state: str = Field(description="`published`, or `rejected` by the comparison.")
    created_at: str
    classes: list[str]
    parent: str | None
    mode: str
    accuracy: dict[str, float] = Field(description="By test set.")
    problems: list[str] = Field(description="Why it was rejected.")


class ScheduleBody(BaseModel):
    """When a retraining starts by itself."""

    cron: str
    after_images: int
    mode: str
    next_start: str | None
    new_photos: int


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return what OpenAPI says of a JSON body that may be left out."""
    schema = model.model_json_schema()
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def number_in_path(name: str, description: str) -> dict[str, Any]:
    """Return what OpenAPI says of a number in a route's path."""
    schema = {"type": "integer", "minimum": 0, "maximum": 10**12 - 1}
    return {"parameters": [_in_path(name, description, schema)]}


def _in_path(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name, "in": "path", "required": True, "schema": schema, "description": description,
    }  # fmt: skip


_BINARY: Final = {"type": "string", "format": "binary"}
_FORM: Final = {
    "type": "object",
    "required": [FIELD],
    "properties": {
        FIELD: {
            "type": "array",
            "minItems": 1,
            "items": _BINARY,
            "description": "The image; repeat the field for several.",
        },
        "top_k": {
            "type": "integer",
            "minimum": 1,
            "description": "As the query parameter, which goes first.",
        },
        "explain": {
            "type": "boolean",
            "description": "As the query parameter, which goes first.",
        },
    },
}
# FastAPI cannot know the two forms of a body that is read from the stream, so they stand here.
PREDICT_REQUEST: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _FORM},
            "image/*": {"schema": _BINARY},
            "application/octet-stream": {"schema": _BINARY},
        },
    },
    "parameters": [
        {
            "name": "top_k",
            "in": "query",
            "schema": {"type": "integer", "minimum": 1},
            "description": "How many probabilities to return; all by default.",
        },
        {
            "name": "explain",
            "in": "query",
            "schema": {"type": "boolean", "default": False},
            "description": "Add `heat_map`: where on the picture the answer comes from.",
        },
        {
            "name": "X-Request-ID",
            "in": "header",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,64}$"},
            "description": "Names the request in the log; it comes back in the answer.",
        },
    ],
}
JOB_ID: Final = number_in_path("job_id", "Of `GET /api/jobs`.")
ALERT_ID: Final = number_in_path("alert_id", "Of `GET /api/alerts`.")
VERSION: Final = _in_path("version", "Of `GET /api/models`.", {"type": "string"})
ACTIVATE_REQUEST: Final = json_body(ActivateBody) | {"parameters": [VERSION]}
UPLOAD_REQUEST: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "additionalProperties": False,
                    "properties": {
                        "class_name": {
                            "type": "string",
                            "maxLength": 40,
                            "description": "As the query parameter, which goes first.",
                        },
                        FIELD: {
                            "type": "array",
                            "minItems": 1,
                            "items": _BINARY,
                            "description": "Photos, or a zip of them; repeat the field.",
                        },
                        "relabel": {
                            "type": "boolean",
                            "description": "As the query parameter, which goes first.",
                        },
                        "dry_run": {
                            "type": "boolean",
                            "description": "As the query parameter, which goes first.",
                        },
                    },
                }
            }
        },
    },
    "parameters": [
        {
            "name": "class_name",
            "in": "query",
            "schema": {"type": "string", "maxLength": 40},
            "description": "Of all photos; empty for the folder each one lies in.",
        },
        {
            "name": "relabel",
            "in": "query",
            "schema": {"type": "boolean", "default": False},
            "description": "Photos that are here under another class take this one.",
        },
        {
            "name": "dry_run",
            "in": "query",
            "schema": {"type": "boolean", "default": False},
            "description": "Only say what would become of the photos.",
        },
    ],
}
OPERATOR_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": ErrorBody, "description": "The operator's token is missing or wrong."},
    403: {"model": ErrorBody, "description": "Only for the operator, and nobody is one here."},
    429: {"model": ErrorBody, "description": "Too many requests or wrong tokens."},
}
UPLOAD_ERRORS: Final[dict[int | str, dict[str, Any]]] = OPERATOR_ERRORS | {
    400: {"model": ErrorBody, "description": "Malformed request, unknown option, or no photo."},
    413: {"model": ErrorBody, "description": "Too many bytes, files or classes."},
    415: {"model": ErrorBody, "description": "Not multipart."},
    422: {"model": ErrorBody, "description": "The class name breaks the rules."},
    507: {"model": ErrorBody, "description": "The server's disk is full; nothing was kept."},
}
LEARNING_ERRORS: Final[dict[int | str, dict[str, Any]]] = OPERATOR_ERRORS | {
    400: {"model": ErrorBody, "description": "Malformed request, or a value out of range."},
    404: {"model": ErrorBody, "description": "No such job or version."},
    409: {
        "model": ErrorBody,
        "description": "It cannot start, or the version is rejected or damaged.",
    },
    507: {"model": ErrorBody, "description": "The server's disk is full; nothing was kept."},
}
PREDICT_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": ErrorBody, "description": "Malformed request, or no image in it."},
    413: {"model": ErrorBody, "description": "Too many bytes, pixels or files."},
    415: {"model": ErrorBody, "description": "Not an image, or a content type that is not read."},
    422: {"model": ErrorBody, "description": "The image is damaged."},
    429: {"model": ErrorBody, "description": "Busy; try again after `Retry-After` seconds."},
    503: {"model": ErrorBody, "description": "No model is loaded."},
}
