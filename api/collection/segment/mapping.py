"""Validated messages as the values that are written: IDs, times, and one reader per message type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ulid import ULID

from algorithms.identity.blocking import USER_ID
from algorithms.identity.normalise import normalise_id
from api.collection.origin import Origin
from api.collection.payloads import ParsedPayload
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.commerce import (
    LONGEST_KEY,
    bound_key,
    check_short_id,
    read_event,
    read_view,
)
from api.collection.segment.consents import (
    digest_preferences,
    find_preferences,
    is_preference_event,
    read_preferences,
    read_statement,
)
from api.collection.segment.names import Name, Named, find_name, grade, read_external, read_names
from api.collection.segment.times import bound_stated, place_event, read_time
from api.collection.segment.traits import check_attributes, find_identifiers, read_traits
from api.collection.segment.validation import check_message
from graph.model.access import Trust
from graph.model.catalogue import ItemFacts, TopicWeight
from graph.model.identity import Grade, IdentifierRef, Proof, RecordKind, StatedIdentifier
from graph.model.message import Message, Payload, name_message
from graph.model.time import Millis
from privacy.purposes import Assurance

LONGEST_ID: Final = 256
_NOTHING: Final[Mapping[str, Any]] = {}
_BEHAVIOUR: Final = frozenset({"track", "page", "screen"})


def read_message(raw: object, origin: Origin, default_id: str | None = None) -> Message:
    """Returns the message to write. `default_id` is the ID used if it has none. Raises Rejected."""
    checked = check_message(raw, own_types=origin.own_types)
    own_id = read_message_id(checked.get("messageId"), default_id)
    payload = ParsedPayload(raw, origin)
    kind = checked["type"]
    if kind == "item":
        return _read_item(checked, origin, own_id, payload)
    return _READERS[kind](checked, _read_head(checked, origin, own_id, payload))


@dataclass(slots=True)
class _Head:
    """What messages of all types share, before it becomes a `Message`."""

    id: str
    origin: Origin
    named: Named
    at: Millis
    received_at: Millis
    payload: Payload | None = None

    def complete(self, *contacts: IdentifierRef, names: tuple[StatedIdentifier, ...] = (), **rest: Any) -> Message:
        """Returns the message with what its type adds: contact data, further names of its person, and the rest."""
        named, source = self.named, self.origin.source
        return Message(
            id=self.id,
            source=source.name,
            record=named.record,
            at=self.at,
            received_at=self.received_at,
            also=named.also,
            identifiers=(*named.identifiers, *(grade(one, source, self.received_at) for one in contacts), *names),
            trust=source.trust,
            verifies=source.verifies,
            proof=named.proof,
            reach=self.origin.reach if named.proof else None,
            payload=self.payload,
            **rest,
        )


def _read_head(checked: Mapping[str, Any], origin: Origin, own_id: str, payload: Payload) -> _Head:
    named = _name_person(checked, origin)
    context = checked.get("context")
    external = context.get("externalIds") if context and named.proof is not Proof.STATIC else None
    at = _read_at(checked, origin)
    received_at = _read_receipt(checked, origin, at)
    if external:
        named.identifiers += read_external(external, origin.source, received_at)
    id_ = name_message(origin.source, named.record, own_id, named.proof)
    return _Head(id_, origin, named, at, received_at, payload)


def _name_person(checked: Mapping[str, Any], origin: Origin) -> Named:
    """Returns whom a message is about. An alias of a public source is a claim by the device that it names; so is, with
    a static hash, whatever is more than behaviour."""
    user_id, anonymous_id, proof = checked.get("userId"), checked.get("anonymousId"), origin.proof
    if proof is Proof.STATIC and not _is_behaviour(checked):
        proof = None
    if checked["type"] == "alias" and origin.source.trust is Trust.PUBLIC and anonymous_id in (None, ""):
        anonymous_id, proof = checked.get("previousId"), None
    return read_names(origin.source, user_id, anonymous_id, proof)


def _is_behaviour(checked: Mapping[str, Any]) -> bool:
    """Whether a message states only what somebody did. One that carries consents along doesn't: on the account's own
    record, a refusal that a stranger may have sent would bar the person."""
    return checked["type"] in _BEHAVIOUR and find_preferences(checked) is None


def open_message(
    origin: Origin, user_id: str | None, anonymous_id: str | None, *, message_id: str | None, timestamp: int | None
) -> Message:
    """Returns a message without content: its ID, whom it is about, and its time. Raises Rejected."""
    own_id = read_message_id(message_id, None)
    named = read_names(origin.source, user_id, anonymous_id, origin.proof)
    at = place_event(read_time(timestamp, "timestamp"), None, origin.received_at)
    return _Head(name_message(origin.source, named.record, own_id), origin, named, at, origin.received_at).complete()


def read_message_id(value: str | int | None, default: str | None) -> str:
    """Returns the message's own ID, otherwise the default, otherwise a new one, with which it would count again if it
    arrived again. Raises Rejected."""
    if value is None or value == "":
        return default or str(ULID())
    text = str(value)
    if len(text) > LONGEST_ID or not text.isprintable():
        raise Rejected(
            RejectionReason.BAD_ID,
            f"messageId must have 1 to {LONGEST_ID} characters and no control characters.",
            "messageId",
        )
    return text


def _read_at(checked: Mapping[str, Any], origin: Origin) -> Millis:
    """Returns the message's time. If it was received earlier, its `sentAt` is compared with the `receivedAt` that it
    states, not with our time of receipt, unless `originalTimestamp` shows that it was corrected then."""
    timestamp = read_time(checked.get("timestamp"), "timestamp")
    sent = checked.get("sentAt")
    if origin.received_earlier:
        received = read_time(checked.get("receivedAt"), "receivedAt")
        if received is None or sent is None or checked.get("originalTimestamp") is not None:
            return place_event(timestamp if timestamp is not None else received, None, origin.received_at)
        timestamp = received if timestamp is None else timestamp - (_sent(sent) - received)
        return place_event(timestamp, None, origin.received_at)
    sent = origin.sent_at if sent is None else sent
    return place_event(timestamp, None if sent is None else _sent(sent), origin.received_at)


def _read_receipt(checked: Mapping[str, Any], origin: Origin, at: Millis) -> Millis:
    """Returns when the message was received. Only an import states that itself, in `receivedAt` or else `timestamp`,
    and never later than now."""
    if not origin.imported:
        return origin.received_at
    stated = read_time(checked.get("receivedAt"), "receivedAt")
    return min(at if stated is None else bound_stated(stated, "receivedAt"), origin.received_at)


def _sent(value: str | int | float) -> int:
    found = read_time(value, "sentAt")
    assert found is not None  # noqa: S101 - narrows the type: the caller has excluded None
    return found


def _carry(checked: Mapping[str, Any], head: _Head) -> dict[str, Any]:
    """Returns the consent that a message about something else carries along."""
    preferences = find_preferences(checked)
    if preferences is None:
        return {}
    statements = read_preferences(preferences, head.at, head.origin.policy, Assurance.CARRIED)
    return {"consents": statements, "carried": digest_preferences(preferences)} if statements else {}


def _read_identify(checked: Mapping[str, Any], head: _Head) -> Message:
    context = checked.get("context") or _NOTHING
    traits = {**(context.get("traits") or _NOTHING), **(checked.get("traits") or _NOTHING)}
    facts = read_traits(traits, context.get("locale"))
    return head.complete(*find_identifiers(facts), traits=facts or None, **_carry(checked, head))


def _read_track(checked: Mapping[str, Any], head: _Head) -> Message:
    event = checked["event"]
    if is_preference_event(event):
        preferences = find_preferences(checked)
        if preferences is None:
            field = "context.consent.categoryPreferences"
            raise Rejected(RejectionReason.MISSING_FIELD, f"{field} is required by this event.", field)
        statements = read_preferences(preferences, head.at, head.origin.policy, Assurance.STATED)
        return head.complete(name=event, consents=statements)
    interactions = read_event(event, checked.get("properties") or _NOTHING)
    if len(interactions) > 1 and interactions[0].order is None:
        interactions = [replace(one, order=head.id) for one in interactions]  # one message, one order
    return head.complete(
        name=event,
        interactions=tuple(interactions),
        session=_session(checked),
        **_carry(checked, head),
    )


def _read_page(checked: Mapping[str, Any], head: _Head) -> Message:
    seen = read_view(checked.get("name"), checked.get("category"), checked.get("properties") or _NOTHING)
    return head.complete(
        name=checked.get("name"),
        interactions=(seen,),
        session=_session(checked),
        **_carry(checked, head),
    )


def _read_group(checked: Mapping[str, Any], head: _Head) -> Message:
    """Returns a message that stores the group's ID and traits among the person's attributes."""
    attributes: dict[str, Any] = {}
    group = checked.get("groupId")
    if group is None or normalise_id(group).value is None:
        raise Rejected(RejectionReason.MISSING_ID, "groupId is required, without control characters.", "groupId")
    attributes["groupId"] = str(group)
    if traits := checked.get("traits"):
        attributes["groupTraits"] = traits
    return head.complete(traits={"attributes": check_attributes(attributes)}, **_carry(checked, head))


def _read_alias(checked: Mapping[str, Any], head: _Head) -> Message:
    """Returns a message that states a former name of the account. It may be that of a device, which then counts for the
    account, or a user ID: a source that knows two user IDs knows two people, so that makes a candidate only.
    """
    source = head.origin.source
    user = find_name(source.name, source.user_namespace, RecordKind.USER, checked.get("userId"))
    previous = find_name(source.name, "", RecordKind.ANONYMOUS, checked.get("previousId"))
    if not isinstance(user, Name):
        raise Rejected(RejectionReason.MISSING_ID, "alias requires userId and previousId.", "userId")
    if not isinstance(previous, Name):
        raise Rejected(previous or RejectionReason.MISSING_ID, "previousId must be a usable ID.", "previousId")
    if previous.record.key == user.record.key:
        raise Rejected(RejectionReason.BAD_VALUE, "previousId and userId are the same.", "previousId")
    if source.trust is Trust.PUBLIC:
        return head.complete(**_carry(checked, head))
    former = IdentifierRef(USER_ID, previous.identifier.value, source.user_namespace)
    names = (grade(previous.identifier, source, head.received_at), StatedIdentifier(former, Grade.STATED))
    return head.complete(names=names, **_carry(checked, head))


def _read_consent(checked: Mapping[str, Any], head: _Head) -> Message:
    return head.complete(consents=(read_statement(checked, head.received_at, head.origin.policy),))


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], _Head], Message]]] = {
    "identify": _read_identify,
    "track": _read_track,
    "page": _read_page,
    "screen": _read_page,
    "group": _read_group,
    "alias": _read_alias,
    "consent": _read_consent,
}


def _session(checked: Mapping[str, Any]) -> str | None:
    context = checked.get("context")
    session = context.get("sessionId") if context else None
    if session is None or session == "":
        return None
    return check_short_id(session, "context.sessionId")


def _read_item(checked: Mapping[str, Any], origin: Origin, own_id: str, payload: Payload) -> Message:
    """Returns the message of an item line. It is about no person; its `timestamp` is the instant as of which the
    facts hold."""
    at = _read_at(checked, origin)
    return Message(
        id=name_message(origin.source, None, own_id),
        source=origin.source.name,
        record=None,
        at=at,
        received_at=_read_receipt(checked, origin, at),
        trust=origin.source.trust,
        verifies=origin.source.verifies,
        proof=origin.proof,
        items=(_read_item_facts(checked, at),),
        payload=payload,
    )


def _read_item_facts(checked: Mapping[str, Any], at: Millis) -> ItemFacts:
    """Returns the facts of a validated item line. Raises Rejected."""
    item = checked["itemId"]
    if item is None:
        raise Rejected(RejectionReason.MISSING_ID, f"itemId is required, 1 to {LONGEST_KEY} characters.", "itemId")
    topics: dict[str, float] = {}
    for topic in checked.get("topics") or ():
        key, weight = (topic, 1.0) if isinstance(topic, str) else (topic["key"], topic["weight"])
        topics[key] = weight
    return ItemFacts(
        key=bound_key(item, "itemId"),
        title=checked.get("title"),
        category=checked.get("category"),
        price=checked.get("price"),
        available=checked.get("available"),
        year=checked.get("year"),
        topics=tuple(TopicWeight(*pair) for pair in topics.items()),
        attributes=check_attributes(checked.get("attributes") or {}),
        updated_at=at,
    )
