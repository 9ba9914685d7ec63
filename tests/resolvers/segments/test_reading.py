"""Segments by key and in pages, and which roles may know their size."""

from __future__ import annotations

import pytest

from graph.errors import BadInput
from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.segments import SegmentKey
from graph.segments.definitions import SegmentDefinition, write_segments
from graph.segments.memberships import MembershipChanges, Placement, RunStamp, write_memberships
from graph.store.client import GraphClient
from privacy.gate import Role
from resolvers.activity.behaviour import open_scope
from resolvers.segments.reading import count_segment, find_segment, page_segments
from tests.context import request_of, services_of
from tests.crowd import NOW, Person, run, set_permits, write_crowd

pytestmark = pytest.mark.store

BUYERS = SegmentKey("buyers")


@pytest.fixture
async def segments(store: GraphClient) -> GraphClient:
    """One segment with two people and two empty ones, one of them without a stated purpose."""
    definitions = [SegmentDefinition(SegmentKey(key), "rule", key, "", "marketing") for key in ("buyers", "vip")]
    await write_segments(store, definitions, RunId("r"), NOW)
    await run(store, "CREATE (:Segment {key: 'bare'})")
    await write_crowd(store, [Person("a", permits=("analytics", "marketing")), Person("b", permits=("analytics",))])
    placed = tuple(Placement(UserId(user), BUYERS, None) for user in "ab")
    scope = open_scope(services_of(store), "analytics")
    await write_memberships(store, MembershipChanges((), placed), RunStamp(RunId("r"), NOW), scope)
    return store


async def test_a_segment_is_found_by_its_key(segments: GraphClient) -> None:
    request = request_of(segments, Role.FRONTEND)
    found, bare = await find_segment(request, "buyers"), await find_segment(request, "bare")
    assert found is not None
    assert bare is not None
    assert (found.purpose, bare.purpose) == ("marketing", "analytics")
    assert await find_segment(request, "none") is None
    for key in ("", "x" * 513):
        with pytest.raises(BadInput, match="1 to 512 characters"):
            await find_segment(request, key)


async def test_pages_end_with_the_last_segment(segments: GraphClient) -> None:
    request = request_of(segments)
    first = await page_segments(request, 2, None)
    assert ([one.key for one in first.nodes], first.has_next, first.has_previous) == (["bare", "buyers"], True, False)
    rest = await page_segments(request, 2, first.cursors[-1])
    assert ([one.key for one in rest.nodes], rest.has_next, rest.has_previous) == (["vip"], False, True)
    assert (await page_segments(request, 2, rest.cursors[-1])).nodes == []
    with pytest.raises(BadInput, match="not a cursor"):
        await page_segments(request_of(segments, Role.AUDITOR), 2, first.cursors[-1])


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
async def test_only_people_who_now_permit_the_purpose_are_counted(segments: GraphClient, role: Role) -> None:
    request = request_of(segments, role)
    assert await count_segment(request, BUYERS) == 1
    await set_permits(segments, "b", ["analytics", "marketing"])
    assert await count_segment(request, BUYERS) == 2
    assert await count_segment(request, SegmentKey("none")) == 0


@pytest.mark.parametrize("role", [Role.SUBJECT, Role.FRONTEND, Role.PARTNER])
async def test_no_other_role_may_know_the_size(segments: GraphClient, role: Role) -> None:
    assert await count_segment(request_of(segments, role), BUYERS) is None
