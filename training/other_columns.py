"""The columns of other things, fitted alone to features of pictures that are drawn as for training.

All other layers stay, and so do the columns of the classes. What it gave is in
``training/EXPERIMENTS.md``.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

from models.manifest import ModelManifest
from training.config import HEAD_SEED, HEAD_SHIFT, OTHERS_WEIGHT, UNKNOWN_SHARE, TrainConfig
from training.dataset import TrainingData
from training.epoch import Epoch
from training.features import Backbone
from training.head import PULL_NEW, Head, fit_head
from training.network import head_of, with_head
from training.sampling import PhotoPool, draw_batch

_Batch: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.int64]]
_BATCH: Final = 32
_DRAWING_THREADS: Final = 2


def fit_other_columns(
    backbone: Backbone,
    pool: PhotoPool,
    head: Head,
    *,
    drawn: int,
    seed: int,
    label_smoothing: float,
    shift: float = 0.0,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> tuple[Head, list[dict[str, float]]]:
    """Return a last layer with its columns of other things fitted again, and each iteration's loss.

    Args:
        backbone: what the layer stands on.
        pool: what is drawn from.
        head: kernel float32 (D, width) and bias float32 (width,), as ``pool.columns`` has them.
        drawn: how many pictures are drawn.
        seed: of the draws.
        label_smoothing: as the network was trained with.
        shift: of none-of-these when it is served: what is fitted is what is served.
        on_stage: told in words what happens next.
        on_step: told how many pictures are drawn, and how many there will be.
        on_epoch: told what each iteration of the fit gave.
    """
    on_stage(f"Looking at {drawn:,} drawn pictures")
    features, targets = _drawn_features(backbone, pool, drawn, seed, on_step)
    on_stage("Fitting the columns of other things")
    classes, width = len(pool.columns.classes), pool.columns.width
    others = range(classes, width)
    kernel, bias = head
    bias = bias.copy()
    bias[others] += shift
    weight = OTHERS_WEIGHT if len(others) > 1 else 1.0
    fitted, history = fit_head(
        features,
        targets,
        np.where(targets == others[-1], weight, 1.0),
        (kernel, bias),
        dict.fromkeys(others, PULL_NEW),
        label_smoothing,
        classes,
        on_epoch,
        UNKNOWN_SHARE,
    )
    fitted[1][others] -= shift
    return fitted, history


def head_shift(manifest: ModelManifest) -> float:
    """Return what was added to none-of-these while ``fit-head`` fitted it; training adds nothing.

    So much lower its columns are since, and so much more has to be added to them.
    """
    how = manifest.training
    if HEAD_SHIFT in how or HEAD_SEED not in how or not manifest.calibration:
        return float(how.get(HEAD_SHIFT, 0.0))
    # Versions up to v0033 do not say; none was calibrated after it.
    return manifest.calibration.none_shift


def with_fitted_others(
    model: keras.Model,
    data: TrainingData,
    config: TrainConfig,
    on_stage: Callable[[str], None],
    on_step: Callable[[int, int], None],
    shift: float = 0.0,
    quantized_file: bytes | None = None,
) -> keras.Model:
    """Return a trained network as it is, or with its columns of other things fitted again.

    Args:
        model: as ``fit`` returns it.
        data: what it was fitted to.
        config: with ``head_drawn``, the number of pictures; 0 leaves it as it is.
        on_stage, on_step, shift: as for ``fit_other_columns``.
        quantized_file: the ONNX file that it became, whose features they are fitted to; None fits
            them to its own.
    """
    if not config.head_drawn or data.pool is None:
        return model
    head, _ = fit_other_columns(
        Backbone.of(model, quantized_file),
        data.pool,
        head_of(model),
        drawn=config.head_drawn,
        seed=config.seed,
        label_smoothing=config.label_smoothing,
        shift=shift,
        on_stage=on_stage,
        on_step=on_step,
    )
    return with_head(model, *head)


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
