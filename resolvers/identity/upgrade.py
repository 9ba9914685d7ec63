"""What graphs from before sources had a trust lack: a person for each device, and the states of contact data.

The statements of migration 5 have graded what records hold. Here follows what needs more than a statement. Graphs that
were written since need none of it, so it changes nothing there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ulid import ULID

from algorithms.identity.contacts import ContactStatement, merge_contacts
from algorithms.identity.grades import CONTACT_KINDS
from algorithms.identity.normalise import normalise_identifier
from graph.identity.devices import read_shared_devices
from graph.identity.identifiers import end_holdings
from graph.identity.records import read_trait_texts, write_contacts
from graph.identity.regrading import GradedRecord
from graph.identity.traits import parse_traits
from graph.identity.users import write_moves, write_users
from graph.model.identity import IdentifierRef, RecordId, Trait, UserId
from graph.model.time import Millis
from graph.store.client import Writer


async def separate_devices(tx: Writer, records: Collection[RecordId], now: Millis) -> tuple[int, set[UserId]]:
    """Gives devices that share a person one of their own; the person stays that of the account. Returns how many
    devices, and the people whose records changed. The caller has locked the records."""
    shared = await read_shared_devices(tx, records)
    if not shared:
        return 0, set()
    moves = {one.device: UserId(str(ULID())) for one in shared}
    await write_users(tx, moves.values(), now)
    await write_moves(tx, moves, now)
    return len(moves), {*moves.values(), *(one.user for one in shared)}


async def restore_contacts(tx: Writer, graded: Sequence[GradedRecord]) -> list[GradedRecord]:
    """Derives the missing states of contact data, and the ends of holdings that follow. Returns the records with them.

    Such a record kept only the earliest event of each value. Its traits tell which value it stated last, so one that
    was taken up again is current.
    """
    lacking = [one for one in graded if one.contacts is None and _find_contacts(one)]
    if not lacking:
        return list(graded)
    traits = await read_trait_texts(tx, {one.record for one in lacking})
    texts: dict[RecordId, str] = {}
    ends: dict[tuple[RecordId, str], Millis | None] = {}
    for one in lacking:
        change = merge_contacts(None, _find_statements(one, parse_traits(traits.get(one.record))))
        if change is not None:
            texts[one.record] = change.text
            ends |= {(one.record, identifier): end for identifier, end in change.ends.items() if end is not None}
    await write_contacts(tx, sorted(texts.items()))
    await end_holdings(tx, ends)
    return [replace(one, contacts=texts.get(one.record, one.contacts)) for one in graded]


def _find_contacts(one: GradedRecord) -> list[tuple[IdentifierRef, Millis]]:
    return [(each.ref, each.since) for each in one.identifiers if each.ref.kind in CONTACT_KINDS]


def _find_statements(one: GradedRecord, traits: Mapping[str, Trait]) -> list[ContactStatement]:
    found = [ContactStatement(ref.kind, frozenset({ref.id}), since, since) for ref, since in _find_contacts(one)]
    held = {ref.id for ref, _ in _find_contacts(one)}
    for kind in sorted(CONTACT_KINDS & traits.keys()):
        value, at = traits[kind].value, traits[kind].at
        current = _identify(kind, value, traits) & held
        if value is None or current:
            found.append(ContactStatement(kind, current, at, at))
    return found


def _identify(kind: str, value: Any, traits: Mapping[str, Trait]) -> frozenset[str]:
    """Returns the ID of the identifier that a trait states; empty if it states none."""
    country = traits["country"].value if "country" in traits else None
    region = country if isinstance(country, str) and len(country) == 2 and country.isalpha() else None
    normal = normalise_identifier(kind, value, region=region) if isinstance(value, str) else None
    return frozenset() if normal is None else frozenset({IdentifierRef(kind, normal).id})
