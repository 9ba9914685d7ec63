"""The part of the graph that decides about some records: everything connected with them by evidence or by links.

What lives here: the expansion from records over identifiers that may link, asserted links and open edges, under locks
and within bounds. What does not: the Cypher (`graph/identity/links.py`), the decision
(`algorithms/identity/linkage.py`), its effects (`linkage.py`).

Every record is locked before its evidence is read, and whoever adds evidence to a record locks it first; so what was
read here can't change before the transaction ends. A neighbourhood that outgrows `LinkageConfig.neighbourhood_cap` is
cut back to the people its records belong to now: links among these are decided, further ones are left to the batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from algorithms.identity.clustering import DisjointSets
from algorithms.identity.linkage import EvidenceRecord, Holding, LinkageConfig, Neighbourhood, refuse_identifier
from algorithms.identity.succession import Membership
from graph.identity.identifiers import read_holders
from graph.identity.links import LinkEdge, LinkStatus, TouchedEvidence, read_linked_by, touch_evidence
from graph.model.identity import RecordId
from graph.store.client import Writer


@dataclass(slots=True)
class KnownRecord:
    """A record as read: what linkage sees, its open edges, where it is now, and the marks on its identifiers."""

    evidence: EvidenceRecord
    edges: set[LinkEdge]
    place: Membership
    marks: dict[str, str | None]


@dataclass(slots=True)
class Surroundings:
    """What was read. `deferred` are the records asked for whose neighbourhood was cut back."""

    known: dict[RecordId, KnownRecord] = field(default_factory=dict)
    deferred: set[RecordId] = field(default_factory=set)

    def neighbourhood(self) -> Neighbourhood:
        """As linkage wants it."""
        edges = self.edges()
        return Neighbourhood(
            tuple(known.evidence for known in self.known.values()),
            frozenset((edge.left, edge.right) for edge in edges if edge.status == LinkStatus.ASSERTED),
            frozenset((edge.left, edge.right) for edge in edges if edge.status == LinkStatus.CANNOT_LINK),
        )

    def edges(self) -> set[LinkEdge]:
        """Open edges with both ends inside."""
        found = set().union(*(known.edges for known in self.known.values()))
        return {edge for edge in found if edge.left in self.known and edge.right in self.known}

    def marks(self) -> dict[str, str | None]:
        """The mark, or None, of every identifier that takes part."""
        found: dict[str, str | None] = {}
        for known in self.known.values():
            if known.evidence.permitted:
                found |= known.marks
        return found


async def survey(tx: Writer, records: Collection[RecordId], config: LinkageConfig) -> Surroundings:
    """Lock and read the neighbourhood of records: two statements a level, three levels or so in practice."""
    expansion = _Expansion(tx, config)
    await expansion.run(records)
    overgrown = {record for record in expansion.known if expansion.is_overgrown(record)}
    if not overgrown:
        return Surroundings(expansion.known)
    found = Surroundings(
        {record: known for record, known in expansion.known.items() if record not in overgrown},
        overgrown.intersection(records),
    )
    await _follow_links(tx, found, expansion.known, found.deferred | (overgrown & expansion.revisited))
    return found


class _Expansion:
    """Breadth first, one level at a time for all records together; which of them are connected is kept in `sets`."""

    def __init__(self, tx: Writer, config: LinkageConfig) -> None:
        self._tx = tx
        self._config = config
        self._sets = DisjointSets()
        self._carriers: dict[str, RecordId] = {}
        self.known: dict[RecordId, KnownRecord] = {}
        self.revisited: set[RecordId] = set()

    async def run(self, records: Collection[RecordId]) -> None:
        frontier = set(records)
        while frontier:
            level = _as_known(await touch_evidence(self._tx, frontier))
            self.known |= level
            beside = await self._expand_identifiers(level) | self._expand_edges(level)
            frontier = {record for record in beside - self.known.keys() if not self.is_overgrown(record)}

    def is_overgrown(self, record: RecordId) -> bool:
        """Whether the record's neighbourhood is over the cap."""
        return self._sets.size(record) > self._config.neighbourhood_cap

    async def _expand_identifiers(self, level: dict[RecordId, KnownRecord]) -> set[RecordId]:
        """Who else has the identifiers of this level; for those that just became too frequent, whom they had linked."""
        usable: dict[str, RecordId] = {}
        dropped: dict[str, RecordId] = {}
        for record, known in level.items():
            for holding in known.evidence.holdings if known.evidence.permitted else ():
                carrier = self._carriers.setdefault(holding.identifier, record)
                if carrier != record:
                    self._join_where_usable(carrier, record, holding)
                elif refuse_identifier(holding, holding.degree, self._config) is None:
                    if holding.degree != 1:
                        usable[holding.identifier] = record
                elif known.marks[holding.identifier] is None:
                    dropped[holding.identifier] = record
        found = set()
        for identifier, record in await read_holders(self._tx, usable) if usable else ():
            self._sets.join(usable[identifier], record)
            found.add(record)
        for _, record in await read_linked_by(self._tx, dropped) if dropped else ():
            self.revisited.add(record)
            found.add(record)
        return found

    def _join_where_usable(self, one: RecordId, other: RecordId, holding: Holding) -> None:
        if refuse_identifier(holding, holding.degree, self._config) is None:
            self._sets.join(one, other)

    def _expand_edges(self, level: dict[RecordId, KnownRecord]) -> set[RecordId]:
        """The other ends of open edges; an assertion of someone who objected to linking leads nowhere."""
        found = set()
        for known in level.values():
            for edge in known.edges:
                leads = edge.status in (LinkStatus.ACTIVE, LinkStatus.REFUSED)
                if leads or (edge.status == LinkStatus.ASSERTED and known.evidence.permitted):
                    self._sets.join(edge.left, edge.right)
                    found |= {edge.left, edge.right}
        return found


async def _follow_links(
    tx: Writer, found: Surroundings, read: dict[RecordId, KnownRecord], start: Iterable[RecordId]
) -> None:
    """Add the records that active links connect with `start`, from what was read before or else from the store."""
    frontier = set(start)
    while frontier:
        missing = frontier - read.keys()
        if missing:
            read |= _as_known(await touch_evidence(tx, missing))
        level = {record: read[record] for record in frontier if record in read}
        found.known |= level
        edges = set().union(*(known.edges for known in level.values()))
        active = [edge for edge in edges if edge.status == LinkStatus.ACTIVE]
        frontier = {record for edge in active for record in (edge.left, edge.right)} - found.known.keys()


def _as_known(rows: Iterable[TouchedEvidence]) -> dict[RecordId, KnownRecord]:
    found = {}
    for row in rows:
        holdings = tuple(
            Holding(identifier, kind, value, namespace or "", since, degree)
            for identifier, kind, value, namespace, since, degree, _ in row.holdings
        )
        found[row.record] = KnownRecord(
            EvidenceRecord(row.record, not row.objected, holdings, row.source),
            row.edges,
            Membership(row.record, row.created_at, row.user, row.user_since),
            {holding[0]: holding[-1] for holding in row.holdings},
        )
    return found
