"""Heat maps: where they are hot, and what they look like on the picture."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.explain import OCCLUSION_CELLS, heat_from_maps, heat_from_occlusion, overlay


class FakePredictor:
    """Believes in column 1 as much as the top left corner is bright."""

    def run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        bright = batch[:, :10, :10].mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - bright, bright], axis=1).astype(np.float32)

    def run_with_maps(
        self, batch: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        return self.run(batch), None

    def warm_up(self) -> None: ...


def test_maps_are_hot_where_the_answer_beats_every_other_class() -> None:
    maps = np.zeros((2, 2, 3), np.float32)
    maps[0, 0] = (1, 9, 1)
    maps[0, 1] = (9, 9, 1)  # as good a case for another class
    maps[1, 0] = (1, 5, 1)

    assert heat_from_maps(maps, 1).tolist() == [[1.0, 0.0], [0.5, 0.0]]


def test_maps_without_any_case_for_the_answer_are_cold() -> None:
    assert heat_from_maps(np.zeros((2, 2, 3), np.float32), 0).tolist() == [[0, 0], [0, 0]]


def test_occlusion_finds_the_place_that_matters() -> None:
    heat = heat_from_occlusion(FakePredictor(), np.full((60, 60, 3), 255, np.uint8), 1)

    assert heat.shape == (OCCLUSION_CELLS, OCCLUSION_CELLS)
    assert heat[0, 0] == 1.0
    assert heat.sum() == 1.0


def test_overlay_keeps_the_size_and_reddens_what_is_hot() -> None:
    picture = Image.new("RGB", (80, 40), (30, 160, 60))

    laid = np.asarray(overlay(picture, np.array([[0.0, 1.0]], np.float32)), int)

    assert laid.shape == (40, 80, 3)
    assert laid[20, 79, 0] > laid[20, 79, 1] + 60  # red on the right
    assert np.ptp(laid[20, 0]) < 60  # nearly grey on the left
