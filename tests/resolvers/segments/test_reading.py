"""Segments by key and in pages, and which roles may know their size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graph.errors import BadInput
from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.segments import MembershipFacts, RfmFacts, SegmentKey
from graph.model.time import DAY, Millis
from graph.segments.definitions import SegmentDefinition, show_segments, write_segments
from graph.segments.memberships import MembershipChanges, Placement, RunStamp, write_memberships
from graph.store.client import GraphClient
from privacy.gate import Role
from resolvers.activity.behaviour import open_scope
from resolvers.freshness import STALE_MILLIS
from resolvers.segments.reading import choose_memberships, choose_rfm, count_segment, find_segment, page_segments
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
    request = request_of(segments)
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


@pytest.mark.parametrize("role", [Role.SUBJECT, Role.FRONTEND, Role.PARTNER])
async def test_segments_that_few_are_in_do_not_exist_for_others(segments: GraphClient, role: Role) -> None:
    request = request_of(segments, role)
    assert await find_segment(request, "buyers") is None
    assert (await page_segments(request, 9, None)).nodes == []
    await show_segments(segments, "rule", [BUYERS])
    assert await find_segment(request, "buyers") is not None
    assert [one.key for one in (await page_segments(request, 9, None)).nodes] == ["buyers"]
    assert len((await page_segments(request_of(segments), 9, None)).nodes) == 3


async def test_stale_segments_do_not_exist_for_others(segments: GraphClient) -> None:
    await run(segments, "MATCH (s:Segment) SET s.shown = true, s.kind = 'community'")
    for role, count in ((Role.FRONTEND, 0), (Role.OPERATOR, 3)):
        request = request_of(segments, role)
        request.services.freshness.report({"communities": Millis(NOW - STALE_MILLIS - 1)}, NOW)
        assert len((await page_segments(request, 9, None)).nodes) == count
        assert (await find_segment(request, "buyers") is None) is (count == 0)


MEMBER = MembershipFacts(BUYERS, "analytics", Millis(NOW), 0.5, kind="rfm", shown=True)
RFM = RfmFacts(1.0, 2.0, 3.0, 5, 5, 5, "555", NOW, shown=True)


def test_a_partner_sees_the_day_of_a_membership_and_no_score(store: GraphClient) -> None:
    (seen,) = choose_memberships(request_of(store, Role.PARTNER), [MEMBER])
    assert (seen.since, seen.score) == (NOW - NOW % DAY, None)
    assert choose_memberships(request_of(store, Role.FRONTEND), [MEMBER]) == (MEMBER,)


@pytest.mark.parametrize("role", sorted(set(Role)))
def test_only_operators_and_auditors_see_memberships_and_rfm_that_few_share(store: GraphClient, role: Role) -> None:
    request, counts = request_of(store, role), role in (Role.OPERATOR, Role.AUDITOR)
    assert len(choose_memberships(request, [replace(MEMBER, shown=False)])) == counts
    assert (choose_rfm(request, replace(RFM, shown=False)) is not None) is counts
    day = Millis(RFM.computed_at - RFM.computed_at % DAY)
    blurred = replace(RFM, recency=None, frequency=None, monetary=None, computed_at=day)
    assert choose_rfm(request, RFM) == (blurred if role is Role.PARTNER else RFM)
    assert choose_rfm(request, None) is None
    request.services.freshness.report({"rfm": Millis(NOW - STALE_MILLIS - 1)}, NOW)
    assert len(choose_memberships(request, [MEMBER])) == counts
    assert (choose_rfm(request, RFM) is not None) is counts
