"""Locks: which of the records and users asked for there are. What locks prevent: tests/graph/store/test_races.py."""

from __future__ import annotations

import pytest

from graph.identity.locks import lock_records, lock_users
from graph.model.identity import RecordId, UserId
from graph.store.client import GraphClient
from tests.crowd import run

pytestmark = pytest.mark.store

MANY = [f"{number:03}" for number in range(501)]


@pytest.fixture
async def crowd(store: GraphClient) -> GraphClient:
    for some in (MANY[:500], MANY[500:]):
        await run(store, "UNWIND $ids AS id CREATE (:Record {id: 'r' + id}) CREATE (:User {id: 'u' + id})", ids=some)
    return store


async def versions(store: GraphClient) -> list[tuple[int, int]]:
    """How many records and users there are by how often they were locked."""
    rows = await store.read("MATCH (n) WHERE n:Record OR n:User RETURN n._v AS v, count(n) AS n ORDER BY v")
    return [(row["v"] or 0, row["n"]) for row in rows]


async def test_more_than_a_statement_may_write_are_locked_once_each(crowd: GraphClient) -> None:
    records = [RecordId(f"r{number}") for number in MANY]
    users = [UserId(f"u{number}") for number in MANY]
    assert await crowd.write(lambda tx: lock_records(tx, [*records, *records])) == set(records)
    assert await crowd.write(lambda tx: lock_users(tx, [*users, *users])) == set(users)
    assert await versions(crowd) == [(1, 1002)]


async def test_missing_records_and_users_are_neither_locked_nor_created(crowd: GraphClient) -> None:
    assert await crowd.write(lambda tx: lock_records(tx, [RecordId("r000"), RecordId("u000")])) == {"r000"}
    assert await crowd.write(lambda tx: lock_users(tx, [UserId("r000")])) == set()
    assert await crowd.write(lambda tx: lock_users(tx, [])) == set()
    assert sorted(await versions(crowd)) == [(0, 1001), (1, 1)]
