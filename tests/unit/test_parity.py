"""The proof that two runtimes answer alike: it holds for few pictures, and finds a difference."""

import numpy as np
import pytest
from numpy.typing import NDArray

from export.errors import ParityError
from export.parity import check_parity, use_threads

PIXELS = np.arange(7 * 2 * 2 * 3, dtype=np.uint8).reshape(7, 2, 2, 3)


def mean(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return images.mean(axis=(1, 2)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_any_number_of_pictures_is_compared_by_every_batch_size(count: int) -> None:
    assert check_parity(mean, mean, PIXELS[:count]) == {"1": 0.0, "3": 0.0}


def test_a_difference_in_a_batch_alone_is_found() -> None:
    def mixed(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.roll(mean(images), 1, axis=0)

    with pytest.raises(ParityError, match="at batch 3"):
        check_parity(mean, mixed, PIXELS[:2])


def test_fewer_threads_than_none_are_refused_before_anything_uses_them() -> None:
    with pytest.raises(ValueError, match="threads is -1; the least is 0"):
        use_threads(-1)
