"""What is stored of the fold on each person, and whose statements it follows from."""

from __future__ import annotations

import pytest

from graph.consent.bars import write_bars
from graph.consent.log import NewEvent, append_events
from graph.consent.permits import (
    IN_FORCE,
    StoredPermits,
    read_stale_users,
    read_successors,
    read_user_logs,
    read_user_page,
    write_permits,
)
from graph.model.consent import Bar, ConsentEvent, ConsentState, ConsentStatement, Standing
from graph.model.identity import RecordId, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows
from privacy.gate import SubjectPermits
from privacy.purposes import Permit
from tests.crowd import run

pytestmark = pytest.mark.store

ANNE, BEN, CYD = UserId("anne"), UserId("ben"), UserId("cyd")
NOW = Millis(1000)


def event(record: str, number: int) -> ConsentEvent:
    statement = ConsentStatement("analytics", ConsentState.GIVEN, Millis(number))
    return ConsentEvent(f"{record}/{number}", number, RecordId(record), Millis(number), statement)


async def create(store: GraphClient, *users: str) -> None:
    for some in chunk_rows(users):
        await run(store, "UNWIND $ids AS id CREATE (:User {id: id})", ids=list(some))


async def add_record(store: GraphClient, user: str, record: str, *events: ConsentEvent, to: int | None = None) -> None:
    await run(
        store,
        "MERGE (r:Record {id: $record}) SET r.kind = 'user', r.key = $record WITH r MATCH (u:User {id: $user}) "
        "CREATE (r)-[x:RESOLVES_TO]->(u) SET x.to = $to",
        user=user,
        record=record,
        to=to,
    )
    await store.write(lambda tx: append_events(tx, [NewEvent(one, None) for one in events]))


async def store_permits(store: GraphClient, *permits: StoredPermits) -> None:
    await store.write(lambda tx: write_permits(tx, permits, NOW))


async def test_a_persons_log_covers_their_live_records(store: GraphClient) -> None:
    await create(store, ANNE, BEN, CYD)
    await add_record(store, ANNE, "web", event("web", 1), event("web", 2))
    await add_record(store, ANNE, "silent")
    await add_record(store, ANNE, "moved", event("moved", 3), to=500)
    await add_record(store, BEN, "moved")
    found = {one.stored.user: one for one in await read_user_logs(store, [ANNE, BEN, CYD, UserId("nobody")])}
    records = {user: {log.record: [e.seq for e in log.events] for log in one.records} for user, one in found.items()}
    assert records == {ANNE: {"web": [1, 2], "silent": []}, BEN: {"moved": [3]}, CYD: {}}
    assert sorted(one.seq for one in found[ANNE].events) == [1, 2]
    assert await read_user_logs(store, []) == []


async def test_a_person_hears_the_bars_on_what_their_records_hold(store: GraphClient) -> None:
    await create(store, ANNE, BEN)
    await add_record(store, ANNE, "web")
    await add_record(store, ANNE, "app")
    await add_record(store, BEN, "other")
    bars = [Bar("analytics", None, 1, Millis(at), RecordId("crm"), f"e{at}") for at in (1, 2, 3)]
    for bar, (record, type_) in zip(
        bars, (("web", "IDENTIFIED_BY"), ("app", "IDENTIFIED_BY"), ("app", "CLAIMS")), strict=True
    ):
        await run(
            store,
            f"MATCH (r:Record {{id: $record}}) "
            f"CREATE (r)-[:{type_}]->(:Identifier {{id: $id, kind: 'email', bars: $bars}})",
            record=record,
            id=bar.event,
            bars=write_bars([bar]),
        )
    await run(
        store,
        "MATCH (i:Identifier {id: 'e1'}), (a:Record {id: 'app'}), (b:Record {id: 'other'}) "
        "CREATE (a)-[:CLAIMS]->(i) CREATE (b)-[:IDENTIFIED_BY]->(i)",
    )
    found = {one.stored.user: sorted(one.bars) for one in await read_user_logs(store, [ANNE, BEN])}
    assert found == {ANNE: bars[:2], BEN: bars[:1]}


async def test_each_record_has_the_standing_of_its_source(store: GraphClient) -> None:
    await create(store, ANNE)
    await add_record(store, ANNE, "web")
    await add_record(store, ANNE, "crm")
    await run(
        store,
        "MATCH (r:Record {id: 'crm'}) CREATE (r)-[:FROM]->(:Source {name: 'crm', trust: 'public', jurisdiction: 'DE'})",
    )
    (found,) = await read_user_logs(store, [ANNE])
    assert found.standings == {
        "web": Standing(secret=False),
        "crm": Standing(public=True, secret=False, jurisdiction="DE"),
    }


async def test_a_transaction_reads_what_it_wrote(store: GraphClient) -> None:
    await create(store, ANNE)

    async def work(tx: Writer) -> list[StoredPermits]:
        await write_permits(tx, [StoredPermits(ANNE, ("analytics",), NOW, 0, (NOW,), ("own",))], NOW)
        return [one.stored for one in await read_user_logs(tx, [ANNE])]

    assert await store.write(work) == [StoredPermits(ANNE, ("analytics",), NOW, 1, (NOW,), ("own",))]


