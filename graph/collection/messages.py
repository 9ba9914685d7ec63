"""The ledger of accepted messages: each counts once, however often it arrives.

A transaction claims messages with one MERGE, which sets the attempt's mark on new nodes only. A message with another
mark has been accepted before.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from graph.access.terms import TERMS, SourceTerms, parse_terms
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows

WRITE_CLAIMS: Final = f"""
UNWIND $rows AS row
MERGE (m:Message {{id: row[0]}})
ON CREATE SET m.at = row[1], m.claim = $claim
WITH m
WHERE m.claim <> $claim
WITH collect(m.id) AS known
OPTIONAL MATCH (s:Source)
WHERE s.name IN $sources
RETURN known, collect({TERMS}) AS terms
"""


class ClaimedMessages(NamedTuple):
    """Which messages the ledger held already, and the terms of the sources."""

    known: set[str]
    terms: dict[str, SourceTerms]


async def claim_messages(
    tx: Writer, messages: Iterable[tuple[str, Millis]], sources: Collection[str] = ()
) -> ClaimedMessages:
    """Adds messages (ID, instant) to the ledger, and reads the terms of sources with the same statement. Sources that
    aren't registered are left out. Rolled back with the transaction.

    Claimed messages stay locked until the transaction ends: another one with the same message waits, or fails and runs
    again. Every attempt has a new mark, so that an attempt that was committed without our knowledge is recognised
    instead of repeated.
    """
    claimed = ClaimedMessages(set(), {})
    claim = secrets.randbits(62)
    for chunk in chunk_rows(sorted(messages)):
        (row,) = await tx.run(WRITE_CLAIMS, rows=list(chunk), claim=claim, sources=sorted(sources))
        claimed.known.update(row["known"])
        claimed.terms.update(parse_terms(row["terms"]))
    return claimed


READ_CLAIM: Final = """
MATCH (m:Message {id: $id})
RETURN m.at AS at
"""


async def is_claimed(client: GraphClient, id_: str) -> bool:
    """Returns whether the ledger holds a message."""
    return bool(await client.read(READ_CLAIM, id=id_))
