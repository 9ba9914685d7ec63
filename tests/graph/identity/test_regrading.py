"""Grading what records have again."""

from __future__ import annotations

import pytest

from graph.identity.identifiers import NewHolding, write_claims, write_holdings
from graph.identity.regrading import (
    GradedRecord,
    Regrading,
    lock_graded,
    read_records_of_source,
    write_regradings,
    write_remembered,
)
from graph.model.identity import Grade, RecordId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer
from tests.newcomers import email, record, write_newcomers

pytestmark = pytest.mark.store

READ_EDGES = """
MATCH (r:Record {id: $record})-[h:IDENTIFIED_BY|CLAIMS]->(i:Identifier)
RETURN type(h) AS type, h.grade AS grade, h.since AS since, h.ended AS ended, i.degree AS degree, r.known AS known
"""


async def read_one(store: GraphClient, id_: RecordId) -> GradedRecord:
    async def work(tx: Writer) -> list[GradedRecord]:
        return await lock_graded(tx, [id_])

    (one,) = await store.write(work)
    return one


async def write_stated(store: GraphClient, grade: Grade) -> None:
    await write_newcomers(store, "ada")
    held = NewHolding(record("ada"), email("ada"), grade, Millis(5))
    await store.write(lambda tx: (write_claims if grade is Grade.CLAIMED else write_holdings)(tx, [held]))


async def test_records_of_a_source_come_in_pages(store: GraphClient) -> None:
    await write_newcomers(store, "ada", "bob", "cyd")
    first = await read_records_of_source(store, "shop", "", 2)
    rest = await read_records_of_source(store, "shop", first[-1], 2)
    assert first + rest == sorted(record(name) for name in ("ada", "bob", "cyd"))
    assert await read_records_of_source(store, "crm", "", 2) == []


@pytest.mark.parametrize(
    ("before", "after", "type_", "degree"),
    [
        (Grade.PROVEN, Grade.CLAIMED, "CLAIMS", 0),
        (Grade.PROVEN, Grade.STATED, "IDENTIFIED_BY", 0),
        (Grade.CLAIMED, Grade.PROVEN, "IDENTIFIED_BY", 1),
        (Grade.STATED, Grade.PROVEN, "IDENTIFIED_BY", 1),
    ],
)
async def test_an_edge_of_another_grade_takes_the_place_of_the_old_one(
    store: GraphClient, before: Grade, after: Grade, type_: str, degree: int
) -> None:
    await write_stated(store, before)
    one = await read_one(store, record("ada"))
    change = Regrading(one.record, one.identifiers[0], after, Millis(5), Millis(9))
    await store.write(lambda tx: write_regradings(tx, [change]))
    (row,) = await store.read(READ_EDGES, record=record("ada"))
    assert (row["type"], row["since"], row["degree"]) == (type_, 5, degree)
    if type_ == "IDENTIFIED_BY":
        assert (row["grade"], row["ended"]) == (after, 9)


async def test_a_record_remembers_its_identifiers_at_their_new_grade(store: GraphClient) -> None:
    await write_stated(store, Grade.CLAIMED)
    one = await read_one(store, record("ada"))
    await store.write(lambda tx: write_remembered(tx, [(one, one.identifiers)]))
    (row,) = await store.read("MATCH (r:Record {id: $record}) RETURN r.known AS known", record=record("ada"))
    assert row["known"] == f"{email('ada').id}c5;"


async def test_records_with_many_identifiers_are_graded_again_at_once(store: GraphClient) -> None:
    names = [f"p{n}" for n in range(60)]
    await write_newcomers(store, *names)
    held = [
        NewHolding(record(name), email(f"{name}-{n}"), Grade.PROVEN, Millis(5)) for name in names for n in range(22)
    ]
    await store.write(lambda tx: write_holdings(tx, held))

    async def work(tx: Writer) -> None:
        graded = await lock_graded(tx, [record(name) for name in names])
        changes = [
            Regrading(one.record, each, Grade.CLAIMED, each.since, None) for one in graded for each in one.identifiers
        ]
        await write_regradings(tx, changes)

    await store.write(work)
    for name in names:
        rows = await store.read(READ_EDGES, record=record(name))
        assert [row["type"] for row in rows] == ["CLAIMS"] * 22
