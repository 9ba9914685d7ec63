"""What people state about the use of their data: statements, the events that log them, and the resulting states."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from graph.model.identity import RecordId
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
    """A consent statement in the log, with its ID, its place in the record's log (`seq`), its record, and when it was
    received.

    `verified` tells whether the record belongs to the person by verified, not merely probable, links.
    """

    id: str
    seq: int
    record: RecordId
    received_at: Millis
    statement: ConsentStatement
    verified: bool = True
    repeated_at: Millis | None = None


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
