"""Segment's tracking format, as messages arrive: the shape of identify, track, page, screen, group and alias.

They are typed dictionaries that Pydantic checks (0.7 µs a message, half the time of model classes) and exports as JSON
Schema. Fields that are not listed are allowed and ignored, since real senders add their own everywhere.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

RawMessage = dict[str, Any]
"""A message as it arrives: parsed, not yet checked."""

Id = Annotated[
    str | Annotated[int, Field(strict=True)] | None,
    Field(description="1 to 512 characters without control characters; a whole number is read as text."),
]
Instant = Annotated[
    str | Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True)] | None,
    Field(description="ISO 8601, UTC where no offset is given; a number is epoch milliseconds."),
]
Text = Annotated[str, Field(strict=True)]
Properties = Annotated[dict[str, Any] | None, Field(description="Free; product fields are read as Segment names them.")]
Traits = Annotated[dict[str, Any] | None, Field(description="What is known of the person; null removes a fact.")]


class ExternalId(TypedDict, total=False):
    """One more name of the person: `type` is its kind. Only the collection `users` (the default) is about people."""

    id: Id
    type: Text | None
    collection: Text | None
    encoding: Text | None
    namespace: Text | None


class ConsentContext(TypedDict, total=False):
    """What a consent tool adds to every message: category → whether it is permitted."""

    categoryPreferences: dict[str, Annotated[bool, Field(strict=True)]] | None


class Context(TypedDict, total=False):
    """What is read of a message's context."""

    sessionId: Id
    locale: Text | None
    externalIds: list[ExternalId] | None
    consent: ConsentContext | None
    traits: Traits


class CommonFields(TypedDict, total=False):
    """What all messages share. One of `userId` and `anonymousId` is needed, at least."""

    messageId: Annotated[Id, Field(description="Makes the message count once however often it arrives.")]
    userId: Id
    anonymousId: Id
    timestamp: Instant
    originalTimestamp: Instant
    sentAt: Instant
    receivedAt: Instant
    context: Context | None


class IdentifyFields(CommonFields, total=False):
    """What only identify has."""

    traits: Traits


class IdentifyMessage(IdentifyFields):
    """Who the person is."""

    type: Literal["identify"]


class TrackFields(CommonFields, total=False):
    """What track may have."""

    properties: Properties


class TrackMessage(TrackFields):
    """What the person did."""

    type: Literal["track"]
    event: Annotated[Text, Field(min_length=1, max_length=512)]


class PageFields(CommonFields, total=False):
    """What page and screen may have."""

    name: Text | None
    category: Text | None
    properties: Properties


class PageMessage(PageFields):
    """A page that the person saw."""

    type: Literal["page"]


class ScreenMessage(PageFields):
    """A screen of an app that the person saw."""

    type: Literal["screen"]


class GroupFields(CommonFields, total=False):
    """What group may have."""

    traits: Traits


class GroupMessage(GroupFields):
    """An organisation that the person belongs to."""

    type: Literal["group"]
    groupId: Id


class AliasMessage(CommonFields):
    """Two names of one person: what was said under `previousId` is `userId`'s."""

    type: Literal["alias"]
    previousId: Id


class BatchFields(TypedDict, total=False):
    """What a batch may say for all its messages. `context` is merged under each message's own."""

    sentAt: Instant
    writeKey: Text | None
    context: dict[str, Any] | None


class Batch(BatchFields):
    """Several messages in one request; each is judged by itself."""

    batch: list[Any]
