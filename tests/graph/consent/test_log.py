"""The log of consents on whichever engine is under test: what was stated is kept whole, once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import fields, replace

import pytest

from graph.consent.log import (
    NewEvent,
    append_events,
    lock_logs,
    mark_denying,
    parse_standing,
    read_known_events,
    retire_events,
    write_linking_objections,
    write_repeats,
)
from graph.model.consent import ConsentEvent, ConsentState, ConsentStatement, Standing
from graph.model.identity import Proof, RecordId
from graph.model.time import Millis
from graph.store.client import GraphClient, StoreTarget, Writer
from tests.crowd import run

pytestmark = pytest.mark.store

WEB, APP = RecordId("web"), RecordId("app")
BARE = ConsentStatement("analytics", ConsentState.GIVEN, Millis(1))
FULL = ConsentStatement(
    "partner_sharing", ConsentState.WITHDRAWN, Millis(2), "acme", "consent", "opt_in", "US-CA", Millis(9), "Shop GmbH",
    "web", "terms", "2", "ab" * 32, "de", "form", "ada", 2, "cd" * 32, "signal", ("email", "sms"),
)  # fmt: skip


def event(number: int, statement: ConsentStatement = BARE, record: RecordId = WEB) -> ConsentEvent:
    return ConsentEvent(f"{record}/{number}", number, record, Millis(100 + number), statement)


async def create(store: GraphClient, *records: RecordId) -> None:
    await run(store, "UNWIND $ids AS id CREATE (:Record {id: id, kind: 'user', key: id})", ids=list(records))


async def append(store: GraphClient, *events: ConsentEvent, supersedes: Sequence[str | None] = ()) -> None:
    new = [NewEvent(one, supersedes[place] if supersedes else None) for place, one in enumerate(events)]
    await store.write(lambda tx: append_events(tx, new))


async def log(store: GraphClient, record: RecordId = WEB) -> tuple[ConsentEvent, ...]:
    return (await store.write(lambda tx: lock_logs(tx, [record])))[record].events


async def test_a_statement_is_read_back_as_it_was_made(store: GraphClient) -> None:
    assert all(getattr(FULL, field.name) for field in fields(FULL)), "give the new field a value here"
    await create(store, WEB)
    proven = replace(event(3), proof=Proof.TOKEN, reach=frozenset({"web", "app"}))
    await append(store, event(1, FULL), event(2), proven)
    assert await log(store) == (event(1, FULL), event(2), proven)


async def test_each_record_has_its_own_log_in_order_of_arrival(store: GraphClient) -> None:
    await create(store, WEB, APP)
    await run(store, "MATCH (r:Record {id: $id}) SET r.linking_objected = true", id=APP)
    await append(store, event(3), event(1), event(2, record=APP))
    await append(store, event(2))
    logs = await store.write(lambda tx: lock_logs(tx, [WEB, APP, RecordId("none"), WEB]))
    assert {record: [one.seq for one in found.events] for record, found in logs.items()} == {WEB: [1, 2, 3], APP: [2]}
    assert {record: found.linking_objected for record, found in logs.items()} == {WEB: False, APP: True}


async def test_a_record_without_statements_has_an_empty_log(store: GraphClient) -> None:
    await create(store, WEB)
    assert await log(store) == ()
    assert await store.write(lambda tx: lock_logs(tx, [])) == {}


async def test_appending_an_event_again_changes_nothing(store: GraphClient) -> None:
    await create(store, WEB)
    for _ in range(2):
        await append(store, event(1), event(2, FULL), supersedes=[None, "web/1"])
    assert await log(store) == (event(1), event(2, FULL))
    counts = await store.read("MATCH (e:ConsentEvent)-[r]->() RETURN type(r) AS type, count(r) AS n ORDER BY type")
    assert [tuple(row.values()) for row in counts] == [("FOR", 2), ("SUPERSEDES", 1), ("TO", 1), ("UNDER", 1)]


async def test_known_events_are_found_on_any_record(store: GraphClient) -> None:
    await create(store, WEB, APP)
    await append(store, event(1), event(1, record=APP))
    ids = ["web/1", "app/1", "web/2"]
    assert await store.write(lambda tx: read_known_events(tx, ids)) == {"web/1", "app/1"}
    assert await store.write(lambda tx: read_known_events(tx, [])) == set()


async def test_each_version_of_a_notice_has_one_node(store: GraphClient) -> None:
    await create(store, WEB)
    versions = ["1", "2", "1", None, None]
    await append(
        store, *(event(n, replace(BARE, notice="terms", notice_version=version)) for n, version in enumerate(versions))
    )
    rows = await store.read("MATCH (n:Notice)<-[:UNDER]-(e) RETURN n.version AS version, count(e) AS n ORDER BY n")
    assert sorted((row["version"] or "", row["n"]) for row in rows) == [("", 2), ("1", 2), ("2", 1)]


async def test_more_events_than_a_statement_may_write(store: GraphClient) -> None:
    await create(store, WEB)
    many = [event(number, replace(FULL, notice_version=str(number % 3))) for number in range(501)]
    await append(store, *many, supersedes=[None, *(one.id for one in many[:-1])])
    assert await log(store) == tuple(many)
    rows = await store.read("MATCH (:ConsentEvent)-[s:SUPERSEDES]->(:ConsentEvent) RETURN count(s) AS n")
    assert rows == [{"n": 500}]


async def test_a_repetition_is_stored_on_its_event(store: GraphClient) -> None:
    await create(store, WEB)
    await append(store, event(1), event(2))
    for at in (Millis(500), Millis(700)):
        await store.write(lambda tx, at=at: write_repeats(tx, [replace(event(1), repeated_at=at)]))  # type: ignore[misc]
    assert [one.repeated_at for one in await log(store)] == [700, None]


async def test_a_locked_log_grows_by_one_event_at_a_time(store_target: StoreTarget, store: GraphClient) -> None:
    await create(store, WEB)
    clients = [await GraphClient.connect(store_target) for _ in range(4)]

    async def say(tx: Writer) -> None:
        known = (await lock_logs(tx, [WEB]))[WEB].events
        number = len(known) + 1
        await append_events(tx, [NewEvent(event(number), known[-1].id if known else None)])

    await asyncio.gather(*(client.write(say) for client in clients for _ in range(5)))
    for client in clients:
        await client.close()
    assert await log(store) == tuple(event(number) for number in range(1, 21))


DEVICE = "5f0c6e1a-3b7d-4c52-9e8f-0a1b2c3d4e5f"


async def test_a_log_has_the_standing_of_its_record(store: GraphClient) -> None:
    rows = [
        ["web", "public", None, "anonymous", DEVICE],
        ["web", "public", None, "anonymous", "visitor-1"],
        ["web", "public", None, "user", "ada"],
        ["crm", "record", "DE", "user", "ada"],
    ]
    await run(
        store,
        "UNWIND $rows AS row MERGE (s:Source {name: row[0]}) SET s.trust = row[1], s.jurisdiction = row[2] "
        "CREATE (:Record {id: row[0] + row[4], source: row[0], kind: row[3], key: row[4]})-[:FROM]->(s)",
        rows=rows,
    )
    logs = await store.write(lambda tx: lock_logs(tx, [RecordId(row[0] + row[4]) for row in rows]))  # type: ignore[operator]
    assert [logs[RecordId(row[0] + row[4])].standing for row in rows] == [  # type: ignore[operator]
        Standing(device=True, public=True, secret=True, source="web"),
        Standing(device=True, public=True, secret=False, source="web"),
        Standing(device=False, public=True, secret=False, source="web"),
        Standing(device=False, public=False, secret=False, jurisdiction="DE", source="crm"),
    ]


@pytest.mark.parametrize(("key", "secret"), [(DEVICE, True), ("visitor-1", False)])
def test_a_standing_knows_whether_the_name_is_a_secret(key: str, secret: bool) -> None:
    assert parse_standing(["anonymous", key, "public", None, "web"]).secret is secret


async def test_records_that_denied_or_objected_are_marked(store: GraphClient) -> None:
    await create(store, WEB, APP)
    await store.write(lambda tx: mark_denying(tx, {WEB: {"analytics": Millis(5)}}))
    await store.write(lambda tx: write_linking_objections(tx, {WEB: False, APP: True}))
    rows = await store.read("MATCH (r:Record) RETURN r.denies AS denies, r.linking_objected AS objected ORDER BY r.id")
    assert [tuple(row.values()) for row in rows] == [(None, True), (True, False)]


async def test_events_that_can_never_matter_again_leave_the_log_and_stay_in_the_history(store: GraphClient) -> None:
    await create(store, WEB)
    await append(store, event(1), event(2), event(3))
    await store.write(lambda tx: retire_events(tx, ["web/1", "web/2", "none"]))
    await store.write(lambda tx: append_events(tx, [NewEvent(event(4), "web/3", former=True)]))
    assert await log(store) == (event(3),)
    rows = await store.read("MATCH (:Record)-[:FORMERLY_DECIDED]->(e) RETURN e.seq AS seq ORDER BY seq")
    assert [row["seq"] for row in rows] == [1, 2, 4]
    ids = ["web/1", "web/4"]
    assert await store.write(lambda tx: read_known_events(tx, ids)) == set(ids)


@pytest.mark.parametrize("former", [False, True])
async def test_an_event_written_again_stays_one_event_of_one_record(store: GraphClient, former: bool) -> None:
    await create(store, WEB, APP)
    for _ in range(2):
        await store.write(lambda tx: append_events(tx, [NewEvent(event(1), None, former=former)]))
    rows = await store.read(
        "MATCH (r:Record)-[d:DECIDED|FORMERLY_DECIDED]->(e:ConsentEvent)-[f:FOR]->() "
        "RETURN r.id AS r, type(d) AS t, e.id AS e"
    )
    assert [tuple(row.values()) for row in rows] == [(WEB, "FORMERLY_DECIDED" if former else "DECIDED", "web/1")]
