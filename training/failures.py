"""What a training may run into, and how that is said; for the commands and the jobs."""

from typing import Final

from sqlalchemy.exc import OperationalError

from data.errors import DataError
from export.errors import ExportError
from models.errors import ModelError
from training.errors import TrainingError

_OURS: Final = (DataError, ExportError, ModelError, TrainingError)
EXPECTED: Final = (*_OURS, ValueError, OperationalError, OSError)


def in_words(error: Exception) -> str:
    """Return what one of the expected errors means, and what to do."""
    if isinstance(error, OperationalError):
        return f"The index of the photos could not be used ({error.orig}). Start it again."
    if isinstance(error, OSError) and not isinstance(error, _OURS):
        where = f" ({error.filename})" if error.filename else ""
        return f"It could not go on: {error.strerror or error}{where}. Mend that, then start again."
    return str(error)
