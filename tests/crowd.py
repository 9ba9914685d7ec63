"""People with histories, written directly to a store, for tests of what is computed from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graph.activity.sessions import write_interactions
from graph.catalogue.items import write_items
from graph.model.activity import Interaction, SessionId
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.identity import UserId
from graph.model.message import Message
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows

NOW = Millis(1_750_000_000_000)
DAY = 86_400_000
ALL = ("personalisation", "analytics")


@dataclass(frozen=True)
class Event:
    item: str | None
    type: str = "PURCHASED"
    days_ago: float = 1
    weight: float = 5.0
    value: float | None = None
    order: str | None = None


@dataclass(frozen=True)
class Person:
    """One person, with one record of a kind per entry of `events`: the list of that record's events."""

    id: str
    events: Sequence[Sequence[Event]] = ()
    permits: tuple[str, ...] = ALL
    until: Millis | None = None
    epoch: int = 1
    kind: str = "user"


WRITE_PEOPLE = """
UNWIND $rows AS row
CREATE (u:User {id: row.id, created_at: $now, updated_at: $now, permits: row.permits, consent_epoch: row.epoch})
SET u.permits_until = row.until
"""

WRITE_RECORDS = """
UNWIND $rows AS row
MATCH (u:User {id: row.user})
CREATE (r:Record {id: row.id, source: 'shop', kind: row.kind, key: row.id, created_at: $now, updated_at: $now})
CREATE (r)-[:RESOLVES_TO {`from`: $now}]->(u)
CREATE (r)-[:HAD]->(:Session {id: row.id, started_at: 0, ended_at: $now, events: 1})
"""


def as_message(id_: str, event: Event) -> Message:
    """Returns the event as a message without a sender."""
    item = None if event.item is None else ItemKey(event.item)
    interaction = Interaction(event.type, item, weight=event.weight, value=event.value, order=event.order)
    at = Millis(int(NOW - event.days_ago * DAY))
    return Message(id_, "shop", None, at, at, interactions=(interaction,))


async def write_crowd(store: GraphClient, people: Iterable[Person], items: Iterable[ItemFacts] = ()) -> None:
    crowd, catalogue = list(people), list(items)
    rows = [{"id": p.id, "permits": list(p.permits), "until": p.until, "epoch": p.epoch} for p in crowd]
    records = [
        {"id": f"{p.id}/{number}", "user": p.id, "kind": p.kind} for p in crowd for number in range(len(p.events))
    ]
    events = [
        (SessionId(f"{p.id}/{number}"), as_message(f"{p.id}/{number}/{place}", event))
        for p in crowd
        for number, history in enumerate(p.events)
        for place, event in enumerate(history)
    ]
    for chunk in chunk_rows(rows):
        await run(store, WRITE_PEOPLE, rows=list(chunk), now=NOW)
    for chunk in chunk_rows(records):
        await run(store, WRITE_RECORDS, rows=list(chunk), now=NOW)
    for entries in chunk_rows(catalogue):
        await store.write(lambda tx, entries=entries: write_items(tx, entries))
    for batch in chunk_rows(events):
        await store.write(lambda tx, batch=batch: write_interactions(tx, batch))


async def run(store: GraphClient, statement: str, **parameters: object) -> list[dict[str, object]]:
    async def work(tx: Writer) -> list[dict[str, object]]:
        return await tx.run(statement, **parameters)

    return await store.write(work)


async def set_permits(store: GraphClient, user: str, permits: Sequence[str]) -> None:
    await run(
        store,
        "MATCH (u:User {id: $id}) SET u.permits = $permits, u.consent_epoch = u.consent_epoch + 1",
        id=UserId(user),
        permits=list(permits),
    )


WRITE_COUNTS_FOR = """
MATCH (d:Record {id: $device}), (a:Record {id: $account})
CREATE (d)-[:COUNTS_FOR {grade: $grade, received: $now}]->(a)
"""


async def count_for(store: GraphClient, device: str, account: str, grade: str = "proven") -> None:
    """Lets the first record of a device count for the first record of a person."""
    await run(store, WRITE_COUNTS_FOR, device=f"{device}/0", account=f"{account}/0", grade=grade, now=NOW)
