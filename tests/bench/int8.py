"""What int8 would give: size, time and accuracy beside the float32 model. Run by hand.

    python -m tests.bench.int8

Static quantisation, QDQ format, per channel, U8 activations, calibrated on real photos of the
training split in the store; scored on the test split. Needs the extra ``train`` and an imported
store (``FRUIT_STATE_DIR`` or ``var``). Times are medians of one image on one thread, the two models
in turn, so that a change of the machine's speed meets both alike.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from data.snapshot import SnapshotImage
from data.splits import Split
from data.state import state_dir, store_dir
from data.store import DatasetStore
from models.registry import open_registry
from training.dataset import LabelledImages, load_images
from training.evaluate import score

SEED = 20


class Photos(CalibrationDataReader):
    """Hands out one image at a time, as onnxruntime wants it."""

    def __init__(self, name: str, images: np.ndarray) -> None:
        self._rows = iter([{name: image[None]} for image in images])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._rows, None)


def main() -> None:
    """Quantise the active version, score both, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibration-images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    version = open_registry(state_dir()).active()
    snapshot = DatasetStore(store_dir(state_dir())).snapshot()
    manifest = version.manifest

    def load(images: Sequence[SnapshotImage]) -> LabelledImages:
        return load_images(snapshot.root, images, manifest.labels, manifest.input.side_px)

    train = snapshot.select(split=Split.TRAIN, source="grocery")
    chosen = np.random.default_rng(SEED).choice(len(train), options.calibration_images)
    photos = Photos(manifest.input.name, load([train[row] for row in chosen]).pixels)
    with tempfile.TemporaryDirectory() as folder:
        small = quantise(version.model_path, Path(folder), photos)
        sessions = {"float32": session(version.model_path), "int8": session(small)}
        sizes = {"float32": version.model_path.stat().st_size, "int8": small.stat().st_size}
    test = load(snapshot.select(split=Split.TEST))
    times = time_in_turn(sessions, test.pixels[:1], options.rounds)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {version.version}"
    )
    for name, model in sessions.items():
        print(f"{name}: {sizes[name] / 1e6:.1f} MB, {times[name]:.2f} ms")
        rows = answers(model, test)
        scored = score(test.images, rows, manifest.labels, manifest.none_threshold)
        for part, scores in scored.items():
            print(f"  {part}: {scores.accuracy:.2%} of {scores.images:,}, {scores.others}")


def quantise(model: Path, folder: Path, photos: Photos) -> Path:
    """Return the path of the int8 model."""
    prepared, small = folder / "prepared.onnx", folder / "int8.onnx"
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(small),
        photos,
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return small


def session(model: Path) -> ort.InferenceSession:
    """Return the model, loaded to run on one thread."""
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    return ort.InferenceSession(model.read_bytes(), settings, providers=["CPUExecutionProvider"])


def time_in_turn(
    sessions: dict[str, ort.InferenceSession], image: np.ndarray, rounds: int
) -> dict[str, float]:
    """Return the median milliseconds of one image by model."""
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(rounds):
        for name, model in sessions.items():
            for _ in range(20):
                started = time.perf_counter()
                model.run(["probabilities"], {"image": image})
                times[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def answers(model: ort.InferenceSession, images: LabelledImages) -> NDArray[np.float32]:
    """Return the probabilities of each image, float32 (N, K)."""
    return np.concatenate(
        [model.run(["probabilities"], {"image": image[None]})[0] for image in images.pixels]
    )


if __name__ == "__main__":
    main()
