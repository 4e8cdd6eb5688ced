"""One onnxruntime session: pixels in, probabilities out. Knows no files, requests or metrics."""

from pathlib import Path
from typing import Final, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from app.errors import ModelMismatch
from models.manifest import ModelManifest
from models.registry import ModelVersion


class Predictor(Protocol):
    """Whatever turns a batch of images into probabilities."""

    def run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32 (N, K) for uint8 (N, side_px, side_px, 3)."""

    def run_with_maps(
        self, batch: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return the same, and the activation maps float32 (N, h, w, K) where there are any."""

    def warm_up(self) -> None:
        """Run once, so that the first caller does not wait for what happens only once."""


class OnnxPredictor:
    """A model file, loaded and checked against its manifest.

    ``run`` may be called from many threads at once; onnxruntime's sessions allow that.

    Args:
        path: the ONNX file.
        manifest: what the file should be.
        threads: threads within one run.

    Raises:
        ModelMismatch: onnxruntime cannot load the file, or it is not what the manifest says.
    """

    def __init__(self, path: Path, manifest: ModelManifest, threads: int = 1) -> None:
        self._input: Final = manifest.input
        self._output: Final = manifest.output
        self._maps_output: Final = manifest.maps_output
        try:
            self._session = ort.InferenceSession(
                str(path), _session_options(threads), providers=["CPUExecutionProvider"]
            )
        # onnxruntime's own exceptions share no base but Exception.
        except Exception as error:
            raise ModelMismatch(f"{path} cannot be loaded by onnxruntime: {error}") from error
        _check(self._session, path, manifest)

    @classmethod
    def load(cls, version: ModelVersion, threads: int = 1) -> "OnnxPredictor":
        """Return the predictor of a published version, its checksum verified.

        Raises:
            InvalidVersion: the file differs from its checksum.
            ModelMismatch: it is not what the manifest says.
        """
        version.verify()
        return cls(version.model_path, version.manifest, threads)

    def run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities of each image.

        Args:
            batch: uint8 (N, side_px, side_px, 3), RGB, 0..255.

        Returns:
            float32 (N, K), each row summing to 1, in the order of the manifest's labels.
        """
        probabilities: NDArray[np.float32]
        (probabilities,) = self._session.run([self._output], {self._input.name: batch})
        return probabilities

    def run_with_maps(
        self, batch: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return the probabilities and what each place of the images adds to them, in one run.

        Args:
            batch: as for ``run``.

        Returns:
            float32 (N, K), and float32 (N, h, w, K), the logits of each place; None where the
            network does not average over places.
        """
        if self._maps_output is None:
            return self.run(batch), None
        outputs = [self._output, self._maps_output]
        probabilities, maps = self._session.run(outputs, {self._input.name: batch})
        return probabilities, maps

    def warm_up(self) -> None:
        """Run one black image."""
        side_px = self._input.side_px
        self.run(np.zeros((1, side_px, side_px, 3), np.uint8))


def _session_options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads that spin take the cores from other requests and from a retraining beside.
    # https://onnxruntime.ai/docs/performance/tune-performance/threading.html
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = (
        3  # errors only: warnings tell of graph details and of missing GPUs
    )
    return options


def _check(session: ort.InferenceSession, path: Path, manifest: ModelManifest) -> None:
    """Raise ModelMismatch unless the graph takes and returns what the manifest says."""
    side_px, k = manifest.input.side_px, len(manifest.labels)
    inputs = [(i.name, i.type, list(i.shape)[1:]) for i in session.get_inputs()]
    outputs = {o.name: (o.type, list(o.shape)[1:]) for o in session.get_outputs()}
    expected_input = (manifest.input.name, "tensor(uint8)", [side_px, side_px, 3])
    if inputs != [expected_input]:
        raise ModelMismatch(f"{path} takes {inputs}; its manifest says {[expected_input]}.")
    if outputs.get(manifest.output) != ("tensor(float)", [k]):
        raise ModelMismatch(
            f"{path} returns {outputs}; its manifest says {manifest.output!r} with {k} columns."
        )
    if manifest.maps_output and outputs.get(manifest.maps_output, ("", []))[1][-1:] != [k]:
        raise ModelMismatch(
            f"{path} returns {outputs}; its manifest says {manifest.maps_output!r} with {k} "
            "columns."
        )
