"""Links between records: what is stored, and the evidence read under locks as typed values."""

from __future__ import annotations

import pytest

from graph.identity.identifiers import NewHolding, end_holdings, write_holdings, write_refused_identifiers
from graph.identity.links import (
    LinkEdge,
    LockedRecord,
    count_links,
    lock_evidence,
    read_sharing,
    write_link_ends,
    write_links,
)
from graph.identity.records import NewPerson, RecordCall, touch_records, write_people
from graph.model.access import Trust, Verified
from graph.model.identity import (
    EvidenceRecord,
    Grade,
    Holding,
    IdentifierRef,
    Judgement,
    LinkOutcome,
    Membership,
    Proof,
    RecordId,
    RecordKind,
    RecordRef,
    UserId,
)
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer

pytestmark = pytest.mark.store

NOW = Millis(1000)
LEFT, RIGHT = sorted((RecordRef("shop", RecordKind.USER, name) for name in ("a", "b")), key=lambda ref: ref.id)
EMAIL = IdentifierRef("email", "ada@x.com")
EDGES = [
    LinkEdge(LEFT.id, RIGHT.id, Judgement.ASSERTED, "alias"),
    LinkEdge(LEFT.id, RIGHT.id, Judgement.CANNOT_LINK, "judgement"),
    LinkEdge(LEFT.id, RIGHT.id, LinkOutcome.ACTIVE, "email", EMAIL.id),
    LinkEdge(LEFT.id, RIGHT.id, LinkOutcome.REFUSED, "email", EMAIL.id, "limit_exceeded", "phone"),
]


async def create_records(tx: Writer) -> None:
    await touch_records(tx, [RecordCall(ref, ref.id) for ref in (LEFT, RIGHT)], NOW)
    people = [NewPerson(ref.id, UserId(f"user-{ref.key}"), ref.source, ()) for ref in (LEFT, RIGHT)]
    await tx.run("MERGE (s:Source {name: 'shop'}) SET s.trust = 'server', s.verifies = ['email']")
    await write_people(tx, people, NOW)


def stands(kind: str, trust: Trust, verifies: Verified, received: Millis, proof: Proof | None) -> bool:
    """Contact data stands where its source verifies it or is the system of record, or with a proof."""
    return trust is Trust.RECORD or kind in verifies or proof is not None


async def lock(store: GraphClient, *records: RecordId) -> dict[RecordId, LockedRecord]:
    return await store.write(lambda tx: lock_evidence(tx, records, stands))


def holding(ref: RecordRef, identifier: IdentifierRef, since: int, grade: Grade = Grade.PROVEN) -> NewHolding:
    return NewHolding(ref.id, identifier, grade, Millis(since))


async def test_the_words_stored_for_judgements_and_outcomes_are_stable(store: GraphClient) -> None:
    await store.write(create_records)
    await store.write(lambda tx: write_links(tx, EDGES, "ada", NOW))
    rows = await store.read("MATCH (:Record)-[l:LINKED]->(:Record) RETURN l.status AS status ORDER BY status")
    assert [row["status"] for row in rows] == ["active", "asserted", "cannot_link", "refused"]


async def test_edges_are_read_back_from_both_ends_as_written(store: GraphClient) -> None:
    await store.write(create_records)
    await store.write(lambda tx: write_links(tx, EDGES, "ada", NOW))
    found = await lock(store, LEFT.id, RIGHT.id)
    assert [record.edges for record in found.values()] == [frozenset(EDGES)] * 2
    assert {edge.status for edge in found[LEFT.id].edges if isinstance(edge.status, LinkOutcome)} == set(LinkOutcome)
    assert {edge.status for edge in found[LEFT.id].edges if isinstance(edge.status, Judgement)} == set(Judgement)


async def test_ended_edges_are_neither_read_nor_counted(store: GraphClient) -> None:
    await store.write(create_records)
    await store.write(lambda tx: write_links(tx, EDGES, "ada", NOW))
    await store.write(lambda tx: write_link_ends(tx, [(edge, "superseded") for edge in EDGES[1:3]], NOW))
    assert (await lock(store, LEFT.id))[LEFT.id].edges == {EDGES[0], EDGES[3]}
    counts = {(one.status, one.reason): one.number for one in await count_links(store)}
    assert counts == {(Judgement.ASSERTED, ""): 1, (LinkOutcome.REFUSED, "limit_exceeded"): 1}


