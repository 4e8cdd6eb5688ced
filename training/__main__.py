"""``python -m training`` trains a version from the store; ``evaluate`` scores one on pictures."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data.snapshot import Snapshot
from data.state import snapshots_dir, state_dir, store_dir
from data.store import DatasetStore
from models.registry import open_registry
from training.config import TrainConfig
from training.errors import MissingExtra


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "evaluate":
            return _evaluate(options)
        return _train(options)
    except ModuleNotFoundError as error:
        print(MissingExtra(error.name or "tensorflow"), file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=state_dir(),
        help="folder of all mutable state (default: FRUIT_STATE_DIR or var)",
    )
    TrainConfig.add_flags(parser)
    commands = parser.add_subparsers(dest="command", metavar="evaluate")
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
    return parser


def _evaluate(options: argparse.Namespace) -> int:
    from training.console import run_evaluation

    return run_evaluation(
        open_registry(options.state_dir), options.version, options.data, as_json=options.json
    )


def _train(options: argparse.Namespace) -> int:
    # TensorFlow takes seconds to import, so --help and wrong flags do not wait for it.
    from training.retrain import retrain_from_flags

    def take_snapshot() -> Snapshot:
        store = DatasetStore(store_dir(options.state_dir))
        snapshot = store.snapshot()
        store.close()
        snapshot.save(snapshots_dir(options.state_dir) / f"{snapshot.digest[:16]}.json")
        return snapshot

    return retrain_from_flags(options, take_snapshot)


if __name__ == "__main__":
    sys.exit(main())
