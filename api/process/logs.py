"""Logs: one JSON object a line (short text on a terminal), without personal data.

What lives here: the form of a log line and what of the libraries is let through. What does not: what is logged (each
module has a logger under `consentric`). Of an exception its class and places are written, never its text, which may
quote what somebody sent; neither are paths with parameters, addresses of clients, or credentials.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final

import orjson

ROOT: Final = "consentric"
QUIET: Final = ("neo4j", "uvicorn", "asyncio", "multipart", "httpx")
"""Libraries whose debugging output quotes statements, parameters or addresses: only their warnings are let through."""


class LineFormatter(logging.Formatter):
    """A record as a JSON line, or as short text for people. Extra fields come in the record's `fields`."""

    def __init__(self, *, for_people: bool = False) -> None:
        super().__init__()
        self._for_people = for_people

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields: dict[str, Any] = dict(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = describe_exception(record.exc_info[1])
        at = datetime.fromtimestamp(record.created, UTC)
        if self._for_people:
            told = " ".join(f"{name}={value}" for name, value in fields.items())
            return f"{at.astimezone():%H:%M:%S} {record.levelname:<7} {record.getMessage()} {told}".rstrip()
        line = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return orjson.dumps(line | fields, default=str).decode()


def describe_exception(error: BaseException, places: int = 12) -> str:
    """Class and places of an exception, the innermost first."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    found = [f"{frame.filename}:{frame.lineno}" for frame in frames]
    return " < ".join([type(error).__qualname__, *found[:places]])


def configure_logs(level: str) -> None:
    """Sends all logs to standard error, ours from `level` on, libraries' from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(for_people=sys.stderr.isatty()))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(ROOT).setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
