"""Deriving everything again that rests on what a source is trusted with.

Grades, links, people, devices, bars and permits follow from what was received and from the present trust of sources.
After a change, each record of the source is graded again, and what follows is decided afresh. Until that is done, the
source is unsettled, and reads don't rely on it. Bars stay: what a record denied while its source was trusted more still
bars whoever it was linked with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Final

from algorithms.identity.blocking import ANONYMOUS_ID, USER_ID
from algorithms.identity.contacts import find_ends
from algorithms.identity.grades import grade_identifier
from graph.access.terms import SourceTerms, read_terms, settle_source
from graph.errors import NotFound
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
from graph.store.client import Writer
from privacy.policy import Policy
from resolvers.consent.permits import refresh_permits
from resolvers.consent.recording import spread_denials
from resolvers.context import Services
from resolvers.identity.devices import settle_devices
from resolvers.identity.linkage import relink_records

PAGE: Final = 100
"""Records derived in one transaction."""


@dataclass(frozen=True, slots=True)
class RederiveReport:
    """What a change of trust led to: how many records were examined, how many identifiers got another grade, and how
    many people were merged or split."""

    records: int
    regraded: int
    merged: int
    split: int


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
    limits = services.client.limits
    wait = limits.statement + limits.grace if fence is None else fence
    totals = [0, 0, 0, 0]
    while True:
        terms = (await services.client.write(lambda tx: read_terms(tx, [name]))).get(name)
        if terms is None:
            raise NotFound("There is no source of that name: `consentric source list` shows all sources.")
        await _pass(services, name, totals, progress)
        if terms.settled < terms.epoch:
            await asyncio.sleep(wait)
            await _pass(services, name, totals, progress)
        if await services.client.write(partial(settle_source, name=name, epoch=terms.epoch)):
            return RederiveReport(*totals)


async def _pass(services: Services, name: str, totals: list[int], progress: Callable[[int], None] | None) -> None:
    after = ""
    while page := await read_records_of_source(services.client, name, after, PAGE):
        after = page[-1]
        changed = await services.client.write(
            partial(_rederive, name=name, records=page, policy=services.policy, now=services.clock())
        )
        for place, number in enumerate((len(page), *changed)):
            totals[place] += number
        if progress is not None:
            progress(totals[0])


async def _rederive(
    tx: Writer, name: str, records: Collection[RecordId], policy: Policy, now: Millis
) -> tuple[int, int, int]:
    """Derives a page of records. Returns how many identifiers were regraded, and people merged and split."""
    terms = (await read_terms(tx, [name]))[name]
    graded = await lock_graded(tx, records)
    changes = [change for one in graded for change in find_regradings(one, terms)]
    if changes:
        await write_regradings(tx, changes)
        await write_remembered(tx, [(one.record, _apply(one, changes)) for one in graded])
    affected = await spread_denials(tx, {one.record for one in graded if one.denies}, now)
    linked = await relink_records(tx, {one.record for one in graded}, now)
    affected |= linked.affected_users
    named = {
        each.ref.id
        for one in graded
        if one.kind is RecordKind.USER
        for each in one.identifiers
        if each.ref.kind in (USER_ID, ANONYMOUS_ID)
    }
    await settle_devices(tx, {one.record for one in graded if one.kind is RecordKind.ANONYMOUS}, named, now)
    affected |= {user for user, _ in (await read_people_of_records(tx, records)).values()}
    await refresh_permits(tx, affected, policy, now)
    return len(changes), len(linked.merged), len(linked.split)


def find_regradings(one: GradedRecord, terms: SourceTerms) -> list[Regrading]:
    """Returns the identifiers of a record whose grade differs from what its source is trusted with now. A device only
    ever claims user IDs and anonymous IDs."""
    ends = find_ends(one.contacts)
    found = []
    for each in one.identifiers:
        if one.kind is RecordKind.ANONYMOUS and each.ref.kind in (USER_ID, ANONYMOUS_ID):
            grade = Grade.CLAIMED
        else:
            grade = grade_identifier(each.ref.kind, terms.trust, terms.verifies, each.proof)
        if grade is not each.grade:
            found.append(Regrading(one.record, each, grade, ends.get(each.ref.id)))
    return found


def _apply(one: GradedRecord, changes: Collection[Regrading]) -> list[GradedIdentifier]:
    new = {change.before.ref: change.grade for change in changes if change.record == one.record}
    return [each._replace(grade=new.get(each.ref, each.grade)) for each in one.identifiers]
