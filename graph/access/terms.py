"""What the statements of sources are worth, read inside the transaction that relies on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

from graph.model.access import Trust, Verified, pair_verified
from graph.store.client import GraphClient, Writer


class SourceTerms(NamedTuple):
    """A source's trust, what contact data it verifies, its jurisdiction, and the epochs of its trust: the present one,
    and the one under which everything that rests on it has been derived."""

    trust: Trust
    verifies: Verified
    jurisdiction: str | None
    trust_epoch: int = 0
    settled_epoch: int = 0


TERMS: Final = """[s.name, s.trust, s.verifies, s.verified_since, s.jurisdiction, coalesce(s.trust_epoch, 0),
  coalesce(s.settled_epoch, 0)]"""
"""The terms of a source `s` as `parse_terms` takes them."""

READ_TERMS: Final = f"""
UNWIND $names AS name
MATCH (s:Source {{name: name}})
RETURN collect({TERMS}) AS terms
"""


async def read_terms(tx: Writer, names: Collection[str]) -> dict[str, SourceTerms]:
    """Reads the terms of sources. Sources that aren't registered are left out."""
    return parse_terms((await tx.run(READ_TERMS, names=sorted(names)))[0]["terms"])


def parse_terms(rows: Iterable[Sequence[Any]]) -> dict[str, SourceTerms]:
    """Returns the terms by source from what `TERMS` reads; rows without a source are left out."""
    return {
        name: SourceTerms(Trust(trust or Trust.SERVER), pair_verified(kinds, since), jurisdiction, epoch, settled)
        for name, trust, kinds, since, jurisdiction, epoch, settled in rows
        if name is not None
    }


UNSETTLED: Final = "coalesce(x.settled_epoch, 0) < coalesce(x.trust_epoch, 0)"
"""The condition that something rests on a source `x` that has not been derived under its present trust."""

READ_UNSETTLED_SOURCES: Final = f"""
MATCH (x:Source)
WHERE {UNSETTLED}
RETURN x.name AS name
ORDER BY name
"""


async def read_unsettled_sources(client: GraphClient) -> list[str]:
    """Returns the names of the sources on which something rests that has not been derived under their present trust,
    sorted. Reads don't rely on them."""
    return [row["name"] for row in await client.read(READ_UNSETTLED_SOURCES)]


WRITE_SETTLED: Final = """
MATCH (s:Source {name: $name})
WHERE coalesce(s.trust_epoch, 0) = $epoch
SET s.settled_epoch = $epoch
RETURN count(s) AS settled
"""


async def settle_source(tx: Writer, name: str, epoch: int) -> bool:
    """Stores that everything that rests on a source has been derived under this epoch of its trust. Returns False if
    the trust has changed again since."""
    return bool((await tx.run(WRITE_SETTLED, name=name, epoch=epoch))[0]["settled"])
