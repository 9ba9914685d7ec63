"""RFM as stored on the person, in the properties `rfm_…`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.scope import PermittedScope
from graph.model.segments import RfmFacts
from graph.segments.memberships import lock_permitting
from graph.store.client import GraphClient, Row, Writer, chunk_rows

WRITE_RFM: Final = """
UNWIND $rows AS row
MATCH (u:User {id: row.user})
SET u.rfm_recency = row.recency, u.rfm_frequency = row.frequency, u.rfm_monetary = row.monetary,
    u.rfm_recency_score = row.recency_score, u.rfm_frequency_score = row.frequency_score,
    u.rfm_monetary_score = row.monetary_score, u.rfm_cell = row.cell, u.rfm_computed_at = row.computed_at,
    u.rfm_shown = row.shown, u.rfm_run = $run
"""


_REMOVE: Final = """
REMOVE u.rfm_recency, u.rfm_frequency, u.rfm_monetary, u.rfm_recency_score, u.rfm_frequency_score,
       u.rfm_monetary_score, u.rfm_cell, u.rfm_computed_at, u.rfm_shown, u.rfm_run
"""

WRITE_OUTDATED_REMOVAL: Final = f"""
MATCH (u:User)
WHERE u.rfm_run IS NOT NULL AND u.rfm_run <> $run
WITH u LIMIT $limit
{_REMOVE}
RETURN count(*) AS cleared
"""


async def write_rfm(client: GraphClient, facts: Mapping[UserId, RfmFacts], run: RunId, scope: PermittedScope) -> int:
    """Writes RFM to the people of a run and removes it from all others. Returns how many people were left out because
    they no longer permit the purpose."""
    refused = 0
    for chunk in chunk_rows(sorted(facts)):

        async def keep(tx: Writer, users: Sequence[UserId] = chunk) -> int:
            allowed = await lock_permitting(tx, users, scope)
            rows = [{"user": user} | _rfm_row(facts[user]) for user in users if user in allowed]
            await tx.run(WRITE_RFM, rows=rows, run=run)
            return len(users) - len(allowed)

        refused += await client.write(keep)

    async def clear(tx: Writer) -> int:
        return int((await tx.run(WRITE_OUTDATED_REMOVAL, run=run, limit=500))[0]["cleared"])

    while await client.write(clear):
        pass
    return refused


def _rfm_row(facts: RfmFacts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in RfmFacts.__slots__}


def parse_rfm(row: Row | None) -> RfmFacts | None:
    """Returns a person's RFM from the properties of their node, or None if they have none."""
    if row is None or row.get("rfm_cell") is None:
        return None
    return RfmFacts(**{name: row.get(f"rfm_{name}", False) for name in RfmFacts.__slots__})


WRITE_UNPERMITTED_REMOVAL: Final = f"""
UNWIND $users AS id
MATCH (u:User {{id: id}})
WHERE u.rfm_run IS NOT NULL AND NOT $purpose IN u.permits
{_REMOVE}
"""


async def remove_unpermitted_rfm(tx: Writer, users: Collection[UserId], purpose: str) -> None:
    """Removes RFM from the users who do not permit the purpose that it was computed for."""
    for chunk in chunk_rows(sorted(users)):
        await tx.run(WRITE_UNPERMITTED_REMOVAL, users=list(chunk), purpose=purpose)
