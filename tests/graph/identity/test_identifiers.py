"""Identifiers and who holds them: since when, how many, and which of them link nobody."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from graph.identity.identifiers import (
    NewHolding,
    backdate_holdings,
    count_refused_identifiers,
    read_holders,
    read_holdings,
    write_holdings,
    write_refused_identifiers,
)
from graph.model.identity import IdentifierRef, RecordId
from graph.model.time import Millis
from graph.store.client import GraphClient
from tests.newcomers import email, record, write_newcomers

pytestmark = pytest.mark.store

Held = tuple[str, IdentifierRef, int]
ADA, BEN = email("ada"), email("ben")


async def attach(store: GraphClient, *held: Held) -> None:
    rows = [NewHolding(record(name), identifier, Millis(since)) for name, identifier, since in held]
    await store.write(lambda tx: write_holdings(tx, rows))


async def holdings(store: GraphClient, *names: str) -> dict[tuple[RecordId, str], Millis]:
    return await store.write(lambda tx: read_holdings(tx, [record(name) for name in names]))


async def holders(store: GraphClient, *identifiers: str) -> list[tuple[str, RecordId]]:
    return sorted(await store.write(lambda tx: read_holders(tx, identifiers)))


async def refuse(store: GraphClient, reasons: Iterable[tuple[str, str | None]]) -> None:
    await store.write(lambda tx: write_refused_identifiers(tx, reasons, Millis(5)))


async def test_records_lead_to_identifiers_and_identifiers_to_records(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b", "c")
    await attach(store, ("a", ADA, 1), ("b", ADA, 2), ("a", BEN, 3))
    assert await holdings(store, "a", "b", "c", "none") == {
        (record("a"), ADA.id): 1, (record("b"), ADA.id): 2, (record("a"), BEN.id): 3,
    }  # fmt: skip
    assert await holders(store, ADA.id, "none") == sorted([(ADA.id, record("a")), (ADA.id, record("b"))])
    assert await holdings(store) == {}
    assert await holders(store) == []


async def test_an_identifier_counts_its_records_across_writes(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b", "c")
    await attach(store, ("a", ADA, 1), ("b", ADA, 2))
    await attach(store, ("c", ADA, 3), ("c", BEN, 3), ("none", BEN, 3))
    rows = await store.read("MATCH (i:Identifier) RETURN i.value AS value, i.degree AS degree ORDER BY value")
    assert [tuple(row.values()) for row in rows] == [("ada@x.com", 3), ("ben@x.com", 1)]


async def test_a_value_of_another_kind_or_namespace_is_another_identifier(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    refs = [IdentifierRef("user_id", "1"), IdentifierRef("user_id", "1", "eu"), IdentifierRef("card", "1")]
    await attach(store, *(("a", ref, 1) for ref in refs))
    rows = await store.read("MATCH (i:Identifier) RETURN i.kind AS kind, i.value AS value, i.namespace AS namespace")
    assert {IdentifierRef(**row) for row in rows} == set(refs)
    assert len(await holdings(store, "a")) == 3


async def test_an_earlier_time_is_set_on_its_record_only(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b")
    await attach(store, ("a", ADA, 10), ("b", ADA, 10))
    await store.write(
        lambda tx: backdate_holdings(tx, [(record("a"), ADA.id, Millis(3)), (record("a"), BEN.id, Millis(1))])
    )
    assert await holdings(store, "a", "b") == {(record("a"), ADA.id): 3, (record("b"), ADA.id): 10}


async def test_more_identifiers_than_a_statement_may_write(store: GraphClient) -> None:
    names = [f"{number:03}" for number in range(501)]
    await write_newcomers(store, *names)
    own = [email(name) for name in names]
    await attach(store, *((name, ADA, 1) for name in names), *(("000", each, 2) for each in own))
    assert len(await holders(store, ADA.id)) == 501
    assert len(await holdings(store, "000")) == 502
    await store.write(lambda tx: backdate_holdings(tx, [(record(name), ADA.id, Millis(0)) for name in names]))
    assert set((await holdings(store, *names[1:])).values()) == {0}
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
