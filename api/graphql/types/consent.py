"""Consents as the API shows them: the state of each purpose, and the events of the consent log."""

from __future__ import annotations

import strawberry

from api.graphql.types.scalars import DateTime, expose_enum
from graph.model.consent import ConsentEvent as EventFacts
from graph.model.consent import ConsentState as State

expose_enum(
    State,
    "ConsentStateName",
    "States of a consent, from ISO/IEC TS 27560 and the W3C Data Privacy Vocabulary. GIVEN and RENEWED grant, EXPIRED "
    "and UNKNOWN neither grant nor deny, all others deny.",
    {
        State.GIVEN: "The person gave consent.",
        State.RENEWED: "The person confirmed an earlier consent.",
        State.REFUSED: "The person was asked and refused.",
        State.WITHDRAWN: "The person took back an earlier consent.",
        State.REVOKED: "Someone other than the person ended the consent.",
        State.OBJECTED: "The person objected to the use of their data.",
        State.EXPIRED: "An earlier consent ran out.",
        State.INVALIDATED: "The consent was found to be invalid.",
        State.UNKNOWN: "It is not known what the person wants.",
    },
)


@strawberry.type(description="Where one purpose stands for a person (and partner), and which consent event decides it.")
class ConsentState:
    """Its source is `graph.model.consent.ConsentStateFacts`."""

    purpose: str = strawberry.field(description="Key of the purpose, such as `personalisation`.")
    recipient: str | None = strawberry.field(
        description="Partner that data would be shared with. Null if the purpose has no recipients, or for all "
        "partners without an entry of their own."
    )
    permitted: bool = strawberry.field(description="Whether data may be used for the purpose now.")
    reason: str = strawberry.field(
        description="Why it is permitted (`contract`, `given`, `not_denied`) or not (`denied`, `barred`, "
        "`lapsed`, `not_given`, `not_reached`). `barred`: somebody who may be the same person denied it. "
        "`not_reached`: consent given through one record does not cover the person's other records."
    )
    state: State | None = strawberry.field(
        description="What the person's statements add up to. Null if no statement decides."
    )
    event: strawberry.ID | None = strawberry.field(
        description="ID of the consent event that decides. Null if none does."
    )
    effective_at: DateTime | None = strawberry.field(
        description="When that event takes effect. Null if no event decides."
    )
    expires_at: DateTime | None = strawberry.field(
        description="When that event expires by itself. Null if it does not expire or no event decides."
    )


@strawberry.type(
    description="One statement in the consent log. The log is append-only: later statements never change it."
)
class ConsentEvent:
    id: strawberry.ID = strawberry.field(description="ID of the event; `node` does not accept it.")
    purpose: str = strawberry.field(description="Key of the purpose, such as `personalisation`.")
    recipient: str | None = strawberry.field(
        description="Partner that the statement is about. Null if the purpose has no recipients, or for a statement "
        "about all partners."
    )
    state: State = strawberry.field(description="What was stated.")
    effective_at: DateTime = strawberry.field(
        description="When the statement takes effect; when it was received if no time was stated."
    )
    received_at: DateTime = strawberry.field(description="When the statement was received.")
    expires_at: DateTime | None = strawberry.field(
        description="When the statement expires by itself. Null if it does not expire."
    )
    lawful_basis: str | None = strawberry.field(
        description="Legal basis under GDPR Art. 6(1): `consent`, `contract`, `legal_obligation`, `vital_interests`, "
        "`public_task` or `legitimate_interests`. Null if not stated."
    )
    mechanism: str | None = strawberry.field(
        description="How the statement came about: `opt_in`, `opt_out` or `notice_only`. Null if not stated."
    )
    jurisdiction: str | None = strawberry.field(
        description="Place whose rules apply, such as `US-CA`. Null if not stated."
    )
    controller: str | None = strawberry.field(description="Organisation responsible for the data. Null if not stated.")
    channel: str | None = strawberry.field(
        description="Where the statement was made, such as `web` or `app`. Null if not stated."
    )
    notice: str | None = strawberry.field(
        description="Key of the notice that the person was shown. Null if not stated."
    )
    notice_version: str | None = strawberry.field(description="Version of that notice. Null if not stated.")
    language: str | None = strawberry.field(description="Language of that notice. Null if not stated.")
    method: str | None = strawberry.field(
        description="How the statement was collected, such as `segment_category_preferences`. Null if not stated."
    )
    actor: str | None = strawberry.field(
        description="Client or person that recorded the statement. Null if not stated."
    )
    assurance: int = strawberry.field(
        description="How certain it is that the person made the statement: 0 repeated by another message, 1 stated on "
        "the person's behalf, 2 made with the person's own token."
    )
    categories: list[str] = strawberry.field(
        description="Categories of personal data that the statement names. Empty if it names none."
    )


def show_event(event: EventFacts) -> ConsentEvent:
    """Returns an event of the log as the API shows it."""
    statement = event.statement
    return ConsentEvent(
        id=strawberry.ID(event.id),
        purpose=statement.purpose,
        recipient=statement.recipient,
        state=statement.state,
        effective_at=DateTime(statement.effective_at),
        received_at=DateTime(event.received_at),
        expires_at=None if statement.expires_at is None else DateTime(statement.expires_at),
        lawful_basis=statement.lawful_basis,
        mechanism=statement.mechanism,
        jurisdiction=statement.jurisdiction,
        controller=statement.controller,
        channel=statement.channel,
        notice=statement.notice,
        notice_version=statement.notice_version,
        language=statement.language,
        method=statement.method,
        actor=statement.actor,
        assurance=statement.assurance,
        categories=list(statement.categories),
    )
