"""Ties of devices that an earlier version ended are deleted; the others stay."""

from __future__ import annotations

import pytest

from graph.store.client import GraphClient
from migrations.m0009_ended_ties import DELETE_ENDED_TIES
from migrations.runner import migrate

pytestmark = pytest.mark.store

BUILD = """
CREATE (d:Record {id: 'd', kind: 'anonymous'})
CREATE (e:Record {id: 'e', kind: 'anonymous'})
CREATE (a:Record {id: 'a', kind: 'user'})
CREATE (d)-[:COUNTS_FOR {grade: 'proven', from: 3}]->(a)
FOREACH (n IN range(1, 3) | CREATE (d)-[:COUNTS_FOR {grade: 'claimed', from: n, to: n}]->(a))
CREATE (e)-[:COUNTS_FOR {grade: 'claimed', from: 1, to: 1}]->(a)
"""


async def test_ended_ties_are_deleted(store: GraphClient) -> None:
    await store.write(lambda tx: tx.run("MATCH (m:Migration) WHERE m.version >= 9 DELETE m"))
    await store.write(lambda tx: tx.run(BUILD))
    assert [(one.version, one.changed) for one in await migrate(store) if one.changed] == [(9, 4)]
    rows = await store.read("MATCH (d)-[c:COUNTS_FOR]->(a) RETURN d.id AS d, a.id AS a, c.grade AS grade, c.from AS at")
    assert [tuple(row.values()) for row in rows] == [("d", "a", "proven", 3)]
    assert await store.write(lambda tx: tx.run(DELETE_ENDED_TIES, after="", until="e")) == [{"changed": 0}]
