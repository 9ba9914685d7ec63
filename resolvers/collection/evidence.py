"""Writing who people are and what they permit: second records, identifiers, contacts, consents, linkage, devices.

Most messages repeat what is known. A record therefore remembers its identifiers, each with its grade and its earliest
receipt, and the consents that its messages last repeated, with its person's consent epoch at that time. Only what
differs is processed again. Repeated consents are also processed when the epoch has changed, because another record of
the person may have made a different statement since; a repeated denial then counts as the later statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from algorithms.identity.blocking import ANONYMOUS_ID
from algorithms.identity.contacts import ContactStatement, merge_contacts
from algorithms.identity.grades import CONTACT_KINDS, covers
from graph.consent.bars import find_devices_to_tell
from graph.identity.devices import read_identifiers_of_accounts
from graph.identity.identifiers import NewHolding
from graph.identity.records import (
    Carried,
    RecordCall,
    TouchedRecord,
    mark_person,
    read_people_of_records,
    touch_records,
    write_carried,
    write_contacts,
    write_known,
)
from graph.model.identity import Grade, RecordId, RecordKind, UserId
from graph.model.time import Millis
from graph.store.client import Writer
from privacy.policy import Policy
from resolvers.collection.arrival import Arrival, ArrivedIdentifier
from resolvers.consent.permits import refresh_permits
from resolvers.consent.recording import NewStatement, record_consents, share_denials, spread_denials
from resolvers.identity.attachment import Attached, Evidence, attach_evidence
from resolvers.identity.devices import settle_devices
from resolvers.identity.linkage import link_records

Touched = dict[RecordId, TouchedRecord]


async def touch_second_records(tx: Writer, new: Sequence[Arrival], touched: Touched, now: Millis) -> None:
    """Touches the second records of messages with new evidence of who is the same person, and adds them to `touched`.
    Marks messages without new identifiers as settled."""
    calls: dict[RecordId, RecordCall] = {}
    for one in new:
        if one.record is None:
            continue
        record, received = touched[one.record], one.message.received_at
        one.settled = not any(record.known.lacks(each.id, each.grade, received) for each in one.identifiers)
        if one.settled or one.message.also is None or one.also is None or one.also in touched or one.device is None:
            continue
        if record.known.lacks(one.device.id, Grade.PROVEN, received):
            calls[one.also] = RecordCall(one.message.also, one.also)
    if calls:
        touched |= await touch_records(tx, calls.values(), now)


async def write_evidence(tx: Writer, new: Sequence[Arrival], touched: Touched, *, policy: Policy, now: Millis) -> None:
    """Writes identifiers, contacts and consents, links the accounts concerned, settles devices, and refreshes
    the permits of everyone affected."""
    attached = await _attach(tx, new, touched)
    repeated: dict[RecordId, Repeat] = {}
    statements = _find_statements(new, touched, repeated)
    recorded = await record_consents(tx, statements, now)
    affected: set[UserId] = set(recorded.hearers)
    affected |= await spread_denials(tx, {record for record in attached.changed if touched[record].denies}, now)
    linked = await link_records(tx, attached.linking | recorded.relinked, now)
    affected |= linked.affected_users
    sharing = (attached.sharing | recorded.denying) - linked.visited
    own = attached.barred | {one.record for one in statements}
    if attached.devices or attached.named or recorded.relinked:
        named = set(attached.named)
        if recorded.relinked:
            named |= await read_identifiers_of_accounts(tx, recorded.relinked)
        await settle_devices(tx, attached.devices | recorded.relinked, named, now)
    if attached.named:
        own |= await find_devices_to_tell(tx, attached.named)
    if own or sharing:
        owners = await read_people_of_records(tx, own | sharing)
        affected |= {user for record, (user, _) in owners.items() if record in own}
        affected |= await share_denials(tx, {user for record, (user, _) in owners.items() if record in sharing}, now)
    if affected:
        await refresh_permits(tx, affected, policy, now)
    if repeated:
        people = await read_people_of_records(tx, repeated.keys())
        marks = [
            Carried(record, f"{one.digest}@{mark_person(*people[record])}", one.at) for record, one in repeated.items()
        ]
        await write_carried(tx, sorted(marks))


async def _attach(tx: Writer, new: Sequence[Arrival], touched: Touched) -> Attached:
    """Attaches what records don't have yet. Returns what has to be decided afresh."""
    evidence = Evidence()
    contacts: dict[RecordId, list[ContactStatement]] = {}
    for one in new:
        if one.record is None:
            continue
        if not one.settled:
            _add_identifiers(one, touched, evidence)
        if stated := _find_contacts(one):
            contacts.setdefault(one.record, []).extend(stated)
    texts = []
    for record, some in sorted(contacts.items()):
        change = merge_contacts(touched[record].contacts, some)
        if change is not None:
            texts.append((record, change.text))
            evidence.ends |= {(record, identifier): end for identifier, end in change.ends.items()}
    if texts:
        await write_contacts(tx, texts)
    carriers = sorted({record for record, _ in evidence.held})
    if carriers:
        await write_known(tx, [(record, touched[record].known) for record in carriers])
    return await attach_evidence(tx, evidence)


