"""The neighbourhood of records: everything that evidence or links connect with them, read under locks.

Records are expanded over identifiers that may link, asserted links and open edges. Every record is locked before its
evidence is read, and adding evidence to a record locks it first, so what was read can't change before the transaction
ends. A neighbourhood that outgrows `LinkageConfig.neighbourhood_cap` is cut back to the people that its records belong
to now: links among these are decided, others are left to the batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from algorithms.identity.clustering import DisjointSets
from algorithms.identity.grades import stands
from algorithms.identity.linkage import LinkageConfig, refuse_identifier
from graph.identity.identifiers import read_holders
from graph.identity.links import LinkEdge, LockedRecord, lock_evidence, read_linked_by
from graph.model.identity import Judgement, LinkOutcome, Membership, Neighbourhood, RecordId
from graph.store.client import Writer


@dataclass(slots=True)
class LockedNeighbourhood:
    """The records read, all of them locked. `deferred` are those requested whose neighbourhood was cut back."""

    records: dict[RecordId, LockedRecord] = field(default_factory=dict)
    deferred: set[RecordId] = field(default_factory=set)

    def evidence(self) -> Neighbourhood:
        """Returns what linkage decides from."""
        edges = self.edges()
        return Neighbourhood(
            tuple(record.evidence for record in self.records.values()),
            frozenset((edge.left, edge.right) for edge in edges if edge.status is Judgement.ASSERTED),
            frozenset((edge.left, edge.right) for edge in edges if edge.status is Judgement.CANNOT_LINK),
        )

    def memberships(self) -> dict[RecordId, Membership]:
        """Returns which user each record belongs to now."""
        return {id_: record.membership for id_, record in self.records.items()}

    def edges(self) -> set[LinkEdge]:
        """Returns the open edges with both ends inside the neighbourhood."""
        found = set().union(*(record.edges for record in self.records.values()))
        return {edge for edge in found if edge.left in self.records and edge.right in self.records}

    def refused(self) -> dict[str, str | None]:
        """Returns the stored refusal, or None, of every identifier that takes part in linkage."""
        taking_part = (record.evidence for record in self.records.values() if record.evidence.permitted)
        return {holding.identifier: holding.refused for evidence in taking_part for holding in evidence.holdings}


async def lock_neighbourhood(tx: Writer, records: Collection[RecordId], config: LinkageConfig) -> LockedNeighbourhood:
    """Locks and reads the neighbourhood of records: two statements per level, about three levels in practice."""
    expansion = _Expansion(tx, config)
    await expansion.run(records)
    overgrown = {record for record in expansion.known if expansion.is_overgrown(record)}
    if not overgrown:
        return LockedNeighbourhood(expansion.known)
    found = LockedNeighbourhood(
        {record: known for record, known in expansion.known.items() if record not in overgrown},
        overgrown.intersection(records),
    )
    await _follow_links(tx, found, expansion.known, found.deferred | (overgrown & expansion.revisited))
    return found


class _Expansion:
    """A breadth-first search, one level at a time for all records together. `_sets` holds which of them are
    connected."""

    def __init__(self, tx: Writer, config: LinkageConfig) -> None:
        self._tx = tx
        self._config = config
        self._sets = DisjointSets()
        self._carriers: dict[str, RecordId] = {}
        self.known: dict[RecordId, LockedRecord] = {}
        self.revisited: set[RecordId] = set()

    async def run(self, records: Collection[RecordId]) -> None:
        frontier = set(records)
        while frontier:
            level = await lock_evidence(self._tx, frontier, stands)
            self.known |= level
            beside = await self._expand_identifiers(level) | self._expand_edges(level)
            frontier = {record for record in beside - self.known.keys() if not self.is_overgrown(record)}

    def is_overgrown(self, record: RecordId) -> bool:
        """Returns whether the record's neighbourhood exceeds the cap."""
        return self._sets.size(record) > self._config.neighbourhood_cap

    async def _expand_identifiers(self, level: dict[RecordId, LockedRecord]) -> set[RecordId]:
        """Returns the other holders of this level's identifiers; for an identifier that has just become too frequent,
        the records that it linked."""
        shared: dict[str, RecordId] = {}
        dropped: dict[str, RecordId] = {}
        for record, known in level.items():
            if not known.evidence.permitted:
                continue
            for holding in known.evidence.holdings:
                usable = refuse_identifier(holding, holding.degree, self._config) is None
                carrier = self._carriers.setdefault(holding.identifier, record)
                if carrier != record:
                    if usable:
                        self._sets.join(carrier, record)
                elif usable and holding.degree != 1:
                    shared[holding.identifier] = record
                elif not usable and holding.refused is None:
                    dropped[holding.identifier] = record
        found = set()
        for identifier, record in await read_holders(self._tx, shared) if shared else ():
            self._sets.join(shared[identifier], record)
            found.add(record)
        for _, record in await read_linked_by(self._tx, dropped) if dropped else ():
            self.revisited.add(record)
            found.add(record)
        return found

    def _expand_edges(self, level: dict[RecordId, LockedRecord]) -> set[RecordId]:
        """Returns the ends of open edges. An assertion about someone who objects to linking is not followed."""
        found = set()
        for known in level.values():
            for edge in known.edges:
                decided = isinstance(edge.status, LinkOutcome)
                if decided or (edge.status is Judgement.ASSERTED and known.evidence.permitted):
                    self._sets.join(edge.left, edge.right)
                    found |= {edge.left, edge.right}
        return found


async def _follow_links(
    tx: Writer, found: LockedNeighbourhood, read: dict[RecordId, LockedRecord], start: Iterable[RecordId]
) -> None:
    """Adds the records that active links connect with `start`, from what has been read or else from the store."""
    frontier = set(start)
    while frontier:
        missing = frontier - read.keys()
        if missing:
            read |= await lock_evidence(tx, missing, stands)
        level = {record: read[record] for record in frontier if record in read}
        found.records |= level
        edges = set().union(*(known.edges for known in level.values()))
        active = [edge for edge in edges if edge.status is LinkOutcome.ACTIVE]
        frontier = {record for edge in active for record in (edge.left, edge.right)} - found.records.keys()
