"""Devices of graphs without it list their latest sessions; other records don't."""

from __future__ import annotations

import pytest

from graph.store.client import GraphClient
from migrations.m0007_recent_sessions import LIST_RECENT_SESSIONS
from migrations.runner import migrate

pytestmark = pytest.mark.store

BUILD = """
CREATE (d:Record {id: 'd', kind: 'anonymous'})
CREATE (:Record {id: 'e', kind: 'anonymous'})
CREATE (a:Record {id: 'a', kind: 'user'})
FOREACH (n IN range(1, 30) | CREATE (d)-[:HAD]->(:Session {id: 's' + toString(n), started_at: (n * 7) % 31}))
CREATE (a)-[:HAD]->(:Session {id: 't', started_at: 1})
"""


async def test_devices_list_their_latest_sessions(store: GraphClient) -> None:
    await store.write(lambda tx: tx.run("MATCH (m:Migration) WHERE m.version >= 7 DELETE m"))
    await store.write(lambda tx: tx.run(BUILD))
    assert [(one.version, one.changed) for one in await migrate(store) if one.changed] == [(7, 1)]
    rows = await store.read("MATCH (r:Record) RETURN r.id AS id, r.recent_sessions AS listed ORDER BY id")
    latest = sorted(range(1, 31), key=lambda n: (n * 7) % 31, reverse=True)[:20]
    assert [row["listed"] for row in rows] == [None, [f"s{n}" for n in latest], None]
    again = await store.write(lambda tx: tx.run(LIST_RECENT_SESSIONS, after="", until="~"))
    assert again == [{"changed": 0}]
