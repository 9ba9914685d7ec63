"""The values that travel between the layers: frozen, slotted, free of any framework.

What lives here: identifiers, what a source told us (`Message` and its parts), what the graph derives (`Profile` and its
parts). What does not: validation of payloads (`api/`), decisions about them (`privacy/`, `algorithms/`), Cypher.
All times are integer epoch milliseconds UTC (`Millis`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, NewType

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
    repeated_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class Interaction:
    """One event on one item, or on none (a page, a search, a custom event): then the session alone keeps it.
    `weight` is the event type's strength (≥ 0), `value` money or rating in its own unit, `order` names the purchase
    that several items belong to."""

    type: str
    item: ItemKey | None
    name: str | None = None
    weight: float = 1.0
    value: float | None = None
    quantity: float | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What is known of an item. `topics` are (key, weight ≥ 0) pairs. `declared`: said by a catalogue, not merely
    mentioned by an event; a mention fills gaps and replaces older mentions, never what was declared."""

    key: ItemKey
    title: str | None = None
    category: str | None = None
    price: float | None = None
    available: bool | None = None
    year: int | None = None
    topics: tuple[tuple[str, float], ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    updated_at: Millis = Millis(0)
    declared: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """One accepted message of a source, whatever door it came through, ready to be written.

    `at` is the event's time corrected for clock skew. `also` is the second name the message carried (the anonymousId
    beside a userId): evidence that links the two records. `alias_of` is the record an alias message names as the same.
    `traits` are profile facts by catalogue name, unknown ones under `attributes`; a None value removes the fact.
    `record` is None for a message that speaks of items only. `carried` marks `consents` that a message about something
    else merely repeats (Segment's `context.consent`), as a digest: they are written only when it differs from the last.
    """

    id: str
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


SCOPE_MINT: Final = object()
"""The token that makes a `PermittedScope`. Only `privacy/gate.py` may name it; a test walks the code for others."""


@dataclass(frozen=True, slots=True)
class PermittedScope:
    """The right to read, for computing, the people who permit one purpose at one instant. Only the gate mints it.

    A statement that takes a scope reads people for whom `$permit IN u.permits AND (u.permits_until IS NULL OR
    u.permits_until > $now)`. For a purpose with recipients, people who permit every recipient but not this one carry
    `blanket` without `permit` and with `barred`, so there the first term is `($permit IN u.permits OR
    ($blanket IN u.permits AND NOT $barred IN u.permits))`; for other purposes both are empty and match nothing.
    """

    permit: str
    purpose: str
    now: Millis
    recipient: str | None = None
    blanket: str = ""
    barred: str = ""
    mint: InitVar[object] = None

    def __post_init__(self, mint: object) -> None:
        if mint is not SCOPE_MINT:
            raise TypeError("a PermittedScope is minted by privacy.gate.mint_scope only")


@dataclass(frozen=True, slots=True)
class ConsentStateFacts:
    """Where one purpose (and recipient; None: first party, or every recipient) stands for a person, and which event
    decided it. `state` is None where nothing was ever said; `reason` is a `privacy.rules.Reason` value."""

    purpose: str
    permitted: bool
    reason: str
    state: ConsentState | None = None
    recipient: str | None = None
    event: str | None = None
    effective_at: Millis | None = None
    expires_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """One source record of a person: its name, when it was first and last heard of, its traits {name: (value, at)}."""

    ref: RecordRef
    created_at: Millis
    updated_at: Millis
    traits: Mapping[str, tuple[Any, Millis]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """One session of a person."""

    id: SessionId
    source: str
    started_at: Millis
    ended_at: Millis


@dataclass(frozen=True, slots=True)
class InteractionFacts:
    """One interaction of a person, with what is known of its item, if it has one; its parts as in `Interaction`."""

    id: str
    at: Millis
    type: str
    item: ItemFacts | None
    name: str | None = None
    weight: float = 1.0
    value: float | None = None
    quantity: float | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """One segment, as its node describes it. `purpose`: what it is computed under; `kind`: how (`rfm`, `community`)."""

    key: SegmentKey
    purpose: str
    title: str | None = None
    kind: str | None = None
    description: str | None = None
    version: int | None = None
    updated_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class MembershipFacts:
    """One live place in a segment. `purpose` is what the segment was computed under: shown only while permitted."""

    segment: SegmentKey
    purpose: str
    since: Millis
    score: float | None = None
    version: int | None = None
    title: str | None = None
    kind: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class RecentInteraction:
    """One of a person's latest interactions, as recommendations start from it. `weight` is 0–5 as collected, `value`
    a rating or money in its own unit."""

    item: ItemKey
    type: str
    at: Millis
    weight: float = 1.0
    value: float | None = None


class Strategy(StrEnum):
    """How a recommendation came about."""

    GRAPH_WALK = "graph_walk"
    POPULAR = "popular"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is recommended: what the person did with which item (both None for POPULAR), the share of the score
    that this path brought (0–1), and the same in words."""

    text: str
    share: float
    item: ItemFacts | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class RankedItem:
    """One recommendation. Scores compare only within one answer and one strategy."""

    item: ItemFacts
    score: float
    strategy: Strategy
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class RfmFacts:
    """Recency in days, frequency in purchases, monetary value in the shop's unit, and their scores 1–5."""

    recency: float
    frequency: float
    monetary: float
    recency_score: int
    frequency_score: int
    monetary_score: int
    cell: str
    computed_at: Millis


@dataclass(frozen=True, slots=True)
class ProfileFacts:
    """What a profile query found out about a person. It leaves only through `privacy.gate.reveal`, which sets to None
    what is withheld; so None means withheld, absent, or not asked for. Every field but the first three is listed in
    `privacy/fields.py`. `recent` is what recommendations start from and is withheld with them."""

    id: UserId
    created_at: Millis
    updated_at: Millis
    email: str | None = None
    phone: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    birth_date: str | None = None
    address: Mapping[str, Any] | None = None
    age: int | None = None
    gender: str | None = None
    language: str | None = None
    country: str | None = None
    attributes: Mapping[str, Any] | None = None
    identifiers: tuple[IdentifierRef, ...] | None = None
    records: tuple[RecordFacts, ...] | None = None
    consents: tuple[ConsentStateFacts, ...] | None = None
    consent_history: tuple[ConsentEvent, ...] | None = None
    sessions: tuple[SessionFacts, ...] | None = None
    interactions: tuple[InteractionFacts, ...] | None = None
    preferences: Mapping[str, Any] | None = None
    segments: tuple[MembershipFacts, ...] | None = None
    rfm: RfmFacts | None = None
    recent: tuple[RecentInteraction, ...] | None = None
    recommendations: tuple[RankedItem, ...] | None = None
    similar: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A system that sends messages. `user_namespace` is the namespace of its user ids: empty where all sources share
    one numbering of people. `keys` are the public ids of the write keys that open it."""

    name: str
    user_namespace: str = ""
    created_at: Millis = Millis(0)
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """A registered program that reads or manages the graph, with what it is registered for. A revoked client stays
    known, so that its name, which signed tokens may still carry, is never given to another."""

    name: str
    role: str
    purposes: tuple[str, ...] = ()
    recipient: str | None = None
    scopes: tuple[str, ...] = ()
    created_at: Millis = Millis(0)
    revoked_at: Millis | None = None
