"""What is written about a model version: everything needed to serve it, judge it and repeat it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from models.errors import InvalidVersion

MANIFEST_NAME: Final = "manifest.json"
MODEL_NAME: Final = "model.onnx"
FORMAT: Final = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputSpec(_Frozen):
    """The tensor that the graph takes: ``name``, uint8 (N, side_px, side_px, 3), RGB."""

    name: str = "image"
    side_px: int = Field(ge=1)
    dtype: Literal["uint8"] = "uint8"
    layout: Literal["NHWC"] = "NHWC"
    colour: Literal["RGB"] = "RGB"
    resize: Literal["stretch-bilinear"] = "stretch-bilinear"


class ClassMetrics(_Frozen):
    """One row of the per-class table; ``support`` counts the images of that class."""

    precision: float
    recall: float
    f1: float
    support: int


class EvaluationMetrics(_Frozen):
    """Scores on one source and split.

    Attributes:
        images: how many were scored.
        accuracy, macro_*, weighted_*: 0..1, as scikit-learn defines them. The averages run over
            the classes that occur in the set.
        mean_confidence: mean probability of the answered class, 0..1.
        per_class: by label.
        confusion: rows are the true labels, columns the answers, in the order of the labels.
        per_group: accuracy and count by folder of the publisher (the variety), where there is one.
    """

    images: int
    accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    mean_confidence: float
    per_class: dict[str, ClassMetrics]
    confusion: list[list[int]]
    per_group: dict[str, "GroupMetrics"] = Field(default_factory=dict)


class GroupMetrics(_Frozen):
    """Accuracy within one folder of the publisher."""

    accuracy: float
    images: int


class DataSource(_Frozen):
    """A source of training photographs, for attribution."""

    name: str
    licence: str
    citation: str
    images: dict[str, int]  # by split


class ModelManifest(_Frozen):
    """One published version.

    Attributes:
        version: ``v0001`` and so on.
        created_at: aware UTC.
        labels: the K classes, in the order of the output's columns.
        input: what the graph takes.
        sha256: checksum of ``model.onnx``.
        size_bytes: its size.
        network: the name in the table of networks.
        parameters: trainable and fixed weights of the network, counted together.
        training: every setting of the run.
        history: one entry an epoch, as Keras reports it.
        metrics: by ``<source>/<split>``.
        snapshot: digest of the list of images that the version came from.
        sources: for attribution, with counts.
        parity: largest difference of a probability between Keras and ONNX Runtime, by batch size.
        libraries: versions of what trained and exported it.
    """

    format: Literal[1] = FORMAT
    version: str = Field(pattern=r"^v\d{4,}$")
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    labels: tuple[str, ...] = Field(min_length=2)
    input: InputSpec
    output: str = "probabilities"
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int
    network: str
    parameters: int
    training: dict[str, Any] = Field(default_factory=dict)
    history: list[dict[str, float]] = Field(default_factory=list)
    metrics: dict[str, EvaluationMetrics] = Field(default_factory=dict)
    snapshot: str = ""
    sources: list[DataSource] = Field(default_factory=list)
    parity: dict[str, float] = Field(default_factory=dict)
    libraries: dict[str, str] = Field(default_factory=dict)

    def to_json(self) -> str:
        """Return the manifest as indented JSON, ending with a newline."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> "ModelManifest":
        """Return the manifest in the file.

        Raises:
            InvalidVersion: the file cannot be read or is not a manifest.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise InvalidVersion(f"{path} is not a model manifest: {error}") from error
