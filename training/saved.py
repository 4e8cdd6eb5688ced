"""A trained network as a file of a version: written when it is published, read with distrust.

A Keras file can hold code, and loading it would run that. So none is read that a published version
does not vouch for, and none that needs code of its own.
"""

import tempfile
from pathlib import Path

import keras

from models.errors import InvalidVersion
from models.manifest import KERAS_NAME
from models.registry import ModelVersion


def model_file(model: keras.Model) -> bytes:
    """Return the trained network, not calibrated, as Keras saves it: where a retraining starts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / KERAS_NAME
        # A model around the same layers, without the optimizer's state, which is twice as large.
        keras.Model(model.input, model.output, name=model.name).save(path)
        return path.read_bytes()


def load_network(version: ModelVersion) -> keras.Model:
    """Return the trained network of a published version.

    Raises:
        InvalidVersion: its file is missing, differs from the checksum in the manifest, or is not a
            network that Keras loads without running code from the file.
    """
    path = version.verify(KERAS_NAME)
    try:
        return keras.models.load_model(path, safe_mode=True, compile=False)
    except (ValueError, TypeError, OSError, LookupError) as error:
        raise InvalidVersion(
            f"{path} is no network that can be loaded safely: {_first_sentence(error)}. Retrain "
            "from another version."
        ) from error


def _first_sentence(error: Exception) -> str:
    """Return what Keras refuses; its further advice is to switch the safety off."""
    return str(error).strip().partition("\n")[0].partition(". ")[0] or type(error).__name__