async def test_evidence_read_under_a_lock_is_what_linkage_sees(store: GraphClient) -> None:
    async def write(tx: Writer) -> None:
        await create_records(tx)
        await write_holdings(tx, [holding(LEFT, EMAIL, 7), holding(RIGHT, EMAIL, 9)])
        await end_holdings(tx, {(LEFT.id, EMAIL.id): Millis(8)})
        await write_refused_identifiers(tx, [(EMAIL.id, "frequency_cap")], NOW)
        await tx.run("MATCH (r:Record {id: $id}) SET r.linking_objected = true", id=RIGHT.id)

    await store.write(write)
    found = await lock(store, LEFT.id, RIGHT.id, RecordId("none"))
    held = {
        since: Holding(EMAIL.id, "email", "ada@x.com", "", Millis(since), 2, "frequency_cap", ended)
        for since, ended in ((7, Millis(8)), (9, None))
    }
    assert found == {
        LEFT.id: LockedRecord(
            EvidenceRecord(LEFT.id, True, (held[7],), "shop"),
            Membership(LEFT.id, NOW, UserId(f"user-{LEFT.key}"), NOW),
            frozenset(),
        ),
        RIGHT.id: LockedRecord(
            EvidenceRecord(RIGHT.id, False, (held[9],), "shop"),
            Membership(RIGHT.id, NOW, UserId(f"user-{RIGHT.key}"), NOW),
            frozenset(),
        ),
    }


async def test_only_proven_holdings_of_accounts_that_stand_are_evidence(store: GraphClient) -> None:
    """Neither what a source merely states, nor a device's ID, nor what rests on a trust that was lowered since."""
    phone, device, card = (IdentifierRef(kind, "1") for kind in ("phone", "anonymous_id", "card"))

    async def write(tx: Writer) -> None:
        await create_records(tx)
        await write_holdings(tx, [holding(LEFT, EMAIL, 1, Grade.STATED), holding(LEFT, phone, 1)])
        await write_holdings(tx, [holding(LEFT, device, 1), holding(RIGHT, device, 1)])
        await write_holdings(tx, [holding(LEFT, card, 1)._replace(proof=Proof.HASH), holding(RIGHT, EMAIL, 1)])
        await tx.run("MATCH (r:Record {id: $id}) SET r.kind = 'anonymous'", id=RIGHT.id)

    await store.write(write)
    found = await lock(store, LEFT.id, RIGHT.id)
    assert found.keys() == {LEFT.id}
    assert [held.kind for held in found[LEFT.id].evidence.holdings] == ["card"]


async def sharing(store: GraphClient, *, everything: bool = False) -> set[RecordId]:
    return await store.write(lambda tx: read_sharing(tx, [LEFT.id, RIGHT.id], everything=everything))


async def test_linkage_examines_accounts_that_share_what_is_proven(store: GraphClient) -> None:
    device = IdentifierRef("anonymous_id", "1")

    async def write(tx: Writer) -> None:
        await create_records(tx)
        await write_holdings(tx, [holding(LEFT, EMAIL, 1), holding(RIGHT, EMAIL, 1, Grade.STATED)])
        await write_holdings(tx, [holding(LEFT, device, 1), holding(RIGHT, device, 1)])

    await store.write(write)
    assert await sharing(store) == set()
    phone = IdentifierRef("phone", "+1")
    await store.write(lambda tx: write_holdings(tx, [holding(ref, phone, 1) for ref in (LEFT, RIGHT)]))
    assert await sharing(store) == {LEFT.id, RIGHT.id}


@pytest.mark.parametrize(("reason", "examined"), [("frequency_cap", False), ("shared_contact", True)])
async def test_refused_identifiers_are_examined_only_if_they_may_link_again(
    store: GraphClient, reason: str, examined: bool
) -> None:
    both = {LEFT.id, RIGHT.id}

    async def write(tx: Writer) -> None:
        await create_records(tx)
        await write_holdings(tx, [holding(LEFT, EMAIL, 1), holding(RIGHT, EMAIL, 1)])
        await write_refused_identifiers(tx, [(EMAIL.id, reason)], NOW)

    await store.write(write)
    assert await sharing(store) == (both if examined else set())
    assert await sharing(store, everything=True) == both
    await store.write(lambda tx: write_links(tx, EDGES[3:], "linkage", NOW))
    assert await sharing(store) == both
