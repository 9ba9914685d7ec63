"""Inputs and payloads of mutations.

What lives here: the shapes, and how each becomes a line of the collection format. What does not: reading those lines
(`api/collect/`), running mutations (`api/mutations.py`).
"""

from __future__ import annotations

from typing import Any

import strawberry

from api.types.consent import ConsentState
from api.types.relay import given
from api.types.scalars import DateTime, Json
from graph.model.consent import ConsentState as State

Line = dict[str, Any]
"""One line of the collection format (`docs/schemas`)."""


def _say(**fields: Any) -> Line:
    """A line of the fields that were given."""
    return {name: value for name, value in fields.items() if given(value) is not None}


@strawberry.input(description="A source's own name for a person: a user id, an anonymous id, or both.")
class RecordName:
    """Who, in whose words."""

    source: str
    user_id: str | None = strawberry.UNSET
    anonymous_id: str | None = strawberry.UNSET


@strawberry.input
class IdentifierInput:
    """A value that names the person."""

    kind: str
    value: str
    namespace: str | None = strawberry.UNSET


@strawberry.input(description="What a source knows of a person: names, identifiers, traits. Null removes a trait.")
class RecordInput:
    """A source record."""

    source: str
    user_id: str | None = strawberry.UNSET
    anonymous_id: str | None = strawberry.UNSET
    traits: Json | None = strawberry.UNSET
    identifiers: list[IdentifierInput] | None = strawberry.UNSET
    timestamp: DateTime | None = strawberry.UNSET
    message_id: str | None = strawberry.UNSET

    def line(self) -> Line:
        """An identify message."""
        external = [
            _say(type=one.kind, id=one.value, namespace=one.namespace, collection="users")
            for one in given(self.identifiers) or ()
        ]
        return _say(
            type="identify",
            userId=self.user_id,
            anonymousId=self.anonymous_id,
            traits=self.traits,
            context={"externalIds": external} if external else None,
            timestamp=self.timestamp,
            messageId=self.message_id,
        )


@strawberry.input
class TopicInput:
    """A subject of an item."""

    key: str
    weight: float = 1.0


@strawberry.input(description="What is known of an item. What is not given stays as it is.")
class ItemInput:
    """An item."""

    key: str
    title: str | None = strawberry.UNSET
    category: str | None = strawberry.UNSET
    price: float | None = strawberry.UNSET
    available: bool | None = strawberry.UNSET
    year: int | None = strawberry.UNSET
    topics: list[TopicInput] | None = strawberry.UNSET
    attributes: Json | None = strawberry.UNSET
    timestamp: DateTime | None = strawberry.UNSET
    message_id: str | None = strawberry.UNSET

    def line(self) -> Line:
        """An item line."""
        topics = [{"key": topic.key, "weight": topic.weight} for topic in given(self.topics) or ()]
        return _say(
            type="item",
            itemId=self.key,
            title=self.title,
            category=self.category,
            price=self.price,
            available=self.available,
            year=self.year,
            topics=topics or None,
            attributes=self.attributes,
            timestamp=self.timestamp,
            messageId=self.message_id,
        )


@strawberry.input(description="One event. It counts once however often it is sent under its messageId.")
class EventInput:
    """An event, as in Segment's track."""

    source: str
    message_id: str
    event: str = strawberry.field(description="Its name, such as Product Viewed.")
    user_id: str | None = strawberry.UNSET
    anonymous_id: str | None = strawberry.UNSET
    timestamp: DateTime | None = strawberry.UNSET
    item: str | None = strawberry.field(default=strawberry.UNSET, description="The key of its item; or in properties.")
    properties: Json | None = strawberry.UNSET
    session_id: str | None = strawberry.UNSET

    def line(self) -> Line:
        """A track message."""
        properties: Any = given(self.properties)
        item = given(self.item)
        if item is not None:
            properties = {**properties, "product_id": item} if isinstance(properties, dict) else {"product_id": item}
        session = given(self.session_id)
        return _say(
            type="track",
            event=self.event,
            userId=self.user_id,
            anonymousId=self.anonymous_id,
            properties=properties,
            context={"sessionId": session} if session is not None else None,
            timestamp=self.timestamp,
            messageId=self.message_id,
        )


