"""Records that just arrived, each with a person of its own, for tests of identity."""

from __future__ import annotations

from graph.identity.records import NewPerson, RecordCall, touch_records, write_people
from graph.model.identity import IdentifierRef, RecordId, RecordKind, RecordRef, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer

ARRIVED = Millis(1000)


def ref(name: str) -> RecordRef:
    return RecordRef("shop", RecordKind.USER, name)


def record(name: str) -> RecordId:
    return ref(name).id


def user(name: str) -> UserId:
    """The person that a record starts with."""
    return UserId(f"user-{name}")


def email(value: str) -> IdentifierRef:
    return IdentifierRef("email", f"{value}@x.com")


async def write_newcomers(store: GraphClient, *names: str) -> None:
    """Creates a record and a person for each name."""

    async def work(tx: Writer) -> None:
        await tx.run("MERGE (s:Source {name: 'shop'}) SET s.trust = 'server', s.verifies = ['email', 'phone']")
        await touch_records(tx, [RecordCall(ref(name), record(name)) for name in names], ARRIVED)
        people = [NewPerson(record(name), user(name), "shop", ("service",)) for name in names]
        await write_people(tx, people, ARRIVED)

    await store.write(work)
