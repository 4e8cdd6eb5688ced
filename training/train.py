"""Fit a network: the seed's recipe of early stopping, a falling learning rate and class weights."""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from export import parity
from training.columns import Columns
from training.config import TrainConfig
from training.dataset import LabelledImages, TrainingData, batches
from training.epoch import Epoch
from training.head import PULL_FIRST, fit_head
from training.network import (
    at_side,
    backbone_of,
    build_network,
    has_backbone,
    merged,
    with_head,
)

_PREDICT_BATCH: Final = 64
_HEAD_BATCHES: Final = 100

_Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]


@dataclass(frozen=True)
class Fit:
    """A trained model, with the weights of its best epoch, and the history of the run."""

    model: keras.Model
    history: list[dict[str, float]]


def fit(
    config: TrainConfig,
    train: TrainingData,
    validation: LabelledImages | None,
    columns: Columns,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
    model: keras.Model | None = None,
) -> Fit:
    """Train the configured network, and return it with the weights of the chosen epoch.

    With the schedule ``plateau`` it is that of the lowest val_loss; with ``cosine``, the last. Of
    several networks it has the mean of their weights.

    Args:
        config: every setting of the run.
        train: what it learns from.
        validation: what chooses the epoch, never the test images; None only with ``cosine``, where
            every image trains. Not looked at where pictures of another side train.
        columns: what the network's outputs stand for.
        on_epoch: called after each epoch of each network; an exception from it ends the run.
        on_step: called after each batch with the steps done and in all, over the whole run.
        model: the network to go on with, of that width; None builds the configured one.

    Raises:
        ValueError: the schedule needs validation images, and there are none; or a setting needs
            a layer of features, and this network has none.
    """
    if validation is None and config.schedule == "plateau":
        raise ValueError("The schedule 'plateau' needs validation images; use 'cosine'.")
    keras.utils.set_random_seed(config.seed)
    begins = model is None
    if model is None:
        model = build_network(config, columns.width)
    check_features(model, _needing_features(config))
    model = at_side(model, config.learned_side_px)
    if begins and config.fitted_head:
        model = _with_first_head(model, train, config.label_smoothing)
    alike = config.learned_side_px == config.side_px
    judged = batches(validation, columns, config.batch_size) if validation and alike else None
    begun = model.get_weights()
    ended: list[list[NDArray[np.float32]]] = []
    history: list[dict[str, float]] = []
    for network in range(config.networks):
        # The draws go on where those of the network before ended.
        model.set_weights(begun)
        reporter = _Reporter(config, network, on_epoch, on_step)
        history += _train(model, config, train, judged, columns, reporter)
        ended.append(model.get_weights())
    # M. Wortsman et al., "Model soups", arXiv:2203.05482, and "Robust fine-tuning of zero-shot
    # models", arXiv:2109.01903: what lies between such networks is as right as each of them, and
    # knows more beside.
    share = config.start_share
    model.set_weights(
        [
            share * first + (1 - share) * sum(parts) / config.networks
            for first, *parts in zip(begun, *ended, strict=True)
        ]
    )
    return Fit(at_side(model, config.side_px), history)


def _train(
    model: keras.Model,
    config: TrainConfig,
    train: TrainingData,
    judged: tf.data.Dataset | None,
    columns: Columns,
    reporter: "_Reporter",
) -> list[dict[str, float]]:
    """Train the network in place, and return what each epoch gave."""
    learner = _held(model, config.feature_pull) if config.feature_pull else model
    learner.compile(
        optimizer=keras.optimizers.Adam(_learning_rate(config, train.steps)),
        loss=_loss(columns, config.label_smoothing),
        metrics=["accuracy"],
    )
    with tempfile.TemporaryDirectory() as folder:
        best = Path(folder) / "best.weights.h5"
        history = learner.fit(
            train.batches,
            validation_data=judged,
            epochs=config.epochs,
            class_weight=train.class_weights,
            callbacks=[
                *(_plateau_callbacks(config, best) if config.schedule == "plateau" else ()),
                reporter,
            ],
            verbose=0,
        )
        if best.exists():
            learner.load_weights(best)
    return _by_epoch(history.history)


def predict_logits(
    model: keras.Model, images: LabelledImages, columns: Columns
) -> NDArray[np.float32]:
    """Return float32 (N, K) logits of the images, a column a label."""
    starts = range(0, len(images), _PREDICT_BATCH)
    parts = [model.predict_on_batch(images.pixels[s : s + _PREDICT_BATCH]) for s in starts]
    return columns.merge(np.concatenate(parts))


