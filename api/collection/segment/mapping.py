"""Validated messages as the values that are written: names of people, IDs, times, and one reader per message type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from ulid import ULID

from algorithms.identity.blocking import ANONYMOUS_ID, EMAIL, PHONE, USER_ID, BlockReason
from algorithms.identity.normalise import examine_identifier, normalise_id, normalise_identifier
from api.collection.origin import Origin
from api.collection.payloads import ParsedPayload
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.commerce import (
    LONGEST_KEY,
    bound_key,
    check_short_id,
    merge_mentions,
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
from api.collection.segment.times import place_event, read_time
from api.collection.segment.traits import check_attributes, find_identifiers, read_traits
from api.collection.segment.validation import check_message
from graph.model.access import Source
from graph.model.catalogue import ItemFacts, TopicWeight
from graph.model.identity import IdentifierRef, RecordKind, RecordRef
from graph.model.message import Message, Payload
from graph.model.time import Millis
from privacy.purposes import Assurance

LONGEST_ID: Final = 256
_NOTHING: Final[Mapping[str, Any]] = {}
_NAMES: Final = 65_536


def read_message(raw: object, origin: Origin, default_id: str | None = None) -> Message:
    """Returns the message to write. `default_id` is the ID used if it has none. Raises Rejected."""
    checked = check_message(raw, own_types=origin.own_types)
    message_id = f"{origin.source.name}|{_message_id(checked.get('messageId'), default_id)}"
    payload = ParsedPayload(raw, origin)
    kind = checked["type"]
    if kind == "item":
        return _read_item(checked, origin, message_id, payload)
    return _READERS[kind](checked, _read_head(checked, origin, message_id, payload))


@dataclass(slots=True)
class _Head:
    """What messages of all types share, before it becomes a `Message`."""

    id: str
    origin: Origin
    record: RecordRef
    also: RecordRef | None
    identifiers: tuple[IdentifierRef, ...]
    at: Millis
    payload: Payload

    def complete(self, *identifiers: IdentifierRef, **rest: Any) -> Message:
        """Returns the message with what its type adds."""
        return Message(
            id=self.id,
            source=self.origin.source.name,
            record=self.record,
            at=self.at,
            received_at=self.origin.received_at,
            also=self.also,
            identifiers=self.identifiers + identifiers if identifiers else self.identifiers,
            payload=self.payload,
            **rest,
        )


def _read_head(checked: Mapping[str, Any], origin: Origin, message_id: str, payload: Payload) -> _Head:
    record, also, identifiers = _read_names(origin.source, checked.get("userId"), checked.get("anonymousId"))
    context = checked.get("context")
    external = context.get("externalIds") if context else None
    if external:
        identifiers += _read_external(external, origin.source)
    return _Head(message_id, origin, record, also, identifiers, _read_at(checked, origin), payload)


def open_message(
    origin: Origin, user_id: str | None, anonymous_id: str | None, *, message_id: str | None, timestamp: int | None
) -> Message:
    """Returns a message without content: its ID, whom it is about, and its time. Raises Rejected."""
    id_ = f"{origin.source.name}|{_message_id(message_id, None)}"
    record, also, identifiers = _read_names(origin.source, user_id, anonymous_id)
    at = place_event(read_time(timestamp, "timestamp"), None, origin.received_at)
    return Message(
        id=id_,
        source=origin.source.name,
        record=record,
        at=at,
        received_at=origin.received_at,
        also=also,
        identifiers=identifiers,
    )


def _read_names(
    source: Source, user_id: str | int | None, anonymous_id: str | int | None
) -> tuple[RecordRef, RecordRef | None, tuple[IdentifierRef, ...]]:
    """Returns whom a message is about: its record, a second record if it names two, and their identifiers. Raises
    Rejected if it names none."""
    user = _name(source.name, source.user_namespace, RecordKind.USER, user_id)
    anonymous = _name(source.name, "", RecordKind.ANONYMOUS, anonymous_id)
    if isinstance(user, Name):
        if isinstance(anonymous, Name):
            return user.record, anonymous.record, (user.identifier, anonymous.identifier)
        return user.record, None, (user.identifier,)
    if isinstance(anonymous, Name):
        return anonymous.record, None, (anonymous.identifier,)
    raise _refuse_names(user, anonymous)


@dataclass(frozen=True, slots=True)
class Name:
    """A usable name of a person in a source: the record that it names, and that record's identifier."""

    record: RecordRef
    identifier: IdentifierRef


