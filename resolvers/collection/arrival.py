"""A message to write, with the IDs of the records and identifiers that it names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple, Self

from algorithms.identity.blocking import ANONYMOUS_ID, USER_ID
from algorithms.identity.normalise import LONGEST_CACHED, normalise_identifier
from graph.model.consent import ConsentStatement
from graph.model.identity import Grade, IdentifierRef, RecordId, RecordKind, RecordRef, StatedIdentifier
from graph.model.message import Message
from graph.model.time import Millis


class ArrivedIdentifier(NamedTuple):
    """An identifier of a message's record, with its ID and grade."""

    ref: IdentifierRef
    id: str
    grade: Grade


@dataclass(slots=True)
class Arrival:
    """A message with the IDs of what it names, computed while other messages are written. `device` is the identifier
    of its second record; `identifiers` are those of the first. `states_consent` tells whether it is a statement of
    consent and doesn't merely carry one along. `rows` is how much it counts towards the size of a transaction: an order
    by its products, a statement of consent by its purposes. `order` is its position in the group; `settled` tells
    whether its record has all its identifiers already. Each attempt at the transaction sets both."""

    message: Message
    record: RecordId | None
    also: RecordId | None
    device: ArrivedIdentifier | None
    identifiers: list[ArrivedIdentifier]
    states_consent: bool
    rows: int
    order: int = 0
    settled: bool = False

    @classmethod
    def of(cls, message: Message) -> Self:
        """Returns the arrival of a message."""
        ref, also = message.record, message.also
        stated = message.identifiers
        if ref is not None and ref.kind is RecordKind.ANONYMOUS:
            stated = tuple(_as_claim(one) if one.ref.kind in DEVICE_CLAIMS else one for one in stated)
        device = None if also is None else identifier_of_device(also.key)
        if device is not None and all(one.ref != device for one in stated):
            stated = (*stated, StatedIdentifier(device, Grade.PROVEN))
        states_consent = bool(message.consents) and message.carried is None
        return cls(
            message,
            None if ref is None else record_id_of(ref.source, ref.kind, ref.key),
            None if also is None else record_id_of(also.source, also.kind, also.key),
            None if device is None else ArrivedIdentifier(device, identifier_id(device), Grade.CLAIMED),
            [ArrivedIdentifier(one.ref, identifier_id(one.ref), one.grade) for one in stated],
            states_consent,
            max(1, len(message.interactions) + (len(message.consents) if states_consent else 0)),
        )

    @property
    def ledger_id(self) -> str:
        """The ID under which the message counts once. Statements of consent under one ID count separately unless they
        say the same, so that no message can take the place of a denial."""
        message = self.message
        if message.carried is not None:
            return f"{message.id}|{self.record}"
        if not self.states_consent:
            return message.id
        return f"{message.id}|{digest_statements(message.consents)}"

    def statements(self) -> list[tuple[str, ConsentStatement]]:
        """Returns the message's statements, each with the ID of its event."""
        return [(self.statement_id(number), statement) for number, statement in enumerate(self.message.consents)]

    def statement_id(self, number: int) -> str:
        """Returns the ID of the event for one of the message's statements, which differs by door, credential, record
        and content."""
        statement = self.message.consents[number]
        return _digest(self.message.id, str(self.record), str(number), digest_statements((statement,)))


DEVICE_CLAIMS: Final = frozenset({USER_ID, ANONYMOUS_ID})
"""Kinds that a device only ever claims: a user ID names somebody else, and its own name needs no proof."""


def _as_claim(one: StatedIdentifier) -> StatedIdentifier:
    return one if one.grade is Grade.CLAIMED else one._replace(grade=Grade.CLAIMED)


def digest_statements(statements: Iterable[ConsentStatement]) -> str:
    """Returns a digest of what statements say. Their instants don't count: a sender that repeats a message may leave
    them to the server."""
    return _digest(*(repr(replace(one, effective_at=Millis(0))) for one in statements))


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def record_id_of(source: str, kind: RecordKind, key: str) -> RecordId:
    """Returns `RecordRef.id`; those of short keys are cached."""
    read = _record_id if len(key) <= LONGEST_CACHED else _record_id.__wrapped__
    return read(source, kind, key)


@lru_cache(maxsize=65_536)
def _record_id(source: str, kind: RecordKind, key: str) -> RecordId:
    return RecordRef(source, kind, key).id


def identifier_id(identifier: IdentifierRef) -> str:
    """Returns `IdentifierRef.id`; those of short values are cached."""
    short = len(identifier.value) + len(identifier.namespace) <= LONGEST_CACHED
    read = _identifier_id if short else _identifier_id.__wrapped__
    return read(identifier.kind, identifier.value, identifier.namespace)


@lru_cache(maxsize=65_536)
def _identifier_id(kind: str, value: str, namespace: str) -> str:
    return IdentifierRef(kind, value, namespace).id


def identifier_of_device(key: str) -> IdentifierRef | None:
    """Returns the identifier that a device has by its own key; None if the key is not usable as one."""
    read = _identifier_of_device if len(key) <= LONGEST_CACHED else _identifier_of_device.__wrapped__
    return read(key)


@lru_cache(maxsize=65_536)
def _identifier_of_device(key: str) -> IdentifierRef | None:
    value = normalise_identifier(ANONYMOUS_ID, key)
    return IdentifierRef(ANONYMOUS_ID, value) if value is not None else None
