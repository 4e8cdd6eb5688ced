"""Every setting of a training run; the command-line flags are these fields."""

import argparse
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

SCHEDULES = ("plateau", "cosine")


def _setting(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run. The defaults are the seed CNN's recipe."""

    network: str = _setting("seed_cnn", "name in the table of networks")
    side_px: int = _setting(100, "side of the square input, in pixels")
    epochs: int = _setting(20, "passes over the training images, at most")
    batch_size: int = _setting(32, "images a step")
    learning_rate: float = _setting(1e-3, "Adam's step size at the start")
    schedule: str = _setting(
        "plateau",
        "learning rate: 'plateau' halves it and takes the best epoch; 'cosine' lowers it to zero "
        "and takes the last",
    )
    patience_epochs: int = _setting(5, "epochs without a better val_loss before stopping early")
    plateau_epochs: int = _setting(3, "epochs without a better val_loss before halving the rate")
    plateau_factor: float = _setting(0.5, "what the learning rate is multiplied by on a plateau")
    rotation_degrees: float = _setting(20.0, "augmentation: largest rotation either way")
    zoom: float = _setting(0.2, "augmentation: largest zoom in or out, as a fraction")
    flip: bool = _setting(True, "augmentation: mirror left and right")
    max_per_variety: int = _setting(
        0, "training images of one publisher's folder, at most; 0 for all"
    )
    class_weights: bool = _setting(True, "weigh each class by the inverse of its frequency")
    seed: int = _setting(20, "seed of the weights, the order and the augmentation")
    threads: int = _setting(0, "threads of TensorFlow; 0 for one a core")

    @classmethod
    def add_flags(cls, parser: argparse.ArgumentParser) -> None:
        """Add one flag for each field to the parser."""
        for setting in fields(cls):
            flag = f"--{setting.name.replace('_', '-')}"
            help_text = f"{setting.metadata['help']} (default: {setting.default})"
            if setting.default is MISSING:
                raise TypeError(f"TrainConfig.{setting.name} needs a default")
            if isinstance(setting.default, bool):
                parser.add_argument(
                    flag,
                    action=argparse.BooleanOptionalAction,
                    default=setting.default,
                    help=setting.metadata["help"],
                )
            else:
                parser.add_argument(
                    flag, type=type(setting.default), default=setting.default, help=help_text
                )

    @classmethod
    def from_flags(cls, options: argparse.Namespace) -> "TrainConfig":
        """Return the settings that the parsed flags give.

        Raises:
            ValueError: a setting is out of its range.
        """
        config = cls(**{setting.name: getattr(options, setting.name) for setting in fields(cls)})
        config.check()
        return config

    def check(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: a setting is out of its range.
        """
        _check(self, ("epochs", "batch_size", "patience_epochs", "plateau_epochs"), low=1)
        _check(self, ("side_px",), low=16)
        _check(self, ("rotation_degrees", "zoom", "max_per_variety", "threads", "seed"), low=0)
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule is {self.schedule!r}; it must be one of {SCHEDULES}.")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be above 0.")
        if not 0 < self.plateau_factor < 1:
            raise ValueError(f"plateau_factor is {self.plateau_factor}; it must be in (0, 1).")


def _check(config: TrainConfig, names: Sequence[str], low: int) -> None:
    for name in names:
        if getattr(config, name) < low:
            raise ValueError(f"{name} is {getattr(config, name)}; the least is {low}.")
