"""The version of the policy under which the stored permits were folded."""

from __future__ import annotations

from typing import Final

from graph.model.time import Millis
from graph.store.client import GraphClient, Writer

READ_POLICY_VERSION: Final = "MATCH (p:Policy {key: 'in_force'}) RETURN p.version AS version"


async def read_policy_version(client: GraphClient) -> str | None:
    """Reads the version; None if no permits were ever folded."""
    rows = await client.read(READ_POLICY_VERSION)
    return rows[0]["version"] if rows else None


WRITE_POLICY_VERSION: Final = """
MERGE (p:Policy {key: 'in_force'})
SET p.version = $version, p.since = $now
"""


async def write_policy_version(tx: Writer, version: str, now: Millis) -> None:
    """Records that all permits are folded under this version."""
    await tx.run(WRITE_POLICY_VERSION, version=version, now=now)
