"""What dead letters keep of a message: its text as it arrived, without credentials."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import orjson

from api.collection.origin import Origin
from api.process.redaction import drop_credentials, redact


@dataclass(slots=True)
class ParsedPayload:
    """A parsed message and its origin; serialised only if it becomes a dead letter. Every message makes one, so it is
    not frozen: that takes three times as long."""

    value: object
    origin: Origin

    def write(self) -> str:
        """Returns the message with the times that correct its sender's clock, so that it can be read on its own."""
        return write_payload(add_times(self.value, self.origin, received=True))


@dataclass(frozen=True, slots=True)
class TextPayload:
    """The text that an earlier dead letter kept."""

    text: str

    def write(self) -> str:
        """Returns the text."""
        return self.text


def add_times(value: Any, origin: Origin, *, received: bool = False) -> Any:
    """Returns the message with the sending time of its request, if that corrects the sender's clock. `received` adds
    the time of receipt."""
    if origin.received_earlier or not isinstance(value, dict):
        return value
    sent_at = origin.sent_at if value.get("sentAt") is None else value["sentAt"]
    if sent_at is None:
        return value
    return {**value, "sentAt": sent_at} | ({"receivedAt": origin.received_at} if received else {})


def write_payload(value: Any) -> str:
    """Returns a value as JSON text without credentials, or an empty text if it can't be serialised."""
    value = drop_credentials(value)
    try:
        return redact(orjson.dumps(value).decode())
    except orjson.JSONEncodeError:
        pass
    try:
        return redact(json.dumps(value))
    except (RecursionError, ValueError, TypeError):
        return ""
