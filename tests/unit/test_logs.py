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


HOSTILE = "a\r\n2026-11-23 ERROR app forged\x1b[31m\u2028\u202e\x00\ud800 é"


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_from_outside_begins_a_line_or_rules_the_terminal(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(form)
    logging.getLogger("app").warning("now serving v0001: %s", HOSTILE)

    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert all(character.isprintable() for character in written.removesuffix("\n"))
    assert "forged" in written


@pytest.mark.usefixtures("root")
def test_a_traceback_is_indented_and_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("text")
    try:
        raise ValueError("x\n2026-11-23 ERROR app - forged")
    except ValueError:
        logging.getLogger("app").exception("request %s failed", "r-1")

    first, *others = capsys.readouterr().err.splitlines()
    assert first.endswith("ERROR app - request r-1 failed")
    assert others[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") for line in others)
