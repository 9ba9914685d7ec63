"""Logs: one JSON object per line (short text on a terminal), without personal data.

An exception is logged as its class and code locations, never its text, which may quote what a client sent. Query
strings, client addresses and credentials are not logged either; what has the form of a credential is removed from
every line, including those of libraries.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from api.process.redaction import redact

ROOT: Final = "consentric"
QUIET: Final = ("neo4j", "uvicorn", "asyncio", "multipart", "httpx")
"""Libraries whose debugging output quotes statements, parameters or addresses: only their warnings are logged."""


class LineFormatter(logging.Formatter):
    """Formats a record as a line of JSON, or as short text for people. Extra fields are in the record's `fields`."""

    def __init__(self, *, for_people: bool = False) -> None:
        super().__init__()
        self._for_people = for_people

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, without credentials."""
        return redact(self._write_line(record))

    def _write_line(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = dict(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = describe_exception(record.exc_info[1])
        at = datetime.fromtimestamp(record.created, UTC)
        if self._for_people:
            extra = " ".join(f"{name}={value}" for name, value in fields.items())
            return f"{at.astimezone():%H:%M:%S} {record.levelname:<7} {record.getMessage()} {extra}".rstrip()
        line = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return orjson.dumps(line | fields, default=str).decode()


def describe_exception(error: BaseException, frames: int = 12) -> str:
    """Returns the class of an exception and the locations of its innermost `frames`, the innermost first."""
    stack = reversed(traceback.extract_tb(error.__traceback__))
    locations = [f"{frame.filename}:{frame.lineno}" for frame in stack]
    return " < ".join([type(error).__qualname__, *locations[:frames]])


def configure_logs(level: str) -> None:
    """Sends all logs to standard error: ours from `level` up, those of libraries from warnings up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(for_people=sys.stderr.isatty()))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(ROOT).setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
