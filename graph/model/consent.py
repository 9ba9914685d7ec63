"""What people state about the use of their data: statements, the events that log them, and the resulting states."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from graph.model.identity import Proof, RecordId
from graph.model.time import Millis


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
    """What a person, or someone on their behalf, states about one purpose. `recipient` is None for first party."""

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
    """A consent statement in the log, with its ID, its place in the record's log (`seq`), its record, when it was
    received, and what proved that it is the record's (None: nothing but the source's word). `reach` are the sources for
    whose records the proof's issuer may speak (None: for any)."""

    id: str
    seq: int
    record: RecordId
    received_at: Millis
    statement: ConsentStatement
    proof: Proof | None = None
    repeated_at: Millis | None = None
    reach: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the statements of a record are worth: whether it is a device, whether its source is public, whether its name
    has the form of a secret, its source's jurisdiction, and its source."""

    device: bool = False
    public: bool = False
    secret: bool = True
    jurisdiction: str | None = None
    source: str = ""

    def vouches(self, event: ConsentEvent) -> bool:
        """Whether an event is more than a stranger may have sent: the source is the company's own, or the event has a
        proof of more than behaviour."""
        return not self.public or event.proof not in (None, Proof.STATIC)

    def grants(self, event: ConsentEvent) -> bool:
        """Whether the record may grant: it vouches, or is a device, of which only its owner knows the name."""
        return self.vouches(event) or (self.device and self.secret)


OWN_STANDING: Final = Standing()
"""The standing of an account record of one of the company's own systems."""

UNPROVEN: Final = -1
"""The assurance of a bar that a stranger may have left: any live grant of an assurance above 0 lifts it."""


class Bar(NamedTuple):
    """What a record denied and left on an identifier: how certain it is, when it took effect last, whose it is
    (empty: of more records than an identifier names, all of which hear it), the latest event, whether that record
    is a device, and when it took effect first."""

    purpose: str
    recipient: str | None
    assurance: int
    at: Millis
    record: RecordId
    event: str
    device: bool = False
    since: Millis = Millis(0)

    @property
    def unproven(self) -> bool:
        """Whether a stranger may have left it."""
        return self.assurance == UNPROVEN


@dataclass(frozen=True, slots=True)
class ConsentStateFacts:
    """Whether a person permits one purpose, and which event decided it. `recipient` is None for first party and for
    every recipient; `state` is None if nothing was ever stated; `reason` is a `privacy.rules.PermitReason` value."""

    purpose: str
    permitted: bool
    reason: str
    state: ConsentState | None = None
    recipient: str | None = None
    event: str | None = None
    effective_at: Millis | None = None
    expires_at: Millis | None = None