def _add_identifiers(one: Arrival, touched: Touched, evidence: Evidence) -> None:
    message, record = one.message, one.record

    def add(holder: RecordId, identifier: ArrivedIdentifier) -> None:
        state = touched[holder]
        if not state.known.lacks(identifier.id, identifier.grade, message.received_at):
            return
        remembered = state.known.find(identifier.id)
        proof = message.proof if covers(message.proof, identifier.ref.kind) else None
        evidence.add(
            NewHolding(holder, identifier.ref, identifier.grade, message.received_at, proof),
            identifier.id,
            remembered,
            certain=state.new or not (identifier.ref.kind == ANONYMOUS_ID or (remembered is None and state.known.full)),
        )
        if not _names_a_device(one, holder, identifier):
            state.known.add(identifier.id, identifier.grade, message.received_at)

    assert record is not None  # noqa: S101 - narrows the type: the caller has excluded None
    for identifier in one.identifiers:
        add(record, identifier)
    if one.device is not None and one.also in touched:
        add(one.also, one.device)


def _names_a_device(one: Arrival, holder: RecordId, identifier: ArrivedIdentifier) -> bool:
    """Whether a message only names a device that it doesn't come from, as an alias does. The record doesn't remember
    this, so that the first message from the device creates the device, too."""
    if identifier.ref.kind != ANONYMOUS_ID or holder != one.record or one.message.record is None:
        return False
    came_from = one.device is not None and one.device.id == identifier.id
    return one.message.record.kind is RecordKind.USER and not came_from


def _find_contacts(one: Arrival) -> list[ContactStatement]:
    """Returns what a message states of its record's e-mail address and phone number: a value, or that there is none."""
    message, found = one.message, []
    for kind in CONTACT_KINDS:
        stated = frozenset(each.id for each in one.identifiers if each.ref.kind == kind)
        if stated or kind in (message.traits or ()):
            found.append(ContactStatement(kind, stated, message.received_at, message.at))
    return found


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
    for one in sorted(stating, key=_order_of_statements):
        record, message = one.record, one.message
        if record is None:
            continue
        received, until = message.received_at, None
        if message.carried is not None:
            if not _is_fresh(message.carried, received, touched[record], repeated.get(record)):
                continue
            if received >= (touched[record].carried_at or 0):
                repeated[record] = Repeat(message.carried, received)
            else:
                until = touched[record].carried_at
        for id_, statement in one.statements():
            found.append(NewStatement(record, id_, statement, received, message.proof, until, message.reach))
    return found


def _order_of_statements(one: Arrival) -> tuple[str, Millis, Millis, int]:
    return one.record or "", one.message.received_at, one.message.at, one.order


def _is_fresh(digest: str, at: Millis, record: TouchedRecord, repeat: Repeat | None) -> bool:
    """Whether the consents that a message repeats differ from those its record repeated last, or the person's consent
    epoch has changed since. For an older message, only the consents are compared."""
    if repeat is not None:
        return repeat.digest != digest
    if at < (record.carried_at or 0):
        return not (record.carried or "").startswith(f"{digest}@")
    return record.carried != f"{digest}@{record.person}"
