"""Writing who people are and what they permit: second records, identifiers, consents, linkage.

Most messages repeat what is known. A record therefore remembers the identifiers it carries, each with the earliest
event that stated it, and the consents that its messages last repeated, with its person's consent epoch at that time.
Only what differs is processed again. Repeated consents are also processed when the epoch has changed, because another
record of the person may have made a different statement since; a repeated denial then counts as the later statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from graph.identity.identifiers import NewHolding
from graph.identity.records import (
    Carried,
    RecordCall,
    TouchedRecord,
    mark_person,
    read_existing,
    read_people_of_records,
    touch_records,
    write_carried,
    write_known,
)
from graph.model.identity import IdentifierRef, RecordId, RecordKind, RecordRef, UserId
from graph.model.time import Millis
from graph.store.client import Writer
from privacy.policy import Policy
from resolvers.collection.arrival import Arrival, identifier_id, identifier_of_device
from resolvers.consent.permits import NewStatement, refresh_permits, write_consents
from resolvers.identity.linkage import attach_identifiers, link_records

Touched = dict[RecordId, TouchedRecord]


async def touch_second_records(
    tx: Writer, new: Sequence[Arrival], touched: Touched, now: Millis
) -> dict[str, RecordRef]:
    """Touches the second records of messages with new evidence of who is the same person, and adds them to `touched`.
    Marks messages without new identifiers as settled. Returns the records that aliases name, by message."""
    calls: dict[RecordId, RecordCall] = {}
    aliases = await _find_aliases(tx, new)
    for one in new:
        if one.record is None:
            continue
        record, at = touched[one.record], one.message.at
        one.settled = not any(_adds_evidence(record, id_, at) for _, id_ in one.identifiers)
        if one.settled or one.message.also is None or one.also is None or one.also in touched:
            continue
        if one.anonymous is not None and _adds_evidence(record, identifier_id(one.anonymous), at):
            calls[one.also] = RecordCall(one.message.also, one.also)
    for ref in aliases.values():
        if ref.id not in touched:
            calls[ref.id] = RecordCall(ref, ref.id)
    if calls:
        touched |= await touch_records(tx, calls.values(), now)
    return aliases


async def _find_aliases(tx: Writer, new: Sequence[Arrival]) -> dict[str, RecordRef]:
    """Returns the record that each alias message names: the user with that ID if there is one, else the anonymous
    one."""
    named = {one.message.id: one.message.alias_of for one in new if one.message.alias_of is not None}
    if not named:
        return {}
    users = {id_: replace(ref, kind=RecordKind.USER) for id_, ref in named.items()}
    there = await read_existing(tx, {user.id for user in users.values()})
    return {id_: users[id_] if users[id_].id in there else ref for id_, ref in named.items()}


def _adds_evidence(record: TouchedRecord, id_: str, at: Millis) -> bool:
    """Whether the identifier is new to the record, or known only from a later event."""
    since = record.known.since(id_)
    return since is None or at < since


async def write_evidence(
    tx: Writer, new: Sequence[Arrival], touched: Touched, aliases: dict[str, RecordRef], *, policy: Policy, now: Millis
) -> None:
    """Writes identifiers, aliases and consents, links the records concerned and refreshes the permits of their
    people."""
    concerned = await _attach(tx, new, touched, aliases, now)
    repeated: dict[RecordId, Repeat] = {}
    statements = _find_statements(new, touched, repeated)
    if statements:
        concerned |= await write_consents(tx, statements, now)
    affected: set[UserId] = set()
    if concerned:
        affected |= (await link_records(tx, concerned, now)).affected_users
    if statements:
        owners = await read_people_of_records(tx, {one.record for one in statements})
        affected |= {user for user, _ in owners.values()}
    if affected:
        await refresh_permits(tx, affected, policy, now)
    if repeated:
        people = await read_people_of_records(tx, repeated.keys())
        marks = [
            Carried(record, f"{one.digest}@{mark_person(*people[record])}", one.at) for record, one in repeated.items()
        ]
        await write_carried(tx, sorted(marks))


async def _attach(
    tx: Writer, new: Sequence[Arrival], touched: Touched, aliases: dict[str, RecordRef], now: Millis
) -> set[RecordId]:
    """Attaches identifiers that records don't carry yet. Returns the records that linkage must examine."""
    pairs: dict[tuple[RecordId, str], NewHolding] = {}

    def add(record: RecordId, identifier: IdentifierRef, id_: str, at: Millis) -> None:
        if _adds_evidence(touched[record], id_, at):
            touched[record].known.add(id_, at)
            pairs[record, id_] = NewHolding(record, identifier, at)

    same: list[tuple[RecordId, RecordId]] = []
    for one in new:
        message = one.message
        if one.record is None or (one.settled and not aliases):
            continue
        for identifier, id_ in one.identifiers:
            add(one.record, identifier, id_, message.at)
        if one.anonymous is not None and one.also in touched:
            add(one.also, one.anonymous, identifier_id(one.anonymous), message.at)
        if aliases and (other := aliases.get(message.id)) is not None:
            same.append((one.record, other.id))
            if other.kind is RecordKind.ANONYMOUS and (named := identifier_of_device(other.key)) is not None:
                add(other.id, named, identifier_id(named), message.at)
    if not pairs and not same:
        return set()
    carriers = sorted({record for record, _ in pairs})
    await write_known(tx, [(record, touched[record].known) for record in carriers])
    return await attach_identifiers(tx, list(pairs.values()), same, now)


@dataclass(frozen=True, slots=True)
class Repeat:
    """The consents that a record last repeated: their digest, and the instant of the message."""

    digest: str
    at: Millis


def _find_statements(new: Sequence[Arrival], touched: Touched, repeated: dict[RecordId, Repeat]) -> list[NewStatement]:
    """Returns the consent statements to write, each with the ID of its event, in order of time within a record. Adds to
    `repeated` what records have to remember."""
    found: list[NewStatement] = []
    stating = [one for one in new if one.message.consents]
    for one in sorted(stating, key=lambda each: (each.record or "", each.message.at, each.order)):
        record, message = one.record, one.message
        if record is None:
            continue
        if message.carried is not None:
            if not _is_fresh(message.carried, message.at, touched[record], repeated.get(record)):
                continue
            if message.at >= (touched[record].carried_at or 0):
                repeated[record] = Repeat(message.carried, message.at)
        many = len(message.consents) > 1
        for number, statement in enumerate(message.consents, 1):
            found.append(NewStatement(record, f"{message.id}#{number}" if many else message.id, statement))
    return found


def _is_fresh(digest: str, at: Millis, record: TouchedRecord, repeat: Repeat | None) -> bool:
    """Whether the consents that a message repeats differ from those its record repeated last, or the person's consent
    epoch has changed since. For an older message, only the consents are compared."""
    if repeat is not None:
        return repeat.digest != digest
    if at < (record.carried_at or 0):
        return not (record.carried or "").startswith(f"{digest}@")
    return record.carried != f"{digest}@{record.person}"
