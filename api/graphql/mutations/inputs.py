"""Inputs of mutations. Each turns into a message in the collection format or into a consent statement."""

from __future__ import annotations

from typing import Any, Final

import strawberry

from api.collection.segment.messages import RawMessage
from api.collection.segment.times import read_stated
from api.graphql.types.profile import IDENTIFIER_KINDS
from api.graphql.types.relay import given, optional
from api.graphql.types.scalars import DateTime, Json
from graph.model.consent import ConsentState as State
from graph.model.consent import ConsentStatement
from graph.model.time import Millis
from resolvers.consent.statements import NamedRecord

_USER_ID: Final = "The source's user ID for the person, 1 to 512 characters. `userId` or `anonymousId` is required."
_ANONYMOUS_ID: Final = (
    "The source's anonymous ID for the person, 1 to 512 characters. With `userId` too, it ties the two records "
    "together."
)
_AS_OF: Final = (
    "Instant as of which the facts hold; the latest wins. From 1990 to one day after receipt; left out: now."
)


def _pick_given(**fields: Any) -> RawMessage:
    """Returns the fields that are given and not null."""
    return {name: value for name, value in fields.items() if given(value) is not None}


def _text(value: str | None) -> str | None:
    """Returns the text, or None if it is left out, null or empty."""
    return given(value) or None


@strawberry.input(
    description="Names a person as a source does: by user ID, by anonymous ID, or by both. Queries name one of the two "
    "as `key`, with its `kind`."
)
class RecordName:
    source: str = strawberry.field(description="Name of the source, which must be registered.")
    user_id: str | None = optional("The source's user ID for the person.")
    anonymous_id: str | None = optional(
        "The source's anonymous ID for the person, such as that of a browser. With a user ID too, it ties the two "
        "records together."
    )

    def named(self) -> NamedRecord:
        """Returns the names in the form that the use case takes."""
        return NamedRecord(self.source, given(self.user_id), given(self.anonymous_id))


@strawberry.input(description="An identifier of the person, such as an e-mail address or a customer number.")
class IdentifierInput:
    kind: str = strawberry.field(description=IDENTIFIER_KINDS)
    value: str = strawberry.field(
        description="The value in any spelling; a phone number needs its country code. A value that can't be used is "
        "left out, not rejected; so is a kind over 64 characters."
    )
    namespace: str | None = optional(
        "Namespace within which the value of an external kind is unique, at most 64 characters; left out: unique "
        "everywhere. Ignored for the other kinds."
    )


@strawberry.input(description="What one source knows about a person. Facts that are left out stay as they are.")
class RecordInput:
    source: str = strawberry.field(
        description="Name of the source, which must be registered; otherwise the request fails with BAD_USER_INPUT."
    )
    user_id: str | None = optional(_USER_ID)
    anonymous_id: str | None = optional(_ANONYMOUS_ID)
    traits: Json | None = optional(
        "Facts about the person as a JSON object of at most 256 entries, named as in Segment (`email`, `firstName`); "
        "unknown ones become `attributes`. Null removes a fact."
    )
    identifiers: list[IdentifierInput] | None = optional(
        "Further identifiers of the person, besides the two IDs and the traits `email` and `phone`; at most 64."
    )
    timestamp: DateTime | None = optional(_AS_OF)
    message_id: str | None = optional(
        "ID that makes the record count once however often it is sent, 1 to 256 characters. If left out, every "
        "request is counted again."
    )

    def raw_message(self) -> RawMessage:
        """Returns an identify message."""
        external = [
            _pick_given(type=one.kind, id=one.value, namespace=one.namespace, collection="users")
            for one in given(self.identifiers) or ()
        ]
        return _pick_given(
            type="identify",
            userId=self.user_id,
            anonymousId=self.anonymous_id,
            traits=self.traits,
            context={"externalIds": external} if external else None,
            timestamp=self.timestamp,
            messageId=self.message_id,
        )


@strawberry.input(description="A topic that an item is about, and how much.")
class TopicInput:
    key: str = strawberry.field(description="Key of the topic, 1 to 512 characters.")
    weight: float = strawberry.field(default=1.0, description="How much the item is about the topic: 0 or more.")


