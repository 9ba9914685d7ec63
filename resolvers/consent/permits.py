"""Use cases of consent: fold people's logs into permits, store them on the people, and check them.

Every function that takes a `Writer` works inside the caller's transaction: an event and what it permits become visible
together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from graph.consent.bars import finish_unheard, mark_stale, read_crowd, read_people_of_devices, read_unheard
from graph.consent.permits import (
    StoredPermits,
    UserLog,
    read_stale_users,
    read_successors,
    read_user_logs,
    read_user_page,
    write_permits,
)
from graph.consent.policy_version import read_policy_version, write_policy_version
from graph.identity.locks import lock_users
from graph.model.identity import Grade, UserId
from graph.model.time import Millis
from graph.segments.memberships import end_unpermitted
from graph.segments.rfm import remove_unpermitted_rfm
from graph.store.client import GraphClient, Writer, chunk_rows
from privacy.gate import SubjectPermits
from privacy.policy import Policy
from privacy.purposes import ANALYTICS, Permit
from privacy.rules import PermitState, fold, instant_of
from privacy.states import ends_of, grants_of, permits_of, until_of
from resolvers.consent.recording import find_bars

PAGE: Final = 200
"""Number of people refolded in one transaction or checked with one read."""


@dataclass(frozen=True, slots=True)
class PermitDifference:
    """A person whose stored permits differ from those that the log adds up to."""

    user: UserId
    stored: tuple[str, ...]
    computed: tuple[str, ...]
    stored_until: Millis | None
    computed_until: Millis | None


@dataclass(frozen=True, slots=True)
class PermitCheck:
    """How many people's stored permits were compared with their logs, and the differences. `complete`: everyone was
    checked."""

    checked: int
    differences: tuple[PermitDifference, ...]
    complete: bool


async def refresh_permits(tx: Writer, users: Collection[UserId], policy: Policy, now: Millis) -> None:
    """Refolds people's logs and those of their devices, and stores what changed: permits, until when they hold, the
    next consent epoch. Ends memberships in segments of a purpose that is not permitted. Retired people are followed to
    their successors."""
    waiting, done = set(users) | await read_people_of_devices(tx, users), set()
    while waiting:
        some = sorted(waiting)[:PAGE]
        await lock_users(tx, some)
        logs = await read_user_logs(tx, some)
        changed = [fresh for one in logs if (fresh := _refold(one, policy, now)) != one.stored]
        await write_permits(tx, changed, now)
        lost = [one.user for one in changed]
        await end_unpermitted(tx, lost, ANALYTICS, now)
        await remove_unpermitted_rfm(tx, lost, ANALYTICS)
        done.update(some)
        empty = [one.stored.user for one in logs if not one.records]
        successors = await read_successors(tx, empty) if empty else set()
        waiting = (waiting | successors) - done


def judge(one: UserLog, policy: Policy, now: Millis) -> dict[Permit, PermitState]:
    """Returns what a person's log permits now. Whatever is shown of someone's consents comes from here.

    A device hears all that was denied by the people of accounts that proved to use it, and what these hear of others
    unless a stranger may have left it.
    """
    bars = list(one.bars)
    for account in one.accounts:
        bars += [bar for bar in account.bars if not bar.unproven]
        bars += [bar for log in account.records for bar in find_bars(log, log.events, Grade.PROVEN)]
    return fold(one.events, instant_of(one.events, now), policy, one.standings, bars)


def _refold(one: UserLog, policy: Policy, now: Millis) -> StoredPermits:
    """Returns the permits that a person's log adds up to; a person without records permits nothing."""
    if not one.records:
        return replace(one.stored, permits=(), until=None, ends=(), grants=())
    states = judge(one, policy, now)
    return replace(
        one.stored,
        permits=permits_of(states),
        until=until_of(states),
        ends=ends_of(states),
        grants=grants_of(states),
    )


