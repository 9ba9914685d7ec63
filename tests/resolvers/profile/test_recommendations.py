"""Recommendations of a person: computed from what the gate reveals, or not at all; wrong arguments come first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from graph.catalogue.items import write_items
from graph.catalogue.reading import ItemFilter
from graph.errors import BadInput
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.recommendation import RunId, Strategy
from graph.model.time import Millis
from graph.recommendation.runs import ModelRow, ModelRun, write_current_run, write_model_rows
from graph.store.client import GraphClient
from privacy.gate import Role, Viewer
from resolvers.catalogue import MAX_KEYS
from resolvers.context import RequestContext
from resolvers.pages import MAX_PAGE
from resolvers.profile.find import ByRecord, PersonView, Wanted, find_profile
from resolvers.profile.recommendations import recommend
from tests.api.door import Door, given, open_door, viewed

pytestmark = pytest.mark.store

RUN = ModelRun(
    RunId("r1"), "walk", 1, "personalisation", Millis(1), Millis(5), Millis(4), 2, 7, "ab" * 32, rows=3, current=True
)
ROWS = [
    ModelRow(ItemKey("alien"), (ItemKey("aliens"),), (1.0,), 9.0),
    ModelRow(ItemKey("aliens"), (ItemKey("alien"),), (1.0,), 7.0),
    ModelRow(ItemKey("heat"), (), (), 8.0),
]
BOTH = ("personalisation", "analytics")


@pytest.fixture
async def door(store: GraphClient) -> AsyncIterator[Door]:
    """A shop with a model of three films, and two people who viewed the first; only Ada permits personalisation."""
    async with open_door(store) as door:
        items = [ItemFacts(ItemKey(key), category="film") for key in ("alien", "aliens", "heat")]
        await store.write(lambda tx: write_items(tx, items))
        await write_model_rows(store, RUN.id, ROWS)
        await write_current_run(store, RUN)
        await door.services.recommender.load(store, catalogue=True)
        await door.load(*given("ada", *BOTH), viewed("ada", "alien", "m1"))
        await door.load(*given("bob", "analytics"), viewed("bob", "alien", "m2"))
        yield door


async def view_of(door: Door, user: str) -> PersonView:
    request = RequestContext(door.services, Viewer("web", Role.FRONTEND, "personalisation"), door.clock())
    view = await find_profile(request, ByRecord("shop", user), Wanted(frozenset({"recommendations"})))
    assert view is not None
    return view


async def test_a_person_who_permits_it_gets_items_like_those_they_viewed(door: Door) -> None:
    view = await view_of(door, "ada")
    ranked = recommend(view, 5, Strategy.AUTO, None)
    assert ranked is not None
    assert [(one.item.key, one.strategy) for one in ranked] == [
        ("aliens", Strategy.GRAPH_WALK),
        ("heat", Strategy.POPULAR),
    ]
    assert [one.item.key for one in recommend(view, 1, Strategy.POPULAR, None) or ()] == ["heat"]
    only = recommend(view, 5, Strategy.AUTO, ItemFilter(keys=(ItemKey("heat"),)))
    assert [one.item.key for one in only or ()] == ["heat"]


async def test_nothing_is_computed_for_a_person_who_does_not_permit_it(door: Door) -> None:
    assert recommend(await view_of(door, "bob"), 5, Strategy.AUTO, None) is None


@pytest.mark.parametrize("user", ["ada", "bob"])
async def test_wrong_arguments_get_the_same_error_whatever_is_permitted(door: Door, user: str) -> None:
    view = await view_of(door, user)
    for first in (0, MAX_PAGE + 1):
        with pytest.raises(BadInput, match=f"first: a number from 1 to {MAX_PAGE}"):
            recommend(view, first, Strategy.AUTO, None)
    most = ItemFilter(keys=tuple(ItemKey(str(number)) for number in range(MAX_KEYS + 1)))
    with pytest.raises(BadInput, match=f"at most {MAX_KEYS} keys"):
        recommend(view, 1, Strategy.AUTO, most)
