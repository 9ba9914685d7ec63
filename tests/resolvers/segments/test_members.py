"""Replacing members from run to run."""

from __future__ import annotations

import pytest

from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.segments import SegmentKey
from graph.segments.definitions import SegmentDefinition
from graph.segments.memberships import read_members
from graph.store.client import GraphClient
from resolvers.segments.members import replace_members
from tests.context import services_of
from tests.crowd import NOW, Person, set_permits, write_crowd

pytestmark = pytest.mark.store

A, B, C = UserId("a"), UserId("b"), UserId("c")
ONE, TWO, OTHER = SegmentKey("one"), SegmentKey("two"), SegmentKey("other")


def define(key: SegmentKey, kind: str = "community") -> SegmentDefinition:
    return SegmentDefinition(key, kind, key.title(), "", "analytics")


@pytest.fixture
async def people(store: GraphClient) -> GraphClient:
    await write_crowd(store, [Person(user) for user in (A, B, C)])
    return store


async def replace_with(
    store: GraphClient, members: dict[SegmentKey, dict[UserId, float | None]], kind: str = "community", run: str = "r"
) -> int:
    return await replace_members(services_of(store), kind, [define(key, kind) for key in members], members, RunId(run))


async def members(store: GraphClient) -> list[str]:
    return ["".join(await read_members(store, key)) for key in (ONE, TWO, OTHER)]


async def test_a_run_replaces_only_the_members_of_its_kind(people: GraphClient) -> None:
    await replace_with(people, {OTHER: {A: None}}, kind="rule")
    await replace_with(people, {ONE: {A: 1.0, B: 0.5}, TWO: {C: None}})
    assert await members(people) == ["ab", "c", "a"]
    await replace_with(people, {ONE: {B: 0.9, C: 1.0}})
    assert await members(people) == ["bc", "", "a"]
    await replace_with(people, {})
    assert await members(people) == ["", "", "a"]


async def test_a_member_who_stays_keeps_since_and_gets_the_new_score_and_run(people: GraphClient) -> None:
    await replace_with(people, {ONE: {A: 0.5}}, run="r1")
    await replace_with(people, {ONE: {A: 0.7}}, run="r2")
    rows = await people.read("MATCH (:User)-[m:IN_SEGMENT]->() RETURN m.since AS since, m.score AS score, m.run AS run")
    assert rows == [{"since": NOW, "score": 0.7, "run": "r2"}]


async def test_a_member_who_withdrew_is_left_out_and_counted(people: GraphClient) -> None:
    await set_permits(people, "b", ["personalisation"])
    assert await replace_with(people, {ONE: {A: 1.0, B: 1.0, UserId("nobody"): 1.0}}) == 2
    assert await members(people) == ["a", "", ""]