async def test_each_change_raises_the_epoch_by_one_and_replaces_all_permits(store: GraphClient) -> None:
    await create(store, ANNE, BEN)
    assert [one.stored for one in await read_user_logs(store, [ANNE])] == [StoredPermits(ANNE, (), None, 0)]
    await store_permits(
        store, StoredPermits(ANNE, ("analytics", "marketing"), NOW, 7), StoredPermits(UserId("nobody"), (), None)
    )
    await store_permits(store, StoredPermits(ANNE, ("marketing",), None, 0, (0,), ("",)))
    stored = {one.stored.user: one.stored for one in await read_user_logs(store, [ANNE, BEN])}
    assert stored == {
        ANNE: StoredPermits(ANNE, ("marketing",), None, 2, (0,), ("",)),
        BEN: StoredPermits(BEN, (), None, 0),
    }


async def test_permits_stored_without_ends_end_when_a_refold_is_due(store: GraphClient) -> None:
    await run(store, "CREATE (:User {id: 'anne', permits: ['analytics', 'service'], permits_until: 1000})")
    (found,) = await read_user_logs(store, [ANNE])
    assert found.stored == StoredPermits(ANNE, ("analytics", "service"), NOW, 0, (NOW, NOW), ("", ""))


IN_FORCE_CASES = [
    (["x"], None, None, True),
    (["x"], None, 1001, True),
    (["x"], None, 1000, False),
    (["x", "y"], [0, 1000], 1000, True),
    (["x", "y"], [1000, 0], 1000, False),
    (["x@*"], [0], 900, True),
    (["x@*", "x"], [0, 900], 900, False),
    (["!x", "x@*"], [0, 0], None, False),
    (["!x", "x@*"], [0, 0], 900, False),
    (["y"], [0], 900, False),
    ([], [], 900, False),
    (None, None, None, False),
]
"""A person's permits, their ends, until when they hold, and whether `x` is in force at 1000."""


async def test_a_permit_is_in_force_until_its_own_end(store: GraphClient) -> None:
    rows = [
        {"id": f"{place:02}", "permits": permits, "ends": ends, "until": until}
        for place, (permits, ends, until, _) in enumerate(IN_FORCE_CASES)
    ]
    await run(
        store,
        "UNWIND $rows AS row CREATE (u:User {id: row.id}) "
        "SET u.permits = row.permits, u.permit_ends = row.ends, u.permits_until = row.until",
        rows=rows,
    )
    found = await store.read(
        f"MATCH (u:User) WHERE {IN_FORCE} RETURN u.id AS id", permit="x", blanket="x@*", barred="!x", now=NOW
    )
    assert {row["id"] for row in found} == {
        f"{place:02}" for place, (*_, expected) in enumerate(IN_FORCE_CASES) if expected
    }
    for permits, ends, until, expected in IN_FORCE_CASES:
        gate = SubjectPermits(
            tuple((permit.replace("x", "partner_sharing@x") if permit != "x@*" else "partner_sharing@*")
                  for permit in permits or ()), None if until is None else Millis(until), ends=tuple(ends or ())
        )  # fmt: skip
        place = gate.deciding(Permit("partner_sharing", "x"))
        assert (place is not None and not gate.ended(place, NOW)) is expected


async def test_more_people_than_a_statement_may_write(store: GraphClient) -> None:
    names = [UserId(f"u{number:03}") for number in range(501)]
    await create(store, *names)
    await store_permits(store, *(StoredPermits(name, (name,), None) for name in names))
    stored = sorted(
        (one.stored.user, one.stored.permits, one.stored.epoch) for one in await read_user_logs(store, names)
    )
    assert stored == [(name, (name,), 1) for name in names]


async def test_successors_are_followed_one_step(store: GraphClient) -> None:
    await create(store, ANNE, BEN, CYD)
    await run(
        store,
        "MATCH (a:User {id: 'anne'}), (b:User {id: 'ben'}), (c:User {id: 'cyd'}) "
        "CREATE (a)-[:RETIRED_INTO]->(b) CREATE (b)-[:RETIRED_INTO]->(c)",
    )

    async def successors(*users: UserId) -> set[UserId]:
        return await store.write(lambda tx: read_successors(tx, users))

    assert await successors(ANNE) == {BEN}
    assert await successors(ANNE, BEN) == {BEN, CYD}
    assert await successors(CYD, UserId("nobody")) == set()


async def test_permits_are_stale_from_the_instant_they_expire(store: GraphClient) -> None:
    ends = {"early": NOW - 1, "now": NOW, "later": NOW + 1, "never": None}
    await create(store, *ends)
    await store_permits(
        store, *(StoredPermits(UserId(user), (), until and Millis(until)) for user, until in ends.items())
    )
    assert sorted(await read_stale_users(store, NOW, 10)) == ["early", "now"]
    assert len(await read_stale_users(store, NOW, 1)) == 1
    assert await read_stale_users(store, Millis(0), 10) == []


async def test_everyone_is_listed_once_in_pages_in_order_of_id(store: GraphClient) -> None:
    await create(store, "c", "a", "d", "b", "e")
    await run(store, "MATCH (u:User {id: 'b'}) SET u.retired_at = 1")
    walked: list[UserId] = []
    while page := await read_user_page(store, walked[-1] if walked else "", 2):
        walked += page
    assert walked == ["a", "b", "c", "d", "e"]
