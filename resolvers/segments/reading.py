"""Use cases of segments: one by its key, a page of them, their size for roles that may know it."""

from __future__ import annotations

from typing import Final

from graph.model.segments import SegmentFacts, SegmentKey
from graph.segments.definitions import read_segment, read_segments
from graph.segments.memberships import count_members
from privacy.gate import Role
from privacy.purposes import ANALYTICS
from resolvers.context import RequestContext
from resolvers.pages import CursorSigner, Page, check_key, read_position

COUNTING_ROLES: Final = frozenset({Role.OPERATOR, Role.AUDITOR})
"""Roles that may know how many people are in a segment: to others, the number would reveal people they may not see."""


async def find_segment(request: RequestContext, key: str) -> SegmentFacts | None:
    """Returns one segment, or None if there is none with this key. Raises BadInput."""
    return await read_segment(request.services.client, SegmentKey(check_key(key)), default_purpose=ANALYTICS)


async def page_segments(request: RequestContext, first: int, after: str | None) -> Page[SegmentFacts]:
    """Returns a page of segments. Raises BadInput."""
    signer = CursorSigner(request.services.secret, request.viewer)
    wanted = signer.request("Query.segments", first, after)
    found = await read_segments(
        request.services.client, first + 1, read_position(wanted.after), default_purpose=ANALYTICS
    )
    return signer.page("Query.segments", wanted, found, lambda segment: (segment.key,))


async def count_segment(request: RequestContext, key: SegmentKey) -> int | None:
    """Returns how many people are in a segment, or None for roles that may not know."""
    if request.viewer.role not in COUNTING_ROLES:
        return None
    return await count_members(request.services.client, key, request.now, default_purpose=ANALYTICS)
