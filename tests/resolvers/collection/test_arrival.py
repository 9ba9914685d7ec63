"""Arrivals: the ids of what a message names, and the identifier that its anonymous record carries."""

from __future__ import annotations

import pytest

from graph.model.identity import Grade, IdentifierRef, RecordKind, RecordRef, StatedIdentifier
from graph.model.message import Message
from graph.model.time import Millis
from resolvers.collection.arrival import Arrival, identifier_id, identifier_of_device

ADA, VISITOR = RecordRef("shop", RecordKind.USER, "ada"), RecordRef("shop", RecordKind.ANONYMOUS, "visitor")
USER_ID, DEVICE = IdentifierRef("user_id", "ada"), IdentifierRef("anonymous_id", "visitor")


def arrive(
    record: RecordRef | None, also: RecordRef | None = None, identifiers: tuple[IdentifierRef, ...] = ()
) -> Arrival:
    stated = tuple(StatedIdentifier(one, Grade.PROVEN) for one in identifiers)
    return Arrival.of(Message("m", "shop", record, Millis(1), Millis(1), also=also, identifiers=stated))


def test_an_arrival_has_the_ids_of_its_records_and_identifiers() -> None:
    found = arrive(ADA, VISITOR, (USER_ID,))
    assert (found.record, found.also, found.anonymous) == (ADA.id, VISITOR.id, DEVICE)
    assert found.identifiers == [(USER_ID, USER_ID.id), (DEVICE, DEVICE.id)]
    assert identifier_id(DEVICE) == DEVICE.id


def test_an_anonymous_identifier_already_stated_is_not_repeated() -> None:
    assert [one for one, _ in arrive(ADA, VISITOR, (DEVICE, USER_ID)).identifiers] == [DEVICE, USER_ID]


def test_a_message_without_records_has_no_record_ids() -> None:
    found = arrive(None)
    assert (found.record, found.also, found.anonymous, found.identifiers) == (None, None, None, [])
    assert arrive(ADA, None, (USER_ID,)).identifiers == [(USER_ID, USER_ID.id)]


@pytest.mark.parametrize("key", ["", "null", "0000", "x" * 600, "a\0b", "\ud800"])
def test_an_unusable_anonymous_id_is_a_record_but_not_an_identifier(key: str) -> None:
    visitor = RecordRef("shop", RecordKind.ANONYMOUS, key)
    found = arrive(ADA, visitor, (USER_ID,))
    assert identifier_of_device(key) is None
    assert (found.also, found.anonymous, found.identifiers) == (visitor.id, None, [(USER_ID, USER_ID.id)])


def test_an_anonymous_id_is_normalised_as_an_identifier_but_not_as_a_record() -> None:
    visitor = RecordRef("shop", RecordKind.ANONYMOUS, " visitor ")
    found = arrive(visitor, visitor)
    assert (found.record, found.anonymous) == (visitor.id, DEVICE)
    assert visitor.id != VISITOR.id
