"""Use cases of segments: one by its key, a page of them, their size for roles that may know it; and what of a person's
memberships and RFM a viewer may know besides what the person permits.

A group that too few people are in, or that was computed from somebody who withdrew more than a minute ago, exists only
for operators and auditors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from graph.model.segments import MembershipFacts, RfmFacts, SegmentFacts, SegmentKey
from graph.model.time import DAY, Millis
from graph.segments.definitions import read_segment, read_segments
from graph.segments.memberships import count_members
from privacy.gate import Role
from privacy.purposes import ANALYTICS
from resolvers.context import RequestContext
from resolvers.pages import CursorSealer, Page, check_key, read_position

COUNTING_ROLES: Final = frozenset({Role.OPERATOR, Role.AUDITOR})
"""Roles that may know how many people are in a segment, and of segments that few are in: to others, this would reveal
people they may not see."""

RUNS: Final = {"rfm": "rfm", "community": "communities"}
"""The name of the run that computes the segments of each kind."""


async def find_segment(request: RequestContext, key: str) -> SegmentFacts | None:
    """Returns one segment, or None if there is none with this key that the viewer may know of. Raises BadInput."""
    found = await read_segment(request.services.client, SegmentKey(check_key(key)), default_purpose=ANALYTICS)
    return found if found is not None and _knows(request, found) else None


async def page_segments(request: RequestContext, first: int, after: str | None) -> Page[SegmentFacts]:
    """Returns a page of the segments that the viewer may know of. Raises BadInput."""
    cursors = CursorSealer(request.services.secret, request.viewer)
    wanted = cursors.request("Query.segments", first, after)
    counts = request.viewer.role in COUNTING_ROLES
    found = await read_segments(
        request.services.client,
        first + 1,
        read_position(wanted.after),
        default_purpose=ANALYTICS,
        shown=not counts,
        hidden=() if counts else [kind for kind in RUNS if not _is_fresh(request, kind)],
    )
    return cursors.page("Query.segments", wanted, found, lambda segment: (segment.key,))


async def count_segment(request: RequestContext, key: SegmentKey) -> int | None:
    """Returns how many people are in a segment, or None for roles that may not know."""
    if request.viewer.role not in COUNTING_ROLES:
        return None
    return await count_members(request.services.client, key, request.now, default_purpose=ANALYTICS)


def choose_memberships(request: RequestContext, stored: Sequence[MembershipFacts]) -> tuple[MembershipFacts, ...]:
    """Returns the memberships in segments that the viewer may know of. A partner sees the day of each, and no score:
    the two together would single a person out from one partner to the next."""
    known = (one for one in stored if _knows(request, one))
    if request.viewer.role is not Role.PARTNER:
        return tuple(known)
    return tuple(replace(one, since=Millis(one.since - one.since % DAY), score=None) for one in known)


def choose_rfm(request: RequestContext, stored: RfmFacts | None) -> RfmFacts | None:
    """Returns a person's RFM unless too few people are in its cell for the viewer to know of it. A partner sees the
    scores and the day: exact sums and instants would single a person out from one partner to the next."""
    if stored is None or request.viewer.role in COUNTING_ROLES:
        return stored
    if not stored.shown or not _is_fresh(request, "rfm"):
        return None
    if request.viewer.role is not Role.PARTNER:
        return stored
    day = Millis(stored.computed_at - stored.computed_at % DAY)
    return replace(stored, recency=None, frequency=None, monetary=None, computed_at=day)


def _knows(request: RequestContext, segment: SegmentFacts | MembershipFacts) -> bool:
    """Whether the viewer may know of a segment."""
    if request.viewer.role in COUNTING_ROLES:
        return True
    return segment.shown and _is_fresh(request, segment.kind)


def _is_fresh(request: RequestContext, kind: str | None) -> bool:
    services = request.services
    return kind not in RUNS or services.freshness.serves(RUNS[kind], services.clock())
