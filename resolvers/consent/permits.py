"""Use cases of consent: append statements, fold the log into permits, store the permits on the person.

Every function that takes a `Writer` works inside the caller's transaction: an event and what it permits become visible
together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NamedTuple

from graph.consent.log import (
    NewEvent,
    RecordLog,
    append_events,
    lock_logs,
    read_known_events,
    write_linking_objections,
    write_repeats,
)
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
from graph.model.consent import ConsentEvent, ConsentStatement
from graph.model.identity import RecordId, UserId
from graph.model.time import Millis
from graph.segments.memberships import end_unpermitted
from graph.segments.rfm import remove_unpermitted_rfm
from graph.store.client import GraphClient, Writer
from privacy.gate import SubjectPermits
from privacy.policy import Policy
from privacy.purposes import ANALYTICS, IDENTITY_LINKING
from privacy.rules import (
    ends_of,
    fold,
    grants_of,
    instant_of,
    is_denial,
    is_repeat,
    last_statement,
    objects_to_linking,
    permits_of,
    until_of,
)

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


class NewStatement(NamedTuple):
    """A statement for a record's log, with the ID of its event."""

    record: RecordId
    event_id: str
    statement: ConsentStatement


async def write_consents(tx: Writer, statements: Sequence[NewStatement], now: Millis) -> set[RecordId]:
    """Appends statements, each with the ID of its event, to the logs of their records, which must exist. An ID that the
    log already holds is skipped; so is a grant that was only carried along and repeats the record's last statement,
    while such a denial makes the last statement fresher. The statements must be valid (`Policy.check_statement`).

    Returns the records whose own statements newly bar them from linkage, or no longer do. Call `refresh_permits` for
    the people of all these records in the same transaction, after any linkage.
    """
    if not statements:
        return set()
    logs = await lock_logs(tx, {record for record, _, _ in statements})
    known = await read_known_events(tx, {event_id for _, event_id, _ in statements})
    events = {record: list(one.events) for record, one in logs.items()}
    added: list[NewEvent] = []
    repeated: dict[str, ConsentEvent] = {}
    for record, event_id, statement in statements:
        if event_id in known or record not in events:
            continue
        known.add(event_id)
        log = events[record]
        last = last_statement(log, statement.purpose, statement.recipient)
        if last is not None and is_repeat(statement, last):
            if is_denial(statement):
                at = max(last.repeated_at or Millis(0), min(statement.effective_at, now))
                fresh = replace(last, repeated_at=at)
                log[log.index(last)] = repeated[last.id] = fresh
            continue
        about = [e for e in log if (e.statement.purpose, e.statement.recipient) == _subject_of(statement)]
        event = ConsentEvent(event_id, log[-1].seq + 1 if log else 1, record, now, statement)
        added.append(NewEvent(event, about[-1].id if about else None))
        log.append(event)
    await append_events(tx, added)
    await write_repeats(tx, repeated.values())
    return await _keep_linking_objections(tx, logs, events, now)


def _subject_of(statement: ConsentStatement) -> tuple[str, str | None]:
    return statement.purpose, statement.recipient


async def _keep_linking_objections(
    tx: Writer, logs: dict[RecordId, RecordLog], events: dict[RecordId, list[ConsentEvent]], now: Millis
) -> set[RecordId]:
    changed = {}
    for record, log in events.items():
        if any(event.statement.purpose == IDENTITY_LINKING for event in log):
            objected = objects_to_linking(log, instant_of(log, now))
            if objected != logs[record].linking_objected:
                changed[record] = objected
    await write_linking_objections(tx, changed)
    return set(changed)


async def refresh_permits(tx: Writer, users: Collection[UserId], policy: Policy, now: Millis) -> None:
    """Refolds people's logs and stores what changed: permits, until when they hold, the next consent epoch. Ends
    memberships in segments of a purpose that is not permitted. Retired people are followed to their successors."""
    waiting, done = set(users), set()
    while waiting:
        some = sorted(waiting)[:PAGE]
        await lock_users(tx, some)
        logs = await read_user_logs(tx, some)
        changed = [fresh for one in logs if (fresh := _refold(one, policy, now)) != one.stored]
        await write_permits(tx, changed)
        lost = [one.user for one in changed]
        await end_unpermitted(tx, lost, ANALYTICS, now)
        await remove_unpermitted_rfm(tx, lost, ANALYTICS)
        done.update(some)
        empty = [one.stored.user for one in logs if not one.records]
        successors = await read_successors(tx, empty) if empty else set()
        waiting = (waiting | successors) - done


def _refold(one: UserLog, policy: Policy, now: Millis) -> StoredPermits:
    """Returns the permits that a person's log adds up to; a person without records permits nothing."""
    if not one.records:
        return replace(one.stored, permits=(), until=None, ends=(), grants=())
    events = one.events
    states = fold(events, instant_of(events, now), policy)
    return replace(
        one.stored,
        permits=permits_of(states),
        until=until_of(states),
        ends=ends_of(states),
        grants=grants_of(states),
    )


async def refresh_stale(client: GraphClient, policy: Policy, now: Millis) -> int:
    """Refolds everyone whose permits are stale, because of an expiry or of a statement with a later effective date.
    Returns how many people."""
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
