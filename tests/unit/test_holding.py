"""One app for one state folder."""

import os
from pathlib import Path

import pytest

from app.errors import StateInUse, StateUnusable
from app.holding import holding


def test_a_second_app_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with (
        holding(state),
        pytest.raises(StateInUse, match=f"in use by the app with process {os.getpid()}"),
        holding(state),
    ):
        pass

    assert not (state / "app.pid").exists()
    with holding(state):  # who ended holds nothing
        assert (state / "app.pid").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(StateUnusable, match=r"cannot be written \(.* FRUIT_STATE_DIR"),
        holding(tmp_path / "file" / "state"),
    ):
        pass
