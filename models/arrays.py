"""Files of several arrays (NumPy's npz), read without trusting what is in them."""

import io
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidVersion

# What a file with a wrong byte may raise on its way through zipfile, zlib and NumPy.
_DAMAGED: Final = (
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    RuntimeError,
    BadZipFile,
    zlib.error,
    SyntaxError,
    MemoryError,
    TokenError,
)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file, by name.

    Raises:
        InvalidVersion: the file cannot be read, is damaged, or holds Python objects.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except _DAMAGED as error:
        raise InvalidVersion(f"{path} cannot be read: {error}") from error
