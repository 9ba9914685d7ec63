"""One accepted message of a source, the form in which everything enters the graph."""

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
        """Returns it as text; called only if the message becomes a dead letter."""


@dataclass(frozen=True, slots=True)
class Message:
    """One accepted message of a source, whatever door it came through, ready to be written.

    `id` is unique across sources: the source's name, `|`, and the source's own ID. `at` is the event's time corrected
    for clock skew. `also` is the second name the message carried (the anonymousId beside a userId): evidence that links
    the two records. `alias_of` is the record an alias message names as the same. `traits` are profile facts by
    catalogue name, unknown ones under `attributes`; a None value removes the fact. `record` is None for a message about
    items only. `carried` marks `consents` that a message about something else merely repeats (Segment's
    `context.consent`), as a digest: they are written only when it differs from the last. `payload` is None where
    nothing is kept of the message.
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
