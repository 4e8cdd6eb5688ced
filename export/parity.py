"""Do Keras and ONNX Runtime give the same probabilities for the same images?"""

from collections.abc import Callable
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.errors import ParityError
from models.manifest import OUTPUT_NAME

BATCH_SIZES: Final = (1, 3)
TOLERANCE: Final = 1e-5

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


_settings = onnxruntime.SessionOptions()


def use_threads(threads: int) -> None:
    """Bound ONNX Runtime's threads in what ``onnx_predict`` returns from now on; 0: one a core.

    Raises:
        ValueError: their number is negative.
    """
    if threads < 0:
        raise ValueError(f"threads is {threads}; the least is 0, which means one a core.")
    _settings.intra_op_num_threads = threads


def onnx_predict(content: bytes, output: str = OUTPUT_NAME) -> Predict:
    """Return the ONNX file as a function from uint8 (N, H, W, 3) to one of its outputs, float32.

    Args:
        content: of the file.
        output: by default the probabilities, (N, K).
    """
    session = onnxruntime.InferenceSession(content, _settings, providers=["CPUExecutionProvider"])
    (input_node,) = session.get_inputs()

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        (found,) = session.run([output], {input_node.name: images})
        return np.asarray(found, dtype=np.float32)

    return predict


def check_parity(
    reference: Predict, candidate: Predict, images: NDArray[np.uint8]
) -> dict[str, float]:
    """Return the largest difference of a probability, by batch size.

    Args:
        reference: Keras, from uint8 (N, H, W, 3) to float32 (N, K).
        candidate: ONNX Runtime, likewise.
        images: uint8 (N, H, W, 3), real ones; where there are fewer than the largest batch holds,
            they repeat in it.

    Raises:
        ParityError: a difference is above 1e-5, or a probability is not a number.
    """
    if 0 < len(images) < max(BATCH_SIZES):
        images = np.resize(images, (max(BATCH_SIZES), *images.shape[1:]))
    largest: dict[str, float] = {}
    for size in BATCH_SIZES:
        differences = [
            np.abs(
                reference(images[start : start + size]) - candidate(images[start : start + size])
            )
            for start in range(0, len(images) - size + 1, size)
        ]
        largest[str(size)] = float(np.max(differences))
        if not largest[str(size)] <= TOLERANCE:
            raise ParityError(
                f"Keras and ONNX Runtime differ by {largest[str(size)]:.2e} at batch {size}; the "
                f"limit is {TOLERANCE:.0e}. The version is not published."
            )
    return largest
