"""What is said of the folds of a cross-validation."""

from pathlib import Path

import numpy as np

from data.snapshot import Snapshot, SnapshotImage
from data.splits import Split
from training.config import TrainConfig
from training.cross_validation import _judge, record_of

LABELS = ("apple", "mango")


def image(number: int, source: str) -> SnapshotImage:
    return SnapshotImage(f"{number}.png", LABELS[number % 2], f"{number}", Split.TRAIN, source, "")


def test_a_source_with_photos_in_some_folds_only_is_judged_in_those() -> None:
    """Such as one photo that was uploaded to a store full of others."""
    images = [*(image(number, "shop") for number in range(12)), image(12, "uploads")]
    logits = np.array([[1.0, -1.0] if i.label == "apple" else [-1.0, 1.0] for i in images])
    fold_of = np.arange(len(images)) % 3

    found = _judge(
        Snapshot.of(Path(), images).digest,
        record_of(TrainConfig(), "float32"),
        LABELS,
        images,
        logits.astype(np.float32),
        fold_of,
    )

    assert found.metrics["uploads/cross-validation"].accuracy == 1.0
    assert [sorted(fold) for fold in found.folds] == [
        ["shop/cross-validation", "uploads/cross-validation"],
        ["shop/cross-validation"],
        ["shop/cross-validation"],
    ]
