"""Every setting is a flag with its default."""

import argparse

import pytest

from training.config import DRAWS, OTHERS_WEIGHT, TrainConfig


def parsed(*arguments: str) -> TrainConfig:
    parser = argparse.ArgumentParser()
    TrainConfig.add_flags(parser)
    return TrainConfig.from_flags(parser.parse_args(arguments))


def test_defaults_are_the_seeds_recipe() -> None:
    config = parsed()

    assert config == TrainConfig()
    assert (config.network, config.side_px, config.epochs) == ("seed_cnn", 100, 20)
    assert (config.batch_size, config.learning_rate) == (32, 1e-3)


def test_flags_set_fields() -> None:
    config = parsed("--epochs", "2", "--no-flip", "--learning-rate", "0.01")

    assert (config.epochs, config.flip, config.learning_rate) == (2, False, 0.01)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--epochs", "0"], "epochs is 0; the least is 1"),
        (["--learning-rate", "0"], "above 0"),
        (["--plateau-factor", "1.5"], r"in \(0, 1\)"),
        (["--side-px", "3"], "side_px is 3"),
        (["--fitted-head", "--start-share", "1"], r"start_share is 1.0; it must be in \[0, 1\)"),
        (["--start-share", "0.2"], "start_share is 0.2 without fitted_head"),
        (["--augmentation", "scenes", "--feature-pull", "-1"], "feature_pull is -1.0; the least"),
        (["--train-side-px", "64"], "train_side_px is 64 with augmentation 'turns'"),
        (["--networks", "0"], "networks is 0; the least is 1"),
        (["--networks", "3"], "networks is 3 with schedule 'plateau'; it needs 'cosine'"),
        (["--feature-pull", "0.3"], "feature_pull is 0.3 with augmentation 'turns'"),
        (["--head-drawn", "9", "--none-of-these"], "head_drawn is 9 with augmentation 'turns'"),
        (["--head-drawn", "9", "--augmentation", "scenes"], "none_of_these False; it needs"),
    ],
)
def test_a_value_out_of_range_is_refused(flags: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parsed(*flags)


def test_a_record_names_the_pictures_that_were_drawn_and_gives_the_settings_again() -> None:
    config = TrainConfig(augmentation="scenes", epochs=7)

    assert config.record()["draws"] == DRAWS
    assert TrainConfig.of_record(config.record()) == config
    assert "draws" not in TrainConfig(augmentation="turns").record()


def test_a_record_says_how_other_things_were_fitted_again_and_gives_the_settings() -> None:
    config = TrainConfig(augmentation="scenes", none_of_these=True, head_drawn=300)

    assert config.record()["head_drawn"] == 300
    assert config.record()["head_others_weight"] == OTHERS_WEIGHT
    assert TrainConfig.of_record(config.record()) == config
    assert "head_others_weight" not in TrainConfig(augmentation="scenes").record()
