"""Request bodies as JSON values: decompression, size limits, and salvaging the entries of a batch that is not JSON.

Normally this is one call of orjson. If that fails, a batch is split into its entries by their brackets and each is
parsed on its own, so that one bad entry does not affect the others. Text with half a surrogate pair (a truncated emoji,
as JavaScript writes it) is repaired with U+FFFD in values; in an ID it is refused, since two different IDs could become
the same.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import orjson

from api.collection.reasons import Rejected, RejectionReason
from graph.errors import PayloadTooLarge

MAX_EVENT: Final = 32 * 1024
MAX_BATCH: Final = 500 * 1024
MOST_ENTRIES: Final = 5_000
"""Messages in one batch. Each takes at least some hundred bytes, unless it is none."""

MOST_MEMBERS: Final = 16
GZIP_MAGIC: Final = b"\x1f\x8b"
DEEPEST: Final = 250
"""Levels of nesting that a message may have; JSON with more can be parsed but not serialised again."""

_DIGITS_OF_64_BITS: Final = 20
ID_FIELDS: Final = ("messageId", "userId", "anonymousId", "previousId", "groupId", "itemId")


def decompress(body: bytes, limit: int) -> bytes:
    """Returns the body without gzip compression, which is recognised by its first bytes, not by headers.

    Raises PayloadTooLarge if it unpacks to more than `limit` bytes, without unpacking further, and Rejected if it is
    damaged.
    """
    if not body.startswith(GZIP_MAGIC):
        return body
    unpacked = bytearray()
    members = 0
    while body:
        members += 1
        if members > MOST_MEMBERS:
            raise Rejected(RejectionReason.MALFORMED_JSON, f"The body has more than {MOST_MEMBERS} gzip members.")
        stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            unpacked += stream.decompress(body, limit + 1 - len(unpacked))
        except zlib.error:
            raise Rejected(RejectionReason.MALFORMED_JSON, "The body starts like gzip but is damaged.") from None
        if len(unpacked) > limit:
            raise PayloadTooLarge(f"The body unpacks to more than {limit} bytes: send less at once.")
        if not stream.eof:
            raise Rejected(RejectionReason.MALFORMED_JSON, "The body starts like gzip but is incomplete.")
        body = stream.unused_data
    return bytes(unpacked)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a body: its parsed value, or the error and the text that can't be parsed."""

    value: Any = None
    error: Rejected | None = None
    text: str = ""


@dataclass(slots=True)
class Body:
    """A batch: its entries, and the fields that apply to all of them."""

    entries: list[Entry]
    head: dict[str, Any] = field(default_factory=dict)


def read_single(body: bytes) -> Any:
    """Returns the single value of a body. Raises Rejected if it can't be read."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return read_text(body.decode("utf-8", "surrogateescape"))


def read_batch(body: bytes, *, salvage: bool = True) -> Body | None:
    """Returns the entries of a batch: an object with `batch`, or a bare array. Raises Rejected if it is neither, or has
    too many entries. Without `salvage`, returns None for a body that is not JSON: only a known sender may ask for the
    work of splitting it."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _salvage(body.decode("utf-8", "surrogateescape")) if salvage else None
    if isinstance(value, list):
        return Body([Entry(each) for each in _bound_entries(value)])
    if isinstance(value, dict):
        messages = value.pop("batch", None)
        if isinstance(messages, list):
            return Body([Entry(each) for each in _bound_entries(messages)], value)
        raise Rejected(RejectionReason.MISSING_FIELD, "batch must be an array of messages.", "batch")
    raise Rejected(RejectionReason.NOT_AN_OBJECT, "The body must be a JSON object.")


def _bound_entries(entries: list[Any]) -> list[Any]:
    if len(entries) > MOST_ENTRIES:
        raise Rejected(RejectionReason.TOO_LARGE, f"A batch has at most {MOST_ENTRIES:,} messages.")
    return entries


