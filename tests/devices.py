"""Devices tied to accounts, written directly to a store, for tests of what is read through them."""

from __future__ import annotations

from graph.store.client import GraphClient
from tests.crowd import run

WRITE_DEVICE = """
MATCH (d:Record {source: 'shop', kind: 'anonymous', key: $device})
MATCH (r:Record {source: 'shop', kind: 'user', key: $account})
CREATE (d)-[:COUNTS_FOR {grade: CASE WHEN $proof IS NULL THEN 'claimed' ELSE 'proven' END, received: 1}]->(r)
WITH r
WHERE $proof IS NOT NULL
MERGE (n:Identifier {id: 'anonymous-' + $device}) SET n.kind = 'anonymous_id', n.value = $device, n.namespace = ''
CREATE (r)-[:IDENTIFIED_BY {grade: 'proven', proof: $proof, since: 1}]->(n)
"""


async def write_device(store: GraphClient, device: str, account: str, proof: str | None = None) -> None:
    """Makes a device of the source `shop` count for one of its accounts: by a proof, or by a mere claim."""
    await run(store, WRITE_DEVICE, device=device, account=account, proof=proof)