async def mark_crowds(client: GraphClient, now: Millis) -> None:
    """Marks everyone stale who hears new bars on an identifier that too many hold for one transaction. If interrupted,
    it starts over the next time."""
    while waiting := await read_unheard(client):
        for one in waiting:
            for chunk in chunk_rows(await read_crowd(client, one.identifier)):
                await client.write(partial(mark_stale, users=chunk, now=now))
            await client.write(partial(finish_unheard, one=one))


async def refresh_stale(client: GraphClient, policy: Policy, now: Millis) -> int:
    """Refolds everyone whose permits are stale, because of an expiry, of a statement with a later effective date, or of
    a denial at an identifier that many hold. Returns how many people."""
    await mark_crowds(client, now)
    total = 0
    while users := await read_stale_users(client, now, PAGE):
        await client.write(partial(refresh_permits, users=users, policy=policy, now=now))
        total += len(users)
    return total


async def refresh_everybody(client: GraphClient, policy: Policy, now: Millis) -> int:
    """Refolds everyone, as required after a change of policy. Returns how many people there are."""
    total, after = 0, ""
    while users := await read_user_page(client, after, PAGE):
        await client.write(partial(refresh_permits, users=users, policy=policy, now=now))
        total, after = total + len(users), users[-1]
    return total


async def apply_policy(client: GraphClient, policy: Policy, now: Millis) -> int:
    """Refolds everyone if the permits were folded under another policy. Returns how many people.

    Run when a process starts, before it serves. If interrupted, it starts over the next time, since the version is
    stored last. Processes that share a graph must share a policy: each start under another one refolds everyone.
    """
    if await read_policy_version(client) == policy.version:
        return 0
    people = await refresh_everybody(client, policy, now)
    await client.write(partial(write_policy_version, version=policy.version, now=now))
    return people


async def fresh_permits(
    client: GraphClient, user: UserId, subject: SubjectPermits, policy: Policy, now: Millis
) -> SubjectPermits:
    """Returns a person's permits as of `now`: those that were read or, if a refold is due, refolded and stored ones.
    Not for partners: what a partner reads writes nothing."""
    if not subject.stale(now):
        return subject

    async def refold(tx: Writer) -> StoredPermits:
        await refresh_permits(tx, [user], policy, now)
        return next((one.stored for one in await read_user_logs(tx, [user])), StoredPermits(user, (), None))

    stored = await client.write(refold)
    return replace(
        subject,
        permits=stored.permits,
        permits_until=stored.until,
        consent_epoch=stored.epoch,
        ends=stored.ends,
        grants=stored.grants,
    )


async def check_permits(
    client: GraphClient, policy: Policy, clock: Callable[[], Millis], limit: int = sys.maxsize
) -> PermitCheck:
    """Recomputes people's permits from their logs and compares them with the stored ones. Stops once at least `limit`
    people are checked. Stale permits are ignored. Time: O(events); memory: one page, and the differences."""
    checked, after, found = 0, "", list[PermitDifference]()
    while page := await read_user_page(client, after, PAGE):
        if checked >= limit:
            return PermitCheck(checked, tuple(found), complete=False)
        differing = await _compare_permits(client, page, policy, clock)
        if differing:  # a statement may have been committed during the read
            users = [one.user for one in differing]
            found += await _compare_permits(client, users, policy, clock)
        checked, after = checked + len(page), page[-1]
    return PermitCheck(checked, tuple(found), complete=True)


async def _compare_permits(
    client: GraphClient, users: Collection[UserId], policy: Policy, clock: Callable[[], Millis]
) -> list[PermitDifference]:
    logs = await read_user_logs(client, users)
    now = clock()
    # Retirement leaves `permits_until` behind, which means nothing where nothing is permitted.
    pairs = [(one.stored, _refold(one, policy, now)) for one in logs if one.records or one.stored.permits]
    return [
        PermitDifference(stored.user, stored.permits, computed.permits, stored.until, computed.until)
        for stored, computed in pairs
        if computed != stored and (stored.until is None or now < stored.until)
    ]
