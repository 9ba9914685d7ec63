"""Use cases of consent: append what was said, refold what it permits, keep that on the person.

What lives here: the order of locks, reads and writes. What does not: Cypher (`graph/consent/py`), the fold
(`privacy/rules.py`), what a viewer sees (`privacy/gate.py`). Every function that takes a `Writer` works inside the
caller's transaction: an event and what it permits become visible together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

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
    KeptPermits,
    UserLog,
    read_stale_users,
    read_successors,
    read_user_logs,
    read_user_page,
    write_permits,
)
from graph.consent.policy_version import read_policy_version, write_policy_version
from graph.identity.locks import lock_users
from graph.model.consent import ConsentEvent, ConsentStateFacts, ConsentStatement
from graph.model.identity import RecordId, UserId
from graph.model.time import Millis
from graph.segments.memberships import end_unpermitted
from graph.segments.rfm import remove_unpermitted_rfm
from graph.store.client import GraphClient, Writer
from privacy.gate import SubjectPermits
from privacy.policy import Policy
from privacy.purposes import ANALYTICS, IDENTITY_LINKING, Permit
from privacy.rules import (
    PermitState,
    describe_states,
    fold,
    instant_of,
    is_denial,
    is_repeat,
    last_word,
    objects_to_linking,
    permits_of,
    until_of,
)

PAGE: Final = 200
"""People refolded in one transaction, or checked with one read."""


@dataclass(frozen=True, slots=True)
class PermitDifference:
    """A person whose kept permits are not what the log adds up to."""

    user: UserId
    kept: tuple[str, ...]
    computed: tuple[str, ...]
    kept_until: Millis | None
    computed_until: Millis | None


async def write_consents(
    tx: Writer, statements: Sequence[tuple[RecordId, str, ConsentStatement]], now: Millis
) -> set[RecordId]:
    """Appends statements, each with the id of its event, to the logs of their records, which must exist. An id that the
    log holds already is skipped; so is a grant that was only carried along and repeats the record's last word, while
    such a denial makes the last word fresher. The statements were checked before (`Policy.check_statement`).

    Answers the records whose own statements now bar them from linkage and didn't, or no longer do. Call
    `refresh_permits` for the people of all these records in the same transaction, after any linkage.
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
        said = events[record]
        last = last_word(said, statement.purpose, statement.recipient)
        if last is not None and is_repeat(statement, last):
            if is_denial(statement):
                at = max(last.repeated_at or Millis(0), min(statement.effective_at, now))
                fresh = replace(last, repeated_at=at)
                said[said.index(last)] = repeated[last.id] = fresh
            continue
        about = [e for e in said if (e.statement.purpose, e.statement.recipient) == _subject_of(statement)]
        event = ConsentEvent(event_id, said[-1].seq + 1 if said else 1, record, now, statement)
        added.append(NewEvent(event, about[-1].id if about else None))
        said.append(event)
    await append_events(tx, added)
    await write_repeats(tx, repeated.values())
    return await _keep_linking_objections(tx, logs, events, now)


def _subject_of(statement: ConsentStatement) -> tuple[str, str | None]:
    return statement.purpose, statement.recipient


async def _keep_linking_objections(
    tx: Writer, logs: dict[RecordId, RecordLog], events: dict[RecordId, list[ConsentEvent]], now: Millis
) -> set[RecordId]:
    changed = {}
    for record, said in events.items():
        if any(event.statement.purpose == IDENTITY_LINKING for event in said):
            objected = objects_to_linking(said, instant_of(said, now))
            if objected != logs[record].linking_objected:
                changed[record] = objected
    await write_linking_objections(tx, changed)
    return set(changed)


