"""The ledger of accepted messages: each counts once, however often it arrives.

A transaction claims messages with one MERGE, which sets the attempt's mark on new nodes only. A message with another
mark has been accepted before.
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
    """Adds messages (ID, instant) to the ledger; returns those it already holds. Rolled back with the transaction.

    Claimed messages stay locked until the transaction ends: another one with the same message waits, or fails and runs
    again. Every attempt has a new mark, so that an attempt that was committed without our knowledge is recognised
    instead of repeated.
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
    """Returns whether the ledger holds a message."""
    return bool(await client.read(READ_CLAIM, id=id_))
