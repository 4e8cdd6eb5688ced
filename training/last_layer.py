"""A version whose last layer is fitted again: ``python -m training fit-head``.

What is made up for training grows from release to release, and to train all layers again takes
hours. The columns of other things alone are fitted in minutes, to features of pictures that are
drawn as for a training; all other layers stay, and so do the columns of the classes. What it gave
is in ``training/EXPERIMENTS.md``.
"""

import argparse
from collections.abc import Callable
from typing import Any, Final

from data.labels import spoken
from data.snapshot import Snapshot
from data.splits import Split
from export.parity import check_parity, onnx_predict
from models.manifest import ModelManifest
from models.registry import ModelRegistry, ModelVersion
from training.columns import Columns
from training.config import DRAWS, HEAD_DRAWN, HEAD_SEED, HEAD_SHIFT, SMOOTHING, head_record
from training.console import publish_again
from training.dataset import judging_images
from training.epoch import Epoch
from training.errors import NotEnoughData
from training.features import Backbone
from training.head import PULL_NEW
from training.namesakes import without_namesakes
from training.network import head_of, with_head
from training.other_columns import fit_other_columns
from training.publishing import publish_remade, reheaded, rehearsal_of
from training.quick import probabilities_of
from training.sampling import load_pool, tell_left_out
from training.saved import load_network, model_file
from training.train import use_threads

_PARITY_IMAGES: Final = 12


def fit_last_layer(
    start: ModelVersion,
    snapshot: Snapshot,
    registry: ModelRegistry,
    *,
    drawn: int = HEAD_DRAWN,
    seed: int = 20,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> ModelVersion:
    """Fit a version's columns of other things again, publish that, and return it.

    It carries a comparison with the version that it came from; it is not made active.

    Args:
        start: a version whose network has features and a column for none-of-these.
        snapshot: the store's images: those of training and validation are drawn from, those of
            test judge.
        registry: where it is published.
        drawn: how many pictures are drawn.
        seed: of the draws.
        on_stage: told in words what happens next.
        on_step: told how many pictures are drawn, and how many there will be.
        on_epoch: told what each iteration of the fit gave.

    Raises:
        ValueError: none is to be drawn.
        NotEnoughData: the version cannot refuse, or the store lacks images to draw from or to judge
            by.
        NoBackbone: the version's network has no features.
        ParityError: the result answers too differently.
        InvalidVersion: the version's files are missing or damaged.
    """
    on_stage(f"Reading {start.version}")
    manifest = start.manifest
    if drawn < 1:
        raise ValueError(f"{drawn} pictures cannot be drawn; the least is 1 (--drawn).")
    if manifest.none_label is None:
        raise NotEnoughData(f"{start.version} cannot refuse. Name a version that can.")
    columns = Columns.of_version(manifest)
    model = load_network(start)
    backbone = Backbone.of_version(start, model)
    known = known_images(snapshot, manifest)
    seen = [image for image in known.images if image.split != Split.TEST]
    pool = load_pool(known.root, seen, columns)
    test = judging_images(known, Split.TEST, manifest.labels, manifest.input.side_px)
    tell_left_out(on_stage, "to draw from", len(pool), pool.left_out)
    tell_left_out(on_stage, "to judge by", len(test), test.left_out)
    shift = manifest.calibration.none_shift if manifest.calibration else 0.0
    head, history = fit_other_columns(
        backbone,
        pool,
        head_of(model),
        drawn=drawn,
        seed=seed,
        label_smoothing=float(manifest.training.get(SMOOTHING, 0.0)),
        shift=shift,
        on_stage=on_stage,
        on_step=on_step,
        on_epoch=on_epoch,
    )
    trained = with_head(model, *head)
    how = head_record(drawn) | {
        "head_draws": DRAWS,
        "head_pull": PULL_NEW,
        HEAD_SEED: seed,
        HEAD_SHIFT: shift,
    }
    changes = {"training": manifest.training | how, "history": history}

    def make_content(version: str) -> tuple[bytes, dict[str, float]]:
        content = reheaded(start, trained, columns, manifest.calibration, manifest.labels, version)
        errors = check_parity(
            lambda images: probabilities_of(backbone.run(images), head, manifest),
            onnx_predict(content),
            test.pixels[:: max(1, len(test) // _PARITY_IMAGES)],
        )
        return content, errors

    network, files = model_file(trained), rehearsal_of(start)
    return publish_remade(
        start, registry, test, make_content, changes, network, lambda content: files, on_stage
    )


def known_images(snapshot: Snapshot, manifest: ModelManifest) -> Snapshot:
    """Return the images of a version's labels, without those that show an added class after all.

    Raises:
        NotEnoughData: a label has none to draw from, or there is none to judge by.
    """
    cleaned = without_namesakes(snapshot, manifest.labels)
    known = tuple(image for image in cleaned.images if image.label in manifest.labels)
    seen = [image.label for image in known if image.split != Split.TEST]
    missing = sorted(set(manifest.labels) - set(seen))
    if missing or len(seen) == len(known):
        lacking = f", and none to draw from of {', '.join(map(spoken, missing))}" if missing else ""
        raise NotEnoughData(
            f"The store holds {len(seen):,} images to draw from and {len(known) - len(seen):,} "
            f"test images of what {manifest.version} knows{lacking}; it takes some of every label, "
            "and some to judge by. Import photographs first: python -m data fetch grocery."
        )
    return Snapshot(snapshot.root, known)


def fit_head_from_flags(options: argparse.Namespace, take_snapshot: Callable[[], Snapshot]) -> int:
    """Run ``fit_last_layer`` with its progress on the terminal, and return the exit status."""

    def publish(*of: Any, **told: Any) -> ModelVersion:
        use_threads(options.threads)
        return fit_last_layer(*of, drawn=options.drawn, **told)

    return publish_again(options, take_snapshot, publish)
