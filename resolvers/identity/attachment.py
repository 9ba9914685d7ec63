"""Attaching evidence to records: identifiers that they hold or claim, and when holdings ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from algorithms.identity.blocking import ANONYMOUS_ID, USER_ID
from graph.identity.identifiers import (
    NewHolding,
    WrittenClaims,
    change_claims,
    change_holdings,
    end_holdings,
    read_holdings,
    write_claims,
    write_holdings,
)
from graph.model.identity import Grade, RecordId
from graph.model.time import Millis
from graph.store.client import Writer

Known = tuple[Grade, Millis]
"""The grade at which a record has an identifier, and since when."""


@dataclass(slots=True)
class Evidence:
    """What is new about records: identifiers by record and ID, each with what was known before (None: nothing); the
    keys in `doubtful`, whose earlier state has to be read; and when holdings ended (None: they are current again)."""

    held: dict[tuple[RecordId, str], tuple[NewHolding, Known | None]] = field(default_factory=dict)
    doubtful: set[tuple[RecordId, str]] = field(default_factory=set)
    ends: dict[tuple[RecordId, str], Millis | None] = field(default_factory=dict)

    def add(self, new: NewHolding, identifier: str, known: Known | None, *, certain: bool = True) -> None:
        """Adds an identifier that a record lacks. `known` is what it has of it; unless that is certain, it is read. Of
        several additions of one transaction, the best counts, and what was known before the first."""
        key = (new.record, identifier)
        before = self.held.get(key)
        if before is None:
            self.held[key] = (new, known)
            if not certain:
                self.doubtful.add(key)
        elif (-new.grade.rank, new.since) < (-before[0].grade.rank, before[0].since):
            self.held[key] = (new, before[1])


@dataclass(frozen=True, slots=True)
class Attached:
    """What has to be decided afresh: accounts to link; those that got identifiers which others may hold (`sharing`);
    records that got any (`changed`), those that may hear other bars now (`barred`), devices to settle, and user IDs and
    anonymous IDs (`named`, by identifier ID) by which devices may now count for an account."""

    linking: frozenset[RecordId] = frozenset()
    sharing: frozenset[RecordId] = frozenset()
    changed: frozenset[RecordId] = frozenset()
    barred: frozenset[RecordId] = frozenset()
    devices: frozenset[RecordId] = frozenset()
    named: frozenset[str] = frozenset()


async def attach_evidence(tx: Writer, evidence: Evidence) -> Attached:
    """Writes new evidence. The caller has locked the records.

    Each identifier carries the receipt of its message, so which record had it first depends neither on the order of
    processing nor on the times that senders state.
    """
    if evidence.doubtful:
        await _look_up(tx, evidence)
    claims = [(new, known) for new, known in evidence.held.values() if new.grade is Grade.CLAIMED]
    holdings = [(new, known) for new, known in evidence.held.values() if new.grade is not Grade.CLAIMED]
    barred = await _write_holdings(tx, holdings) if holdings else set()
    written = await _write_claims(tx, claims)
    if evidence.ends:
        await end_holdings(tx, evidence.ends)
    ended = {record for record, _ in evidence.ends}
    proven = [new for new, _ in holdings if new.grade is Grade.PROVEN and new.identifier.kind != ANONYMOUS_ID]
    return Attached(
        linking=frozenset({new.record for new in proven} | ended),
        sharing=frozenset(new.record for new in proven if new.identifier.kind != USER_ID),
        changed=frozenset(record for record, _ in evidence.held),
        barred=frozenset(barred | written.barred | ended),
        devices=frozenset(written.tied),
        named=frozenset(
            new.identifier.id
            for new, _ in holdings
            if new.grade is Grade.PROVEN and new.identifier.kind in (USER_ID, ANONYMOUS_ID)
        ),
    )


async def _look_up(tx: Writer, evidence: Evidence) -> None:
    """Replaces what records remember by what they have, and drops what they turn out not to lack."""
    for key, known in (await read_holdings(tx, evidence.doubtful)).items():
        new, _ = evidence.held[key]
        if new.grade.rank < known[0].rank or (new.grade is known[0] and new.since >= known[1]):
            del evidence.held[key]
        else:
            evidence.held[key] = (new, known)


async def _write_holdings(tx: Writer, holdings: list[tuple[NewHolding, Known | None]]) -> set[RecordId]:
    created = [new for new, known in holdings if known is None or known[0] is Grade.CLAIMED]
    changed = [
        (new, int(new.grade is Grade.PROVEN and known[0] is not Grade.PROVEN))
        for new, known in holdings
        if known is not None and known[0] is not Grade.CLAIMED
    ]
    if changed:
        await change_holdings(tx, changed)
    return await write_holdings(tx, created) if created else set()


async def _write_claims(tx: Writer, claims: list[tuple[NewHolding, Known | None]]) -> WrittenClaims:
    earlier = [new for new, known in claims if known is not None]
    created = [new for new, known in claims if known is None]
    written = await write_claims(tx, created)
    if earlier:
        await change_claims(tx, earlier)
        written.tied.update(one.record for one in earlier if one.identifier.kind == USER_ID)
    return written
