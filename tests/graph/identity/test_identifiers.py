"""Identifiers and who holds or claims them: since when, how well known, how many, and which of them link nobody."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from graph.identity.identifiers import (
    NewHolding,
    change_claims,
    change_holdings,
    count_refused_identifiers,
    end_holdings,
    mark_claim,
    read_holders,
    read_holdings,
    write_claims,
    write_holdings,
    write_refused_identifiers,
)
from graph.model.identity import Grade, IdentifierRef, Proof, RecordId
from graph.model.time import Millis
from graph.store.client import GraphClient
from tests.crowd import run
from tests.newcomers import email, record, write_newcomers

pytestmark = pytest.mark.store

Held = tuple[str, IdentifierRef, int]
ADA, BEN = email("ada"), email("ben")
PROVEN, STATED, CLAIMED = Grade.PROVEN, Grade.STATED, Grade.CLAIMED


def as_holding(name: str, identifier: IdentifierRef, since: int, grade: Grade = PROVEN) -> NewHolding:
    return NewHolding(record(name), identifier, grade, Millis(since))


async def attach(store: GraphClient, *held: Held, grade: Grade = PROVEN) -> set[RecordId]:
    rows = [as_holding(*one, grade) for one in held]
    if grade is CLAIMED:
        return (await store.write(lambda tx: write_claims(tx, rows))).barred
    return await store.write(lambda tx: write_holdings(tx, rows))


async def holdings(store: GraphClient, *pairs: tuple[str, IdentifierRef]) -> list[tuple[Grade, Millis] | None]:
    """What each record has of an identifier."""
    keys = [(record(name), identifier.id) for name, identifier in pairs]
    found = await store.write(lambda tx: read_holdings(tx, keys))
    return [found.get(key) for key in keys]


async def degrees(store: GraphClient) -> dict[str, int]:
    rows = await store.read("MATCH (i:Identifier) RETURN i.value AS value, i.degree AS degree")
    return {row["value"].partition("@")[0]: row["degree"] for row in rows}


async def holders(store: GraphClient, *identifiers: str) -> list[tuple[str, RecordId]]:
    return sorted(await store.write(lambda tx: read_holders(tx, identifiers)))


async def refuse(store: GraphClient, reasons: Iterable[tuple[str, str | None]]) -> None:
    await store.write(lambda tx: write_refused_identifiers(tx, reasons, Millis(5)))


async def test_records_lead_to_identifiers_and_identifiers_to_records(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b", "c")
    await attach(store, ("a", ADA, 1), ("b", ADA, 2), ("a", BEN, 3))
    pairs = [("a", ADA), ("b", ADA), ("a", BEN), ("c", BEN), ("none", ADA)]
    assert await holdings(store, *pairs) == [(PROVEN, 1), (PROVEN, 2), (PROVEN, 3), None, None]
    assert await holders(store, ADA.id, "none") == sorted([(ADA.id, record("a")), (ADA.id, record("b"))])
    assert await holdings(store) == []
    assert await holders(store) == []


async def test_an_identifier_counts_the_records_that_proved_it_across_writes(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b", "c", "d")
    await attach(store, ("a", ADA, 1), ("b", ADA, 2))
    await attach(store, ("c", ADA, 3), ("c", BEN, 3), ("none", BEN, 3))
    assert await degrees(store) == {"ada": 3, "ben": 1}
    await attach(store, ("d", ADA, 4), grade=STATED)
    await attach(store, ("d", BEN, 4), grade=CLAIMED)
    assert await degrees(store) == {"ada": 3, "ben": 1}
    assert len(await holders(store, ADA.id, BEN.id)) == 4
    assert await holdings(store, ("d", ADA), ("d", BEN)) == [(STATED, 4), (CLAIMED, 4)]


async def test_a_device_holds_nothing_that_links(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b")
    await run(store, "MATCH (r:Record {id: $id}) SET r.kind = 'anonymous'", id=record("b"))
    await attach(store, ("a", ADA, 1), ("b", ADA, 1))
    assert await holders(store, ADA.id) == [(ADA.id, record("a"))]


async def test_a_claim_leaves_the_identifier_as_it_is(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b", "c")
    await attach(store, ("a", ADA, 1))
    before = await store.read("MATCH (i:Identifier) RETURN properties(i) AS held")
    await attach(store, ("b", ADA, 2), grade=CLAIMED)
    assert await store.read("MATCH (i:Identifier) RETURN properties(i) AS held") == before
    await attach(store, ("c", BEN, 2), grade=CLAIMED)
    assert await degrees(store) == {"ada": 1, "ben": 0}


async def test_the_best_grade_of_a_record_counts(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    await attach(store, ("a", ADA, 1), grade=CLAIMED)
    await attach(store, ("a", ADA, 5))
    assert await holdings(store, ("a", ADA)) == [(PROVEN, 5)]


async def test_a_better_grade_or_an_earlier_receipt_is_set_on_its_record_only(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b")
    await attach(store, ("a", ADA, 10), ("b", ADA, 10), grade=STATED)
    changes = [(as_holding("a", ADA, 30)._replace(proof=Proof.HASH), 1), (as_holding("a", BEN, 1), 1)]
    await store.write(lambda tx: change_holdings(tx, changes))
    assert await holdings(store, ("a", ADA), ("b", ADA), ("a", BEN)) == [(PROVEN, 30), (STATED, 10), None]
    assert await degrees(store) == {"ada": 1}
    rows = await store.read("MATCH ()-[h:IDENTIFIED_BY]->() RETURN h.proof AS proof ORDER BY proof")
    assert [row["proof"] for row in rows] == ["hash", None]
    await store.write(lambda tx: change_holdings(tx, [(as_holding("a", ADA, 3), 0)]))
    assert await holdings(store, ("a", ADA)) == [(PROVEN, 3)]
    assert await degrees(store) == {"ada": 1}


async def test_a_record_keeps_the_user_id_that_it_claimed_first(store: GraphClient) -> None:
    one, two = IdentifierRef("user_id", "1"), IdentifierRef("user_id", "2")

    async def first() -> str | None:
        return (await store.read("MATCH (r:Record) RETURN r.first_claim AS first"))[0]["first"]  # type: ignore[no-any-return]

    await write_newcomers(store, "a")
    await attach(store, ("a", ADA, 1), grade=CLAIMED)
    assert await first() is None
    await attach(store, ("a", two, 20), grade=CLAIMED)
    await attach(store, ("a", one, 30), grade=CLAIMED)
    assert await first() == mark_claim(two.id, Millis(20))
    await store.write(lambda tx: change_claims(tx, [as_holding("a", one, 10, CLAIMED)]))
    assert await first() == mark_claim(one.id, Millis(10))
    await store.write(lambda tx: change_claims(tx, [as_holding("a", two, 15, CLAIMED)]))
    assert await first() == mark_claim(one.id, Millis(10))
    assert await holdings(store, ("a", one), ("a", two)) == [(CLAIMED, 10), (CLAIMED, 15)]


async def test_a_holding_ends_and_may_become_current_again(store: GraphClient) -> None:
    async def ended() -> dict[str, int | None]:
        rows = await store.read("MATCH ()-[h:IDENTIFIED_BY]->(i) RETURN i.value AS value, h.ended AS ended")
        return {row["value"].partition("@")[0]: row["ended"] for row in rows}

    await write_newcomers(store, "a")
    await attach(store, ("a", ADA, 1), ("a", BEN, 2))
    await store.write(lambda tx: end_holdings(tx, {(record("a"), ADA.id): Millis(2), (record("none"), BEN.id): None}))
    assert await ended() == {"ada": 2, "ben": None}
    await store.write(lambda tx: end_holdings(tx, {(record("a"), ADA.id): None, (record("a"), BEN.id): Millis(3)}))
    assert await ended() == {"ada": None, "ben": 3}


async def test_records_whose_new_identifiers_carry_bars_are_returned(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b", "c")
    assert await attach(store, ("a", ADA, 1)) == set()
    await run(store, "MATCH (i:Identifier) SET i.bars = '[]'")
    assert await attach(store, ("b", ADA, 1), ("b", BEN, 1)) == {record("b")}
    assert await attach(store, ("c", ADA, 1), grade=CLAIMED) == set(), "a claim hears nothing"


async def test_a_value_of_another_kind_or_namespace_is_another_identifier(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    refs = [IdentifierRef("user_id", "1"), IdentifierRef("user_id", "1", "eu"), IdentifierRef("card", "1")]
    await attach(store, *(("a", ref, 1) for ref in refs))
    rows = await store.read("MATCH (i:Identifier) RETURN i.kind AS kind, i.value AS value, i.namespace AS namespace")
    assert {IdentifierRef(**row) for row in rows} == set(refs)
    assert await holdings(store, *(("a", ref) for ref in refs)) == [(PROVEN, 1)] * 3


async def test_more_identifiers_than_a_statement_may_write(store: GraphClient) -> None:
    names = [f"{number:03}" for number in range(501)]
    await write_newcomers(store, *names)
    own = [email(name) for name in names]
    await attach(store, *((name, ADA, 1) for name in names), *(("000", each, 2) for each in own))
    assert len(await holders(store, ADA.id)) == 501
    assert await holdings(store, *(("000", each) for each in own)) == [(PROVEN, 2)] * 501
    await store.write(lambda tx: change_holdings(tx, [(as_holding(name, ADA, 0), 0) for name in names]))
    assert await holdings(store, *((name, ADA) for name in names)) == [(PROVEN, 0)] * 501
    ends = {(record(name), ADA.id): Millis(9) for name in names}
    await store.write(lambda tx: end_holdings(tx, ends))
    rows = await store.read("MATCH ()-[h:IDENTIFIED_BY]->() WHERE h.ended = 9 RETURN count(h) AS n")
    assert rows == [{"n": 501}]
    await attach(store, *((name, BEN, 5) for name in names), grade=CLAIMED)
    await store.write(lambda tx: change_claims(tx, [as_holding(name, BEN, 4, CLAIMED) for name in names]))
    assert await holdings(store, *((name, BEN) for name in names)) == [(CLAIMED, 4)] * 501
    await refuse(store, [(each.id, "blocked_value") for each in own])
    assert await count_refused_identifiers(store) == {"blocked_value": 501}


async def test_a_refusal_is_counted_until_it_is_removed(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    await attach(store, ("a", ADA, 1), ("a", BEN, 1))
    assert await count_refused_identifiers(store) == {}
    await refuse(store, [(ADA.id, "frequency_cap"), (BEN.id, "blocked_value"), ("none", "frequency_cap")])
    assert await count_refused_identifiers(store) == {"frequency_cap": 1, "blocked_value": 1}
    await refuse(store, [(ADA.id, None), (BEN.id, "frequency_cap")])
    assert await count_refused_identifiers(store) == {"frequency_cap": 1}


@pytest.mark.store
async def test_a_claim_ties_a_device_where_an_account_holds_it_or_another_was_claimed_before(
    store: GraphClient,
) -> None:
    await write_newcomers(store, "a", "b")

    async def tied(kind: str, value: str) -> bool:
        rows = [NewHolding(record("b"), IdentifierRef(kind, value), CLAIMED, Millis(1))]
        return bool((await store.write(lambda tx: write_claims(tx, rows))).tied)

    await attach(store, ("a", IdentifierRef("anonymous_id", "d"), 1), ("a", ADA, 1))
    assert await tied("anonymous_id", "d")
    assert not await tied("anonymous_id", "e")
    assert not await tied("email", ADA.value)
    assert not await tied("user_id", "unknown")
    assert await tied("user_id", "another")
