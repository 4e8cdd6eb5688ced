"""Logs that a person or a program reads, each line with its request."""

import json
import logging
from collections.abc import Iterator

import pytest

from app.logs import configure_logs, request_id


@pytest.fixture
def root() -> Iterator[None]:
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.mark.usefixtures("root")
def test_json_lines_name_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json")
    token = request_id.set("r-1")
    logging.getLogger("app.rest").info("POST %s", '/api/predict "x"')
    request_id.reset(token)
    logging.getLogger("app.jobs").warning("alone")

    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["message"] == 'POST /api/predict "x"'
    assert (first["level"], first["logger"], first["request_id"]) == ("INFO", "app.rest", "r-1")
    assert second["request_id"] == "-"


@pytest.mark.usefixtures("root")
def test_a_line_break_from_outside_makes_no_second_json_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("json")
    logging.getLogger("app").warning("one\ntwo")
    assert json.loads(capsys.readouterr().err)["message"] == "one\ntwo"


@pytest.mark.usefixtures("root")
def test_the_level_hides_what_is_below(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("text", "warning")
    logging.getLogger("app").info("hidden")
    logging.getLogger("app").warning("seen")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("WARNING app - seen")
