"""Uploads that nobody needs any more are deleted, however many others arrive meanwhile."""

import os
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from gradio import route_utils
from gradio.components import file

from app.leftovers import begin_upload

_delete: Final = route_utils.delete_files_created_by_app


def delete_old_files(blocks: Any, age: int | None) -> None:
    """Delete the files of a page that are older than ``age`` seconds, all of them for None.

    Gradio goes through its own sets of names in a thread. An upload that adds a name meanwhile
    raises an error there, after which nothing is deleted until the server ends; so this lets it go
    through copies. It also keeps a name in the other sets that have it, and each file's own folder.
    """
    before = [names.copy() for names in blocks.temp_file_sets]
    left = [names.copy() for names in before]
    _delete(SimpleNamespace(blocks=blocks.blocks, temp_file_sets=left), age)  # type: ignore[arg-type]
    for names, earlier in zip(blocks.temp_file_sets, before, strict=False):
        gone = {name for name in earlier if not os.path.lexists(name)}
        names -= gone
        for name in gone:
            with suppress(OSError):  # another file lies there, or it is gone too
                Path(name).parent.rmdir()


def clean_up_well() -> None:
    """Make Gradio delete files as ``delete_old_files`` does, and leave no others behind."""
    route_utils.delete_files_created_by_app = delete_old_files
    vars(route_utils)["NamedTemporaryFile"] = begin_upload
    # For each file that is handed to a handler it makes an empty one, which nobody uses or deletes.
    vars(file)["tempfile"] = SimpleNamespace(NamedTemporaryFile=lambda **options: SimpleNamespace())
