"""A version in eight bits: ``python -m training quantize``.

Nothing is trained. The published network is exported anew, most of it in integers whose ranges come
from training images in the store, judged on the test images beside the version that it came from,
and published as the next version. Retrainings that start from it stay in eight bits.
"""

import argparse
from collections.abc import Callable
from typing import Any

from data.snapshot import Snapshot
from data.splits import Split
from export.quantize import quantized
from models.manifest import KERAS_NAME, REHEARSAL_NAME
from models.registry import ModelRegistry, ModelVersion
from training.columns import Columns
from training.console import publish_again
from training.dataset import judging_images, typical_images
from training.errors import NoBackbone, NotEnoughData, QuantizedAlready
from training.features import REHEARSING, Backbone, learned_from, make_rehearsal
from training.namesakes import without_namesakes
from training.network import has_backbone, serving_network
from training.publishing import exported_network, publish_remade
from training.sampling import tell_left_out
from training.saved import load_network
from training.train import use_threads


def quantize(
    start: ModelVersion,
    snapshot: Snapshot,
    registry: ModelRegistry,
    *,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> ModelVersion:
    """Publish a version in eight bits, and return it.

    It carries a comparison with the version that it came from; it is not made active.

    Args:
        start: a version in floats whose network has features.
        snapshot: the store's images: some of training set the ranges, those of test judge, and
            those that the version knows are rehearsed. Pictures of none of the classes that show
            an added class do not judge.
        registry: where it is published.
        on_stage: told in words what happens next, and what the store lacks.
        on_step: told how many images are looked at, and how many there are.

    Raises:
        QuantizedAlready: the version is in eight bits.
        NoBackbone: its network has no features, before which the integers would end.
        NotEnoughData: the store has no training or no test image of its labels, or nothing to
            rehearse of one that it rehearses.
        ParityError: the result answers too differently.
        InvalidVersion: the version's files are missing or damaged.
    """
    if start.manifest.precision == "int8":
        raise QuantizedAlready(start.version)
    on_stage(f"Reading {start.version}")
    model = load_network(start)
    if not has_backbone(model):
        raise NoBackbone(model.name)
    labels, input_spec = start.manifest.labels, start.manifest.input
    typical = typical_images(snapshot, labels, input_spec.side_px)
    judges = without_namesakes(snapshot, labels)
    test = judging_images(judges, Split.TEST, labels, input_spec.side_px)
    if not len(typical) or not len(test):
        raise NotEnoughData(
            f"The store holds {len(typical)} training and {len(test)} test images of what "
            f"{start.version} knows; some of both are needed. Import photographs first: python -m "
            "data fetch grocery."
        )
    known = learned_from(start, snapshot, on_stage)
    tell_left_out(on_stage, "to judge by", len(test), test.left_out)
    serving = serving_network(model, Columns.of_version(start.manifest), start.manifest.calibration)

    def make_content(version: str) -> tuple[bytes, dict[str, float]]:
        content, errors = exported_network(serving, labels, version, input_spec, test.pixels)
        on_stage(f"Quantizing by {len(typical):,} training images")
        return quantized(content, typical.pixels), errors

    def make_files(content: bytes) -> dict[str, bytes]:
        on_stage(REHEARSING)
        return {
            REHEARSAL_NAME: make_rehearsal(Backbone.of(model, content), known, on_step).to_bytes()
        }

    network = start.verify(KERAS_NAME).read_bytes()
    return publish_remade(
        start, registry, test, make_content, {"precision": "int8"}, network, make_files, on_stage
    )


def quantize_from_flags(options: argparse.Namespace, take_snapshot: Callable[[], Snapshot]) -> int:
    """Run ``quantize`` with its progress on the terminal, and return the exit status."""

    def publish(*of: Any, **told: Any) -> ModelVersion:
        use_threads(options.threads)
        return quantize(*of, **told)

    return publish_again(options, take_snapshot, publish)
