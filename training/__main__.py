"""``python -m training`` trains a version from the store.

``cross-validate`` judges settings on every photo that may be trained on; ``evaluate`` scores a
published version on any pictures; ``rehearse`` keeps the features that quick retraining needs;
``examine`` keeps how a version answers each test image; ``quantize`` publishes a version again in
eight bits; ``fit-head`` publishes it again with another last layer, fitted to what is drawn now;
``average`` publishes the mean of versions that began alike; ``calibrate`` publishes a version again
with what a cross-validation of its settings found.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from data.state import state_dir
from data.store import take_snapshot
from models.registry import open_registry
from training.config import HEAD_DRAWN, TrainConfig, add_refit_flag
from training.errors import INTERRUPTED, MissingExtra
from training.memory import keep_freed_memory


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "evaluate":
            return _evaluate(options)
        if options.command == "examine":
            return _examine(options)
        keep_freed_memory()
        # TensorFlow takes seconds to import, so --help and wrong flags do not wait for it.
        from training.average import average_from_flags
        from training.last_layer import fit_head_from_flags
        from training.quantize import quantize_from_flags
        from training.recalibrate import recalibrate_from_flags
        from training.retrain import (
            cross_validate_from_flags,
            rehearse_from_flags,
            retrain_from_flags,
        )

        run = {
            "average": average_from_flags,
            "calibrate": recalibrate_from_flags,
            "cross-validate": cross_validate_from_flags,
            "fit-head": fit_head_from_flags,
            "quantize": quantize_from_flags,
            "rehearse": rehearse_from_flags,
            None: retrain_from_flags,
        }[options.command]
        return run(options, lambda: take_snapshot(options.state_dir))
    except ModuleNotFoundError as error:
        print(MissingExtra(error.name or "tensorflow"), file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training", description=__doc__.replace("``", "'")
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=state_dir(),
        help="folder of all mutable state (default: FRUIT_STATE_DIR or var)",
    )
    TrainConfig.add_flags(parser)
    add_refit_flag(parser)
    commands = parser.add_subparsers(
        dest="command",
        metavar="average | calibrate | cross-validate | evaluate | examine | fit-head | quantize | "
        "rehearse",
    )
    command = commands.add_parser(
        "average", help="publish the mean of the weights of versions that began alike"
    )
    command.add_argument(
        "versions", nargs="+", metavar="VERSION", help="two or more of one network"
    )
    command = commands.add_parser(
        "calibrate", help="publish a version again with the calibration of a cross-validation"
    )
    command.add_argument("file", type=Path, metavar="FILE", help="result of cross-validate")
    command.add_argument("--version", help="a published version (default: the active one)")
    command = commands.add_parser(
        "cross-validate", help="judge the settings on all photos of training and validation"
    )
    TrainConfig.add_flags(command, defaults=False)
    command.add_argument("--folds", type=int, default=5, help="networks to train (default: 5)")
    command.add_argument(
        "--precision",
        choices=("float32", "int8"),
        default="float32",
        help="in which they judge: 'int8' is what 'quantize' makes of a network, and with "
        "--head-drawn 'fit-head' after it (default: float32)",
    )
    command = commands.add_parser(
        "evaluate", help="score a published version on an archive or a folder of pictures"
    )
    command.add_argument("--version", help="a published version (default: the active one)")
    command.add_argument(
        "--data",
        type=Path,
        required=True,
        help="a public archive, or <class>/<image> as a zip or a folder",
    )
    command.add_argument("--json", action="store_true", help="print the scores as JSON")
    command = commands.add_parser(
        "rehearse", help="write the features of the store's images into a version's folder"
    )
    command.add_argument("--version", help="a published version (default: the active one)")
    command = commands.add_parser(
        "quantize", help="publish a version again with most of its network in eight bits"
    )
    command.add_argument("--version", help="a version in floats (default: the active one)")
    command = commands.add_parser(
        "fit-head", help="publish a version again with its columns of other things fitted anew"
    )
    command.add_argument("--version", help="a published version (default: the active one)")
    command.add_argument(
        "--drawn",
        type=int,
        default=HEAD_DRAWN,
        help=f"pictures to draw and fit to (default: {HEAD_DRAWN})",
    )
    command = commands.add_parser(
        "examine", help="write how a version answers the store's test images into its folder"
    )
    command.add_argument("--version", help="a published version (default: the active one)")
    return parser


def _evaluate(options: argparse.Namespace) -> int:
    from training.console import run_evaluation

    return run_evaluation(
        open_registry(options.state_dir), options.version, options.data, as_json=options.json
    )


def _examine(options: argparse.Namespace) -> int:
    from training.examine import examine_from_flags

    return examine_from_flags(options, lambda: take_snapshot(options.state_dir))


if __name__ == "__main__":
    status = main()
    if status == INTERRUPTED:
        # TensorFlow's threads go on for a moment, and can crash an interpreter that ends meanwhile.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
