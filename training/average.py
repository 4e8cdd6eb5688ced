"""A version whose weights are the mean of others': ``python -m training average``.

Networks that began alike and trained on other pictures lie in one valley, and so does what is
between them (M. Wortsman et al., "Model soups", arXiv:2203.05482). So what one of them was taught
reaches another that answers better elsewhere. What it gave is in ``training/EXPERIMENTS.md``.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rich.console import Console

from data.snapshot import Snapshot
from data.splits import Split
from models.manifest import REHEARSAL_NAME
from models.registry import ModelRegistry, ModelVersion, open_registry
from training.columns import Columns
from training.config import HEAD_SHIFT
from training.console import ConsoleProgress, print_version, run_command
from training.dataset import judging_images
from training.errors import NotEnoughData, UnlikeNetworks
from training.features import REHEARSING, Backbone, learned_from, make_rehearsal
from training.namesakes import without_namesakes
from training.network import has_backbone, serving_network
from training.other_columns import head_shift
from training.publishing import exported_network, publish_remade
from training.sampling import tell_left_out
from training.saved import load_network, model_file
from training.train import use_threads


def average(
    versions: Sequence[ModelVersion],
    snapshot: Snapshot,
    registry: ModelRegistry,
    *,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> ModelVersion:
    """Publish the mean of the versions' weights in floats, and return it.

    Calibration, threshold and all that is said of how it was trained are those of the last one, but
    that the shift of none of these allows for what ``fit-head`` fitted each with. It carries a
    comparison with the last one; it is not made active.

    Args:
        versions: two or more of one network and the same labels; those in eight bits count by the
            floats that they came from.
        snapshot: the store's images: those of test judge, and those that the last version knows are
            rehearsed.
        registry: where it is published.
        on_stage: told in words what happens next, and what the store lacks.
        on_step: told how many images are looked at, and how many there are.

    Raises:
        UnlikeNetworks: the versions are fewer than two, or not of one network and its outputs.
        NotEnoughData: the store has no test image of their labels, or nothing to rehearse of one.
        ParityError: the result answers too differently in ONNX Runtime.
        InvalidVersion: a version's files are missing or damaged.
    """
    names = ", ".join(version.version for version in versions)
    start = versions[-1]
    columns = Columns.of_version(start.manifest)
    if len({version.version for version in versions}) < 2:
        raise UnlikeNetworks(f"The mean of {names} is nothing new. Name two versions or more.")
    if any(Columns.of_version(version.manifest) != columns for version in versions):
        raise UnlikeNetworks(
            f"{names} do not name the same things. Name versions that were trained with the same "
            "settings from the same beginning."
        )
    on_stage(f"Reading {names}")
    networks = [load_network(version) for version in versions]
    weights = [network.get_weights() for network in networks]
    if len({tuple(w.shape for w in some) for some in weights}) > 1:
        raise UnlikeNetworks(f"{names} are of networks that differ in their layers.")
    model = networks[-1]
    model.set_weights([np.mean(same, axis=0) for same in zip(*weights, strict=True)])
    labels, input_spec = start.manifest.labels, start.manifest.input
    judges = without_namesakes(snapshot, labels)
    test = judging_images(judges, Split.TEST, labels, input_spec.side_px)
    if not len(test):
        raise NotEnoughData(
            f"The store holds no test image of what {start.version} knows. Import photographs "
            "first: python -m data fetch grocery."
        )
    rehearses = has_backbone(model) and REHEARSAL_NAME in start.checksums
    known = learned_from(start, snapshot, on_stage) if rehearses else None
    tell_left_out(on_stage, "to judge by", len(test), test.left_out)
    calibration = start.manifest.calibration
    how = start.manifest.training | {"mean_of": [version.version for version in versions]}
    shifts = [head_shift(version.manifest) for version in versions]
    if calibration and any(shifts):
        how[HEAD_SHIFT] = between = float(np.mean(shifts))
        shift = calibration.none_shift - shifts[-1] + between
        calibration = calibration.model_copy(update={"none_shift": shift})
    serving = serving_network(model, columns, calibration)
    changes = {"precision": "float32", "training": how, "calibration": calibration}

    def make_content(version: str) -> tuple[bytes, dict[str, float]]:
        return exported_network(serving, labels, version, input_spec, test.pixels)

    def make_files(content: bytes) -> dict[str, bytes]:
        if known is None:
            return {}
        on_stage(REHEARSING)
        return {REHEARSAL_NAME: make_rehearsal(Backbone.of(model), known, on_step).to_bytes()}

    network = model_file(model)
    return publish_remade(
        start, registry, test, make_content, changes, network, make_files, on_stage
    )


def average_from_flags(options: argparse.Namespace, take_snapshot: Callable[[], Snapshot]) -> int:
    """Run ``average`` with its progress on the terminal, and return the exit status."""

    def run(progress: ConsoleProgress) -> Callable[[Console], None]:
        use_threads(options.threads)
        registry = open_registry(options.state_dir)
        versions = [registry.get(name) for name in options.versions]
        told: dict[str, Any] = {"on_stage": progress.on_stage, "on_step": progress.on_step}
        published = average(versions, take_snapshot(), registry, **told)
        return lambda console: print_version(published, console)

    return run_command(run)
