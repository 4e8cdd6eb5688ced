"""What eight bits give: size, time and answers beside the same network in floats. Run by hand.

    python -m tests.bench.int8

Exports the active version's network in floats, as it was before ``python -m training quantize``,
and puts the two ONNX files side by side: times are medians of one image, the two in turn, so that
a change of the machine's speed meets both alike. Where the store (``FRUIT_STATE_DIR`` or ``var``)
holds the test images, both are scored on them. Needs the extra ``train``.
"""

import argparse
import os
import platform
import statistics
import time

import numpy as np
import onnxruntime as ort

from data.snapshot import Snapshot
from data.splits import Split
from data.state import state_dir, store_dir
from data.store import DatasetStore
from export.convert import to_onnx
from export.parity import onnx_predict
from models.manifest import ModelManifest
from models.registry import open_registry
from training.columns import Columns
from training.dataset import load_images
from training.evaluate import score
from training.network import serving_network
from training.publishing import predict_all
from training.saved import load_network

_RUNS = 5  # of one model, before it is the other's turn


def main() -> None:
    """Export the active version in floats, time both, score both, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    version = open_registry(state_dir()).active()
    manifest = version.manifest
    if manifest.precision != "int8":
        raise SystemExit(f"{version.version} is in floats: python -m training quantize")
    network = serving_network(
        load_network(version), Columns.of_version(manifest), manifest.calibration
    )
    in_floats = to_onnx(
        network, labels=manifest.labels, version=version.version, input_spec=manifest.input
    )
    files = {"float32": in_floats, "int8": version.verify().read_bytes()}
    print(f"{platform.machine()}, {os.cpu_count()} cores, {version.version}")
    for threads in (1, 2):
        times = time_in_turn(files, manifest.input.side_px, threads, options.rounds)
        ratio = statistics.median(times["int8"]) / statistics.median(times["float32"])
        for name, content in files.items():
            found = times[name]
            print(
                f"{name}, {threads} threads: {len(content) / 1e6:.1f} MB, median "
                f"{statistics.median(found):.2f} ms, least {min(found):.2f} ms"
            )
        print(f"int8 / float32: {ratio:.2f}")
    store = DatasetStore(store_dir(state_dir()))
    print_scores(files, manifest, store.snapshot())
    store.close()


def time_in_turn(
    files: dict[str, bytes], side_px: int, threads: int, rounds: int
) -> dict[str, list[float]]:
    """Return the milliseconds of one image, by model."""
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    sessions = {
        name: ort.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
        for name, content in files.items()
    }
    image = np.random.default_rng(0).integers(0, 256, (1, side_px, side_px, 3), np.uint8)
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(rounds):
        for name, session in sessions.items():
            for _ in range(_RUNS):
                started = time.perf_counter()
                session.run(["probabilities"], {"image": image})
                times[name].append((time.perf_counter() - started) * 1000)
    return times


def print_scores(files: dict[str, bytes], manifest: ModelManifest, snapshot: Snapshot) -> None:
    """Print how both answer the store's test images."""
    test = load_images(
        snapshot.root, snapshot.select(split=Split.TEST), manifest.labels, manifest.input.side_px
    )
    if not len(test):
        print("The store holds no test image to score them on.")
        return
    answers = {
        name: predict_all(onnx_predict(content), test.pixels) for name, content in files.items()
    }
    for name, rows in answers.items():
        scored = score(test.images, rows, manifest.labels, manifest.none_threshold)
        for part, scores in scored.items():
            print(f"{name} {part}: {scores.accuracy:.2%} of {scores.images:,}, {scores.others}")
    apart = np.abs(answers["float32"] - answers["int8"]).max(axis=1)
    print(f"largest difference of a probability, mean over the images: {apart.mean():.4f}")


if __name__ == "__main__":
    main()
