"""Messages of sources, read and ingested as they are on arrival, for tests of what they leave in the graph."""

from __future__ import annotations

from typing import Any

from api.collection.origin import Origin
from api.collection.segment.mapping import read_message
from graph.model.access import Source
from graph.model.identity import Proof
from graph.model.message import Message
from graph.model.time import Millis
from graph.store.client import GraphClient
from privacy.policy import Policy
from resolvers.collection.ingestor import Ingestor
from resolvers.collection.transaction import MessageOutcome

NOW = Millis(1_790_000_000_000)
SHOP = Source("shop")
POLICY = Policy.default()


def message(
    source: Source = SHOP,
    *,
    at: int = NOW,
    received: int = NOW,
    from_file: bool = False,
    proof: Proof | None = None,
    **raw: Any,
) -> Message:
    raw.setdefault("timestamp", at)
    origin = Origin(source, Millis(received), POLICY, own_types=from_file, received_earlier=from_file, proof=proof)
    return read_message(raw, origin)


def track(id_: str, user: str, event: str, at: int = NOW, **rest: Any) -> Message:
    return message(type="track", messageId=id_, userId=user, event=event, at=at, **rest)


WRITE_SENDERS = """
UNWIND $rows AS row
MERGE (s:Source {name: row[0]})
SET s.trust = row[1], s.verifies = row[2], s.verified_since = row[3], s.jurisdiction = row[4]
"""

WRITE_MISSING_SENDERS = """
UNWIND $rows AS row
MERGE (s:Source {name: row[0]})
ON CREATE SET s.trust = row[1], s.verifies = row[2], s.verified_since = row[3]
"""


async def register(store: GraphClient, *sources: Source) -> None:
    """Registers sources as they would be, without keys."""
    rows = [
        [one.name, one.trust.value, list(one.verifies), list(one.verifies.values()), one.jurisdiction]
        for one in sources
    ]
    await store.write(lambda tx: tx.run(WRITE_SENDERS, rows=rows))


async def ingest(store: GraphClient, *messages: Message) -> list[MessageOutcome]:
    """Ingests messages, from sources that are registered with their trust if they aren't yet."""
    rows = sorted([one.source, one.trust.value, list(one.verifies), list(one.verifies.values())] for one in messages)
    await store.write(lambda tx: tx.run(WRITE_MISSING_SENDERS, rows=rows))
    async with Ingestor(store, POLICY, lambda: NOW) as ingestor:
        return await ingestor.submit(messages)


async def count(store: GraphClient, statement: str, **parameters: Any) -> int:
    return int((await store.read(statement, **parameters))[0]["n"])


async def permits(store: GraphClient, key: str = "ada") -> list[str]:
    rows = await store.read(
        "MATCH (r:Record {key: $key})-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL RETURN u.permits AS permits", key=key
    )
    return sorted(rows[0]["permits"])
