"""Pages of a person's sessions, interactions and consents: complete over all pages, None if they are withheld."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from graph.activity.history import InteractionFilter
from graph.errors import BadInput
from graph.model.identity import RecordKind, RecordRef
from graph.store.client import GraphClient
from privacy.gate import Role, Viewer
from resolvers.context import RequestContext
from resolvers.pages import Page
from resolvers.profile.find import ByRecord, PersonView, Wanted, find_profile
from resolvers.profile.history import MAX_TYPES, page_consents, page_interactions, page_sessions
from tests.api.door import START, Door, given, identify, open_door, viewed

pytestmark = pytest.mark.store

HOUR = 3_600_000
FIELDS = frozenset({"interactions", "sessions", "consentHistory"})

PageOf = Callable[[PersonView, int, str | None], Awaitable[Page[Any] | None]]


@pytest.fixture
async def door(store: GraphClient) -> AsyncIterator[Door]:
    """Ada with five interactions in five sessions and three consents, and Ben with one of each."""
    async with open_door(store) as door:
        day = int(START) - 24 * HOUR
        await door.load(identify("ada"), *(viewed("ada", f"i{n}", f"m{n}", day + n * HOUR) for n in range(5)))
        await door.load(*given("ada", "personalisation", "analytics", "marketing"))
        await door.load(viewed("ben", "i1", "b1"), *given("ben", "personalisation"))
        yield door


async def view(door: Door, user: str = "ada", role: Role = Role.SUBJECT, first: int = 2) -> PersonView:
    """Returns the person as seen with their own credential or another one, with the first entries of their lists."""
    subject = RecordRef("shop", RecordKind.USER, user) if role is Role.SUBJECT else None
    purpose = {Role.OPERATOR: "marketing", Role.FRONTEND: "personalisation"}.get(role)
    request = RequestContext(door.services, Viewer("web", role, purpose, subject=subject), door.clock())
    found = await find_profile(request, ByRecord("shop", user), Wanted(FIELDS, interactions=first, sessions=first))
    assert found is not None
    return found


async def interactions(view: PersonView, first: int, after: str | None) -> Page[Any] | None:
    return await page_interactions(view, first, after, None)


async def consents(view: PersonView, first: int, after: str | None) -> Page[Any] | None:
    return await page_consents(view, first, after)


LISTS: list[tuple[PageOf, int]] = [(interactions, 5), (page_sessions, 5), (consents, 3)]
ids = pytest.mark.parametrize(("page_of", "number"), LISTS, ids=["interactions", "sessions", "consents"])


@ids
@pytest.mark.parametrize("first", [1, 2, 3, 9])
async def test_pages_of_any_size_show_everything_once_newest_first(
    door: Door, page_of: PageOf, number: int, first: int
) -> None:
    ada = await view(door)
    whole = await page_of(ada, 50, None)
    assert whole is not None
    walked, after = [], None
    while True:
        page = await page_of(ada, first, after)
        assert page is not None
        assert page.has_previous is (after is not None)
        walked += page.nodes
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert walked == list(whole.nodes)
    assert len({node.id for node in walked}) == number
    instants = [getattr(node, "at", None) or getattr(node, "started_at", None) or node.received_at for node in walked]
    assert instants == sorted(instants, reverse=True)


async def test_the_first_page_without_a_filter_needs_no_further_read(door: Door) -> None:
    ada = await view(door)
    reads: list[str] = []
    door.services.client.observe = lambda kind, outcome, seconds: reads.append(kind)
    try:
        for page in [await interactions(ada, 2, None), await page_sessions(ada, 1, None)]:
            assert page is not None
            assert page.nodes
        assert reads == []
        for first, after, where in ((3, None, None), (1, "cursor", None), (1, None, InteractionFilter())):
            page = await interactions(ada, 1, None)
            assert page is not None
            await page_interactions(ada, first, after and page.cursors[0], where)
    finally:
        door.services.client.observe = None
    assert reads == ["read"] * 3


async def test_a_filter_applies_to_all_entries_and_is_paged(door: Door) -> None:
    ada = await view(door)
    where = InteractionFilter(since=int(START) - 23 * HOUR, until=int(START) - 20 * HOUR)
    page = await page_interactions(ada, 2, None, where)
    assert page is not None
    assert ([one.id for one in page.nodes], page.has_next) == (["shop|m3", "shop|m2"], True)
    rest = await page_interactions(ada, 2, page.cursors[-1], where)
    assert rest is not None
    assert ([one.id for one in rest.nodes], rest.has_next) == (["shop|m1"], False)


@ids
async def test_a_withheld_list_is_none_and_its_arguments_are_checked(door: Door, page_of: PageOf, number: int) -> None:
    seen = await view(door, role=Role.OPERATOR)
    assert await page_of(seen, 2, None) is None
    for first, after in ((0, None), (101, None), (2, "made up")):
        with pytest.raises(BadInput):
            await page_of(seen, first, after)


async def test_too_many_types_are_refused_even_if_the_list_is_withheld(door: Door) -> None:
    most = InteractionFilter(types=("VIEWED",) * MAX_TYPES)
    for role in (Role.SUBJECT, Role.OPERATOR):
        seen = await view(door, role=role)
        assert ((await page_interactions(seen, 1, None, most)) is None) is (role is Role.OPERATOR)
        with pytest.raises(BadInput, match=r"where\.types"):
            await page_interactions(seen, 1, None, InteractionFilter(types=("VIEWED",) * (MAX_TYPES + 1)))


@ids
async def test_a_cursor_is_bound_to_one_list(door: Door, page_of: PageOf, number: int) -> None:
    ada = await view(door)
    page = await page_of(ada, 1, None)
    assert page is not None
    for other, _ in LISTS:
        if other is not page_of:
            with pytest.raises(BadInput, match="not a cursor"):
                await other(ada, 1, page.cursors[0])


@pytest.mark.parametrize("page_of", [interactions, page_sessions])
async def test_a_cursor_is_bound_to_one_person(door: Door, page_of: PageOf) -> None:
    ada, ben = [await view(door, user, Role.FRONTEND) for user in ("ada", "ben")]
    page = await page_of(ada, 1, None)
    assert page is not None
    assert await page_of(ada, 1, page.cursors[0]) is not None
    with pytest.raises(BadInput, match="not a cursor"):
        await page_of(ben, 1, page.cursors[0])
