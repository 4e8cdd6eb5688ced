"""Files that could hold code, or paths that lead elsewhere, are read in one guarded place each."""

import ast
from pathlib import Path

import numpy as np
import pytest

from models.arrays import read_arrays
from models.errors import InvalidVersion

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "training", "export", "models", "data")


def calls_of(*names: str) -> dict[str, list[dict[str, object]]]:
    """Return the keyword arguments of each call of a function of that name, by module."""
    found: dict[str, list[dict[str, object]]] = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names:
                keywords = {
                    str(keyword.arg): getattr(keyword.value, "value", None)
                    for keyword in node.keywords
                }
                found.setdefault(path.relative_to(ROOT).as_posix(), []).append(keywords)
    return found


def test_keras_files_are_loaded_in_safe_mode_in_one_place() -> None:
    found = calls_of("load_model")

    assert found == {"training/saved.py": [{"safe_mode": True, "compile": False}]}
    assert calls_of("enable_unsafe_deserialization") == {}


def test_onnx_files_are_loaded_where_the_checksum_was_verified_or_the_bytes_were_made() -> None:
    assert set(calls_of("InferenceSession")) == {"app/predictor.py", "export/parity.py"}
    # Each of these takes its bytes from `ModelVersion.verify` or from `to_onnx`.
    assert set(calls_of("onnx_predict")) == {
        "export/quantize.py",
        "training/examine.py",
        "training/features.py",
        "training/last_layer.py",
        "training/publishing.py",
        "training/quick.py",
        "training/recalibrate.py",
        "training/retrain.py",
        "training/score.py",
    }


def test_arrays_are_read_without_python_objects_in_one_place() -> None:
    found = calls_of("load")

    assert found["models/arrays.py"] == [{"allow_pickle": False}]
    pickles = {name for name, uses in found.items() if any("allow_pickle" in use for use in uses)}
    assert pickles == {"models/arrays.py"}


def test_archives_are_never_unpacked_to_disk() -> None:
    assert calls_of("extractall", "extract", "unpack_archive") == {}


class Intruder:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return (Path.touch, (self.path,))


def test_an_array_file_with_objects_is_refused_and_nothing_in_it_runs(tmp_path: Path) -> None:
    path, trace = tmp_path / "examination.npz", tmp_path / "ran"
    np.savez(path, known=np.array([Intruder(trace)], dtype=object))

    with pytest.raises(InvalidVersion, match=r"examination\.npz cannot be read"):
        read_arrays(path)

    assert not trace.exists()
    np.load(path, allow_pickle=True)["known"]
    assert trace.exists()  # it would have
