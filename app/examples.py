"""Drawn fruit for the page's examples, written once into the state directory."""

import io
from pathlib import Path
from typing import Final

from data.drawings import EXAMPLE_LABELS, draw_fruit
from models.registry import write_atomically

SIDE_PX: Final = 256


def write_examples(folder: Path) -> list[Path]:
    """Return one drawn picture per example label; draws those that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / f"{label}.png", label) for label in EXAMPLE_LABELS]


def _write(path: Path, label: str) -> Path:
    if not path.exists():
        buffer = io.BytesIO()
        draw_fruit(label, SIDE_PX).save(buffer, "PNG")
        write_atomically(path, buffer.getvalue())
    return path
