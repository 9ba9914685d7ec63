"""What people state about the use of their data: states, statements, and the events kept of them."""

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
class ConsentStateFacts:
    """Where one purpose (and recipient; None: first party, or every recipient) stands for a person, and which event
    decided it. `state` is None where nothing was ever said; `reason` is a `privacy.rules.PermitReason` value."""

    purpose: str
    permitted: bool
    reason: str
    state: ConsentState | None = None
    recipient: str | None = None
    event: str | None = None
    effective_at: Millis | None = None
    expires_at: Millis | None = None
