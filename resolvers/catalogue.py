"""Use cases: items and segments, one by its key or a page in the order of keys.

What lives here: who may read the catalogue, and its pages. What does not: the statements
(`graph/catalogue/reading.py`), a person's memberships (`profiles.py`).
"""

from __future__ import annotations

from typing import Final

from graph.catalogue.reading import ItemWish, read_item, read_items
from graph.errors import BadInput
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.segments import SegmentFacts, SegmentKey
from graph.segments.definitions import read_segment, read_segments
from graph.segments.memberships import count_members
from privacy.gate import Role
from privacy.purposes import ANALYTICS
from resolvers.context import RequestContext
from resolvers.pages import CursorSigner, Page

MAX_KEYS: Final = 100
MAX_KEY: Final = 512
COUNTING_ROLES: Final = frozenset({Role.OPERATOR, Role.AUDITOR})
"""Roles that learn how many people are in a segment: for others the number would tell of people they may not see."""


async def find_item(request: RequestContext, key: str) -> ItemFacts | None:
    """One item."""
    return await read_item(request.services.client, ItemKey(_check(key)))


async def page_items(request: RequestContext, wish: ItemWish | None, first: int, after: str | None) -> Page[ItemFacts]:
    """A page of items."""
    signer = CursorSigner(request.services.secret, request.viewer)
    wanted = signer.request("Query.items", first, after)
    wish = check_wish(wish) or ItemWish()
    found = await read_items(request.services.client, wish, first + 1, _after(wanted.after))
    return signer.page("Query.items", wanted, found, lambda item: (item.key,))


def check_wish(wish: ItemWish | None) -> ItemWish | None:
    """The filter, if its lists are not too long. Raises BadInput."""
    if wish is not None and wish.keys is not None and len(wish.keys) > MAX_KEYS:
        raise BadInput(f"where.keys: at most {MAX_KEYS} keys.")
    return wish


async def find_segment(request: RequestContext, key: str) -> SegmentFacts | None:
    """One segment."""
    return await read_segment(request.services.client, SegmentKey(_check(key)), default_purpose=ANALYTICS)


async def page_segments(request: RequestContext, first: int, after: str | None) -> Page[SegmentFacts]:
    """A page of segments."""
    signer = CursorSigner(request.services.secret, request.viewer)
    wanted = signer.request("Query.segments", first, after)
    found = await read_segments(request.services.client, first + 1, _after(wanted.after), default_purpose=ANALYTICS)
    return signer.page("Query.segments", wanted, found, lambda segment: (segment.key,))


async def count_segment(request: RequestContext, key: SegmentKey) -> int | None:
    """How many people are in a segment; None for roles that may not know."""
    if request.viewer.role not in COUNTING_ROLES:
        return None
    return await count_members(request.services.client, key, request.now, default_purpose=ANALYTICS)


def _check(key: str) -> str:
    if not 0 < len(key) <= MAX_KEY:
        raise BadInput(f"key: 1 to {MAX_KEY} characters are expected.")
    return key


def _after(position: tuple[int | str, ...] | None) -> str:
    return "" if position is None else str(position[0])
