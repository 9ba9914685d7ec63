"""Recording consent: statements are appended to the logs of their records, and denials are left on identifiers.

A denial also concerns whoever may be the same person. So it goes onto the record's identifiers as a bar, which everyone
who holds or claims one of them reads when their permits are folded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from graph.consent.bars import add_bars, find_hearers, read_barrable, read_denying_mates, read_shared
from graph.consent.log import (
    NewEvent,
    RecordLog,
    append_events,
    lock_logs,
    mark_denying,
    read_known_events,
    retire_events,
    write_linking_objections,
    write_repeats,
)
from graph.consent.permits import read_user_logs
from graph.model.consent import UNPROVEN, Bar, ConsentEvent, ConsentStatement, Standing
from graph.model.identity import Grade, Proof, RecordId, UserId
from graph.model.time import Millis
from graph.store.client import Writer
from privacy.live_log import LiveLog, is_repeat
from privacy.purposes import IDENTITY_LINKING, Assurance
from privacy.rules import instant_of, is_denial, objects_to_linking

MOST_RECIPIENTS: Final = 32
"""How many recipients the bars of one record name. What it denies to others bars the whole purpose."""


MOST_LIVE: Final = 1024
"""How many live events a record keeps of statements that something vouches for. Every further statement reads and folds
them all, so without a bound one sender could slow down everybody's."""

MOST_UNVOUCHED: Final = 128
"""How many it keeps of statements that nothing vouches for."""

MOST_OF_FRONTENDS: Final = 128
"""How many it keeps of withdrawals by front-ends, whose keys may withdraw for anybody, from recipients that they
invent."""


class _Room(Enum):
    """Whose statements share the places of a record."""

    VOUCHED = auto()
    UNVOUCHED = auto()
    FRONTENDS = auto()


