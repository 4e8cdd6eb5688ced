"""What is written about a model version: everything needed to serve it, judge it and repeat it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from models.errors import InvalidVersion

MANIFEST_NAME: Final = "manifest.json"
MODEL_NAME: Final = "model.onnx"
KERAS_NAME: Final = "model.keras"  # the trained network, from which a retraining starts
REHEARSAL_NAME: Final = "rehearsal.npz"  # features of the images that a quick retraining rehearses
FORMAT: Final = 1
OUTPUT_NAME: Final = "probabilities"  # of the graph
MAPS_OUTPUT: Final = "activation_maps"
FEATURES_OUTPUT: Final = "features"
DIGEST_PART: Final = 16  # hexadecimal digits of a digest that tell photos apart

Precision = Literal["float32", "int8"]
FOLDS_PRECISION: Final = "precision"  # of a cross-validation's networks
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]  # no folder: it stays beside the manifest


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
        calibration_error: the expected one, over 15 bins of that probability, 0..1.
        named: share of the images that got a name, 0..1; a refused fruit counts as wrong.
        others: images of none of the classes in the same set, None without any.
        intervals: low and high end of the 95 % interval by the name of the figure, from resampling
            the images (percentile bootstrap); where all or none are right, the exact one of a
            binomial for the accuracy, and none for figures whose resamples are all alike.
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
    calibration_error: float | None = None
    named: float = 1.0
    others: "OtherMetrics | None" = None
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    per_class: dict[str, ClassMetrics]
    confusion: list[list[int]]
    per_group: dict[str, "GroupMetrics"] = Field(default_factory=dict)


class GroupMetrics(_Frozen):
    """Accuracy within one folder of the publisher."""

    accuracy: float
    images: int


class OtherMetrics(_Frozen):
    """How well pictures of none of the classes are told apart.

    Attributes:
        images: how many there were.
        refused: share that was answered with none-of-these, 0..1.
        auroc: area under the ROC curve of telling them from the pictures of the classes, 0..1; None
            without any of those.
    """

    images: int
    refused: float
    auroc: float | None = None


class Calibration(_Frozen):
    """How the logits became honest probabilities, and from where on a picture is refused.

    Attributes:
        temperature: what the logits are divided by, inside the graph.
        none_shift: what is added to the logit of none-of-these before that.
        none_threshold: a picture whose probability of none-of-these is at least this gets no name;
            None for a model that cannot refuse.
        chosen_on: the images that both were chosen on; none of them was trained on when it was
            judged.
        images: how many those were.
    """

    temperature: float = Field(gt=0)
    none_shift: float = 0.0
    none_threshold: float | None = Field(default=None, ge=0, le=1)
    chosen_on: str
    images: int


class GateCheck(_Frozen):
    """One condition that a candidate must meet, whether it does, and a sentence that says why."""

    name: str
    passed: bool
    message: str


class GateComparison(_Frozen):
    """A candidate beside the active version, on the same images of one source and split.

    Attributes:
        images: of the classes that both know.
        active_accuracy, accuracy: of the active version and of the candidate, 0..1.
        lost, gained: images that only the active version has right, and only the candidate.
        scenes_lost, scenes_gained: scenes of which the candidate has fewer, or more, photos right.
        p_value: chance of at least so many scenes lost among those that differ, if both versions
            were equally good (exact McNemar test, one-sided).
        active_calibration_error, calibration_error: 0..1.
        others: images of none of the classes.
        active_refused, refused: share of those that get no name, 0..1; None without any.
        refused_p_value: as ``p_value``, of refusing them.
    """

    images: int
    active_accuracy: float
    accuracy: float
    lost: int
    gained: int
    scenes_lost: int
    scenes_gained: int
    p_value: float
    active_calibration_error: float
    calibration_error: float
    others: int
    active_refused: float | None
    refused: float | None
    refused_p_value: float


class GateRecall(_Frozen):
    """How much of one class is recognised; ``active_recall`` is None for a new class."""

    images: int
    active_recall: float | None
    recall: float


class Suspect(_Frozen):
    """An added photo whose label is probably wrong, and what it seems to show instead."""

    digest: str
    label: str
    suggested: str
    probability: float


class GateReport(_Frozen):
    """Why a candidate may go live or may not.

    Attributes:
        against: the version that was active when it was trained.
        checks: every condition; the candidate passed if all of them hold.
        comparisons: by ``<source>/<split>``.
        recalls: by ``<source>/<split>`` and label.
        new_photos: how much is recognised of the photos that were added since the public sets, by
            a network that learned from the others of them only; by label.
        suspects: added photos whose label is probably wrong, the least believable first.
    """

    against: str
    checks: list[GateCheck]
    comparisons: dict[str, GateComparison] = Field(default_factory=dict)
    recalls: dict[str, dict[str, GateRecall]] = Field(default_factory=dict)
    new_photos: dict[str, GateRecall] = Field(default_factory=dict)
    suspects: list[Suspect] = Field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every condition holds."""
        return all(check.passed for check in self.checks)


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
        labels: the K labels, in the order of the output's columns: the classes, and in a model that
            can refuse ``none_label`` as the last.
        none_label: the label of pictures of none of the classes; None for a model that cannot
            refuse.
        kinds: what the trained network tells apart among those, each with a column of its own
            behind the classes', which the graph merges; empty where one column stands for all.
        input: what the graph takes.
        output: the output with the probabilities.
        maps_output: the output with the activation maps, None where the network gives none.
        precision: of most weights and activations in the graph.
        calibration: None where nothing was calibrated.
        sha256: checksum of ``model.onnx``.
        files: checksums of the version's other files, by name. The card is left out: it is for
            people, who may mend a sentence.
        size_bytes: its size.
        network: the name in the table of networks.
        parameters: trainable and fixed weights of the network, counted together.
        training: every setting of the run, and by ``draws`` which pictures were made up.
        folds: the same of the networks behind the figures of a cross-validation, and by
            ``FOLDS_PRECISION`` theirs, where it is not floats; empty without.
        history: one entry an epoch, as Keras reports it.
        metrics: by ``<source>/<split>``.
        others: by the same, where no picture showed one of the classes.
        snapshot: digest of the list of images that the version came from.
        sources: for attribution, with counts.
        parity: largest difference of a probability between Keras and ONNX Runtime, by batch size.
        libraries: versions of what trained and exported it.
        parent: the version whose weights it started from, None for none.
        learned: by label, the first digits of the digests of the added photos that its last layer
            learned, those of the quick retrainings before it included.
        gate: how it compares with the version that was active; None where nothing was compared.
    """

    format: Literal[1] = FORMAT
    version: str = Field(pattern=r"^v\d{4,}$")
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    labels: tuple[str, ...] = Field(min_length=2)
    none_label: str | None = None
    kinds: tuple[str, ...] = ()
    input: InputSpec
    output: str = OUTPUT_NAME
    maps_output: str | None = None
    precision: Precision = "float32"
    calibration: Calibration | None = None
    sha256: Sha256
    files: dict[FileName, Sha256] = Field(default_factory=dict)
    size_bytes: int
    network: str
    parameters: int
    training: dict[str, Any] = Field(default_factory=dict)
    folds: dict[str, Any] = Field(default_factory=dict)
    history: list[dict[str, float]] = Field(default_factory=list)
    metrics: dict[str, EvaluationMetrics] = Field(default_factory=dict)
    others: dict[str, OtherMetrics] = Field(default_factory=dict)
    snapshot: str = ""
    sources: list[DataSource] = Field(default_factory=list)
    parity: dict[str, float] = Field(default_factory=dict)
    libraries: dict[str, str] = Field(default_factory=dict)
    parent: str | None = None
    learned: dict[str, list[str]] = Field(default_factory=dict)
    gate: GateReport | None = None

    @property
    def rejected(self) -> bool:
        """Whether the gate found it worse than the version that was active."""
        return self.gate is not None and not self.gate.passed

    @property
    def problems(self) -> list[str]:
        """Why the gate rejected it, a sentence each; empty where it did not."""
        return [c.message for c in self.gate.checks if not c.passed] if self.gate else []

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that are names, without none-of-these."""
        return tuple(label for label in self.labels if label != self.none_label)

    @property
    def none_column(self) -> int | None:
        """The output's column of none-of-these, None for a model that cannot refuse."""
        return self.labels.index(self.none_label) if self.none_label else None

    @property
    def none_threshold(self) -> float | None:
        """From which probability of none-of-these on a picture is refused a name."""
        return self.calibration.none_threshold if self.calibration else None

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
