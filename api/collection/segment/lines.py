"""Our own message types, items and consent statements, which files may contain in addition to Segment's.

Unknown fields are rejected here: the format is ours, and a misspelt field would be lost silently.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from api.collection.segment.messages import Id, Instant, Text
from resolvers.consent.statements import LONGEST_SIGNAL, LONGEST_TEXT

Number = Annotated[float, Field(allow_inf_nan=False)]
Short = Annotated[Text, Field(max_length=LONGEST_TEXT)]


class ItemTopic(TypedDict):
    """A topic that an item is about, with its weight."""

    key: Annotated[Short, Field(min_length=1)]
    weight: Annotated[Number, Field(ge=0)]


class ItemFields(TypedDict, total=False):
    """Optional fields of an item. Facts that are left out or null stay as they are."""

    messageId: Id
    timestamp: Instant
    title: Text | None
    category: Text | None
    price: Number | None
    available: bool | None
    year: Annotated[int, Field(ge=-9999, le=9999)] | None
    topics: list[Annotated[Short, Field(min_length=1)] | ItemTopic] | None
    attributes: dict[str, Any] | None


@with_config(ConfigDict(extra="forbid"))
class ItemMessage(ItemFields):
    """An item of the catalogue."""

    type: Literal["item"]
    itemId: Id


class ConsentFields(TypedDict, total=False):
    """Optional fields of a consent statement."""

    messageId: Id
    userId: Id
    anonymousId: Id
    timestamp: Instant
    recipient: Short | None
    lawfulBasis: Short | None
    mechanism: Short | None
    jurisdiction: Short | None
    expiresAt: Instant
    controller: Short | None
    channel: Short | None
    notice: Short | None
    noticeVersion: Short | None
    noticeSha256: Short | None
    language: Short | None
    method: Short | None
    actor: Short | None
    assurance: Annotated[int, Field(ge=0, le=2, strict=True)] | None
    evidenceHash: Short | None
    rawSignal: Annotated[Text, Field(max_length=LONGEST_SIGNAL)] | None
    categories: list[Short] | None


@with_config(ConfigDict(extra="forbid"))
class ConsentMessage(ConsentFields):
    """What a person states about one purpose. `timestamp` is when it takes effect."""

    type: Literal["consent"]
    purpose: Annotated[Short, Field(min_length=1)]
    state: Literal[
        "given", "renewed", "refused", "withdrawn", "revoked", "objected", "expired", "invalidated", "unknown"
    ]