def read_text(text: str) -> Any:
    """Returns a value that orjson refused, with half surrogate pairs repaired. Raises Rejected if it can't be read."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Rejected(RejectionReason.BAD_UNICODE, "The text is not valid UTF-8.") from None
    try:
        value = json.loads(text, parse_int=_read_integer, parse_float=_read_float, parse_constant=_refuse_constant)
    except RecursionError:
        raise Rejected(RejectionReason.TOO_DEEP, f"A message has at most {DEEPEST} levels.") from None
    except ValueError:
        raise Rejected(RejectionReason.MALFORMED_JSON, "The text is not JSON.") from None
    if measure_depth(text) > DEEPEST:
        raise Rejected(RejectionReason.TOO_DEEP, f"A message has at most {DEEPEST} levels.")
    if isinstance(value, dict):
        for name in ID_FIELDS:
            if isinstance(value.get(name), str) and not _is_whole(value[name]):
                raise Rejected(RejectionReason.BAD_UNICODE, f"{name} has half a surrogate pair.", name)
    return _repair(value)


def _refuse_constant(_: str) -> Any:
    raise ValueError


def _read_integer(digits: str) -> int | float:
    """Like orjson, returns a float beyond 64 bits: a larger integer could not be serialised again."""
    if len(digits) > _DIGITS_OF_64_BITS:  # Python converts at most 4,300 digits to an integer
        return _read_float(digits)
    number = int(digits)
    return number if -(1 << 63) <= number < 1 << 64 else float(digits)


def _read_float(digits: str) -> float:
    """Like orjson, refuses what a float of 64 bits can't hold. Raises Rejected."""
    number = float(digits)
    if math.isinf(number):
        raise Rejected(RejectionReason.BAD_VALUE, "A number is too large: 64 bits must hold it.")
    return number


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _repair(value: Any) -> Any:
    if isinstance(value, str):
        return value if _is_whole(value) else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_repair(each) for each in value]
    if isinstance(value, dict):
        return {_repair(name): _repair(each) for name, each in value.items()}
    return value


_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{},:]', re.DOTALL)
"""Punctuation and strings, including one that never ends: otherwise matching would restart at each quote in it."""


def measure_depth(text: str) -> int:
    """Returns the largest number of brackets open at once. O(length)."""
    depth = deepest = 0
    for token in _TOKENS.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _salvage(text: str) -> Body:
    """Returns a batch split by its brackets. Raises Rejected if no array of messages is found."""
    body = Body([])
    found = False
    for name, start, end in _split(text, _opening(text, "{")) if text.lstrip().startswith("{") else ():
        if name == "batch" and text[start:end].lstrip().startswith("["):
            found = True
            places = list(islice(_split(text, _opening(text, "[", start)), MOST_ENTRIES + 1))
            body.entries = [_read_entry(text[a:b]) for _, a, b in _bound_entries(places)]
        elif name in ("sentAt", "context", "writeKey"):
            entry = _read_entry(text[start:end])
            if entry.error is None:
                body.head[name] = entry.value
    if not found:
        raise Rejected(RejectionReason.MALFORMED_JSON, "The body is not JSON.")
    return body


def _read_entry(text: str) -> Entry:
    text = text.strip()
    try:
        try:
            return Entry(orjson.loads(text))
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return Entry(read_text(text))
    except Rejected as error:
        return Entry(error=error, text=text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _opening(text: str, bracket: str, start: int = 0) -> int:
    return text.index(bracket, start) + 1


def _split(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yields the entries of the object or array whose content starts at `start`, as (name, start, end). Entries of an
    array have an empty name.

    Stops at the closing bracket, or at the end of a truncated text, whose last entry is incomplete.
    """
    depth, begin, name, last = 0, start, "", ""
    for token in _TOKENS.finditer(text, start):
        mark = token[0]
        if mark[0] == '"':
            last = mark
        elif mark in "[{":
            depth += 1
        elif depth == 0 and mark == ":" and not name:
            name, begin = last[1:-1], token.end()
        elif depth == 0 and mark in ",]}":
            if text[begin : token.start()].strip():
                yield name, begin, token.start()
            begin, name = token.end(), ""
            if mark != ",":
                return
        elif mark in "]}":
            depth -= 1
    if text[begin:].strip():
        yield name, begin, len(text)
