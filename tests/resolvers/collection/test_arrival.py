"""Arrivals: the IDs of what a message names, the grades of its identifiers, and the IDs under which it counts once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graph.model.consent import ConsentState, ConsentStatement
from graph.model.identity import Grade, IdentifierRef, RecordKind, RecordRef, StatedIdentifier
from graph.model.message import Message
from graph.model.time import Millis
from resolvers.collection.arrival import Arrival, identifier_id, identifier_of_device

ADA, VISITOR = RecordRef("shop", RecordKind.USER, "ada"), RecordRef("shop", RecordKind.ANONYMOUS, "visitor")
USER_ID, DEVICE = IdentifierRef("user_id", "ada"), IdentifierRef("anonymous_id", "visitor")
PROVEN, STATED, CLAIMED = Grade.PROVEN, Grade.STATED, Grade.CLAIMED


def arrive(
    record: RecordRef | None,
    also: RecordRef | None = None,
    identifiers: tuple[IdentifierRef, ...] = (),
    grade: Grade = PROVEN,
) -> Arrival:
    stated = tuple(StatedIdentifier(one, grade) for one in identifiers)
    return Arrival.of(Message("m", "shop", record, Millis(1), Millis(1), also=also, identifiers=stated))


def test_an_arrival_has_the_ids_of_its_records_and_identifiers() -> None:
    """The account proves the device's ID; the device itself only claims it."""
    found = arrive(ADA, VISITOR, (USER_ID,))
    assert (found.record, found.also, found.device) == (ADA.id, VISITOR.id, (DEVICE, DEVICE.id, CLAIMED))
    assert found.identifiers == [(USER_ID, USER_ID.id, PROVEN), (DEVICE, DEVICE.id, PROVEN)]
    assert identifier_id(DEVICE) == DEVICE.id


def test_an_anonymous_identifier_already_stated_is_not_repeated() -> None:
    assert [one.ref for one in arrive(ADA, VISITOR, (DEVICE, USER_ID)).identifiers] == [DEVICE, USER_ID]


def test_a_device_only_ever_claims_ids_whatever_its_source_is() -> None:
    email = IdentifierRef("email", "ada@x.com")
    found = arrive(VISITOR, None, (DEVICE, USER_ID, email), STATED)
    assert [(one.ref, one.grade) for one in found.identifiers] == [
        (DEVICE, CLAIMED), (USER_ID, CLAIMED), (email, STATED),
    ]  # fmt: skip


def test_a_message_without_records_has_no_record_ids() -> None:
    found = arrive(None)
    assert (found.record, found.also, found.device, found.identifiers) == (None, None, None, [])
    assert arrive(ADA, None, (USER_ID,)).identifiers == [(USER_ID, USER_ID.id, PROVEN)]


@pytest.mark.parametrize("key", ["", "null", "0000", "x" * 600, "a\0b", "\ud800"])
def test_an_unusable_anonymous_id_is_a_record_but_not_an_identifier(key: str) -> None:
    visitor = RecordRef("shop", RecordKind.ANONYMOUS, key)
    found = arrive(ADA, visitor, (USER_ID,))
    assert identifier_of_device(key) is None
    assert (found.also, found.device, found.identifiers) == (visitor.id, None, [(USER_ID, USER_ID.id, PROVEN)])


def test_an_anonymous_id_is_normalised_as_an_identifier_but_not_as_a_record() -> None:
    visitor = RecordRef("shop", RecordKind.ANONYMOUS, " visitor ")
    found = arrive(ADA, visitor)
    assert found.device is not None
    assert (found.also, found.device.ref) == (visitor.id, DEVICE)
    assert visitor.id != VISITOR.id


GIVEN = ConsentStatement("analytics", ConsentState.GIVEN, Millis(5))
DENIED = replace(GIVEN, state=ConsentState.WITHDRAWN)


def stating(
    *statements: ConsentStatement, id_: str = "m", record: RecordRef = ADA, carried: str | None = None
) -> Arrival:
    return Arrival.of(Message(id_, "shop", record, Millis(1), Millis(1), consents=statements, carried=carried))


def test_no_statement_takes_the_place_of_another_one_under_its_id() -> None:
    given, denied = stating(GIVEN), stating(DENIED)
    assert given.ledger_id != denied.ledger_id
    assert given.statement_id(0) != denied.statement_id(0)
    again = stating(replace(GIVEN, effective_at=Millis(9)))
    assert (again.ledger_id, again.statement_id(0)) == (given.ledger_id, given.statement_id(0))


def test_the_ids_of_statements_differ_by_message_record_and_place() -> None:
    eve = RecordRef("shop", RecordKind.USER, "eve")
    both = stating(GIVEN, GIVEN)
    ids = {both.statement_id(0), both.statement_id(1)}
    ids |= {one.statement_id(0) for one in (stating(GIVEN, id_="n"), stating(GIVEN, record=eve))}
    assert len(ids) == 4
    assert all(len(one) == 32 for one in ids)


def test_a_message_that_carries_consents_along_counts_once_for_its_record() -> None:
    carrying = stating(GIVEN, carried="digest")
    assert carrying.ledger_id == stating(DENIED, carried="other").ledger_id == f"m|{carrying.record}"
    assert arrive(ADA).ledger_id == "m"
    assert [stating(GIVEN).states_consent, stating(GIVEN, carried="digest").states_consent] == [True, False]


def test_a_statement_weighs_as_its_purposes_and_what_is_carried_along_as_nothing() -> None:
    stated = tuple(ConsentStatement(key, ConsentState.GIVEN, Millis(1)) for key in ("analytics", "marketing"))
    message = Message("m", "shop", ADA, Millis(1), Millis(1), consents=stated)
    weights = [
        Arrival.of(one).rows for one in (message, replace(message, carried="digest"), replace(message, consents=()))
    ]
    assert weights == [2, 1, 1]
