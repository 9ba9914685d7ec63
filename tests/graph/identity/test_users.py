"""People on whichever engine is under test: who a record is, before and after it moves, and where retired ids lead."""

from __future__ import annotations

import pytest

from graph.identity.records import read_people_of_records
from graph.identity.users import (
    count_records_and_people,
    find_live_user,
    read_record_page,
    write_moves,
    write_retirements,
    write_users,
)
from graph.model.identity import RecordId, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient
from tests.crowd import run
from tests.newcomers import ARRIVED, record, user, write_newcomers

pytestmark = pytest.mark.store

LATER = Millis(ARRIVED + 500)


async def move(store: GraphClient, moves: dict[str, UserId], now: Millis = LATER) -> None:
    await store.write(lambda tx: write_moves(tx, {record(name): to for name, to in moves.items()}, now))


async def retire(store: GraphClient, retired: dict[UserId, UserId]) -> None:
    await store.write(lambda tx: write_retirements(tx, retired, LATER))


async def history(store: GraphClient, name: str) -> list[tuple[object, ...]]:
    rows = await store.read(
        "MATCH (:Record {id: $id})-[m:RESOLVES_TO]->(u:User) RETURN u.id AS user, m.`from` AS since, m.to AS until "
        "ORDER BY since, until",
        id=record(name),
    )
    return [tuple(row.values()) for row in rows]


async def test_a_new_user_permits_nothing_and_an_existing_one_is_unchanged(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    await store.write(lambda tx: write_users(tx, [user("a"), UserId("new")], LATER))
    rows = await store.read(
        "MATCH (u:User) RETURN u.id AS id, u.created_at AS created, u.permits AS permits, u.consent_epoch AS epoch "
        "ORDER BY id"
    )
    assert [tuple(row.values()) for row in rows] == [("new", LATER, [], 0), (user("a"), ARRIVED, ["service"], 0)]


async def test_a_move_ends_the_previous_edge_and_keeps_it(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b", "c")
    await move(store, {"a": user("b")})
    await move(store, {"a": user("c")}, Millis(LATER + 1))
    assert await history(store, "a") == [
        (user("a"), ARRIVED, LATER), (user("b"), LATER, LATER + 1), (user("c"), LATER + 1, None),
    ]  # fmt: skip
    found = await read_people_of_records(store, [record("a"), record("b"), RecordId("none")])
    assert found == {record("a"): (user("c"), 0), record("b"): (user("b"), 0)}
    rows = await store.read("MATCH (u:User) RETURN u.updated_at AS at ORDER BY u.id")
    assert [row["at"] for row in rows] == [ARRIVED, LATER, LATER + 1]


async def test_a_record_does_not_move_to_an_unknown_user(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    await move(store, {"a": UserId("nobody"), "none": user("a")})
    assert await history(store, "a") == [(user("a"), ARRIVED, None)]


async def test_a_retired_user_permits_nothing_and_redirects(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b", "c", "d")
    await retire(store, {user("a"): user("b"), user("b"): user("c")})
    await retire(store, {user("d"): UserId("nobody")})
    assert [await find_live_user(store, user(name)) for name in "abcd"] == [user("c")] * 3 + [user("d")]
    assert await find_live_user(store, UserId("nobody")) is None
    rows = await store.read("MATCH (u:User) RETURN u.permits AS permits, u.retired_at AS at ORDER BY u.id")
    assert [tuple(row.values()) for row in rows] == [([], LATER)] * 2 + [(["service"], None)] * 2


async def test_more_people_than_a_statement_may_write(store: GraphClient) -> None:
    names = [f"{number:03}" for number in range(501)]
    await write_newcomers(store, *names)
    people = {name: UserId(f"later-{name}") for name in names}
    await store.write(lambda tx: write_users(tx, people.values(), LATER))
    await move(store, people)
    await retire(store, {user(name): to for name, to in people.items()})
    found = await read_people_of_records(store, [record(name) for name in names])
    assert found == {record(name): (to, 0) for name, to in people.items()}
    assert await find_live_user(store, user("500")) == "later-500"


async def test_all_records_are_listed_once_in_pages_in_order_of_id(store: GraphClient) -> None:
    assert await read_record_page(store, "", 2) == []
    await write_newcomers(store, *"abcde")
    walked: list[RecordId] = []
    while page := await read_record_page(store, walked[-1] if walked else "", 2):
        walked += page
    assert walked == sorted(record(name) for name in "abcde")


async def test_records_and_live_people_are_counted(store: GraphClient) -> None:
    assert await count_records_and_people(store) == (0, 0, 0)
    await write_newcomers(store, "a", "b", "c")
    await move(store, {"a": user("b")})
    for name, objected in (("a", True), ("b", False)):
        await run(store, "MATCH (r:Record {id: $id}) SET r.linking_objected = $o", id=record(name), o=objected)
    assert await count_records_and_people(store) == (3, 2, 1)
