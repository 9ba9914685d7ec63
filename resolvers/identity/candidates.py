"""Counting candidates: people who may be the same, and what would prove it."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from graph.identity.candidates import SharedIdentifier, read_shared_page
from graph.model.identity import Grade
from graph.store.client import GraphClient

PAGE: Final = 2000
"""Identifiers read at once."""


class Unverified(NamedTuple):
    """A source that states contact data of a kind without verifying it, and how many candidates rest on that."""

    source: str
    kind: str
    number: int


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """How many pairs of people share an identifier, by its kind, and the sources whose verification would prove some of
    them. Where several people share one, each is counted with the first. `complete`: every identifier was examined."""

    pairs: dict[str, int] = field(default_factory=dict)
    unverified: tuple[Unverified, ...] = ()
    complete: bool = True

    @property
    def total(self) -> int:
        """The number of pairs."""
        return sum(self.pairs.values())


async def count_candidates(client: GraphClient, limit: int = sys.maxsize) -> CandidateReport:
    """Counts candidates over all identifiers, or until at least `limit` are examined. O(identifiers + holdings);
    memory: one page."""
    pairs: Counter[str] = Counter()
    unverified: Counter[tuple[str, str]] = Counter()
    after: str | None = ""
    examined = 0
    while after is not None:
        if examined >= limit:
            break
        shared, after = await read_shared_page(client, after, PAGE)
        examined += PAGE
        for one in shared:
            pairs[one.kind] += len({holder.user for holder in one.holders}) - 1
            for source in _find_unverified(one):
                unverified[source, one.kind] += 1
    found = tuple(Unverified(source, kind, number) for (source, kind), number in sorted(unverified.items()))
    return CandidateReport(dict(sorted(pairs.items())), found, after is None)


def _find_unverified(one: SharedIdentifier) -> set[str]:
    return {holder.source for holder in one.holders if holder.grade is Grade.STATED}


def advise_proof(report: CandidateReport) -> list[str]:
    """Returns, for each source, what would prove candidates that rest on its word."""
    return [
        f"Candidates that rest on the {_NAMES.get(one.kind, one.kind)} that {one.source} stated without verifying: "
        f"{one.number:,}. If {one.source} has always verified them, run `consentric source set {one.source} --verifies "
        f"{one.kind} --verified-since always`; if it starts now, leave out `--verified-since`."
        for one in report.unverified
    ]


_NAMES: Final = {"email": "e-mail addresses", "phone": "phone numbers"}
