"""What old graphs lack is derived: a person for each device, and since when contact data held."""

from __future__ import annotations

from functools import partial

import pytest

from algorithms.identity.contacts import find_ends
from graph.identity.regrading import lock_graded
from graph.model.identity import IdentifierRef, RecordId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer
from resolvers.identity.upgrade import restore_contacts, separate_devices
from tests.crowd import run

pytestmark = pytest.mark.store

NOW = Millis(1000)
ADDRESSES = [IdentifierRef("email", f"{name}@example.org") for name in ("a", "b", "c")]

WRITE_TOGETHER = """
UNWIND $rows AS row
MERGE (u:User {id: row[2]})
CREATE (:Record {id: row[0], kind: row[1], source: 'web', key: row[0]})-[:RESOLVES_TO {from: 1}]->(u)
"""

WRITE_OLD_RECORD = """
CREATE (r:Record {id: 'r', kind: 'user', source: 'web', key: 'r', traits: $traits})
WITH r
UNWIND $held AS row
CREATE (r)-[:IDENTIFIED_BY {since: row[3], grade: 'stated'}]->
  (:Identifier {id: row[0], kind: row[1], value: row[2], namespace: '', degree: 0})
"""


async def separate(store: GraphClient, *records: str) -> int:
    number, _ = await store.write(partial(separate_devices, records=[RecordId(record) for record in records], now=NOW))
    return number


async def find_people(store: GraphClient) -> list[list[str]]:
    rows = await store.read(
        "MATCH (r:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL RETURN u.id AS user, collect(r.id) AS records"
    )
    return sorted(sorted(row["records"]) for row in rows)


async def test_the_account_keeps_the_person_and_devices_get_their_own(store: GraphClient) -> None:
    rows = [("d1", "anonymous", "u1"), ("a1", "user", "u1"), ("a2", "user", "u1"), ("d2", "anonymous", "u1")]
    await run(store, WRITE_TOGETHER, rows=rows)
    assert await separate(store, "d1", "a1", "a2", "d2") == 2
    assert await find_people(store) == [["a1", "a2"], ["d1"], ["d2"]]
    assert await store.read("MATCH (:Record {id: 'a1'})-[:RESOLVES_TO]->(u) RETURN u.id AS id") == [{"id": "u1"}]
    assert await separate(store, "d1", "a1", "a2", "d2") == 0


async def test_of_devices_alone_the_first_keeps_the_person(store: GraphClient) -> None:
    await run(store, WRITE_TOGETHER, rows=[("d2", "anonymous", "u1"), ("d1", "anonymous", "u1")])
    assert await separate(store, "d2") == 1
    assert await separate(store, "d1") == 0
    assert await find_people(store) == [["d1"], ["d2"]]


async def test_a_device_leaves_a_retired_person(store: GraphClient) -> None:
    await run(store, WRITE_TOGETHER, rows=[("d1", "anonymous", "u1")])
    await run(store, "MATCH (u:User) SET u.retired_at = 5")
    assert await separate(store, "d1") == 1


async def restore(store: GraphClient, traits: str | None, *since: int) -> list[int | None]:
    """Writes an old record with an address for each instant. Returns when each has ended."""
    held = [[one.id, one.kind, one.value, at] for one, at in zip(ADDRESSES, since, strict=False)]
    await run(store, WRITE_OLD_RECORD, traits=traits, held=held)

    async def work(tx: Writer) -> str | None:
        (record,) = await restore_contacts(tx, await lock_graded(tx, [RecordId("r")]))
        return record.contacts

    text = await store.write(work)
    assert await store.read("MATCH (r:Record) RETURN r.contacts AS contacts") == [{"contacts": text}]
    rows = await store.read("MATCH ()-[h:IDENTIFIED_BY]->(i) RETURN h.ended AS ended ORDER BY i.value")
    ends = [row["ended"] for row in rows]
    assert ends == [find_ends(text).get(one.id) for one in ADDRESSES[: len(since)]]
    assert await store.write(work) == text
    return ends


async def test_a_later_address_ends_the_earlier_ones(store: GraphClient) -> None:
    assert await restore(store, None, 10, 30, 20) == [20, None, 30]


async def test_the_traits_tell_which_address_was_stated_last(store: GraphClient) -> None:
    assert await restore(store, '{"email":["A@example.org",40]}', 10, 30) == [None, 30]


async def test_a_removed_address_is_no_longer_current(store: GraphClient) -> None:
    assert await restore(store, '{"email":[null,50]}', 10, 30) == [30, 50]


async def test_an_unusable_value_in_the_traits_changes_nothing(store: GraphClient) -> None:
    assert await restore(store, '{"email":["nobody",50]}', 10, 30) == [30, None]


async def test_a_record_without_contact_data_gets_no_state(store: GraphClient) -> None:
    assert await restore(store, '{"email":["a@example.org",50]}') == []
