"""A job lets everything else go first, also where the cores are shared out by session."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os
from pathlib import Path
from training.job import _step_back
session = Path("/proc/self/autogroup")
print(session.read_text().strip())
_step_back(7)
print(session.read_text().strip())
print(os.nice(0))
"""


def session_niceness(text: str) -> str:
    """Return N of ``/autogroup-123 nice N``; nothing where a control group shares out instead."""
    return text.partition("nice")[2].strip()


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="needs Linux's autogroup")
@pytest.mark.parametrize("own_session", [True, False])
def test_a_job_and_its_own_session_are_nice_but_not_the_session_of_a_terminal(
    own_session: bool,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True,
        start_new_session=own_session,
    )  # fmt: skip

    before, after, niceness = done.stdout.split("\n")[:3]
    assert int(niceness) == min(19, os.nice(0) + 7)  # these tests may step back themselves
    # Only the process itself knows: a new session can be in an autogroup where this one is not.
    assert session_niceness(after) == (
        "5" if own_session and session_niceness(before) else session_niceness(before)
    )
