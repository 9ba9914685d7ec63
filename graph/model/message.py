"""The accepted message: the form in which everything enters the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from graph.model.activity import Interaction
from graph.model.catalogue import ItemFacts
from graph.model.consent import ConsentStatement
from graph.model.identity import IdentifierRef, RecordRef
from graph.model.time import Millis


class Payload(Protocol):
    """A message as it arrived."""

    def write(self) -> str:
        """Returns the message as text. Called only if it becomes a dead letter."""


@dataclass(frozen=True, slots=True)
class Message:
    """One accepted message of a source, whatever door it came through, ready to be written.

    `id` is unique across sources: the source's name, `|`, and the source's own ID. `record` is None for a message about
    items only. `at` is the event's time, corrected for clock skew. `also` is the second name in the message (the
    anonymousId alongside a userId), evidence that links the two records. `alias_of` is the record that an alias message
    states to be the same person. `traits` are profile facts by name, unknown ones under `attributes`; a None value
    removes the fact. `carried` is set if the message is about something else and merely repeats `consents` (Segment's
    `context.consent`): it is their digest, and they are written only if it differs from the last one. `payload` is None
    if nothing of the message is kept.
    """

    id: str
    source: str
    record: RecordRef | None
    at: Millis
    received_at: Millis
    name: str | None = None
    also: RecordRef | None = None
    alias_of: RecordRef | None = None
    traits: Mapping[str, Any] | None = None
    identifiers: tuple[IdentifierRef, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    items: tuple[ItemFacts, ...] = ()
    session: str | None = None
    consents: tuple[ConsentStatement, ...] = ()
    carried: str | None = None
    payload: Payload | None = field(default=None, compare=False, repr=False)
