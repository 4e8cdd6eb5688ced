"""A slice of ``tests/bench/faults.py``, which says what each fault is and what must hold after."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_app_stands_what_breaks_under_it() -> None:
    faults = ["second", "sigterm", "later", "index", "model"]
    command = [sys.executable, "-m", "tests.bench.faults", "--rounds", "1", "--only", *faults]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 of 1 stood") == len(faults)