class NewStatement(NamedTuple):
    """A statement to append: its record, the ID of its event, when it was received, and what proves it, by an issuer
    who may speak for the sources in `reach` (None: for any). `until` is set if it was carried along and arrives late:
    by then, the record had last repeated what it carried before."""

    record: RecordId
    event_id: str
    statement: ConsentStatement
    received: Millis
    proof: Proof | None = None
    until: Millis | None = None
    reach: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recording changed: the records whose own statements newly bar them from linkage, or no longer do; those that
    denied something; and the people whom a denial reaches over a shared identifier."""

    relinked: frozenset[RecordId] = frozenset()
    denying: frozenset[RecordId] = frozenset()
    hearers: frozenset[UserId] = frozenset()


NOTHING: Final = Recorded()


class NoRoomForConsents(Exception):
    """Records have no room for some statements: `event_ids` are those of their events. Nothing is written."""

    def __init__(self, event_ids: frozenset[str]) -> None:
        super().__init__("records have no room for consents")
        self.event_ids = event_ids


async def record_consents(tx: Writer, statements: Sequence[NewStatement], now: Millis) -> Recorded:
    """Appends statements to the logs of their records, which must exist. An ID that the log already holds is skipped;
    one that was only carried along and repeats the record's last statement makes that one fresher. The statements must
    be valid (`Policy.check_statement`).

    A record has room for MOST_LIVE live events, besides MOST_UNVOUCHED of statements that nothing vouches for and
    MOST_OF_FRONTENDS: none of them takes the place of others. What supersedes an event needs no room, and a denial of a
    whole purpose always has it: on a full record, it is kept without controller, notice and jurisdiction, so that the
    next one supersedes it. Raises NoRoomForConsents for everything else.

    Call `refresh_permits` for the people of all these records, and for those whom it reaches, in the same transaction,
    after any linkage.
    """
    if not statements:
        return NOTHING
    logs = await lock_logs(tx, {one.record for one in statements})
    known = await read_known_events(tx, {one.event_id for one in statements})
    live = {record: LiveLog(one.events, partial(_room_of, standing=one.standing)) for record, one in logs.items()}
    stored = {event.id for one in logs.values() for event in one.events}
    added: list[NewEvent] = []
    repeated: dict[str, ConsentEvent] = {}
    refused: set[str] = set()
    for one in statements:
        if one.event_id in known or one.record not in live:
            continue
        known.add(one.event_id)
        log, subject = live[one.record], (one.statement.purpose, one.statement.recipient)
        last = log.last(*subject)
        if last is not None and is_repeat(one.statement, last):
            at = max(last.repeated_at or Millis(0), min(one.statement.effective_at, one.received))
            repeated[last.id] = log.repeat(last, at)
            continue
        event = _fit(log, _make_event(one, log.next_seq), logs[one.record].standing)
        if event is None:
            refused.add(one.event_id)
            continue
        added.append(NewEvent(event, log.newest(*subject)))
        log.append(event)
        if one.until is not None and last is not None and _is_carried_denial(last) and last.received_at < one.received:
            again = _restate(last, event, one.until)
            added.append(NewEvent(again, event.id))
            log.append(again)
    if refused:
        raise NoRoomForConsents(frozenset(refused))
    former = set().union(*(log.former for log in live.values()))
    await retire_events(tx, former & stored)
    await append_events(tx, [replace(one, former=one.event.id in former) for one in added])
    await write_repeats(tx, repeated.values())
    relinked = await _keep_linking_objections(tx, logs, live, now)
    hearers = await _spread(tx, logs, [one.event for one in added], now)
    denying = frozenset(one.event.record for one in added if _leaves_bars(one.event))
    return Recorded(frozenset(relinked), denying, frozenset(hearers))


def _make_event(one: NewStatement, seq: int) -> ConsentEvent:
    return ConsentEvent(one.event_id, seq, one.record, one.received, one.statement, one.proof, reach=one.reach)


def _fit(log: LiveLog, event: ConsentEvent, standing: Standing) -> ConsentEvent | None:
    """Returns an event as the record has room for it; None if it has none."""
    room = _room_of(event, standing)
    if log.count(room) < _size_of(room) or log.supersedes_any(event):
        return event
    statement = event.statement
    if not is_denial(statement) or statement.recipient is not None:
        return None
    bare = replace(statement, controller=None, notice=None, notice_version=None, notice_sha256=None, jurisdiction=None)
    return replace(event, statement=bare)


def _room_of(event: ConsentEvent, standing: Standing) -> _Room:
    if not standing.vouches(event):
        return _Room.UNVOUCHED
    return _Room.FRONTENDS if event.proof is Proof.FRONTEND else _Room.VOUCHED


def _size_of(room: _Room) -> int:
    return {_Room.VOUCHED: MOST_LIVE, _Room.UNVOUCHED: MOST_UNVOUCHED, _Room.FRONTENDS: MOST_OF_FRONTENDS}[room]


async def spread_denials(tx: Writer, records: Collection[RecordId], now: Millis) -> set[UserId]:
    """Leaves the denials of records on identifiers that they got since, or at an assurance that they have got since.
    Returns the people whom this reaches."""
    if not records:
        return set()
    logs = await lock_logs(tx, records)
    return await _spread(tx, logs, [event for log in logs.values() for event in log.events], now)


async def share_denials(tx: Writer, users: Collection[UserId], now: Millis) -> set[UserId]:
    """Leaves what any account of these people denied on what their other accounts share with others (`read_shared`).
    Returns the people whom this reaches. Call it after any linkage, which decides who others are."""
    denying = await read_denying_mates(tx, users) if users else set()
    shared = await read_shared(tx, denying) if denying else {}
    if not shared:
        return set()
    logs = await lock_logs(tx, shared)
    bars: dict[str, list[Bar]] = {}
    for record, identifiers in shared.items():
        some = find_bars(logs[record], logs[record].events, Grade.PROVEN)
        for identifier in identifiers:
            bars.setdefault(identifier, []).extend(some)
    return await _leave(tx, bars, now)


async def leave_denials(tx: Writer, places: Mapping[str, Collection[UserId]], now: Millis) -> set[UserId]:
    """Leaves all that people denied, and all bars that they hear, on identifiers over which they are about to part, by
    identifier ID. Returns the people whom this reaches. The caller has locked the people's records."""
    if not places:
        return set()
    logs = await read_user_logs(tx, set().union(*places.values()))
    left = {
        one.stored.user: [*one.bars, *(bar for log in one.records for bar in find_bars(log, log.events, Grade.PROVEN))]
        for one in logs
    }
    bars = {identifier: [bar for user in users for bar in left[user]] for identifier, users in places.items()}
    return await _leave(tx, {identifier: some for identifier, some in bars.items() if some}, now)


