"""Segment's tracking format: the fields of identify, track, page, screen, group and alias messages.

They are typed dictionaries, which Pydantic validates (0.7 µs per message, half the time of model classes) and exports
as JSON Schema. Fields that are not listed are allowed and ignored, since real senders add their own everywhere.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

RawMessage = dict[str, Any]
"""A message as it arrives: parsed but not yet validated."""

Id = Annotated[
    str | Annotated[int, Field(strict=True)] | None,
    Field(description="1 to 512 characters without control characters; a whole number is read as text."),
]
Instant = Annotated[
    str | Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True)] | None,
    Field(description="ISO 8601, in UTC unless an offset is given; a number is epoch milliseconds."),
]
Text = Annotated[str, Field(strict=True)]
Properties = Annotated[
    dict[str, Any] | None, Field(description="Any properties; those of products are read by Segment's names.")
]
Traits = Annotated[dict[str, Any] | None, Field(description="Facts about the person; null removes one.")]


class ExternalId(TypedDict, total=False):
    """A further identifier of the person; `type` is its kind. Only the collection `users`, the default, is read."""

    id: Id
    type: Text | None
    collection: Text | None
    encoding: Text | None
    namespace: Text | None


class ConsentContext(TypedDict, total=False):
    """What a consent tool adds to every message: whether each of its categories is permitted."""

    categoryPreferences: dict[str, Annotated[bool, Field(strict=True)]] | None


class Context(TypedDict, total=False):
    """The parts of a message's context that are read."""

    sessionId: Id
    locale: Text | None
    externalIds: list[ExternalId] | None
    consent: ConsentContext | None
    userHash: Annotated[
        Text | None,
        Field(
            description="Proves the userId of a public source: v1.EXPIRY.MAC, computed by its server. Where the source "
            "takes static hashes, 64 hexadecimal digits prove behaviour only."
        ),
    ]
    userToken: Annotated[Text | None, Field(description="Proves the userId of a public source: a subject token.")]
    traits: Traits


class CommonFields(TypedDict, total=False):
    """The fields of all messages. At least one of `userId` and `anonymousId` is required."""

    messageId: Annotated[Id, Field(description="Makes the message count once however often it arrives.")]
    userId: Id
    anonymousId: Id
    timestamp: Instant
    originalTimestamp: Instant
    sentAt: Instant
    receivedAt: Instant
    context: Context | None


class IdentifyFields(CommonFields, total=False):
    """Optional fields of identify."""

    traits: Traits


class IdentifyMessage(IdentifyFields):
    """Who the person is: facts about them."""

    type: Literal["identify"]


class TrackFields(CommonFields, total=False):
    """Optional fields of track."""

    properties: Properties


class TrackMessage(TrackFields):
    """What the person did."""

    type: Literal["track"]
    event: Annotated[Text, Field(min_length=1, max_length=512)]


class PageFields(CommonFields, total=False):
    """Optional fields of page and screen."""

    name: Text | None
    category: Text | None
    properties: Properties


class PageMessage(PageFields):
    """A page that the person viewed."""

    type: Literal["page"]


class ScreenMessage(PageFields):
    """A screen of an app that the person viewed."""

    type: Literal["screen"]


class GroupFields(CommonFields, total=False):
    """Optional fields of group."""

    traits: Traits


class GroupMessage(GroupFields):
    """An organisation that the person belongs to."""

    type: Literal["group"]
    groupId: Id


class AliasMessage(CommonFields):
    """Two IDs of one person: everything stated under `previousId` is about `userId`."""

    type: Literal["alias"]
    previousId: Id


class BatchFields(TypedDict, total=False):
    """Optional fields that apply to all messages of a batch. `context` provides defaults for each message's own."""

    sentAt: Instant
    writeKey: Text | None
    context: dict[str, Any] | None


class Batch(BatchFields):
    """Several messages in one request. Each is validated on its own."""

    batch: list[Any]
