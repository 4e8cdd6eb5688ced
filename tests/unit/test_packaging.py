"""What a Space installs and shows agrees with the project's own files."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINNED = {
    canonicalize_name(Requirement(line).name): Requirement(line)
    for line in (ROOT / "requirements.txt").read_text().splitlines()
}


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *EXTRAS["train"]])
def test_requirements_pin_what_serving_and_retraining_need_within_its_bounds(line: str) -> None:
    wanted = Requirement(line)

    pinned = PINNED[canonicalize_name(wanted.name)]

    (exact,) = pinned.specifier
    assert exact.operator == "=="
    assert wanted.specifier.contains(exact.version)


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *EXTRAS["train"]])
def test_every_dependency_is_bounded_on_both_sides(line: str) -> None:
    operators = {bound.operator for bound in Requirement(line).specifier}

    assert operators == {">=", "<"}


def test_requirements_hold_names_and_versions_only() -> None:
    text = (ROOT / "requirements.txt").read_text()

    assert "://" not in text
    assert "--" not in text


def test_the_space_runs_the_pinned_gradio_and_a_launcher_that_exists() -> None:
    front_matter = (ROOT / "README.md").read_text().split("---")[1]
    fields = dict(line.split(": ", 1) for line in front_matter.strip().splitlines() if ": " in line)

    (gradio,) = PINNED["gradio"].specifier
    assert fields["sdk"] == "gradio"
    assert fields["sdk_version"] == gradio.version
    assert (ROOT / fields["app_file"]).is_file()
    assert PROJECT["requires-python"] == f">={fields['python_version'].strip(chr(34))}"


def test_a_container_is_built_from_all_that_the_project_needs_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "packages"
    ]

    assert "*" in lines
    assert sent == {package.split(".")[0] for package in packages} | {
        "pyproject.toml", "requirements.txt", PROJECT["readme"], *PROJECT["license-files"],
    }  # fmt: skip