async def _leave(tx: Writer, bars: Mapping[str, Iterable[Bar]], now: Millis) -> set[UserId]:
    """Leaves bars on identifiers, by ID. Returns the people whom this reaches."""
    changed = await add_bars(tx, bars)
    return await find_hearers(tx, changed, now) if changed else set()


def find_bars(log: RecordLog, events: Sequence[ConsentEvent], grade: Grade) -> list[Bar]:
    """Returns what a record's denials leave on an identifier that it has at a grade. Objections to identity linking
    stay its own.

    A proof tells who somebody is, not whose address they claim: what a public source's account claims, it bars as any
    stranger. What a server merely states was typed in by somebody: it bars as a statement, whoever made the denial.

    A stranger could invent recipients, so what a stranger may have left, or who typed the identifier in, names none and
    bars the whole purpose; so does a denial of any recipient beyond MOST_RECIPIENTS of those that the record denies.
    """
    own = grade is not Grade.CLAIMED or not log.standing.public
    most = Assurance.STATED if grade is Grade.STATED else max(Assurance)
    named = _find_barred_recipients([*log.events, *events])
    bars = []
    for event in filter(_leaves_bars, events):
        statement = event.statement
        proven = own and log.standing.vouches(event)
        bars.append(
            Bar(
                statement.purpose,
                statement.recipient if proven and grade is not Grade.STATED and statement.recipient in named else None,
                min(statement.assurance, most) if proven else UNPROVEN,
                event.received_at,
                log.record,
                event.id,
                log.standing.device,
                min(event.received_at, log.denied_since.get(statement.purpose, event.received_at)),
            )
        )
    return bars


def _find_barred_recipients(events: Iterable[ConsentEvent]) -> set[str]:
    """Returns the recipients that a record's bars name: the first that it denied."""
    denied = (event.statement.recipient for event in events if _leaves_bars(event))
    return set(islice(dict.fromkeys(recipient for recipient in denied if recipient), MOST_RECIPIENTS))


def _leaves_bars(event: ConsentEvent) -> bool:
    return is_denial(event.statement) and event.statement.purpose != IDENTITY_LINKING


async def _spread(
    tx: Writer, logs: Mapping[RecordId, RecordLog], events: Sequence[ConsentEvent], now: Millis
) -> set[UserId]:
    denials: dict[RecordId, list[ConsentEvent]] = {}
    for event in filter(_leaves_bars, events):
        denials.setdefault(event.record, []).append(event)
    if not denials:
        return set()
    since: dict[RecordId, dict[str, Millis]] = {}
    for record, some in denials.items():
        first = since[record] = dict(logs[record].denied_since)
        for one in some:
            purpose = one.statement.purpose
            first[purpose] = min(one.received_at, first.get(purpose, one.received_at))
        if any(first[purpose] < at for purpose, at in logs[record].denied_since.items()):
            denials[record] = [*some, *logs[record].events]  # the bars that are there say a later instant
    await mark_denying(tx, since)
    bars: dict[str, list[Bar]] = {}
    for record, identifiers in (await read_barrable(tx, denials)).items():
        log = replace(logs[record], denied_since=since[record])
        for identifier, grade in identifiers.items():
            bars.setdefault(identifier, []).extend(find_bars(log, denials[record], grade))
    return await _leave(tx, bars, now)


def _is_carried_denial(event: ConsentEvent) -> bool:
    return is_denial(event.statement) and event.statement.assurance == Assurance.CARRIED


def _restate(denial: ConsentEvent, late: ConsentEvent, until: Millis) -> ConsentEvent:
    """Returns a denial again as of its last repeat, which was not stored because it changed nothing until another
    statement from before arrived."""
    statement = replace(denial.statement, effective_at=until)
    return replace(denial, id=f"{late.id}-again", seq=late.seq + 1, received_at=until, statement=statement)


async def _keep_linking_objections(
    tx: Writer, logs: Mapping[RecordId, RecordLog], live: Mapping[RecordId, LiveLog], now: Millis
) -> set[RecordId]:
    changed = {}
    for record, log in live.items():
        events = log.events
        if any(event.statement.purpose == IDENTITY_LINKING for event in events):
            objected = objects_to_linking(events, instant_of(events, now), logs[record].standing)
            if objected != logs[record].linking_objected:
                changed[record] = objected
    await write_linking_objections(tx, changed)
    return set(changed)