async def refresh_permits(tx: Writer, users: Collection[UserId], policy: Policy, now: Millis) -> None:
    """Refolds people's logs and keeps what changed: permits, until when they hold, the next consent epoch; memberships
    in segments of a purpose that is not permitted end. People who were retired are followed to whom they became."""
    waiting, done = set(users), set()
    while waiting:
        some = sorted(waiting)[:PAGE]
        await lock_users(tx, some)
        logs = await read_user_logs(tx, some)
        changed = [fresh for one in logs if (fresh := _refold(one, policy, now)) != one.kept]
        await write_permits(tx, changed)
        lost = [kept.user for kept in changed]
        await end_unpermitted(tx, lost, ANALYTICS, now)
        await remove_unpermitted_rfm(tx, lost, ANALYTICS)
        done.update(some)
        empty = [one.kept.user for one in logs if not one.records]
        successors = await read_successors(tx, empty) if empty else set()
        waiting = (waiting | successors) - done


def _refold(one: UserLog, policy: Policy, now: Millis) -> KeptPermits:
    """What the graph should keep on a person; somebody without records permits nothing."""
    if not one.records:
        return replace(one.kept, permits=(), until=None)
    answers = _fold_log(one, policy, now)
    return replace(one.kept, permits=permits_of(answers), until=until_of(answers))


def _fold_log(one: UserLog, policy: Policy, now: Millis) -> dict[Permit, PermitState]:
    events = one.events
    return fold(events, instant_of(events, now), policy)


async def refresh_stale(client: GraphClient, policy: Policy, now: Millis) -> int:
    """Refolds everybody whose kept permits changed by themselves (expiries, statements with a later effective date).
    Answers how many."""
    total = 0
    while users := await read_stale_users(client, now, PAGE):
        await client.write(partial(refresh_permits, users=users, policy=policy, now=now))
        total += len(users)
    return total


async def refresh_everybody(client: GraphClient, policy: Policy, now: Millis) -> int:
    """Refolds all people, as is due after the company changed its policy. Answers how many there are."""
    total, after = 0, ""
    while users := await read_user_page(client, after, PAGE):
        await client.write(partial(refresh_permits, users=users, policy=policy, now=now))
        total, after = total + len(users), users[-1]
    return total


async def apply_policy(client: GraphClient, policy: Policy, now: Millis) -> int:
    """Refolds everybody if the permits were folded under another policy than this one; answers how many people.

    Run when a process starts, before it answers. Interrupted, it starts over the next time, since the version is
    remembered last. Processes that share a graph must share a policy: each start under another one refolds everybody.
    """
    if await read_policy_version(client) == policy.version:
        return 0
    people = await refresh_everybody(client, policy, now)
    await client.write(partial(write_policy_version, version=policy.version, now=now))
    return people


async def fresh_permits(
    client: GraphClient, user: UserId, subject: SubjectPermits, policy: Policy, now: Millis
) -> SubjectPermits:
    """The permits of a person to decide by: those that were read, or refolded and kept where they are stale."""
    if not subject.stale(now):
        return subject

    async def refold(tx: Writer) -> KeptPermits:
        await refresh_permits(tx, [user], policy, now)
        return next((one.kept for one in await read_user_logs(tx, [user])), KeptPermits(user, (), None))

    kept = await client.write(refold)
    return replace(subject, permits=kept.permits, permits_until=kept.until, consent_epoch=kept.epoch)


async def check_permits(client: GraphClient, policy: Policy, now: Millis) -> list[PermitDifference]:
    """Recomputes every person's permits from the log and answers whose kept ones differ, other than by being stale."""
    found: list[PermitDifference] = []
    after = ""
    while page := await read_user_page(client, after, PAGE):
        after = page[-1]
        for one in await read_user_logs(client, page):
            kept, fresh = one.kept, _refold(one, policy, now)
            if fresh != kept and (kept.until is None or now < kept.until):
                found.append(PermitDifference(kept.user, kept.permits, fresh.permits, kept.until, fresh.until))
    return found


async def read_states(client: GraphClient, user: UserId, policy: Policy, now: Millis) -> tuple[ConsentStateFacts, ...]:
    """Where every purpose stands for a person, and which event decided it: for the person and auditors."""
    logs = await read_user_logs(client, [user])
    return describe_states(_fold_log(logs[0], policy, now)) if logs else ()
