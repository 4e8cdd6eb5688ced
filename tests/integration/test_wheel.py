"""The wheel holds what an installed program needs, and nothing besides."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.registry import open_registry

ROOT = Path(__file__).parents[2]
PACKAGES = ["app", "training", "export", "models", "data"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel of a copy, because setuptools writes into the folder that it builds from."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / "project" / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "project")
    # With the setuptools of this environment, so that nothing is downloaded.
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, "."],
        cwd=folder / "project",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def test_every_module_and_every_file_of_the_baseline_is_in_it(wheel: zipfile.ZipFile) -> None:
    modules = {
        str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*.py")
    }
    baseline = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "models/baseline").iterdir()
        if path.is_file()
    }

    assert modules | baseline | {"app/grafana.json"} <= set(wheel.namelist())
    assert not [name for name in wheel.namelist() if name.startswith(("tests", "var", "build"))]


def test_its_metadata_names_the_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}

    points = wheel.read(f"{info}/entry_points.txt").decode()
    assert "fruit-classifier = app.__main__:main" in points
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


def test_the_unpacked_wheel_answers_outside_the_checkout(
    wheel: zipfile.ZipFile, tmp_path: Path, photos: Path
) -> None:
    wheel.extractall(tmp_path / "site")
    # Isolated: neither this checkout nor the folder that it is run from is on the path.
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); sys.argv[0] = "
        "'fruit-classifier'; import app.__main__ as m; print(m.__file__); sys.exit(m.main())"
    )
    command = [sys.executable, "-I", "-c", program]

    def run(*arguments: str) -> str:
        return subprocess.run(
            [*command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    answer = run("predict", str(photos / "orange.jpg"))
    assert str(tmp_path / "site" / "app") in answer
    assert open_registry(tmp_path).active().version in answer
    assert "usage: fruit-classifier" in run("--help")
    assert "fruit-classifier 0." in run("--version")
    assert (tmp_path / "site").is_dir()
    assert not (tmp_path / "site" / "var").exists()
