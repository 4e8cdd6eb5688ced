"""Answers of the folds of a cross-validation that are finished, so that hours are not lost.

A run that was stopped goes on behind them; the last thing that it does is to take them away.
"""

import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.arrays import read_arrays
from models.errors import InvalidVersion
from models.registry import write_atomically
from training.errors import InvalidCrossValidation


class KeptFolds:
    """What networks answered about their own folds, a file each.

    Args:
        folder: of one snapshot, one set of settings and one number of folds; made with the first
            of them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, fold: int, rows: Sequence[int], width: int) -> NDArray[np.float32] | None:
        """Return float32 (N, K) logits of the images of a fold, None where it is not finished.

        Args:
            fold: counted from 0.
            rows: the N images that it judges.
            width: K.

        Raises:
            InvalidCrossValidation: its file is damaged, or judged other images.
        """
        path = self._path(fold)
        if not path.exists():
            return None
        try:
            content = read_arrays(path)
            logits = content["logits"]
            if not np.array_equal(content["rows"], rows) or logits.shape != (len(rows), width):
                raise InvalidCrossValidation(
                    f"{path} holds answers about other images. Remove it to train that fold again."
                )
        except (InvalidVersion, KeyError) as error:
            raise InvalidCrossValidation(
                f"{path} holds no answers of a fold: {error}. Remove it to train that fold again."
            ) from error
        return logits.astype(np.float32)

    def keep(self, fold: int, rows: Sequence[int], logits: NDArray[np.float32]) -> None:
        """Write what ``read`` returns."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, rows=np.asarray(rows, np.int64), logits=logits)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path(fold), buffer.getvalue())

    def forget(self) -> None:
        """Remove them all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, fold: int) -> Path:
        return self.folder / f"fold-{fold + 1}.npz"
