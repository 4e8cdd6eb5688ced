"""What the documents for engineers name is there."""

import re
from pathlib import Path

import pytest

from app.rest import ROUTES
from training.config import TrainConfig

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
CHANGES = (ROOT / "CHANGELOG.md").read_text()
FOLDERS = ("app", "training", "export", "models", "data", "tests", ".ci")


def named_paths() -> list[str]:
    """Every path of the project that the guide or the change log names."""
    words = re.findall(r"[\w./-]+", GUIDE + CHANGES)
    paths = {word.rstrip("./") for word in words if "/" in word or word.endswith((".py", ".md"))}
    return sorted(p for p in paths if p.split("/")[0] in FOLDERS and "NAME" not in p)


@pytest.mark.parametrize("path", named_paths())
def test_a_path_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_benches_that_are_named_by_their_file_exist() -> None:
    line = next(line for line in GUIDE.splitlines() if line.startswith("The benches"))

    benches = re.findall(r"`(\w+\.py)`", line)
    assert len(benches) >= 7
    for name in set(benches) - {"locustfile.py"}:
        assert (ROOT / "tests" / "bench" / name).is_file(), name


@pytest.mark.parametrize(
    "name",
    [
        "NETWORKS", "PUBLIC_SOURCES", "Placement", "ROUTES", "_STATUS", "gradio_error",
        "from_environment", "TrainConfig", "make_attachments", "attach", "verify",
        "load_model_input", "write_atomically", "DirectRoute", "EXCEPTIONS", "to_model_input",
    ],
)  # fmt: skip
def test_a_name_that_the_guide_gives_is_one_of_the_code(name: str) -> None:
    folders = ("app", "training", "export", "models", "data", ".ci")
    code = "".join(p.read_text() for folder in folders for p in (ROOT / folder).rglob("*.py"))

    assert name in GUIDE
    assert re.search(rf"\b{name}\b", code)


def test_the_route_and_the_flag_that_the_guide_gives_exist() -> None:
    assert ROUTES["/api/predict"] == "POST"
    assert "network" in TrainConfig.__dataclass_fields__


def test_the_change_log_begins_with_what_is_unreleased_and_names_the_version() -> None:
    headings = re.findall(r"^## (.+)$", CHANGES, re.MULTILINE)

    assert headings[0] == "[Unreleased]"
    assert headings[1].startswith("[0.1.0] - 2026-")
