"""RFM as it is kept on the person: of the latest run only, while its purpose is permitted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.scope import PermittedScope
from graph.model.segments import RfmFacts
from graph.segments.rfm import parse_rfm, remove_unpermitted_rfm, write_rfm
from graph.store.client import GraphClient
from privacy.gate import mint_scope
from privacy.policy import Policy
from tests.crowd import NOW, Person, run, set_permits, write_crowd

pytestmark = pytest.mark.store

A, B, C = UserId("a"), UserId("b"), UserId("c")
RFM = RfmFacts(1.5, 3.0, 20.0, 5, 4, 3, "543", NOW)


def scope() -> PermittedScope:
    return mint_scope("analytics", Policy.default(), NOW)


@pytest.fixture
async def people(store: GraphClient) -> GraphClient:
    await write_crowd(store, [Person("a"), Person("b"), Person("c", permits=("personalisation",))])
    return store


async def scored(store: GraphClient) -> dict[str, RfmFacts | None]:
    """The RFM of everybody who has any."""
    rows = await store.read("MATCH (u:User) WHERE u.rfm_run IS NOT NULL RETURN u.id AS id, properties(u) AS user")
    return {row["id"]: parse_rfm(row["user"]) for row in rows}


async def test_rfm_is_stored_on_the_person_and_removed_with_the_permit(people: GraphClient) -> None:
    async def kept() -> list[tuple[object, ...]]:
        rows = await people.read(
            "MATCH (u:User) WHERE u.rfm_run IS NOT NULL RETURN u.id AS user, u.rfm_cell AS cell, "
            "u.rfm_recency AS recency, u.rfm_run AS run ORDER BY user"
        )
        return [tuple(row.values()) for row in rows]

    assert await write_rfm(people, {A: RFM, B: RFM, C: RFM}, RunId("r1"), scope()) == 1
    assert await kept() == [("a", "543", 1.5, "r1"), ("b", "543", 1.5, "r1")]
    await set_permits(people, "b", [])
    assert await write_rfm(people, {A: replace(RFM, cell="111"), B: RFM}, RunId("r2"), scope()) == 1
    assert await kept() == [("a", "111", 1.5, "r2")]
    left = await people.read("MATCH (u:User {id: 'b'}) RETURN keys(u) AS names")
    assert not [name for name in left[0]["names"] if name.startswith("rfm_")]


async def test_rfm_is_read_back_as_written(people: GraphClient) -> None:
    await write_rfm(people, {A: RFM, B: replace(RFM, cell="111", recency=0.0)}, RunId("r1"), scope())
    assert await scored(people) == {A: RFM, B: replace(RFM, cell="111", recency=0.0)}
    assert parse_rfm(None) is None
    assert parse_rfm({"id": "c"}) is None


async def test_a_run_over_no_one_leaves_no_one_scored(people: GraphClient) -> None:
    await write_rfm(people, {A: RFM, B: RFM}, RunId("r1"), scope())
    assert await write_rfm(people, {UserId("nobody"): RFM}, RunId("r2"), scope()) == 1
    assert await scored(people) == {}


async def test_more_people_than_a_statement_may_write(people: GraphClient) -> None:
    crowd = [UserId(f"m{number:03}") for number in range(501)]
    await write_crowd(people, [Person(user) for user in crowd])
    assert await write_rfm(people, dict.fromkeys(crowd, RFM), RunId("r1"), scope()) == 0
    assert sorted(await scored(people)) == crowd
    assert await write_rfm(people, {A: RFM}, RunId("r2"), scope()) == 0
    assert list(await scored(people)) == ["a"]


async def test_rfm_is_removed_from_the_given_people_who_do_not_permit_its_purpose(people: GraphClient) -> None:
    await write_rfm(people, {A: RFM, B: RFM}, RunId("r1"), scope())
    await run(people, "MATCH (u:User) SET u.permits = CASE u.id WHEN 'b' THEN [] ELSE u.permits END")
    await people.write(lambda tx: remove_unpermitted_rfm(tx, [], "analytics"))
    assert sorted(await scored(people)) == ["a", "b"]
    await people.write(lambda tx: remove_unpermitted_rfm(tx, [A, B, C, UserId("nobody")], "analytics"))
    assert sorted(await scored(people)) == ["a"]
    await people.write(lambda tx: remove_unpermitted_rfm(tx, [A], "marketing"))
    assert await scored(people) == {}
