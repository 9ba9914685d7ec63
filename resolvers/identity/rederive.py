"""Deriving everything again that rests on what a source is trusted with.

Grades, links, people, devices, bars and permits follow from what was received and from the present trust of sources.
After a change, each record of the source is graded again, and what follows is decided afresh. Until that is done, the
source is unsettled, and reads don't rely on it. Bars stay: what a record denied while its source was trusted more still
bars whoever it was linked with.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Final

from algorithms.identity.blocking import ANONYMOUS_ID, USER_ID
from algorithms.identity.contacts import find_ends, find_receipts
from algorithms.identity.grades import covers, grade_identifier
from graph.access.terms import SourceTerms, read_terms, read_unsettled_sources, settle_source
from graph.consent.bars import read_denying_records
from graph.errors import NotFound
from graph.identity.devices import read_devices_of_identifiers, read_used_names
from graph.identity.records import read_people_of_records
from graph.identity.regrading import (
    GradedIdentifier,
    GradedRecord,
    Regrading,
    lock_graded,
    read_records_of_source,
    write_regradings,
    write_remembered,
)
from graph.model.identity import Grade, RecordId, RecordKind
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer
from privacy.policy import Policy
from resolvers.consent.permits import refresh_permits
from resolvers.consent.recording import leave_denials, share_denials, spread_denials
from resolvers.context import Services
from resolvers.identity.devices import MOST_WAITING, settle_devices
from resolvers.identity.linkage import relink_records
from resolvers.identity.upgrade import restore_contacts, separate_devices

PAGE: Final = 100
"""Records derived in one transaction."""


@dataclass(slots=True)
class RederiveReport:
    """What deriving again led to: how many records were examined, how many identifiers got another grade, how many
    devices a person of their own, and how many people were merged or split. `sources` are those that are settled
    now."""

    records: int = 0
    regraded: int = 0
    separated: int = 0
    merged: int = 0
    split: int = 0
    sources: int = 0

    def add(self, other: RederiveReport) -> None:
        """Adds what another report counts."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


async def rederive_source(
    services: Services,
    name: str,
    progress: Callable[[int], None] | None = None,
    *,
    fence: float | None = None,
) -> RederiveReport:
    """Derives everything again that rests on a source. Idempotent; if interrupted, it starts over the next time.

    After a lowered trust, a second pass follows once no transaction can be open that relied on the old trust: `fence`
    seconds later, by default the store's time limit. `progress` is called with the number of records examined so far.
    Raises NotFound if there is no such source.
    """
    run = _Rederivation(services.client, services.policy, services.clock, progress)
    return await run.rederive([name], fence)


async def settle_sources(
    client: GraphClient,
    policy: Policy,
    clock: Callable[[], Millis],
    progress: Callable[[int], None] | None = None,
    *,
    fence: float | None = None,
) -> RederiveReport:
    """Derives everything again that rests on unsettled sources: those of a graph from before sources had a trust, and
    those whose derivation was interrupted. Does nothing if there are none.

    All sources share one fence (`rederive_source`), which also lets transactions end that a process of an earlier
    version has begun. What such a process writes later is not derived, so it has to be stopped.
    """
    run = _Rederivation(client, policy, clock, progress)
    return await run.rederive(await read_unsettled_sources(client), fence)


@dataclass(slots=True)
class _Rederivation:
    """Deriving sources again: what that takes, and what it has led to so far."""

    client: GraphClient
    policy: Policy
    clock: Callable[[], Millis]
    progress: Callable[[int], None] | None
    report: RederiveReport = field(default_factory=RederiveReport)

    async def rederive(self, names: Collection[str], fence: float | None) -> RederiveReport:
        """Derives sources again until each is settled under the trust that it has by then."""
        wait = self.client.limits.statement + self.client.limits.grace if fence is None else fence
        waiting = set(names)
        while waiting:
            terms = await self.client.write(partial(read_terms, names=sorted(waiting)))
            if waiting - terms.keys():
                raise NotFound("There is no source of that name: `consentric source list` shows all sources.")
            unsettled = {name for name in waiting if terms[name].settled_epoch < terms[name].trust_epoch}
            for name in sorted(unsettled):  # before anybody parts: a denial holds without a gap
                await self._spread_source(name)
            for name in sorted(waiting):
                await self._derive_source(name)
            if unsettled:
                await asyncio.sleep(wait)
            for name in sorted(unsettled):
                await self._derive_source(name)
            for name in sorted(waiting):
                if await self.client.write(partial(settle_source, name=name, epoch=terms[name].trust_epoch)):
                    waiting.remove(name)
                    self.report.sources += name in unsettled
        return self.report

    async def _spread_source(self, name: str) -> None:
        async for page in self._read_pages(name):
            await self.client.write(partial(_spread, records=page, policy=self.policy, now=self.clock()))

    async def _derive_source(self, name: str) -> None:
        async for page in self._read_pages(name):
            work = partial(_rederive, name=name, records=page, policy=self.policy, now=self.clock())
            self.report.add(await self.client.write(work))
            if self.progress is not None:
                self.progress(self.report.records)

    async def _read_pages(self, name: str) -> AsyncIterator[list[RecordId]]:
        after = ""
        while page := await read_records_of_source(self.client, name, after, PAGE):
            after = page[-1]
            yield page


