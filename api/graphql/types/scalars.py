"""Scalars and enums of the schema: instants, dates and JSON, each in both directions, and how an enum is exposed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any, Final, NewType, TypeVar

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.scalar import ScalarDefinition

from graph.errors import BadInput

DateTime = NewType("DateTime", int)
Date = NewType("Date", str)
Json = NewType("Json", object)

E = TypeVar("E", bound=Enum)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = 253_402_300_799_999
MILLISECOND: Final = timedelta(milliseconds=1)
DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)
DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def write_instant(value: Any) -> str:
    """Returns epoch milliseconds as ISO 8601 in UTC."""
    return (EPOCH + timedelta(milliseconds=value)).isoformat(timespec="milliseconds")[:-6] + "Z"


def read_instant(value: Any) -> int:
    """Returns the epoch milliseconds of an ISO 8601 date and time with an offset from UTC. Raises BadInput."""
    if isinstance(value, str) and DATE_TIME.fullmatch(value):
        try:
            millis = (datetime.fromisoformat(_clip_fraction(value.upper())) - EPOCH) // MILLISECOND
        except (ValueError, OverflowError):
            millis = -1
        if 0 <= millis <= LATEST:
            return millis
    raise BadInput("DateTime: expected ISO 8601 with an offset, such as 2026-01-31T12:00:00Z, from 1970 to 9999.")


def _clip_fraction(text: str) -> str:
    """Cuts off fractions finer than a microsecond: the graph stores milliseconds."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text)


def read_date(value: Any) -> str:
    """Returns a calendar date. Raises BadInput."""
    if isinstance(value, str) and DATE.fullmatch(value):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
    raise BadInput("Date: expected a calendar date such as 2026-01-31.")


def write_json_value(value: Any) -> Any:
    """Returns a JSON value that the response can be serialised from: a mapping becomes a dict."""
    return dict(value) if isinstance(value, Mapping) else value


def read_json_value(value: Any) -> Any:
    """Returns a JSON value unchanged, as the client sent it."""
    return value


SCALARS: Final[dict[object, ScalarDefinition]] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="An instant. Returned as ISO 8601 in UTC with milliseconds, such as `2026-01-31T12:00:00.000Z`; "
        "accepted with any offset from UTC, from 1970 to 9999.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
        serialize=write_instant,
        parse_value=read_instant,
    ),
    Date: strawberry.scalar(
        name="Date", description="A calendar date as ISO 8601, such as `2026-01-31`.", parse_value=read_date
    ),
    Json: strawberry.scalar(
        name="JSON",
        description="Any JSON value: object, list, text, number, boolean or null.",
        specified_by_url="https://www.ecma-international.org/publications-and-standards/standards/ecma-404/",
        serialize=write_json_value,
        parse_value=read_json_value,
    ),
}


def expose_enum(kind: type[E], name: str, description: str, values: Mapping[E, str]) -> None:
    """Adds a plain enum to the schema, with a description of each value. Raises KeyError if one is missing."""
    strawberry.enum(kind, name=name, description=description)
    definition: StrawberryEnumDefinition = kind.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[kind[value.name]]
