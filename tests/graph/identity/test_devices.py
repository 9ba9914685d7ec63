"""Evidence about devices as it is stored: who proved or claimed them, and for which account each counts."""

from __future__ import annotations

import pytest

from graph.identity.devices import (
    CountingDevice,
    DeviceEvidence,
    ProvenUse,
    count_devices,
    read_accounts_of_user_ids,
    read_counting,
    read_devices,
    read_devices_of_identifiers,
    read_identifiers_of_accounts,
    write_counting,
)
from graph.identity.identifiers import NewHolding, write_claims, write_holdings
from graph.model.access import Trust
from graph.model.identity import Grade, IdentifierRef, Proof, RecordId
from graph.model.time import Millis
from graph.store.client import GraphClient
from tests.crowd import run
from tests.newcomers import record, write_newcomers

pytestmark = pytest.mark.store

KEY = IdentifierRef("anonymous_id", "d")
ADA, BEN = IdentifierRef("user_id", "ada"), IdentifierRef("user_id", "ben")


async def write_device(store: GraphClient, name: str = "d") -> RecordId:
    """A device of the shop, which claims its own name."""
    await write_newcomers(store, name)
    await run(store, "MATCH (r:Record {id: $id}) SET r.kind = 'anonymous'", id=record(name))
    await claim(store, name, IdentifierRef("anonymous_id", name), 1)
    return record(name)


async def claim(store: GraphClient, name: str, identifier: IdentifierRef, since: int) -> None:
    rows = [NewHolding(record(name), identifier, Grade.CLAIMED, Millis(since))]
    await store.write(lambda tx: write_claims(tx, rows))


async def prove(
    store: GraphClient, name: str, identifier: IdentifierRef, since: int, proof: Proof | None = None
) -> None:
    rows = [NewHolding(record(name), identifier, Grade.PROVEN, Millis(since), proof)]
    await store.write(lambda tx: write_holdings(tx, rows))


async def evidence(store: GraphClient, device: RecordId) -> DeviceEvidence:
    (found,) = await store.write(lambda tx: read_devices(tx, [device]))
    return found


async def count_for(store: GraphClient, *begun: CountingDevice, ended: tuple[CountingDevice, ...] = ()) -> None:
    await store.write(lambda tx: write_counting(tx, ended, begun, (), Millis(9)))


async def test_a_device_that_nobody_named_has_no_evidence(store: GraphClient) -> None:
    device = await write_device(store)
    assert await evidence(store, device) == DeviceEvidence(device, "shop", "d", False, False, (), None, None)


async def test_the_accounts_that_proved_a_device_are_read_with_what_they_named(store: GraphClient) -> None:
    device = await write_device(store)
    await write_newcomers(store, "a", "b", "c")
    await prove(store, "a", KEY, 5, Proof.HASH)
    await prove(store, "b", KEY, 6)
    await run(store, "MATCH (r:Record {id: $id}) SET r.linking_objected = true", id=record("b"))
    await claim(store, "c", KEY, 2)
    found = await evidence(store, device)
    assert found.proven == (("d", ProvenUse(record("a"), "shop", Millis(5), Proof.HASH, Trust.SERVER)),)


async def test_the_first_claim_and_the_account_are_read(store: GraphClient) -> None:
    device = await write_device(store)
    await write_newcomers(store, "a")
    await claim(store, "d", BEN, 9)
    await claim(store, "d", ADA, 4)
    await run(
        store,
        "MATCH (s:Source {name: 'shop'}) SET s.trust = 'public' "
        "WITH s MATCH (r:Record {id: $id}) SET r.linking_objected = true",
        id=device,
    )
    await count_for(store, CountingDevice(record("a"), device, Grade.CLAIMED, Millis(4)))
    found = await evidence(store, device)
    assert (found.claim, found.account, found.public, found.objected) == ((4, ADA.id), record("a"), True, True)


async def test_accounts_are_not_devices(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    assert await store.write(lambda tx: read_devices(tx, [record("a"), RecordId("none")])) == []


async def test_the_accounts_of_user_ids_are_those_that_proved_them(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b", "c", "d")
    await prove(store, "a", ADA, 5)
    await prove(store, "b", ADA, 3)
    await claim(store, "c", ADA, 1)
    await prove(store, "d", BEN, 1)
    found = await store.write(lambda tx: read_accounts_of_user_ids(tx, [ADA.id, "none"]))
    assert {id_: sorted((use.account, use.since) for use in uses) for id_, uses in found.items()} == {
        ADA.id: sorted([(record("a"), 5), (record("b"), 3)])
    }
    assert await store.write(lambda tx: read_identifiers_of_accounts(tx, [record("a"), record("c")])) == {ADA.id}


async def test_devices_are_found_by_their_name_and_by_the_user_id_that_they_claimed_first(store: GraphClient) -> None:
    devices = {name: await write_device(store, name) for name in "xyz"}
    await claim(store, "x", ADA, 3)
    await claim(store, "y", ADA, 2)
    await claim(store, "z", BEN, 1)
    await claim(store, "z", ADA, 5)

    async def found(identifier: IdentifierRef, most: int = 9) -> set[RecordId]:
        return await store.write(lambda tx: read_devices_of_identifiers(tx, [identifier.id], most))

    assert await found(IdentifierRef("anonymous_id", "x")) == {devices["x"]}
    assert await found(ADA) == {devices["x"], devices["y"]}
    assert await found(ADA, 1) == {devices["y"]}
    assert await found(BEN) == {devices["z"]}


async def test_a_device_counts_until_that_ends(store: GraphClient) -> None:
    device = await write_device(store)
    await write_newcomers(store, "a", "b")
    first = CountingDevice(record("a"), device, Grade.CLAIMED, Millis(4))
    second = CountingDevice(record("b"), device, Grade.PROVEN, Millis(5))
    await count_for(store, first)
    assert await count_devices(store) == {"claimed": 1}
    await count_for(store, second, ended=(first,))
    accounts = [record("a"), record("b")]
    assert await store.write(lambda tx: read_counting(tx, accounts)) == ([second], set())
    await store.write(lambda tx: write_counting(tx, (), (), [record("b")], Millis(9)))
    assert await store.write(lambda tx: read_counting(tx, accounts)) == ([second], {record("b")})
    again = second._replace(grade=Grade.CLAIMED)
    await count_for(store, again, ended=(second,))
    rows = await store.read("MATCH ()-[c:COUNTS_FOR]->(a) RETURN a.id AS account, c.grade AS grade, c.from AS at")
    assert [tuple(row.values()) for row in rows] == [(record("b"), "claimed", 9)]
    assert await count_devices(store) == {"claimed": 1}
