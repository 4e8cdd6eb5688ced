"""Fit a network: the seed's recipe of early stopping, a falling learning rate and class weights."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.config import TrainConfig
from training.dataset import LabelledImages, TrainingData, batches
from training.network import build_network

_PREDICT_BATCH: Final = 64


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images gave.

    Attributes:
        number: counted from 1.
        epochs: how many there will be at most.
        metrics: as Keras names them: loss, accuracy, val_loss, val_accuracy, learning_rate.
        duration_s: of this epoch, in seconds.
    """

    number: int
    epochs: int
    metrics: dict[str, float]
    duration_s: float


@dataclass(frozen=True)
class Fit:
    """A trained model, with the weights of its best epoch, and the history of the run."""

    model: keras.Model
    history: list[dict[str, float]]


def fit(
    config: TrainConfig,
    train: TrainingData,
    validation: LabelledImages | None,
    classes: int,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
    model: keras.Model | None = None,
) -> Fit:
    """Train the configured network, and return it with the weights of the chosen epoch.

    With the schedule ``plateau`` it is that of the lowest val_loss; with ``cosine``, the last.

    Args:
        config: every setting of the run.
        train: what it learns from.
        validation: what chooses the epoch, never the test images; None only with ``cosine``, where
            every image trains.
        classes: K.
        on_epoch: called after each epoch; an exception from it ends the run.
        on_step: called after each batch with the steps done and in all, over the whole run.
        model: the network to go on with, with K outputs; None builds the configured one.

    Raises:
        ValueError: the schedule needs validation images, and there are none.
    """
    if validation is None and config.schedule == "plateau":
        raise ValueError("The schedule 'plateau' needs validation images; use 'cosine'.")
    keras.utils.set_random_seed(config.seed)
    model = model or build_network(config, classes)
    model.compile(
        optimizer=keras.optimizers.Adam(_learning_rate(config, train.steps)),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing
        ),
        metrics=["accuracy"],
    )
    judged = batches(validation, classes, config.batch_size) if validation else None
    with tempfile.TemporaryDirectory() as folder:
        best = Path(folder) / "best.weights.h5"
        history = model.fit(
            train.batches,
            validation_data=judged,
            epochs=config.epochs,
            class_weight=train.class_weights,
            callbacks=[
                *(_plateau_callbacks(config, best) if config.schedule == "plateau" else ()),
                _Reporter(config.epochs, on_epoch, on_step),
            ],
            verbose=0,
        )
        if best.exists():
            model.load_weights(best)
    return Fit(model, _by_epoch(history.history))


def predict_logits(model: keras.Model, images: LabelledImages) -> NDArray[np.float32]:
    """Return float32 (N, K) logits of the images."""
    starts = range(0, len(images), _PREDICT_BATCH)
    parts = [model.predict_on_batch(images.pixels[s : s + _PREDICT_BATCH]) for s in starts]
    return np.concatenate(parts)


def _learning_rate(
    config: TrainConfig, steps_per_epoch: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if config.schedule == "cosine":
        steps = config.epochs * steps_per_epoch
        # The new head is random: while it settles, large steps would spoil what it stands on.
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
    """Bound TensorFlow's threads, before its first operation; 0 leaves one a core."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


class _Reporter(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Tells the caller of each step, and what each epoch gave and how long it took."""

    def __init__(
        self,
        epochs: int,
        on_epoch: Callable[[Epoch], None],
        on_step: Callable[[int, int], None],
    ) -> None:
        super().__init__()
        self._epochs = epochs
        self._on_epoch = on_epoch
        self._on_step = on_step
        self._epoch = 0
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        steps = self.params["steps"]
        self._on_step(self._epoch * steps + batch + 1, self._epochs * steps)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        duration_s = time.perf_counter() - self._started
        self._on_epoch(Epoch(epoch + 1, self._epochs, metrics, duration_s))


def _by_epoch(history: dict[str, list[float]]) -> list[dict[str, float]]:
    return [
        {name: float(values[epoch]) for name, values in history.items()}
        for epoch in range(len(history["loss"]))
    ]
