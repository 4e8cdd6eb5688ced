"""A version whose last layer is fitted again: ``python -m training fit-head``.

What is made up for training grows from release to release, and to train all layers again takes
hours. The columns of other things alone are fitted in minutes, to features of pictures that are
drawn as for a training; all other layers stay, and so do the columns of the classes. What it gave
is in ``training/EXPERIMENTS.md``.
"""

import argparse
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from data.labels import spoken
from data.snapshot import Snapshot
from data.splits import Split
from export.parity import check_parity, onnx_predict
from models.manifest import REHEARSAL_NAME, ModelManifest
from models.registry import ModelRegistry, ModelVersion
from training.columns import Columns
from training.config import DRAWS, HEAD_DRAWN, SMOOTHING
from training.console import publish_again
from training.dataset import judging_images
from training.epoch import Epoch
from training.errors import NotEnoughData
from training.features import Backbone
from training.head import PULL_NEW, fit_head
from training.namesakes import without_namesakes
from training.network import head_of, with_head
from training.publishing import publish_remade, reheaded
from training.quick import probabilities_of
from training.sampling import PhotoPool, draw_batch, load_pool, tell_left_out
from training.saved import load_network, model_file
from training.train import use_threads

# How often pictures of no kind that a publisher names count, most of which are made up: they stand
# for everything that people photograph. Where kinds are not told apart, as often as the others.
OTHERS_WEIGHT: Final = 7.0
# Of the loss: things answered as if no kind had been taught, so that new ones are refused.
UNKNOWN_SHARE: Final = 0.03
_Batch: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.int64]]
_BATCH: Final = 32
_DRAWING_THREADS: Final = 2
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
    on_stage(f"Looking at {drawn:,} drawn pictures")
    features, targets = _drawn_features(backbone, pool, drawn, seed, on_step)

    on_stage("Fitting the columns of other things")
    kernel, bias = head_of(model)
    shift = manifest.calibration.none_shift if manifest.calibration else 0.0
    others = range(len(columns.classes), columns.width)
    # Fitted as it is served: with the shift of none-of-these.
    bias = bias.copy()
    bias[others] += shift
    head, history = fit_head(
        features,
        targets,
        np.where(targets == others[-1], OTHERS_WEIGHT if len(others) > 1 else 1.0, 1.0),
        (kernel, bias),
        dict.fromkeys(others, PULL_NEW),
        float(manifest.training.get(SMOOTHING, 0.0)),
        len(columns.classes),
        on_epoch,
        UNKNOWN_SHARE,
    )
    head[1][others] -= shift
    trained = with_head(model, *head)
    how = {
        "head_drawn": drawn,
        "head_draws": DRAWS,
        "head_others_weight": OTHERS_WEIGHT,
        "head_pull": PULL_NEW,
        "head_unknown_share": UNKNOWN_SHARE,
        "head_seed": seed,
    }
    changes = {"training": manifest.training | how, "history": history}

    def make_content(version: str) -> tuple[bytes, dict[str, float]]:
        content = reheaded(start, trained, columns, manifest.labels, version)
        errors = check_parity(
            lambda images: probabilities_of(backbone.run(images), head, manifest),
            onnx_predict(content),
            test.pixels[:: max(1, len(test) // _PARITY_IMAGES)],
        )
        return content, errors

    def make_files(content: bytes) -> dict[str, bytes]:
        # Of the same layers as before, the features are the same too.
        rehearsal = {REHEARSAL_NAME} & start.checksums.keys()
        return {name: start.verify(name).read_bytes() for name in rehearsal}

    network = model_file(trained)
    return publish_remade(
        start, registry, test, make_content, changes, network, make_files, on_stage
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


def _drawn_features(
    backbone: Backbone,
    pool: PhotoPool,
    count: int,
    seed: int,
    on_step: Callable[[int, int], None],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the features of drawn pictures, float32 (count, D), and their columns."""

    def draw(start: int) -> _Batch:
        rng = np.random.default_rng((seed, start))
        return draw_batch(pool, min(_BATCH, count - start), backbone.side_px, rng)

    features, targets = [], []

    def take(drawn: Future[_Batch]) -> None:
        pixels, columns = drawn.result()
        features.append(backbone.run(pixels))
        targets.append(columns)
        on_step(sum(map(len, targets)), count)

    with ThreadPoolExecutor(_DRAWING_THREADS) as threads:
        ahead: deque[Future[_Batch]] = deque()
        for start in range(0, count, _BATCH):
            ahead.append(threads.submit(draw, start))
            if len(ahead) > 2 * _DRAWING_THREADS:  # what is drawn ahead lies in memory
                take(ahead.popleft())
        while ahead:
            take(ahead.popleft())
    return np.concatenate(features), np.concatenate(targets)
