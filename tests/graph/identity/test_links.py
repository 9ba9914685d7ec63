"""Links between records: what is stored, and the evidence read under locks as typed values."""

from __future__ import annotations

import pytest

from graph.identity.identifiers import NewHolding, write_holdings, write_refused_identifiers
from graph.identity.links import (
    LinkEdge,
    LockedRecord,
    count_links,
    lock_evidence,
    read_asserted,
    write_link_ends,
    write_links,
)
from graph.identity.records import NewPerson, RecordCall, touch_records, write_people
from graph.model.identity import (
    EvidenceRecord,
    Holding,
    IdentifierRef,
    Judgement,
    LinkOutcome,
    Membership,
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
    people = [NewPerson(ref.id, UserId(f"user-{ref.key}"), ref.source) for ref in (LEFT, RIGHT)]
    await write_people(tx, people, [], NOW)


async def lock(store: GraphClient, *records: RecordId) -> dict[RecordId, LockedRecord]:
    return await store.write(lambda tx: lock_evidence(tx, records))


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
    pairs = [(LEFT.id, RIGHT.id), (RIGHT.id, LEFT.id)]
    assert await store.write(lambda tx: read_asserted(tx, pairs)) == set(pairs)


async def test_evidence_read_under_a_lock_is_what_linkage_sees(store: GraphClient) -> None:
    async def write(tx: Writer) -> None:
        await create_records(tx)
        await write_holdings(tx, [NewHolding(LEFT.id, EMAIL, Millis(7)), NewHolding(RIGHT.id, EMAIL, Millis(9))])
        await write_refused_identifiers(tx, [(EMAIL.id, "frequency_cap")], NOW)
        await tx.run("MATCH (r:Record {id: $id}) SET r.linking_objected = true", id=RIGHT.id)

    await store.write(write)
    found = await lock(store, LEFT.id, RIGHT.id, RecordId("none"))
    held = {since: Holding(EMAIL.id, "email", "ada@x.com", "", Millis(since), 2, "frequency_cap") for since in (7, 9)}
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
