"""Outlines of made-up shapes: points, float64 (n, 2), x and y; and colours to fill them."""

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def turned(points: Points, angle: float) -> Points:
    """Return the points turned about the origin, in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    moved: Points = points @ np.array([[cos, sin], [-sin, cos]])
    return moved


def as_rgb(colour: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return a colour as Pillow fills with it."""
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue


def corners(points: Points) -> list[tuple[float, float]]:
    """Return the points as Pillow draws them."""
    return [(x, y) for x, y in points.tolist()]