@strawberry.input(
    description="What the catalogue knows about an item. Fields that are left out or null stay as they are."
)
class ItemInput:
    key: str = strawberry.field(description="The catalogue's own key, 1 to 512 characters.")
    title: str | None = optional("Title to display.")
    category: str | None = optional("Category, in the catalogue's own words.")
    price: float | None = optional("Price of one unit, in the catalogue's own currency.")
    available: bool | None = optional("Whether the item is available; `false` excludes it from recommendations.")
    year: int | None = optional("Year of the item, such as its release; from -9999 to 9999.")
    topics: list[TopicInput] | None = optional(
        "What the item is about. Replaces all earlier topics; an empty list changes nothing."
    )
    attributes: Json | None = optional(
        "Further facts as a JSON object. Replaces the earlier object; an empty one changes nothing."
    )
    timestamp: DateTime | None = optional(_AS_OF)
    message_id: str | None = optional(
        "ID that makes the entry count once however often it is sent, 1 to 256 characters. If left out, every request "
        "is counted again."
    )

    def raw_message(self) -> RawMessage:
        """Returns an item message."""
        topics = [{"key": topic.key, "weight": topic.weight} for topic in given(self.topics) or ()]
        return _pick_given(
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


@strawberry.input(description="One event, as in Segment's track call. It counts once however often it is sent.")
class EventInput:
    source: str = strawberry.field(
        description="Name of the source, which must be registered; otherwise the entry is rejected with "
        "`unknown_source`."
    )
    message_id: str = strawberry.field(
        description="ID that makes the event count once however often it is sent, 1 to 256 characters, unique within "
        "the source."
    )
    event: str = strawberry.field(
        description="Name of the event, 1 to 512 characters. Segment's e-commerce names such as `Product Viewed` "
        "become typed interactions; any other name becomes INTERACTED."
    )
    user_id: str | None = optional(_USER_ID)
    anonymous_id: str | None = optional(_ANONYMOUS_ID)
    timestamp: DateTime | None = optional("When the event happened, from 1990 to one day after receipt; left out: now.")
    item: str | None = optional(
        "Key of the item, 1 to 512 characters; takes the place of `product_id` in `properties`."
    )
    properties: Json | None = optional(
        "Properties of the event as a JSON object, named as in Segment, such as `price`, `quantity` or `products`."
    )
    session_id: str | None = optional(
        "The client's own ID of the session, 1 to 512 characters. If left out, events less than 30 minutes apart "
        "share a session."
    )

    def raw_message(self) -> RawMessage:
        """Returns a track message."""
        properties: Any = given(self.properties)
        item = given(self.item)
        if item is not None:
            properties = {**properties, "product_id": item} if isinstance(properties, dict) else {"product_id": item}
        session = given(self.session_id)
        return _pick_given(
            type="track",
            event=self.event,
            userId=self.user_id,
            anonymousId=self.anonymous_id,
            properties=properties,
            context={"sessionId": session} if session is not None else None,
            timestamp=self.timestamp,
            messageId=self.message_id,
        )


@strawberry.input(description="What a person states about one purpose; `withdrawConsent` takes a consent back.")
class ConsentInput:
    """Without `record`, the statement is that of the credential's own person."""

    purpose: str = strawberry.field(description="Key of a purpose in the policy; `purposes` lists them.")
    state: State = strawberry.field(
        description="What is stated: GIVEN, RENEWED, REFUSED, OBJECTED or UNKNOWN. Other states are refused with "
        "BAD_USER_INPUT."
    )
    record: RecordName | None = optional(
        "Whose statement it is. Operators must name the record; a person with their own token leaves it out."
    )
    recipient: str | None = optional(
        "Partner that the statement is about, 1 to 200 characters without `*` or `@`; case does not matter. Left out: "
        "all partners. Only for purposes with recipients."
    )
    effective_at: DateTime | None = optional(
        "When a grant takes effect, from 1990 to a day from now; left out: now. A denial takes effect on receipt at "
        "the latest."
    )
    expires_at: DateTime | None = optional("When the statement expires by itself, from 1990 to 2100; left out: never.")
    lawful_basis: str | None = optional(
        "Legal basis under GDPR Art. 6(1): `consent`, `contract`, `legal_obligation`, `vital_interests`, "
        "`public_task` or `legitimate_interests`."
    )
    mechanism: str | None = optional(
        "How the statement came about: `opt_in`, `opt_out` or `notice_only`. Only `opt_in`, the default, can give "
        "consent."
    )
    jurisdiction: str | None = optional(
        "Place whose rules apply, such as `US-CA`; it decides what silence means. At most 512 characters."
    )
    controller: str | None = optional(
        "Organisation responsible for the data, if not the one in the policy; at most 512 characters."
    )
    channel: str | None = optional("Where the statement was made, such as `web` or `app`; at most 512 characters.")
    notice: str | None = optional("Key of the notice that the person was shown; at most 512 characters.")
    notice_version: str | None = optional("Version of that notice; at most 512 characters.")
    notice_sha256: str | None = optional("SHA-256 of the notice's text.", name="noticeSha256")
    language: str | None = optional("Language of that notice; at most 512 characters.")
    method: str | None = optional("How the statement was collected, such as `banner`; at most 512 characters.")
    categories: list[str] | None = optional(
        "Categories of personal data that the statement names; kept as evidence, it limits nothing."
    )
    evidence_hash: str | None = optional("Hash of evidence that is kept elsewhere; at most 512 characters.")
    raw_signal: str | None = optional(
        "The consent signal as received, such as a TCF or GPP string; at most 8192 characters."
    )
    message_id: str | None = optional(
        "ID that makes the statement count once however often it is sent, 1 to 256 characters. If left out, every "
        "request is counted again."
    )

    def statement(self, effective_at: Millis) -> ConsentStatement:
        """Returns the statement, without actor and assurance. Raises Rejected if `expiresAt` is out of range."""
        return ConsentStatement(
            purpose=self.purpose,
            state=State(self.state),
            effective_at=effective_at,
            recipient=_text(self.recipient),
            lawful_basis=_text(self.lawful_basis),
            mechanism=_text(self.mechanism),
            jurisdiction=_text(self.jurisdiction),
            expires_at=read_stated(given(self.expires_at), "expiresAt"),
            controller=_text(self.controller),
            channel=_text(self.channel),
            notice=_text(self.notice),
            notice_version=_text(self.notice_version),
            notice_sha256=_text(self.notice_sha256),
            language=_text(self.language),
            method=_text(self.method),
            evidence_hash=_text(self.evidence_hash),
            raw_signal=_text(self.raw_signal),
            categories=tuple(given(self.categories) or ()),
        )


@strawberry.input(description="A consent taken back. It applies to every read that starts after the response.")
class WithdrawInput:
    """Without `record`, the withdrawal is that of the credential's own person."""

    purpose: str = strawberry.field(description="Key of a purpose in the policy; `purposes` lists them.")
    record: RecordName | None = optional(
        "Whose statement it is. Operators and front-ends must name the record; a person with their own token leaves "
        "it out."
    )
    recipient: str | None = optional(
        "Partner that the withdrawal is about; case does not matter. Left out: all partners. Only for purposes with "
        "recipients."
    )
    effective_at: DateTime | None = optional(
        "When the person withdrew, from 1990 to a day from now; left out: now. It takes effect on receipt at the "
        "latest."
    )
    jurisdiction: str | None = optional(
        "Place whose rules apply, such as `US-CA`; at most 512 characters. Front-ends must leave it out."
    )
    channel: str | None = optional("Where the withdrawal was made, such as `web` or `app`; at most 512 characters.")
    method: str | None = optional("How the withdrawal was collected, such as `banner`; at most 512 characters.")
    message_id: str | None = optional(
        "ID that makes the withdrawal count once however often it is sent, 1 to 256 characters. If left out, every "
        "request is counted again."
    )

    def statement(self, effective_at: Millis) -> ConsentStatement:
        """Returns the statement, without actor and assurance."""
        return ConsentStatement(
            purpose=self.purpose,
            state=State.WITHDRAWN,
            effective_at=effective_at,
            recipient=_text(self.recipient),
            jurisdiction=_text(self.jurisdiction),
            channel=_text(self.channel),
            method=_text(self.method),
        )
