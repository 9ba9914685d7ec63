from __future__ import annotations

import asyncio

import pytest

from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.scope import PermittedScope
from graph.model.segments import SegmentKey
from graph.model.time import Millis
from graph.segments import memberships as statements
from graph.segments.definitions import SegmentDefinition, write_segments
from graph.segments.memberships import (
    Departure,
    MembershipChanges,
    Placement,
    RunStamp,
    count_members,
    read_members,
    write_memberships,
)
from graph.store.client import GraphClient
from privacy.gate import mint_scope
from privacy.policy import Policy
from tests.crowd import NOW, Person, run, write_crowd

pytestmark = pytest.mark.store

BUYERS = SegmentDefinition(SegmentKey("buyers"), "rfm", "Buyers", "Who buys.", "analytics", {"least": 4})
A, B, C = UserId("a"), UserId("b"), UserId("c")


def scope() -> PermittedScope:
    return mint_scope("analytics", Policy.default(), NOW)


def stamp(number: int) -> RunStamp:
    return RunStamp(RunId(f"r{number}"), Millis(NOW + number))


def entering(*users: UserId, score: float | None = None) -> MembershipChanges:
    return MembershipChanges((), tuple(Placement(user, BUYERS.key, score) for user in users))


async def memberships(store: GraphClient) -> list[tuple[object, ...]]:
    rows = await store.read(
        "MATCH (u:User)-[m:IN_SEGMENT]->(s:Segment) RETURN u.id AS user, m.since AS since, m.until AS until, "
        "m.score AS score, m.version AS version, m.run AS run ORDER BY user, since"
    )
    return [tuple(row.values()) for row in rows]


@pytest.fixture
async def people(store: GraphClient) -> GraphClient:
    await write_crowd(store, [Person("a"), Person("b"), Person("c", permits=("personalisation",))])
    await write_segments(store, [BUYERS], RunId("r0"), NOW)
    return store


async def test_staying_keeps_since_and_leaving_keeps_the_history(people: GraphClient) -> None:
    await write_memberships(people, entering(A, B, score=0.5), stamp(1), scope())
    leaving = MembershipChanges((Departure(B, BUYERS.key),), (Placement(A, BUYERS.key, 0.9),))
    await write_memberships(people, leaving, stamp(2), scope())
    await write_memberships(people, entering(B), stamp(3), scope())
    assert await memberships(people) == [
        ("a", NOW + 1, None, 0.9, 1, "r2"),
        ("b", NOW + 1, NOW + 2, 0.5, 1, "r1"),
        ("b", NOW + 3, None, None, 1, "r3"),
    ]
    assert await read_members(people, BUYERS.key) == ["a", "b"]
    assert await count_members(people, BUYERS.key, NOW, default_purpose="analytics") == 2


async def test_a_person_who_does_not_permit_the_purpose_gets_no_membership(people: GraphClient) -> None:
    assert await write_memberships(people, entering(A, C, UserId("nobody")), stamp(1), scope()) == 2
    assert await read_members(people, BUYERS.key) == ["a"]
    assert [row[0] for row in await memberships(people)] == ["a"]


async def test_many_memberships_are_written_in_batches(people: GraphClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "MEMBERS_PAGE", 300)
    crowd = [UserId(f"m{number:04}") for number in range(1100)]
    await write_crowd(people, [Person(user) for user in crowd])
    assert await write_memberships(people, entering(*crowd), stamp(1), scope()) == 0
    assert await read_members(people, BUYERS.key) == crowd
    gone = MembershipChanges(tuple(Departure(user, BUYERS.key) for user in crowd), ())
    await write_memberships(people, gone, stamp(2), scope())
    assert await read_members(people, BUYERS.key) == []


async def test_a_withdrawal_during_a_run_leaves_no_membership(people: GraphClient) -> None:
    """The race of graph-model.md: consent is checked, then written, while a withdrawal commits. Either the withdrawal
    sees the membership and ends it, or the run sees the withdrawal and leaves the person out."""

    async def withdraw(user: str) -> None:
        await run(
            people,
            "MATCH (u:User {id: $id}) SET u._v = coalesce(u._v, 0) + 1, u.permits = [] WITH u "
            "OPTIONAL MATCH (u)-[m:IN_SEGMENT]->(:Segment) WHERE m.until IS NULL SET m.until = $now",
            id=user,
            now=NOW,
        )

    for number in range(15):
        user = UserId(f"w{number}")
        await write_crowd(people, [Person(user)])
        await asyncio.gather(write_memberships(people, entering(user), stamp(1), scope()), withdraw(user))
    assert await read_members(people, BUYERS.key) == []
