"""Payloads of mutations: what became of what was sent."""

from __future__ import annotations

import strawberry

from api.graphql.types.consent import ConsentState


@strawberry.type(
    description="An entry that was not accepted and never will be as it is: sending it again changes nothing."
)
class Rejection:
    """Which entry, and why."""

    index: int = strawberry.field(description="Position of the entry in the input, counted from 0.")
    code: str = strawberry.field(
        description="Stable code of the reason, such as `missing_id`, `bad_timestamp` or `unknown_source`."
    )
    message: str = strawberry.field(description="The reason in English, for developers.")
    field: str | None = strawberry.field(
        description="Field that caused the rejection, by its name in the collection format. Null if it is not a "
        "single field."
    )


@strawberry.type(description="What became of a record. Everything accepted is on disk.")
class RecordPayload:
    """What became of a record."""

    accepted: int = strawberry.field(description="1 if the record was written, otherwise 0.")
    duplicate: int = strawberry.field(
        description="1 if its `messageId` arrived before and nothing was written, otherwise 0."
    )
    rejected: list[Rejection] = strawberry.field(
        description="Why the record can never be accepted as it is. Empty if it was accepted."
    )


@strawberry.type(description="What became of the items. Everything accepted is on disk.")
class ItemsPayload:
    """What became of items."""

    accepted: int = strawberry.field(description="Number of entries written.")
    duplicate: int = strawberry.field(
        description="Number of entries whose `messageId` arrived before; they were not written again."
    )
    rejected: list[Rejection] = strawberry.field(
        description="Entries that can never be accepted as they are, with reasons. Empty if all were accepted."
    )


@strawberry.type(description="What became of the events. Everything accepted is on disk.")
class TrackPayload:
    """What became of events."""

    accepted: int = strawberry.field(description="Number of events written.")
    duplicate: int = strawberry.field(
        description="Number of events whose `messageId` arrived before; they were not counted again."
    )
    rejected: list[Rejection] = strawberry.field(
        description="Entries that can never be accepted as they are, with reasons. Empty if all were accepted."
    )


@strawberry.type(description="What became of a consent statement, and where the person's purposes stand now.")
class ConsentPayload:
    """What became of a statement, and where every purpose stands now."""

    accepted: int = strawberry.field(description="1 if the statement was written, otherwise 0.")
    duplicate: int = strawberry.field(
        description="1 if its `messageId` arrived before and nothing was written, otherwise 0."
    )
    consents: list[ConsentState] | None = strawberry.field(
        description="Where each purpose stands now. Null unless the person made the request with their own token."
    )
