"""What the statements of sources are worth, read inside the transaction that relies on it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from graph.model.access import Trust
from graph.store.client import Writer


class SourceTerms(NamedTuple):
    """A source's trust, the kinds of contact data that it verifies, and its jurisdiction."""

    trust: Trust
    verifies: tuple[str, ...]
    jurisdiction: str | None


READ_TERMS: Final = """
UNWIND $names AS name
MATCH (s:Source {name: name})
RETURN collect([name, s.trust, s.verifies, s.jurisdiction]) AS terms
"""


async def read_terms(tx: Writer, names: Collection[str]) -> dict[str, SourceTerms]:
    """Reads the terms of sources. Sources that aren't registered are left out."""
    rows = (await tx.run(READ_TERMS, names=sorted(names)))[0]["terms"]
    return {
        name: SourceTerms(Trust(trust or Trust.SERVER), tuple(verifies or ()), jurisdiction)
        for name, trust, verifies, jurisdiction in rows
    }
