"""The values that travel between the layers: frozen, slotted, free of any framework.

What lives here: identifiers, what a source told us (`Message` and its parts), what the graph derives (`Profile` and its
parts). What does not: validation of payloads (`api/`), decisions about them (`privacy/`, `algorithms/`), Cypher.
All times are integer epoch milliseconds UTC (`Millis`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NewType

Millis = NewType("Millis", int)
UserId = NewType("UserId", str)
RecordId = NewType("RecordId", str)
SessionId = NewType("SessionId", str)
ItemKey = NewType("ItemKey", str)
SegmentKey = NewType("SegmentKey", str)
RunId = NewType("RunId", str)


class RecordKind(StrEnum):
    """Which of a source's two kinds of name a record carries."""

    USER = "user"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class RecordRef:
    """A source record's own name: (source, userId) or (source, anonymousId)."""

    source: str
    kind: RecordKind
    key: str

    @property
    def id(self) -> RecordId:
        """Deterministic id, 32 hex digits: the same name gives the same record on every arrival, on every engine."""
        text = f"{self.source}\0{self.kind}\0{self.key}".encode("utf-8", "surrogatepass")
        return RecordId(blake2b(text, digest_size=16).hexdigest())


@dataclass(frozen=True, slots=True)
class IdentifierRef:
    """One value that may name a person: kind (`user_id`, `anonymous_id`, `email`, `phone`, or an external kind), the
    value normalised, and the namespace within which it is unique (empty: everywhere)."""

    kind: str
    value: str
    namespace: str = ""

    @property
    def id(self) -> str:
        """Deterministic id, 32 hex digits."""
        text = f"{self.kind}\0{self.namespace}\0{self.value}".encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=16).hexdigest()


class ConsentState(StrEnum):
    """States of a consent event (ISO/IEC TS 27560, W3C DPV)."""

    GIVEN = "given"
    RENEWED = "renewed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    OBJECTED = "objected"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ConsentStatement:
    """What a person (or another for them) said about one purpose. `recipient` is None for first party."""

    purpose: str
    state: ConsentState
    effective_at: Millis
    recipient: str | None = None
    lawful_basis: str | None = None
    mechanism: str | None = None
    jurisdiction: str | None = None
    expires_at: Millis | None = None
    controller: str | None = None
    channel: str | None = None
    notice: str | None = None
    notice_version: str | None = None
    notice_sha256: str | None = None
    language: str | None = None
    method: str | None = None
    actor: str | None = None
    assurance: int = 0
    evidence_hash: str | None = None
    raw_signal: str | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConsentEvent:
    """A consent statement as kept in the log: with its id, its order, the record it hangs on and when it was received.

    `verified` says whether the record it hangs on is tied to the person by verified (not merely probable) links.
    """

    id: str
    seq: int
    record: RecordId
    received_at: Millis
    statement: ConsentStatement
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Interaction:
    """One event on one item. `weight` is the event type's strength (≥ 0), `value` money or rating in its own unit,
    `order` names the purchase that several items belong to."""

    type: str
    item: ItemKey
    name: str | None = None
    weight: float = 1.0
    value: float | None = None
    quantity: float | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What is known of an item. `topics` are (key, weight ≥ 0) pairs."""

    key: ItemKey
    title: str | None = None
    category: str | None = None
    price: float | None = None
    available: bool | None = None
    year: int | None = None
    topics: tuple[tuple[str, float], ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    updated_at: Millis = Millis(0)


@dataclass(frozen=True, slots=True)
class Message:
    """One accepted message of a source, whatever door it came through, ready to be written.

    `at` is the event's time corrected for clock skew. `also` is the second name the message carried (the anonymousId
    beside a userId): evidence that links the two records. `alias_of` is the record an alias message names as the same.
    `traits` are profile facts by catalogue name, unknown ones under `attributes`; a None value removes the fact.
    """

    id: str
    record: RecordRef
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