@strawberry.input(description="What a person said about a purpose: given, renewed, refused, objected.")
class ConsentInput:
    """A statement. Without `record` it is the credential's own person who speaks."""

    purpose: str
    state: State
    record: RecordName | None = strawberry.UNSET
    recipient: str | None = strawberry.UNSET
    effective_at: DateTime | None = strawberry.UNSET
    expires_at: DateTime | None = strawberry.UNSET
    lawful_basis: str | None = strawberry.UNSET
    mechanism: str | None = strawberry.UNSET
    jurisdiction: str | None = strawberry.UNSET
    controller: str | None = strawberry.UNSET
    channel: str | None = strawberry.UNSET
    notice: str | None = strawberry.UNSET
    notice_version: str | None = strawberry.UNSET
    notice_sha256: str | None = strawberry.field(default=strawberry.UNSET, name="noticeSha256")
    language: str | None = strawberry.UNSET
    method: str | None = strawberry.UNSET
    categories: list[str] | None = strawberry.UNSET
    evidence_hash: str | None = strawberry.UNSET
    raw_signal: str | None = strawberry.UNSET
    message_id: str | None = strawberry.UNSET

    def line(self) -> Line:
        """A consent line, without who speaks."""
        return _say(
            type="consent",
            purpose=self.purpose,
            state=str(self.state),
            recipient=self.recipient,
            timestamp=self.effective_at,
            expiresAt=self.expires_at,
            lawfulBasis=self.lawful_basis,
            mechanism=self.mechanism,
            jurisdiction=self.jurisdiction,
            controller=self.controller,
            channel=self.channel,
            notice=self.notice,
            noticeVersion=self.notice_version,
            noticeSha256=self.notice_sha256,
            language=self.language,
            method=self.method,
            categories=self.categories,
            evidenceHash=self.evidence_hash,
            rawSignal=self.raw_signal,
            messageId=self.message_id,
        )


@strawberry.input(description="A consent taken back. It holds for every read that starts after the answer.")
class WithdrawInput:
    """A withdrawal. Without `record` it is the credential's own person who speaks."""

    purpose: str
    record: RecordName | None = strawberry.UNSET
    recipient: str | None = strawberry.UNSET
    effective_at: DateTime | None = strawberry.UNSET
    jurisdiction: str | None = strawberry.UNSET
    channel: str | None = strawberry.UNSET
    method: str | None = strawberry.UNSET
    message_id: str | None = strawberry.UNSET

    def line(self) -> Line:
        """A consent line, without who speaks."""
        return _say(
            type="consent",
            purpose=self.purpose,
            state="withdrawn",
            recipient=self.recipient,
            timestamp=self.effective_at,
            jurisdiction=self.jurisdiction,
            channel=self.channel,
            method=self.method,
            messageId=self.message_id,
        )


@strawberry.type(description="One entry that was not taken, and never will be as it stands.")
class Rejection:
    """Which entry, and why."""

    index: int
    code: str
    message: str
    field: str | None


@strawberry.type
class RecordPayload:
    """What became of a record."""

    accepted: int
    duplicate: int
    rejected: list[Rejection]


@strawberry.type
class ItemsPayload:
    """What became of items."""

    accepted: int
    duplicate: int
    rejected: list[Rejection]


@strawberry.type
class TrackPayload:
    """What became of events."""

    accepted: int
    duplicate: int = strawberry.field(description="Those that had arrived before; they were not counted again.")
    rejected: list[Rejection]


@strawberry.type
class ConsentPayload:
    """What became of a statement, and where every purpose stands now."""

    accepted: int
    duplicate: int
    consents: list[ConsentState] | None = strawberry.field(description="For the person; null for others.")
