"""What a training tells on the terminal."""

import io

from rich.console import Console

from training.console import ConsoleProgress, run_command
from training.errors import NotEnoughData


def test_every_stage_has_a_bar_of_its_own() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    progress = ConsoleProgress(console)

    for stage, steps in (("first", 4), ("second", 900)):
        progress.on_stage(stage)
        progress.on_step(1, steps)
    progress._bar.refresh()
    progress.close()

    assert "1/900" in console.file.getvalue().split("second")[-1]


def test_an_error_is_printed_as_it_is(capsys: object) -> None:
    def run(progress: ConsoleProgress) -> object:
        raise NotEnoughData("There is no 'my [old] photos.zip', nor [/x].")

    assert run_command(run) == 1
    assert "NotEnoughData: There is no 'my [old] photos.zip', nor [/x]." in capsys.readouterr().err
