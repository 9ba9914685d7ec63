"""A message to write, with the IDs of the records and identifiers that it names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from algorithms.identity.blocking import ANONYMOUS_ID
from algorithms.identity.normalise import normalise_identifier
from graph.model.identity import IdentifierRef, RecordId, RecordKind, RecordRef
from graph.model.message import Message


@dataclass(slots=True)
class Arrival:
    """A message with the IDs of what it names, computed while other messages are written. `anonymous` is the identifier
    of its second record; `identifiers` are those of the first, with their IDs. `order` is its position in the group;
    `settled` tells whether its record carries all its identifiers already. Each attempt at the transaction sets
    both."""

    message: Message
    record: RecordId | None
    also: RecordId | None
    anonymous: IdentifierRef | None
    identifiers: list[tuple[IdentifierRef, str]]
    order: int = 0
    settled: bool = False

    @classmethod
    def of(cls, message: Message) -> Self:
        """Returns the arrival of a message."""
        ref, also = message.record, message.also
        anonymous = None if also is None else identifier_of_device(also.key)
        identifiers = tuple(one.ref for one in message.identifiers)
        if anonymous is not None and anonymous not in identifiers:
            identifiers = (*identifiers, anonymous)
        return cls(
            message,
            None if ref is None else record_id_of(ref.source, ref.kind, ref.key),
            None if also is None else record_id_of(also.source, also.kind, also.key),
            anonymous,
            [(one, identifier_id_of(one.kind, one.value, one.namespace)) for one in identifiers],
        )


@lru_cache(maxsize=65_536)
def record_id_of(source: str, kind: RecordKind, key: str) -> RecordId:
    """Returns `RecordRef.id`, cached."""
    return RecordRef(source, kind, key).id


@lru_cache(maxsize=65_536)
def identifier_id_of(kind: str, value: str, namespace: str) -> str:
    """Returns `IdentifierRef.id`, cached."""
    return IdentifierRef(kind, value, namespace).id


@lru_cache(maxsize=65_536)
def identifier_of_device(key: str) -> IdentifierRef | None:
    """Returns the identifier that an anonymous record carries by its own key; None if the key is not usable as one."""
    value = normalise_identifier(ANONYMOUS_ID, key)
    return IdentifierRef(ANONYMOUS_ID, value) if value is not None else None


def identifier_id(identifier: IdentifierRef) -> str:
    """Returns `IdentifierRef.id`, cached."""
    return identifier_id_of(identifier.kind, identifier.value, identifier.namespace)
