"""The model card of a version: its manifest in words, for people who decide whether to trust it.

Written as Markdown with the front matter of a model repository on the Hugging Face Hub
(https://huggingface.co/docs/hub/model-cards), and stored beside the model as ``README.md``.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from models.manifest import FOLDS_PRECISION, EvaluationMetrics, ModelManifest

CARD_NAME: Final = "README.md"
_MEAN_OF: Final = "mean_of"  # and of the versions whose weights were averaged
_OF_FIT: Final = "head_"  # what a manifest says of a last layer that was fitted again
_IN_WORDS: Final = {"float32": "floats", "int8": "eight bits"}
_NOTES: Final = "notes"  # whole sentences among the settings of a training
_WEAK_RECALL: Final = 0.95  # classes and folders below this are named as weak

_FRONT: Final = """---
library_name: onnx
pipeline_tag: image-classification
tags: [image-classification, fruit, onnx, keras]
---
"""


def model_card(manifest: ModelManifest) -> str:
    """Return the model card as Markdown with front matter.

    Args:
        manifest: of the version; the card says nothing that is not in it.
    """
    return _FRONT + "\n" + card_text(manifest)


def card_text(manifest: ModelManifest) -> str:
    """Return the model card as Markdown, without front matter, for showing it on a page."""
    parts = [
        f"# Fruit classifier {manifest.version}",
        _what(manifest),
        "## How good it is",
        _scores(manifest),
        _others(manifest),
        "## Where it is weak",
        _weak(manifest),
        "## How it was made",
        _made(manifest),
        "## Data and licences",
        _sources(manifest),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(manifest: ModelManifest) -> str:
    refuses = (
        f"A picture whose probability of none of these is at least {manifest.none_threshold:.2f} "
        "gets no name."
        if manifest.none_threshold is not None
        else "It cannot refuse: every picture gets one of these names."
    )
    side = manifest.input.side_px
    in_eight_bits = ", most of it in eight-bit integers" if manifest.precision == "int8" else ""
    return (
        f"Names the fruit on a photo: {', '.join(manifest.classes)}. {refuses}\n\n"
        f"Network `{manifest.network}`, {manifest.parameters:,} parameters, "
        f"{manifest.size_bytes / 1e6:.1f} MB of ONNX{in_eight_bits}, made "
        f"{manifest.created_at:%Y-%m-%d}. It "
        f"takes `{manifest.input.name}`, uint8 (N, {side}, {side}, 3), RGB, the whole picture "
        f"stretched to a square, and gives `{manifest.output}`, float32 (N, "
        f"{len(manifest.labels)})."
    )


def _scores(manifest: ModelManifest) -> str:
    if not manifest.metrics:
        return "It was not judged."
    rows = [
        (
            f"`{name}`",
            f"{scores.images:,}",
            f"{scores.accuracy:.1%}{_interval(scores, 'accuracy', '.1%')}",
            f"{scores.macro_f1:.3f}{_interval(scores, 'macro_f1', '.2f')}",
            f"{scores.named:.1%}",
            "-" if scores.calibration_error is None else f"{scores.calibration_error:.3f}",
        )
        for name, scores in manifest.metrics.items()
    ]
    heads = ("Images", "Number", "Accuracy", "Macro F1", "Named", "Calibration error")
    notes = [
        "A picture that is refused counts as wrong. In brackets the 95 % interval from resampling "
        "the pictures, or, where all are right, the exact one of a binomial; photos of one bin "
        "resemble each other, so the truth may lie further out. "
        "The calibration error is the expected one over 15 bins: how far, on average, the stated "
        "probability is from the share that is right."
    ]
    if "fruits-360/test" in manifest.metrics:
        notes.append(
            "`fruits-360/test` holds frames of the very objects that were trained on, so near 100 "
            "% there says little about a photo of yours."
        )
    if any(name.endswith("/cross-validation") for name in manifest.metrics):
        notes.append(
            "`cross-validation`: every scene was judged by a network that had not seen any photo "
            f"of it; the published one was then trained on all of them. {_folds(manifest)}"
        )
    return _table(heads, rows) + "\n\n" + " ".join(notes)


def _folds(manifest: ModelManifest) -> str:
    """Say how the networks that were judged differ from the published one."""
    if not manifest.folds:
        same = "How far its settings are those of the ones that were judged was not recorded."
    else:
        ones, own = manifest.folds, manifest.training
        drawn = own.get(f"{_OF_FIT}drawn")
        fitted_alike = bool(drawn and ones.get(f"{_OF_FIT}drawn"))
        of_fit = {n for n in own.keys() & ones.keys() if fitted_alike and n.startswith(_OF_FIT)}
        differing = [
            f"{name} {ones.get(name, 'not recorded')} instead of {own.get(name, 'not recorded')}"
            for name in {**own, **ones}
            if ones.get(name) != own.get(name)
            and name != FOLDS_PRECISION
            and (name in of_fit or not name.startswith((_OF_FIT, _MEAN_OF, _NOTES)))
        ]
        same = "The settings were the same"
        same += f", but for {', '.join(differing)}." if differing else "."
        if averaged := own.get(_MEAN_OF):
            same += (
                f" Its weights are the mean of those of {' and '.join(averaged)}; theirs were not."
            )
        if drawn and not fitted_alike:
            same += (
                f" Its columns of other things were fitted anew to {drawn:,} drawn pictures "
                "afterwards (`fit-head`), and theirs were not."
            )
    theirs = manifest.folds.get(FOLDS_PRECISION, "float32")
    if theirs != manifest.precision:
        same += f" Those networks were in {_IN_WORDS[theirs]}."
    return same


def _others(manifest: ModelManifest) -> str:
    found = {name: scores.others for name, scores in manifest.metrics.items() if scores.others}
    rows = [
        (
            f"`{name}`",
            f"{others.images:,}",
            f"{others.refused:.1%}",
            "-"
            if others.auroc is None
            else f"{others.auroc:.3f}{_interval(manifest.metrics.get(name), 'auroc', '.3f')}",
        )
        for name, others in {**found, **manifest.others}.items()
    ]
    if not rows:
        return ""
    return "Pictures of none of the classes:\n\n" + _table(
        ("Images", "Number", "Refused", "AUROC"), rows
    )


def _weak(manifest: ModelManifest) -> str:
    found = [
        *(
            f"`{name}`: {_weakest(scores)}."
            for name, scores in manifest.metrics.items()
            if _weakest(scores)
        ),
        "Photos unlike those it was judged on: cut, peeled or cooked fruit, drawings, fruit that "
        "is small in the frame or half hidden, unusual light. No score above is of such photos.",
        "Several kinds on one photo: it gives one name.",
    ]
    return "\n".join(f"- {line}" for line in found)


def _weakest(scores: EvaluationMetrics) -> str:
    classes = [(row.recall, label) for label, row in scores.per_class.items()]
    groups = [(row.accuracy, name) for name, row in scores.per_group.items()]
    weak = [*sorted(classes), *sorted(groups)]
    return ", ".join(f"{name} {share:.0%}" for share, name in weak if share < _WEAK_RECALL)


def _made(manifest: ModelManifest) -> str:
    settings = {name: value for name, value in manifest.training.items() if name != _NOTES}
    lines = [f"Settings: {', '.join(f'{k} {v}' for k, v in settings.items())}."]
    lines += manifest.training.get(_NOTES, [])
    if manifest.calibration:
        chosen = manifest.calibration
        lines.append(
            f"Calibrated on {chosen.images:,} pictures of {chosen.chosen_on}: temperature "
            f"{chosen.temperature:.3f}, none of these shifted by {chosen.none_shift:.3f}."
        )
    if manifest.libraries:
        named = ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())
        lines.append(f"Libraries: {named}.")
    lines.append(f"Images: snapshot `{manifest.snapshot[:16] or 'unknown'}`.")
    return "\n".join(f"- {line}" for line in lines)


def _sources(manifest: ModelManifest) -> str:
    rows = [
        (
            source.name,
            ", ".join(f"{count:,} {split}" for split, count in source.images.items()),
            source.licence or "not stated",
            source.citation or "-",
        )
        for source in manifest.sources
    ]
    if not rows:
        return "No source is recorded."
    return _table(("Source", "Pictures", "Licence", "Cite"), rows)


def _interval(scores: EvaluationMetrics | None, name: str, form: str) -> str:
    if scores is None or name not in scores.intervals:
        return ""
    low, high = scores.intervals[name]
    return f" ({low:{form}} to {high:{form}})"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
