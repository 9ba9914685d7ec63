"""Payloads of mutations: what was accepted, already known or rejected."""

from __future__ import annotations

import strawberry

from api.graphql.types.consent import ConsentState


@strawberry.type(
    description="An entry that was not accepted and never will be as it is: sending it again changes nothing."
)
class Rejection:
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
    accepted: int = strawberry.field(description="1 if the record was written, otherwise 0.")
    duplicate: int = strawberry.field(
        description="1 if its `messageId` arrived before and nothing was written, otherwise 0."
    )
    rejected: list[Rejection] = strawberry.field(
        description="Why the record can never be accepted as it is. Empty if it was accepted."
    )


@strawberry.type(description="What became of the items. Everything accepted is on disk.")
class ItemsPayload:
    accepted: int = strawberry.field(description="Number of entries written.")
    duplicate: int = strawberry.field(
        description="Number of entries whose `messageId` arrived before; they were not written again."
    )
    rejected: list[Rejection] = strawberry.field(
        description="Entries that can never be accepted as they are, with reasons. Empty if all were accepted."
    )


@strawberry.type(description="What became of the events. Everything accepted is on disk.")
class TrackPayload:
    accepted: int = strawberry.field(description="Number of events written.")
    duplicate: int = strawberry.field(
        description="Number of events whose `messageId` arrived before; they were not counted again."
    )
    rejected: list[Rejection] = strawberry.field(
        description="Entries that can never be accepted as they are, with reasons. Empty if all were accepted."
    )


@strawberry.type(description="What became of a consent statement, and where the person's purposes stand now.")
class ConsentPayload:
    accepted: int = strawberry.field(description="1 if the statement was written, otherwise 0.")
    duplicate: int = strawberry.field(
        description="1 if its `messageId` arrived before and nothing was written, otherwise 0."
    )
    consents: list[ConsentState] | None = strawberry.field(
        description="Where each purpose stands now. Null unless the person made the request with their own token."
    )
