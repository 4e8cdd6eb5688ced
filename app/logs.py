"""How the program logs: readable lines or JSON, each with the request that it belongs to."""

import logging
import sys
import unicodedata
from contextvars import ContextVar
from typing import Any, Final

from pythonjsonlogger.json import JsonFormatter

FORMATS: Final = ("text", "json")
LEVELS: Final = ("debug", "info", "warning", "error")
_NO_REQUEST: Final = "-"
_FIELDS: Final = "%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s"

request_id: ContextVar[str] = ContextVar("request_id", default=_NO_REQUEST)


class _OneLine(logging.Formatter):
    """Writes a record so that nothing in it can pass for another one.

    What a stranger sent may stand in a message: line breaks would begin lines of their own, and
    other control characters would rule the terminal that shows them. A traceback is indented.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        lines = super().formatException(ei).split("\n")
        return "\n".join(f"  {_visible(line)}" for line in lines)


def _visible(text: str) -> str:
    return "".join(
        character
        if character.isprintable() or unicodedata.category(character) == "Zs"
        else character.encode("unicode_escape").decode()
        for character in text
    )


class _WithRequest(logging.Filter):
    """Adds the request that is being answered to every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "request_id"):
            record.request_id = request_id.get()
        return True


def configure_logs(form: str = "text", level: str = "info") -> None:
    """Log to standard error.

    Args:
        form: ``text``, or ``json`` for one object a line.
        level: the least that is logged; successful requests are at ``debug``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_WithRequest())
    handler.setFormatter(
        JsonFormatter(
            _FIELDS,
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )
        if form == "json"
        else _OneLine(_FIELDS)
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Every request of a client of ours is no news of this program's.
    for name in ("httpx", "httpx2", "apscheduler", "mcp"):
        logging.getLogger(name).setLevel(logging.WARNING)
