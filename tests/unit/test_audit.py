"""The audit counts, and finds what crosses splits."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.audit import audit
from data.splits import Split
from data.store import DatasetStore


def picture(seed: int, shift: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 200, (8, 9, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((90, 80), Image.Resampling.BICUBIC)) + np.uint8(shift)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    store = DatasetStore(tmp_path / "store")
    for seed, label, split, shift in (
        (1, "kiwi", Split.TRAIN, 0),
        (1, "kiwi", Split.TEST, 2),
        (2, "kiwi", Split.TRAIN, 0),
        (3, "lime", Split.TRAIN, 0),
        (4, "lime", Split.VALIDATION, 0),
    ):
        store.add(
            picture(seed, shift),
            label=label,
            source="folders",
            original_name=f"{seed}-{split}.png",
            split=split,
            joins_scenes=False,
        )
    return store


def test_audit_finds_a_training_image_that_nearly_equals_a_test_image(store: DatasetStore) -> None:
    result = audit(store)

    (pair,) = result.near_duplicates
    assert pair.image.original_name == "1-train.png"
    assert pair.other.original_name == "1-test.png"
    assert result.near_duplicate_counts == {("folders", Split.TRAIN, Split.TEST): 1}


def test_audit_counts_sizes_imbalance_and_gaps(store: DatasetStore) -> None:
    result = audit(store)

    assert result.counts["folders", "kiwi", Split.TRAIN] == 2
    assert result.imbalance == 2.0
    assert result.rare == {"kiwi": [Split.VALIDATION], "lime": [Split.TEST]}
    assert result.sides_px == {"folders": (80, 80, 80)}
