"""What arrived, as the text that dead letters keep."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import orjson

from api.collection.origin import Origin


@dataclass(slots=True)
class ParsedPayload:
    """A parsed message and its origin; serialised only if it becomes a dead letter. Every message makes one, so it is
    not frozen: that takes three times as long."""

    value: object
    origin: Origin

    def write(self) -> str:
        """The message with the times that its clock is corrected by, so that it can be read alone later."""
        return write_payload(add_times(self.value, self.origin, received=True))


@dataclass(frozen=True, slots=True)
class TextPayload:
    """A text, as it was kept before."""

    text: str

    def write(self) -> str:
        """The text."""
        return self.text


def add_times(value: Any, origin: Origin, *, received: bool = False) -> Any:
    """The message with the time of sending that its request states, if its clock is corrected by that; `received` adds
    the time of receipt."""
    if origin.received_earlier or not isinstance(value, dict):
        return value
    sent_at = origin.sent_at if value.get("sentAt") is None else value["sentAt"]
    if sent_at is None:
        return value
    return {**value, "sentAt": sent_at} | ({"receivedAt": origin.received_at} if received else {})


def write_payload(value: Any) -> str:
    """A value as text; empty where it can't be written."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        pass
    try:
        return json.dumps(value)
    except (RecursionError, ValueError, TypeError):
        return ""
