"""Consents as they are shown: where a purpose stands, and the events that brought it there.

What lives here: the types and how they are made of the graph's values. What does not: the fold (`privacy/rules.py`) and
who may see it (`privacy/gate.py`).
"""

from __future__ import annotations

import strawberry

from api.types.scalars import DateTime
from graph.model.consent import ConsentEvent as EventFacts
from graph.model.consent import ConsentState as State

strawberry.enum(
    State,
    name="ConsentStateName",
    description="States of a consent event, by ISO/IEC TS 27560 and the W3C Data Privacy Vocabulary.",
)


@strawberry.type(description="Where one purpose (and recipient) stands for a person, and which event decided it.")
class ConsentState:
    """A line of the fold; its source is `graph.model.ConsentStateFacts`."""

    purpose: str
    recipient: str | None
    permitted: bool
    reason: str
    state: State | None
    event: strawberry.ID | None = strawberry.field(description="The id of the event that decided it.")
    effective_at: DateTime | None
    expires_at: DateTime | None


@strawberry.type(description="One statement in the log of consents. The log is only ever appended to.")
class ConsentEvent:
    """An event of the log."""

    id: strawberry.ID
    purpose: str
    recipient: str | None
    state: State
    effective_at: DateTime
    received_at: DateTime
    expires_at: DateTime | None
    lawful_basis: str | None
    mechanism: str | None
    jurisdiction: str | None
    controller: str | None
    channel: str | None
    notice: str | None
    notice_version: str | None
    language: str | None
    method: str | None
    actor: str | None
    assurance: int
    categories: list[str]


def show_event(event: EventFacts) -> ConsentEvent:
    """An event of the log for the outside."""
    said = event.statement
    return ConsentEvent(
        id=strawberry.ID(event.id),
        purpose=said.purpose,
        recipient=said.recipient,
        state=said.state,
        effective_at=DateTime(said.effective_at),
        received_at=DateTime(event.received_at),
        expires_at=None if said.expires_at is None else DateTime(said.expires_at),
        lawful_basis=said.lawful_basis,
        mechanism=said.mechanism,
        jurisdiction=said.jurisdiction,
        controller=said.controller,
        channel=said.channel,
        notice=said.notice,
        notice_version=said.notice_version,
        language=said.language,
        method=said.method,
        actor=said.actor,
        assurance=said.assurance,
        categories=list(said.categories),
    )
