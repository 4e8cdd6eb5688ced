"""The notebook runs from its first cell to its last, and what it holds may be published."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "training" / "walkthrough.ipynb"
pytestmark = pytest.mark.timeout(600)  # under a minute on two idle cores
FACTS = """
import json

print(json.dumps({
    "accuracy": metrics["drawn/test"].accuracy,
    "images": metrics["drawn/test"].images,
    "parity": parity,
    "one": [prediction.label, prediction.version],
    "many": {answer.name: getattr(answer, "label", "refused") for answer in answers},
    "left": state.exists(),
}))
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the notebook's own variables say once the command of its first cell has run it all."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(FACTS))
    folder = tmp_path_factory.mktemp("walkthrough")
    nbformat.write(notebook, folder / NOTEBOOK.name)
    own = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "TMPDIR")
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "jupyter",
            "execute",
            "--inplace",
            "--startup_timeout=180",
            str(folder / NOTEBOOK.name),
        ],
        env=os.environ | dict.fromkeys(own, str(folder)),
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    (output,) = nbformat.read(folder / NOTEBOOK.name, as_version=4).cells[-1].outputs
    found: dict[str, Any] = json.loads(output.text)
    return found


def test_the_trained_network_names_drawings_that_it_never_saw(facts: dict[str, Any]) -> None:
    assert facts["images"] == 48
    assert facts["accuracy"] >= 0.9


def test_keras_and_onnx_runtime_answer_alike(facts: dict[str, Any]) -> None:
    assert set(facts["parity"]) == {"1", "3"}
    assert max(facts["parity"].values()) < 1e-5


def test_the_published_version_answers_one_and_many(facts: dict[str, Any]) -> None:
    assert facts["one"] == ["banana", "v0001"]
    assert facts["many"]["notes.txt"] == "refused"
    right = [name for name, label in facts["many"].items() if name == f"{label}.png"]
    assert len(right) >= 7


def test_nothing_stays_behind(facts: dict[str, Any]) -> None:
    assert facts["left"] is False


def test_every_cell_was_run_in_order_and_none_complained() -> None:
    cells = [c for c in nbformat.read(NOTEBOOK, as_version=4).cells if c.cell_type == "code"]

    outputs = [output for cell in cells for output in cell.outputs]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert [o.output_type for o in outputs if o.output_type == "error"] == []
    assert [o.text for o in outputs if o.get("name") == "stderr"] == []
    shown = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "drawn/test: " in shown


def test_the_kept_outputs_are_small_and_name_no_folder_of_a_machine() -> None:
    text = NOTEBOOK.read_text()

    assert len(text) < 300_000
    without_pictures = re.sub(r'"image/(png|jpeg)": "[^"]*"', "", text)
    assert len(without_pictures) < 30_000
    found = re.findall(r"(?:^|[\\s\"'(=])(/[a-z][\w.-]*/|[A-Z]:\\\\)[^\\s]*", without_pictures)
    assert found == []


def test_the_kept_pictures_are_charts_and_a_sheet_of_drawings() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    data = [output.data for cell in cells for output in cell.get("outputs", ()) if "data" in output]

    kinds = [kind for content in data for kind in content if kind.startswith("image/")]
    (sheet,) = [content["image/jpeg"] for content in data if "image/jpeg" in content]
    assert kinds == ["image/jpeg", "image/png", "image/png"]
    assert base64.b64decode(sheet)[:3] == b"\xff\xd8\xff"
