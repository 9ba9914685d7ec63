"""Attaching evidence: what is written once, what is raised or moved, and what has to be decided afresh."""

from __future__ import annotations

import pytest

from graph.identity.identifiers import NewHolding
from graph.model.identity import Grade, IdentifierRef
from graph.model.time import Millis
from graph.store.client import GraphClient
from resolvers.identity.attachment import Attached, Evidence, attach_evidence
from tests.crowd import run
from tests.newcomers import email, record, write_newcomers

pytestmark = pytest.mark.store

ADA, USER, DEVICE = email("ada"), IdentifierRef("user_id", "1"), IdentifierRef("anonymous_id", "d")
PROVEN, STATED, CLAIMED = Grade.PROVEN, Grade.STATED, Grade.CLAIMED


def stated(name: str, identifier: IdentifierRef, grade: Grade, since: int) -> NewHolding:
    return NewHolding(record(name), identifier, grade, Millis(since))


async def attach(store: GraphClient, *new: NewHolding, **rest: object) -> Attached:
    """Attaches identifiers; what each record has already is looked up."""
    found = Evidence(**rest)  # type: ignore[arg-type]
    for one in new:
        found.add(one, one.identifier.id, None, certain=False)
    return await store.write(lambda tx: attach_evidence(tx, found))


async def edges(store: GraphClient) -> list[tuple[str, str, int]]:
    rows = await store.read(
        "MATCH (r:Record)-[h:IDENTIFIED_BY|CLAIMS]->(i) RETURN i.kind AS kind, "
        "coalesce(h.grade, 'claimed') AS grade, h.since AS since ORDER BY kind, grade"
    )
    return [tuple(row.values()) for row in rows]  # type: ignore[misc]


async def test_each_grade_leads_to_its_decisions(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b", "c")
    found = await attach(store, stated("a", ADA, PROVEN, 1), stated("b", ADA, STATED, 1), stated("c", ADA, CLAIMED, 1))
    only = frozenset({record("a")})
    assert found == Attached(linking=only, sharing=only, changed=frozenset(map(record, "abc")))
    found = await attach(store, stated("a", USER, PROVEN, 1), stated("b", USER, CLAIMED, 1))
    assert (found.linking, found.devices, found.named) == ({record("a")}, {record("b")}, {USER.id})
    assert found.sharing == set()
    found = await attach(store, stated("a", DEVICE, PROVEN, 1), stated("c", DEVICE, CLAIMED, 1))
    assert (found.linking, found.devices, found.named) == (set(), {record("c")}, {DEVICE.id})


async def test_what_is_known_as_well_and_as_early_is_not_written_again(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    await attach(store, stated("a", ADA, PROVEN, 5), stated("a", USER, CLAIMED, 5))
    for grade, since in ((PROVEN, 5), (PROVEN, 9), (STATED, 1), (CLAIMED, 1)):
        assert await attach(store, stated("a", ADA, grade, since)) == Attached()
    assert await attach(store, stated("a", USER, CLAIMED, 6)) == Attached()
    assert await edges(store) == [("email", "proven", 5), ("user_id", "claimed", 5)]


async def test_a_better_grade_or_an_earlier_receipt_is_written(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    await attach(store, stated("a", ADA, STATED, 5), stated("a", USER, STATED, 5))
    found = await attach(store, stated("a", ADA, PROVEN, 7), stated("a", USER, STATED, 3))
    assert (found.linking, found.changed) == ({record("a")}, {record("a")})
    assert await edges(store) == [("email", "proven", 7), ("user_id", "stated", 3)]
    rows = await store.read("MATCH (i:Identifier) RETURN i.degree AS degree ORDER BY degree")
    assert [row["degree"] for row in rows] == [0, 1]


async def test_a_claim_becomes_a_holding_beside_it(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    await attach(store, stated("a", ADA, CLAIMED, 5))
    assert (await attach(store, stated("a", ADA, PROVEN, 7))).linking == {record("a")}
    assert await edges(store) == [("email", "claimed", 5), ("email", "proven", 7)]


async def test_of_several_statements_in_a_transaction_what_was_known_before_the_first_counts(
    store: GraphClient,
) -> None:
    await write_newcomers(store, "a")
    found = Evidence()
    found.add(stated("a", ADA, CLAIMED, 3), ADA.id, None)
    found.add(stated("a", ADA, PROVEN, 4), ADA.id, (CLAIMED, Millis(3)))
    await store.write(lambda tx: attach_evidence(tx, found))
    assert await edges(store) == [("email", "proven", 4)]


async def test_an_end_makes_its_record_link_again(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    await attach(store, stated("a", ADA, PROVEN, 1))
    found = await attach(store, ends={(record("a"), ADA.id): Millis(4)})
    assert (found.linking, found.changed) == ({record("a")}, set())
    assert await store.read("MATCH ()-[h:IDENTIFIED_BY]->() RETURN h.ended AS ended") == [{"ended": 4}]


async def test_records_whose_new_identifiers_carry_bars_are_named(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b", "c")
    await attach(store, stated("a", ADA, PROVEN, 1))
    await run(store, "MATCH (i:Identifier) SET i.bars = '[]'")
    found = await attach(store, stated("b", ADA, PROVEN, 1), stated("c", ADA, CLAIMED, 1))
    assert found.barred == {record("b")}, "a claim hears nothing"
