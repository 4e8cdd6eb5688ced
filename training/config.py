"""Every setting of a training run; the command-line flags are these fields."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from models.manifest import FOLDS_PRECISION

SCHEDULES = ("plateau", "cosine")
AUGMENTATIONS = ("turns", "scenes")
# Settings of a version that every retraining of it goes by.
SMOOTHING = "label_smoothing"
TRAIN_SIDE = "train_side_px"
MAX_STAGES = 7  # of EfficientNet-Lite
# Raised with every change of the pictures that 'scenes' draws: what was measured with others is not
# of the same settings. 1 had no creatures; 2 had those; 3 scenery, coins and filled shapes; 4
# cut fruit, and creatures that are near, furry and before something blurred; 5 has tins, wheels and
# balls, and a little less of cut fruit; 6 dishes; 7 fruit on tables and in bowls.
DRAWS: Final = 7
# Pictures that a last layer is fitted to; of half as many, two fits refused 83 and 90 % of dishes.
HEAD_DRAWN: Final = 32_000
# How often pictures of no kind that a publisher names count there, most of which are made up: they
# stand for everything that people photograph. Where kinds are not told apart, as often as others.
OTHERS_WEIGHT: Final = 7.0
# Of the loss: things answered as if no kind had been taught, so that new ones are refused.
UNKNOWN_SHARE: Final = 0.03
# What fit-head adds to the logit of none-of-these while it fits, as it is served. A training: 0.
HEAD_SHIFT: Final = "head_shift"
HEAD_SEED: Final = "head_seed"  # of the pictures that fit-head drew
REFITTED_ANEW: Final = ("network", "networks")  # may be others than a cross-validation judged
_DRAWS: Final = "draws"


def _setting(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run. The defaults are the seed CNN's recipe."""

    network: str = _setting("seed_cnn", "name in the table of networks")
    side_px: int = _setting(100, "side of the square input, in pixels")
    train_side_px: int = _setting(
        0,
        "scenes: another side of the pictures that train, smaller than the input's; crops show "
        "things larger than they are served, and this makes up for it (0: the input's)",
    )
    epochs: int = _setting(20, "passes over the training images, at most")
    batch_size: int = _setting(32, "images a step")
    learning_rate: float = _setting(1e-3, "Adam's step size at the start")
    schedule: str = _setting(
        "plateau",
        "learning rate: 'plateau' halves it and takes the best epoch; 'cosine' raises it for a "
        "tenth of the steps, lowers it to zero and takes the last",
    )
    patience_epochs: int = _setting(5, "epochs without a better val_loss before stopping early")
    plateau_epochs: int = _setting(3, "epochs without a better val_loss before halving the rate")
    plateau_factor: float = _setting(0.5, "what the learning rate is multiplied by on a plateau")
    none_of_these: bool = _setting(False, "learn to refuse from the pictures of none of these")
    kinds: bool = _setting(
        False,
        "with none-of-these: learn also which kind of other thing a picture shows, as far as its "
        "publisher tells",
    )
    fitted_head: bool = _setting(
        False,
        "fit the new last layer to the features of the first stages before all of them train",
    )
    start_share: float = _setting(
        0.0,
        "with fitted-head: share of the weights from before the training that is mixed into those "
        "after it, which keeps more of what was known before",
    )
    networks: int = _setting(
        1,
        "cosine: networks trained one after another from the same beginning, each on other draws; "
        "the result has the mean of their weights, and takes as many times as long to train",
    )
    feature_pull: float = _setting(
        0.0,
        "scenes: weight of the squared distance between the features and those of the network "
        "before training, which keeps what it knew about things that no picture shows",
    )
    frozen_stages: int = _setting(
        0, "first stages of the transfer network that keep their ImageNet weights, 0 to 7"
    )
    head_drawn: int = _setting(
        0,
        "scenes: pictures drawn after the training, to whose features the columns of other things "
        "are fitted once more; 0 for none",
    )
    label_smoothing: float = _setting(0.0, "share of the target spread over all classes")
    augmentation: str = _setting(
        "turns",
        "'turns' passes over all images, mirrored, turned and zoomed; 'scenes' draws them in "
        "balance and changes background, crop, light and sharpness",
    )
    steps_per_epoch: int = _setting(0, "scenes: batches an epoch; 0 for one pass over the images")
    rotation_degrees: float = _setting(20.0, "turns: largest rotation either way")
    zoom: float = _setting(0.2, "turns: largest zoom in or out, as a fraction")
    flip: bool = _setting(True, "turns: mirror left and right")
    max_per_variety: int = _setting(
        0, "training images of one publisher's folder, at most; 0 for all"
    )
    class_weights: bool = _setting(True, "turns: weigh each class by its inverse frequency")
    seed: int = _setting(20, "seed of the weights, the order and the augmentation")
    threads: int = _setting(0, "threads of TensorFlow; 0 for one a core")

    @property
    def learned_side_px(self) -> int:
        """Side of the square pictures that train, in pixels."""
        return self.train_side_px or self.side_px

    def record(self) -> dict[str, Any]:
        """Return what a manifest says of the run: every setting, and which pictures were drawn."""
        drawn = {_DRAWS: DRAWS} if self.augmentation == "scenes" else {}
        return asdict(self) | drawn | (head_record(self.head_drawn) if self.head_drawn else {})

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "TrainConfig":
        """Return the settings in a record."""
        beside = {_DRAWS, FOLDS_PRECISION, *head_record(0)} - {s.name for s in fields(cls)}
        return cls(**{name: value for name, value in record.items() if name not in beside})

    @classmethod
    def add_flags(cls, parser: argparse.ArgumentParser, *, defaults: bool = True) -> None:
        """Add one flag for each field to the parser.

        Args:
            parser: of a command.
            defaults: False for a subcommand of a parser that has the flags already.
        """
        for setting in fields(cls):
            default = setting.default if defaults else argparse.SUPPRESS
            flag = f"--{setting.name.replace('_', '-')}"
            shown = setting.default
            if isinstance(shown, bool):
                shown = "yes" if shown else "no"
            help_text = f"{setting.metadata['help']} (default: {shown})"
            if setting.default is MISSING:
                raise TypeError(f"TrainConfig.{setting.name} needs a default")
            if isinstance(setting.default, bool):
                parser.add_argument(
                    flag,
                    action=argparse.BooleanOptionalAction,
                    default=default,
                    help=help_text,
                )
            else:
                parser.add_argument(
                    flag, type=type(setting.default), default=default, help=help_text
                )

    @classmethod
    def from_flags(cls, options: argparse.Namespace) -> "TrainConfig":
        """Return the settings that the parsed flags give.

        Raises:
            ValueError: a setting is out of its range.
        """
        given = {setting.name: getattr(options, setting.name) for setting in fields(cls)}
        config = cls(**{name: value for name, value in given.items() if value is not None})
        config.check()
        return config

    def check(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: a setting is out of its range.
        """
        _check(self, ("epochs", "batch_size", "networks"), low=1)
        _check(self, ("patience_epochs", "plateau_epochs"), low=1)
        _check(self, ("side_px", "learned_side_px"), low=16)
        _check(self, ("rotation_degrees", "zoom", "max_per_variety", "threads", "seed"), low=0)
        _check(self, ("steps_per_epoch", "frozen_stages", "head_drawn"), low=0)
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule is {self.schedule!r}; it must be one of {SCHEDULES}.")
        if self.augmentation not in AUGMENTATIONS:
            raise ValueError(
                f"augmentation is {self.augmentation!r}; it must be one of {AUGMENTATIONS}."
            )
        if self.frozen_stages > MAX_STAGES:
            raise ValueError(f"frozen_stages is {self.frozen_stages}; the most is {MAX_STAGES}.")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is {self.label_smoothing}; it must be in [0, 1).")
        if not 0 <= self.start_share < 1:
            raise ValueError(f"start_share is {self.start_share}; it must be in [0, 1).")
        if self.start_share and not self.fitted_head:
            raise ValueError(
                f"start_share is {self.start_share} without fitted_head; a random last layer must "
                "not be mixed into a trained one."
            )
        if self.train_side_px and (self.augmentation, self.schedule) != ("scenes", "cosine"):
            raise ValueError(
                f"train_side_px is {self.train_side_px} with augmentation {self.augmentation!r} "
                f"and schedule {self.schedule!r}; it needs 'scenes' and 'cosine'."
            )
        if self.networks > 1 and self.schedule != "cosine":
            raise ValueError(
                f"networks is {self.networks} with schedule {self.schedule!r}; it needs 'cosine'."
            )
        if self.head_drawn and not (self.augmentation == "scenes" and self.none_of_these):
            raise ValueError(
                f"head_drawn is {self.head_drawn} with augmentation {self.augmentation!r} and "
                f"none_of_these {self.none_of_these}; it needs 'scenes' and none-of-these."
            )
        if not self.feature_pull >= 0:
            raise ValueError(f"feature_pull is {self.feature_pull}; the least is 0.")
        if self.feature_pull and self.augmentation != "scenes":
            raise ValueError(
                f"feature_pull is {self.feature_pull} with augmentation {self.augmentation!r}, "
                "which varies pictures inside the network; it needs 'scenes'."
            )
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be above 0.")
        if not 0 < self.plateau_factor < 1:
            raise ValueError(f"plateau_factor is {self.plateau_factor}; it must be in (0, 1).")


def head_record(drawn: int) -> dict[str, Any]:
    """Return what a manifest says of columns of other things that were fitted again.

    Args:
        drawn: the number of pictures.
    """
    return {
        "head_drawn": drawn,
        "head_others_weight": OTHERS_WEIGHT,
        "head_unknown_share": UNKNOWN_SHARE,
    }


def add_refit_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag that takes settings and calibration from a cross-validation.

    Of ``REFITTED_ANEW`` each is None after it unless its flag was given.
    """
    parser.add_argument(
        "--refit",
        type=Path,
        metavar="FILE",
        help="result of cross-validate: train with its settings on training and validation images "
        "together, and take the calibration from it; of the other flags only --network, --networks "
        "and --threads count",
    )
    parser.set_defaults(**dict.fromkeys(REFITTED_ANEW))


def _check(config: TrainConfig, names: Sequence[str], low: int) -> None:
    for name in names:
        if getattr(config, name) < low:
            raise ValueError(f"{name} is {getattr(config, name)}; the least is {low}.")
