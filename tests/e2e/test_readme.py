"""The examples under the README's *Predict*, run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import encode
from tests.e2e.conftest import ROOT, Server

ADDRESS = "http://127.0.0.1:7860"


def examples(heading: str) -> list[tuple[str, str]]:
    """Return the language and the text of each program in a section."""
    section = (ROOT / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    fences = re.findall(r"^( *)```(bash|python|js)\n(.*?)^\1```$", section, re.S | re.M)
    return [(language, textwrap.dedent(text)) for _, language, text in fences]


PREDICT = examples("Predict")


def node_modules() -> Path | None:
    """Return a folder that has ``@gradio/client``: of ``NODE_PATH``, or npm's global one."""
    folders = os.environ.get("NODE_PATH", "").split(os.pathsep)
    npm = shutil.which("npm")
    if npm:
        done = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False)
        folders.append(done.stdout.strip())
    return next((Path(f) for f in folders if f and (Path(f) / "@gradio/client").is_dir()), None)


def command(language: str, text: str, folder: Path) -> list[str]:
    """Return how the example is run, or skip the test where what runs it is not here."""
    if language == "python":
        return [sys.executable, "-c", text]
    if language == "bash":
        if not shutil.which("curl"):
            pytest.skip("needs curl")
        # curl alone calls an answer of 400 a success.
        strict = 'set -e; curl() { command curl --silent --show-error --fail-with-body "$@"; }\n'
        return ["bash", "-c", strict + text]
    if not shutil.which("node"):
        pytest.skip("needs Node")
    if "@gradio/client" in text:
        found = node_modules()
        if found is None:
            pytest.skip("needs @gradio/client: npm install, and name its folder in NODE_PATH")
        (folder / "node_modules").symlink_to(found)
    (folder / "example.mjs").write_text(text)
    return ["node", "example.mjs"]


def test_there_is_one_for_each_way_in() -> None:
    assert [language for language, _ in PREDICT] == ["bash", "python", "js", "python", "js"]


@pytest.mark.parametrize(
    ("language", "text"), PREDICT, ids=[f"{n}-{lang}" for n, (lang, _) in enumerate(PREDICT)]
)
def test_example_names_the_fruit(server: Server, tmp_path: Path, language: str, text: str) -> None:
    (tmp_path / "photo.jpg").write_bytes(encode("banana", "JPEG", 200))
    assert ADDRESS in text

    done = subprocess.run(
        command(language, text.replace(ADDRESS, server.url), tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "banana" in done.stdout
