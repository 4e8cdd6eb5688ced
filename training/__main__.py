"""Train a version from the store: ``python -m training``; every setting is a flag."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data.state import snapshots_dir, state_dir, store_dir
from data.store import DatasetStore
from models.registry import ModelVersion, open_registry
from training.config import TrainConfig
from training.errors import MissingExtra

if TYPE_CHECKING:
    from training.train import Epoch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=state_dir(),
        help="folder of all mutable state (default: FRUIT_STATE_DIR or var)",
    )
    TrainConfig.add_flags(parser)
    options = parser.parse_args(arguments)
    try:
        # TensorFlow takes seconds to import, so --help and wrong flags do not wait for it.
        from training.console import run_command
        from training.retrain import retrain
        from training.train import use_threads
    except ModuleNotFoundError as error:
        print(MissingExtra(error.name or "tensorflow"), file=sys.stderr)
        return 1

    def run(on_stage: Callable[[str], None], on_epoch: "Callable[[Epoch], None]") -> ModelVersion:
        config = TrainConfig.from_flags(options)
        use_threads(config.threads)
        store = DatasetStore(store_dir(options.state_dir))
        snapshot = store.snapshot()
        store.close()
        snapshot.save(snapshots_dir(options.state_dir) / f"{snapshot.digest[:16]}.json")
        registry = open_registry(options.state_dir)
        return retrain(snapshot, config, registry, on_stage=on_stage, on_epoch=on_epoch)

    return run_command(run)


if __name__ == "__main__":
    sys.exit(main())
