"""The ledger of accepted messages: each counts once however often it arrives.

A transaction claims messages with one MERGE that leaves the mark of the attempt on new nodes only: what bears another
mark was there before.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final

from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows

WRITE_CLAIMS: Final = """
UNWIND $rows AS row
MERGE (m:Message {id: row[0]})
ON CREATE SET m.at = row[1], m.claim = $claim
WITH m
WHERE m.claim <> $claim
RETURN collect(m.id) AS known
"""


async def claim_messages(tx: Writer, messages: Iterable[tuple[str, Millis]]) -> set[str]:
    """Puts messages (id, at) into the ledger; returns which were there before. Rolled back with the transaction.

    Claimed messages are locked until the end: another transaction with the same message waits, or fails and runs again.
    The mark is new at every attempt, so that an attempt that committed without our knowing is found, not repeated.
    """
    known: set[str] = set()
    claim = secrets.randbits(62)
    for chunk in chunk_rows(sorted(messages)):
        known.update((await tx.run(WRITE_CLAIMS, rows=list(chunk), claim=claim))[0]["known"])
    return known


READ_CLAIM: Final = """
MATCH (m:Message {id: $id})
RETURN m.at AS at
"""


async def is_claimed(client: GraphClient, id_: str) -> bool:
    """Whether the ledger holds a message."""
    return bool(await client.read(READ_CLAIM, id=id_))
