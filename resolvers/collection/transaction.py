"""The transaction that writes messages to the graph, and the order of its steps.

Messages are claimed, which removes duplicates; their records are touched, which locks them. Then come traits, items,
sessions and interactions (`sessions.py`), identifiers, consents and linkage, and last the permits of everyone affected
(`evidence.py`). Once a message is acknowledged, its profile shows it, and no reader ever sees half of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from ulid import ULID

from algorithms.identity.grades import CONTACT_KINDS
from graph.access.terms import SourceTerms
from graph.catalogue.items import write_items
from graph.collection.messages import claim_messages
from graph.errors import BadInput, StoreUnavailable
from graph.identity.records import NewPerson, RecordCall, TouchedRecord, touch_records, write_people, write_traits
from graph.identity.traits import merge_traits
from graph.model.identity import RecordId, UserId
from graph.model.time import Millis
from graph.store.client import Writer
from privacy.policy import Policy
from privacy.states import initial_permits
from resolvers.collection.arrival import Arrival
from resolvers.collection.evidence import touch_second_records, write_evidence
from resolvers.collection.sessions import place_in_sessions
from resolvers.consent.recording import NoRoomForConsents


class MessageOutcome(StrEnum):
    """The outcome of a message that could be read."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    TOO_MANY_TRAITS = "too_many_traits"
    TOO_MANY_CONSENTS = "too_many_consents"


class NoRoom(Exception):
    """The records of some messages have no room for their traits or consents. `outcomes` are the outcomes of these
    messages by position, `statements` the IDs of the events that have no room. Nothing is written; handled by the
    ingestor, which keeps these messages as dead letters and writes the others."""

    def __init__(self, outcomes: Mapping[int, MessageOutcome], statements: frozenset[str] = frozenset()) -> None:
        super().__init__("records have no room")
        self.outcomes = outcomes
        self.statements = statements


async def write_arrivals(tx: Writer, arrivals: Sequence[Arrival], policy: Policy, now: Millis) -> list[MessageOutcome]:
    """Writes each message once and returns the outcomes. `GraphClient.write` may run it several times, with the effect
    of one run. `now` is the time of writing. Raises NoRoom."""
    outcomes = [MessageOutcome.DUPLICATE] * len(arrivals)
    new, terms = await _claim(tx, arrivals)
    if not new:
        return outcomes
    for one in new:
        outcomes[one.order] = MessageOutcome.ACCEPTED
    _check_terms(new, terms)
    touched = await touch_records(tx, _find_calls(new), now)
    await touch_second_records(tx, new, touched, now)
    await _give_people(tx, touched, terms, policy, now)
    await _write_traits(tx, new, touched, now)
    await write_items(tx, [item for one in new for item in one.message.items])
    await place_in_sessions(tx, new, touched)
    try:
        await write_evidence(tx, new, touched, policy=policy, now=now)
    except NoRoomForConsents as error:
        full = [one.order for one in new if any(id_ in error.event_ids for id_, _ in one.statements())]
        raise NoRoom(dict.fromkeys(full, MessageOutcome.TOO_MANY_CONSENTS), error.event_ids) from None
    return outcomes


async def _claim(tx: Writer, arrivals: Sequence[Arrival]) -> tuple[list[Arrival], dict[str, SourceTerms]]:
    """Returns the messages that are new, the first of each ID, in their order, and the terms of the sources."""
    first: dict[str, Arrival] = {}
    for order, one in enumerate(arrivals):
        if first.setdefault(one.ledger_id, one) is one:
            one.order = order
    sources = {one.message.source for one in first.values() if one.message.record is not None}
    known, terms = await claim_messages(tx, [(id_, one.message.at) for id_, one in first.items()], sources)
    return [one for id_, one in first.items() if id_ not in known] if known else list(first.values()), terms


def _find_calls(new: Sequence[Arrival]) -> list[RecordCall]:
    """Returns the records to touch, each once, with what has to be read of it."""
    calls: dict[RecordId, RecordCall] = {}
    for one in new:
        if one.record is None or one.message.record is None:
            continue
        traits = one.message.traits is not None or any(each.ref.kind in CONTACT_KINDS for each in one.identifiers)
        person = one.message.carried is not None
        known = calls.get(one.record)
        if known is None:
            known = calls[one.record] = RecordCall(one.message.record, one.record, traits, person)
        elif (traits and not known.traits) or (person and not known.person):
            known = replace(known, traits=traits or known.traits, person=person or known.person)
        if person and one.message.received_at >= (known.received or 0):
            known = replace(known, carried=one.message.carried, received=one.message.received_at)
        calls[one.record] = known
    return list(calls.values())


def _check_terms(new: Sequence[Arrival], terms: Mapping[str, SourceTerms]) -> None:
    """Raises BadInput if the source of a message isn't registered, StoreUnavailable if its trust or what it verifies
    has changed since the message was admitted; if it is sent again, it is read under the new terms. What is only about
    items rests on no trust."""
    for one in new:
        if one.message.record is None:
            continue
        known = terms.get(one.message.source)
        if known is None:
            raise BadInput(f"There is no source {one.message.source}: register it first.")
        if (known.trust, known.verifies) != (one.message.trust, one.message.verifies):
            raise StoreUnavailable("What the source is trusted with has just changed; send the message again.")


async def _give_people(
    tx: Writer,
    touched: dict[RecordId, TouchedRecord],
    terms: Mapping[str, SourceTerms],
    policy: Policy,
    now: Millis,
) -> None:
    """Gives each new record a person of its own. Linkage joins accounts later in this transaction."""
    fresh = sorted((record for record in touched.values() if record.new), key=lambda one: one.id)
    permits = {name: initial_permits(policy, terms[name].jurisdiction) for name in {one.source for one in fresh}}
    rows = [NewPerson(one.id, UserId(str(ULID())), one.source, permits[one.source]) for one in fresh]
    if rows:
        await write_people(tx, rows, now)


async def _write_traits(
    tx: Writer, new: Sequence[Arrival], touched: dict[RecordId, TouchedRecord], now: Millis
) -> None:
    stating: dict[RecordId, list[Arrival]] = {}
    for one in new:
        if one.record is not None and one.message.traits is not None:
            stating.setdefault(one.record, []).append(one)
    texts: list[tuple[RecordId, str]] = []
    full: set[int] = set()
    for record, arrivals in sorted(stating.items()):
        merged = merge_traits(touched[record].traits, [(one.message.traits or {}, one.message.at) for one in arrivals])
        full.update(arrivals[position].order for position in merged.refused)
        if merged.text is not None:
            texts.append((record, merged.text))
    if full:
        raise NoRoom(dict.fromkeys(full, MessageOutcome.TOO_MANY_TRAITS))
    if texts:
        await write_traits(tx, texts, now)