def _loss(columns: Columns, label_smoothing: float) -> _Loss:
    """Return the cross-entropy of the columns, and where kinds are merged that of the labels too.

    Which kind of other thing a picture shows matters less than that it shows one.
    """
    cross_entropy: _Loss = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=label_smoothing
    )
    if len(columns.kinds) < 2:
        return cross_entropy
    classes = len(columns.classes)

    def of_both(wanted: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        others = keras.ops.sum(wanted[:, classes:], axis=1, keepdims=True)
        labels = keras.ops.concatenate([wanted[:, :classes], others], axis=1)
        return cross_entropy(wanted, logits) + cross_entropy(labels, merged(logits, columns))

    return of_both


def _with_first_head(
    model: keras.Model, train: TrainingData, label_smoothing: float
) -> keras.Model:
    """Return the network with a last layer that fits what the others make of the first batches.

    A random one would spoil them while it settles (A. Kumar et al., "Fine-Tuning can Distort
    Pretrained Features and Underperform Out-of-Distribution", arXiv:2202.10054).
    """
    backbone = backbone_of(model)
    seen = [
        (np.asarray(backbone(images, training=False)), np.asarray(wanted).argmax(axis=1))
        for images, wanted in islice(iter(train.batches), _HEAD_BATCHES)
    ]
    features, targets = (np.concatenate(part) for part in zip(*seen, strict=True))
    width = model.output.shape[-1]
    start = np.zeros((features.shape[1], width), np.float32), np.zeros(width, np.float32)
    head, _ = fit_head(
        features,
        targets,
        np.ones(len(targets)),
        start,
        dict.fromkeys(range(width), PULL_FIRST),
        label_smoothing,
    )
    return with_head(model, *head)


def check_features(model: keras.Model, needing: Sequence[str]) -> None:
    """Check that a network has what is asked of it.

    Args:
        model: of the table.
        needing: the flags that need a layer of features.

    Raises:
        ValueError: there are such flags, and it has none.
    """
    if needing and not has_backbone(model):
        raise ValueError(
            f"{' and '.join(needing)} cannot be used with {model.name}, which has no layer of "
            "features. Leave out what needs one, or choose another network."
        )


def _needing_features(config: TrainConfig) -> list[str]:
    asked = {
        "--fitted-head": config.fitted_head,
        "--feature-pull": config.feature_pull,
        "--head-drawn": config.head_drawn,
        "--train-side-px": config.train_side_px,
    }
    return [flag for flag, value in asked.items() if value]


def _held(model: keras.Model, pull: float) -> keras.Model:
    """Return the network with a loss for what its features move away from what they are now.

    All layers are shared with the given one.
    """
    backbone = backbone_of(model)
    # What is fixed is the same in both, and computed once: the copy begins behind it.
    fixed = next(layer for layer in backbone.layers if layer.trainable_weights).input
    moving = keras.Model(fixed, backbone.output)
    first = keras.models.clone_model(moving)
    first.set_weights(moving.get_weights())
    first.trainable = False
    logits = _Pull(pull)(model.output, backbone.output, first(fixed))
    return keras.Model(model.input, logits)


class _Pull(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """Logits as they are, and a loss: how far features leave others, over these' mean square."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self._weight = weight

    def call(
        self, logits: keras.KerasTensor, now: keras.KerasTensor, first: keras.KerasTensor
    ) -> keras.KerasTensor:
        distance = keras.ops.mean(keras.ops.square(now - first))
        self.add_loss(self._weight * distance / keras.ops.mean(keras.ops.square(first)))
        return logits


def _learning_rate(
    config: TrainConfig, steps_per_epoch: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if config.schedule == "cosine":
        steps = config.epochs * steps_per_epoch
        # While a new head settles, large steps would spoil what it stands on.
        warm_up = steps // 10
        return keras.optimizers.schedules.CosineDecay(
            0.0, steps - warm_up, warmup_target=config.learning_rate, warmup_steps=warm_up
        )
    return config.learning_rate


def _plateau_callbacks(config: TrainConfig, best: Path) -> list[keras.callbacks.Callback]:
    """Stop early, halve the rate on a plateau, and keep the weights of the lowest val_loss."""
    return [
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=config.patience_epochs),
        keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss", factor=config.plateau_factor, patience=config.plateau_epochs
        ),
        keras.callbacks.ModelCheckpoint(
            best, monitor="val_loss", save_best_only=True, save_weights_only=True
        ),
    ]


def use_threads(threads: int) -> None:
    """Bound the threads of TensorFlow and ONNX Runtime, before their first use; 0: one a core.

    Raises:
        ValueError: their number is negative, for which TensorFlow would end the process.
    """
    parity.use_threads(threads)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


class _Reporter(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Tells the caller of each step, and what each epoch gave and how long it took."""

    def __init__(
        self,
        config: TrainConfig,
        network: int,
        on_epoch: Callable[[Epoch], None],
        on_step: Callable[[int, int], None],
    ) -> None:
        super().__init__()
        self._before = network * config.epochs
        self._epochs = config.networks * config.epochs
        self._on_epoch = on_epoch
        self._on_step = on_step
        self._epoch = 0
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = self._before + epoch
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        steps = self.params["steps"]
        self._on_step(self._epoch * steps + batch + 1, self._epochs * steps)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        duration_s = time.perf_counter() - self._started
        self._on_epoch(Epoch(self._epoch + 1, self._epochs, metrics, duration_s))


def _by_epoch(history: dict[str, list[float]]) -> list[dict[str, float]]:
    """Return the numbers of each epoch; what is none is left out, for JSON has no such number."""
    return [
        {name: float(v[epoch]) for name, v in history.items() if math.isfinite(v[epoch])}
        for epoch in range(len(history["loss"]))
    ]
