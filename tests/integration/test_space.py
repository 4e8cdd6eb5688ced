"""The launcher that a Hugging Face Space runs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_launcher_runs_the_app_with_the_settings_of_the_environment() -> None:
    done = subprocess.run(
        [sys.executable, "space.py"],
        cwd=ROOT,
        env=os.environ | {"FRUIT_MAX_FILES": "many"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "FRUIT_MAX_FILES" in done.stderr
