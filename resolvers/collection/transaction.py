"""The one transaction through which messages enter the graph: the order of its steps.

Messages are claimed, which sorts out duplicates; their records are touched, which locks them; then come traits, items
(`items.py`), sessions and interactions (`sessions.py`), then identifiers, consents, linkage, and last the permits of
everybody affected (`evidence.py`). So an acknowledged message is visible in its profile, and no reader sees only half
of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ulid import ULID

from graph.catalogue.items import write_items
from graph.collection.messages import claim_messages
from graph.identity.records import RecordCall, TouchedRecord, touch_records, write_people, write_traits
from graph.identity.traits import merge_traits
from graph.model.catalogue import ItemFacts
from graph.model.identity import RecordId, UserId
from graph.model.time import Millis
from graph.store.client import Writer
from privacy.policy import Policy
from privacy.rules import initial_permits
from resolvers.collection.arrival import Arrival
from resolvers.collection.evidence import touch_partners, write_evidence
from resolvers.collection.items import ItemMemory, choose_items
from resolvers.collection.sessions import place_in_sessions


class MessageOutcome(StrEnum):
    """What became of a message that could be read."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


@dataclass(slots=True)
class Written:
    """What a transaction did: the outcome of each message, and the items to remember once it is committed."""

    outcomes: list[MessageOutcome]
    items: list[ItemFacts] = field(default_factory=list)


async def write_arrivals(
    tx: Writer, arrivals: Sequence[Arrival], policy: Policy, now: Millis, memory: ItemMemory | None = None
) -> Written:
    """Writes messages, each once. It may run several times in a row (`GraphClient.write`), as one.

    `now` is the time of writing; `memory` saves writing what events last mentioned of items.
    """
    outcomes = [MessageOutcome.DUPLICATE] * len(arrivals)
    new = await _claim(tx, arrivals)
    if not new:
        return Written(outcomes)
    for one in new:
        outcomes[one.order] = MessageOutcome.ACCEPTED
    touched = await touch_records(tx, _find_calls(new), now)
    aliases = await touch_partners(tx, new, touched, now)
    await _give_people(tx, new, touched, policy, now)
    await _write_traits(tx, new, touched, now)
    items = choose_items((item for one in new for item in one.message.items), memory)
    if items:
        await write_items(tx, items, now)
    await place_in_sessions(tx, new, touched)
    await write_evidence(tx, new, touched, aliases, policy=policy, now=now)
    return Written(outcomes, items)


async def _claim(tx: Writer, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """The messages that were not there before, the first of each id, in their order."""
    first: dict[str, Arrival] = {}
    for order, one in enumerate(arrivals):
        if first.setdefault(one.message.id, one) is one:
            one.order = order
    known = await claim_messages(tx, [(id_, one.message.at) for id_, one in first.items()])
    return [one for id_, one in first.items() if id_ not in known] if known else list(first.values())


def _find_calls(new: Sequence[Arrival]) -> list[RecordCall]:
    """The records to touch, each once, with what has to be known of it."""
    calls: dict[RecordId, RecordCall] = {}
    for one in new:
        if one.record is None or one.message.record is None:
            continue
        traits = one.message.traits is not None
        person = one.message.carried is not None
        known = calls.get(one.record)
        if known is None:
            calls[one.record] = RecordCall(one.message.record, one.record, traits, person)
        elif (traits and not known.traits) or (person and not known.person):
            calls[one.record] = replace(known, traits=traits or known.traits, person=person or known.person)
    return list(calls.values())


async def _give_people(
    tx: Writer, new: Sequence[Arrival], touched: dict[RecordId, TouchedRecord], policy: Policy, now: Millis
) -> None:
    """Gives each new record a person of its own, or one for both where a message brings two new records. Linkage, later
    in this transaction, decides; this avoids merging two people that were just created."""
    fresh = sorted(record.id for record in touched.values() if record.new)
    if not fresh:
        return
    people = {record: UserId(str(ULID())) for record in fresh}
    shared: set[RecordId] = set()
    for one in new:
        if one.record in people and one.also in people and not {one.record, one.also} & shared:
            people[one.also] = people[one.record]
            shared |= {one.record, one.also}
    rows = [(record, person, touched[record].source) for record, person in people.items()]
    await write_people(tx, rows, initial_permits(policy), now)


async def _write_traits(
    tx: Writer, new: Sequence[Arrival], touched: dict[RecordId, TouchedRecord], now: Millis
) -> None:
    statements: dict[RecordId, list[tuple[Mapping[str, Any], Millis]]] = {}
    for one in new:
        if one.record is not None and one.message.traits is not None:
            statements.setdefault(one.record, []).append((one.message.traits, one.message.at))
    merged = [(record, merge_traits(touched[record].traits, stated)) for record, stated in sorted(statements.items())]
    texts = [(record, text) for record, text in merged if text is not None]
    if texts:
        await write_traits(tx, texts, now)
