"""What one pass over the training images gave."""

from dataclasses import dataclass


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