async def _spread(tx: Writer, records: Collection[RecordId], policy: Policy, now: Millis) -> None:
    """Leaves the denials of a page of records on their identifiers, and those of their people on the names of the
    devices that they use."""
    affected = await spread_denials(tx, await read_denying_records(tx, records), now)
    affected |= await leave_denials(tx, await read_used_names(tx, records), now)
    if affected:
        await refresh_permits(tx, affected, policy, now)


async def _rederive(
    tx: Writer, name: str, records: Collection[RecordId], policy: Policy, now: Millis
) -> RederiveReport:
    """Derives a page of records."""
    terms = (await read_terms(tx, [name]))[name]
    graded = await restore_contacts(tx, await lock_graded(tx, records))
    changes = [change for one in graded for change in find_regradings(one, terms)]
    if changes:
        await write_regradings(tx, changes)
    await write_remembered(tx, [(one, _apply(one, changes)) for one in graded])
    affected = await spread_denials(tx, {one.record for one in graded if one.denies}, now)
    separated, parted = await separate_devices(tx, records, now)
    linked = await relink_records(tx, {one.record for one in graded}, now)
    affected |= parted | linked.affected_users
    named = {
        each.ref.id
        for one in graded
        if one.kind is RecordKind.USER
        for each in one.identifiers
        if each.ref.kind in (USER_ID, ANONYMOUS_ID)
    }
    await settle_devices(tx, {one.record for one in graded if one.kind is RecordKind.ANONYMOUS}, named, now)
    told = await read_devices_of_identifiers(tx, named, MOST_WAITING)
    people = {user for user, _ in (await read_people_of_records(tx, told.union(records))).values()}
    affected |= people | await share_denials(tx, people, now)
    await refresh_permits(tx, affected, policy, now)
    return RederiveReport(len(records), len(changes), separated, len(linked.merged), len(linked.split))


def find_regradings(one: GradedRecord, terms: SourceTerms) -> list[Regrading]:
    """Returns the identifiers of a record whose grade, or since when they have it, differs from what its source is
    trusted with now. A device only ever claims user IDs and anonymous IDs."""
    ends, receipts = find_ends(one.contacts), find_receipts(one.contacts)
    found = []
    for each in one.identifiers:
        if one.kind is RecordKind.ANONYMOUS and each.ref.kind in (USER_ID, ANONYMOUS_ID):
            grade, since = Grade.CLAIMED, each.since
        else:
            grade, since = _grade(each, receipts.get(each.ref.id, ()), terms)
        if grade is not each.grade or (since != each.since and grade is not Grade.CLAIMED):
            found.append(Regrading(one.record, each, grade, since, ends.get(each.ref.id)))
    return found


def _grade(each: GradedIdentifier, receipts: Collection[Millis], terms: SourceTerms) -> tuple[Grade, Millis]:
    """Returns the best grade that an identifier has by any of its known receipts, and the earliest of them. A proof
    holds for the receipt that it came with.

    Of each value of contact data, the first receipt and the last are known, besides the one since which it has its
    grade. So if a source says that it began to check earlier, a value may be proven somewhat later than it was.
    """
    proof, kind = each.proof, each.ref.kind
    known = (each.since,) if covers(proof, kind) else (each.since, *receipts)
    graded = [(grade_identifier(kind, terms.trust, terms.verifies, at, proof), at) for at in known]
    return min(graded, key=lambda one: (-one[0].rank, one[1]))


def _apply(one: GradedRecord, changes: Collection[Regrading]) -> list[GradedIdentifier]:
    new = {change.before.ref: change for change in changes if change.record == one.record}
    return [
        each._replace(grade=new[each.ref].grade, since=new[each.ref].since) if each.ref in new else each
        for each in one.identifiers
    ]