def _name(source: str, namespace: str, kind: RecordKind, key: str | int | None) -> Name | RejectionReason | None:
    """Returns the name, None if there is none, or the reason why it can't be used."""
    if key is None or key == "":
        return None
    return _find_name(source, namespace, kind, str(key))


@lru_cache(maxsize=_NAMES)
def _find_name(source: str, namespace: str, kind: RecordKind, key: str) -> Name | RejectionReason | None:
    identifier_kind = USER_ID if kind is RecordKind.USER else ANONYMOUS_ID
    found = examine_identifier(identifier_kind, key)
    if found.value is not None:
        return Name(RecordRef(source, kind, key), IdentifierRef(identifier_kind, found.value, namespace))
    return RejectionReason.BLOCKED_ID if isinstance(found.reason, BlockReason) else RejectionReason.BAD_ID


def _refuse_names(user: Name | RejectionReason | None, anonymous: Name | RejectionReason | None) -> Rejected:
    reason = next((name for name in (user, anonymous) if isinstance(name, RejectionReason)), RejectionReason.MISSING_ID)
    if reason is RejectionReason.MISSING_ID:
        return Rejected(reason, "userId or anonymousId is required and must not be null or empty.", "userId")
    field = "userId" if user is reason else "anonymousId"
    if reason is RejectionReason.BLOCKED_ID:
        return Rejected(reason, f"{field} is a placeholder that identifies no one.", field)
    return Rejected(reason, f"{field} must have 1 to 512 characters and no control characters.", field)


def _read_external(external: list[dict[str, Any]], source: Source) -> tuple[IdentifierRef, ...]:
    """Returns the identifiers in `context.externalIds`, without unusable and blocked ones, which identify no one."""
    found = []
    for entry in external:
        kind = entry.get("type")
        if not kind or len(kind) > 64 or entry.get("collection", "users") not in ("users", None):
            continue
        value = normalise_identifier(kind, entry.get("id"))
        if value is None:
            continue
        own = source.user_namespace if kind == USER_ID else ""
        namespace = own if kind in (USER_ID, ANONYMOUS_ID, EMAIL, PHONE) else (entry.get("namespace") or "")[:64]
        found.append(IdentifierRef(kind, value, namespace))
    return tuple(found)


def _message_id(value: str | int | None, default: str | None) -> str:
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
    interactions, mentions = read_event(event, checked.get("properties") or _NOTHING, head.at)
    if len(interactions) > 1 and interactions[0].order is None:
        interactions = [replace(one, order=head.id) for one in interactions]  # one message, one order
    return head.complete(
        name=event,
        interactions=tuple(interactions),
        items=merge_mentions(mentions) if len(mentions) > 1 else tuple(mentions),
        session=_session(checked),
        **_carry(checked, head),
    )


def _read_page(checked: Mapping[str, Any], head: _Head) -> Message:
    interactions, mentions = read_view(
        checked.get("name"), checked.get("category"), checked.get("properties") or _NOTHING, head.at
    )
    return head.complete(
        name=checked.get("name"),
        interactions=tuple(interactions),
        items=tuple(mentions),
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
    source = head.origin.source.name
    previous = _name(source, "", RecordKind.ANONYMOUS, checked.get("previousId"))
    if head.record.kind is not RecordKind.USER:
        raise Rejected(RejectionReason.MISSING_ID, "alias requires userId and previousId.", "userId")
    if not isinstance(previous, Name):
        raise Rejected(previous or RejectionReason.MISSING_ID, "previousId must be a usable ID.", "previousId")
    if previous.record.key == head.record.key:
        raise Rejected(RejectionReason.BAD_VALUE, "previousId and userId are the same.", "previousId")
    return head.complete(alias_of=previous.record, **_carry(checked, head))


def _read_consent(checked: Mapping[str, Any], head: _Head) -> Message:
    return head.complete(consents=(read_statement(checked, head.origin.received_at, head.origin.policy),))


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


def _read_item(checked: Mapping[str, Any], origin: Origin, message_id: str, payload: Payload) -> Message:
    """Returns the message of an item line. It is about no person; its `timestamp` is the instant as of which the
    facts hold."""
    at = _read_at(checked, origin)
    return Message(
        id=message_id,
        source=origin.source.name,
        record=None,
        at=at,
        received_at=origin.received_at,
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
