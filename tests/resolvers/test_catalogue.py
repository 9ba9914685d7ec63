"""Use cases of the catalogue: checked arguments, pages, and reading all items."""

from __future__ import annotations

import pytest

from graph.catalogue.items import write_items
from graph.catalogue.reading import ItemFilter
from graph.errors import BadInput
from graph.model.catalogue import ItemFacts, ItemKey
from graph.store.client import GraphClient
from privacy.gate import Role
from resolvers import catalogue as use_cases
from resolvers.catalogue import MAX_KEYS, check_filter, find_item, page_items, read_catalogue
from resolvers.pages import MAX_KEY
from tests.context import request_of

pytestmark = pytest.mark.store


@pytest.fixture
async def catalogue(store: GraphClient) -> GraphClient:
    items = [ItemFacts(ItemKey(key), category="home" if key in "ace" else None) for key in "abcde"]
    await store.write(lambda tx: write_items(tx, items))
    return store


async def test_an_item_is_found_by_its_key(catalogue: GraphClient) -> None:
    request = request_of(catalogue, Role.FRONTEND)
    found = await find_item(request, "a")
    assert found is not None
    assert (found.key, found.category) == ("a", "home")
    assert await find_item(request, "x" * MAX_KEY) is None
    for key in ("", "x" * (MAX_KEY + 1)):
        with pytest.raises(BadInput, match="key: 1 to 512 characters are expected"):
            await find_item(request, key)


async def test_pages_of_a_filtered_list_follow_each_other(catalogue: GraphClient) -> None:
    request, where = request_of(catalogue), ItemFilter(category="home")
    first = await page_items(request, where, 2, None)
    assert ([item.key for item in first.nodes], first.has_next) == (["a", "c"], True)
    rest = await page_items(request, where, 2, first.cursors[-1])
    assert ([item.key for item in rest.nodes], rest.has_next, rest.has_previous) == (["e"], False, True)
    everything = await page_items(request, None, 5, None)
    assert ("".join(item.key for item in everything.nodes), everything.has_next) == ("abcde", False)


async def test_a_cursor_is_bound_to_its_viewer(catalogue: GraphClient) -> None:
    page = await page_items(request_of(catalogue, Role.FRONTEND, purpose="service"), None, 1, None)
    with pytest.raises(BadInput, match="not a cursor"):
        await page_items(request_of(catalogue, Role.FRONTEND, purpose="marketing"), None, 1, page.cursors[0])


def test_a_filter_lists_at_most_a_fixed_number_of_keys() -> None:
    most = ItemFilter(keys=tuple(ItemKey(str(number)) for number in range(MAX_KEYS)))
    assert check_filter(most) is most
    assert check_filter(None) is None
    with pytest.raises(BadInput, match=f"at most {MAX_KEYS} keys"):
        check_filter(ItemFilter(keys=(*(most.keys or ()), ItemKey("more"))))


@pytest.mark.parametrize("size", [1, 4, 5, 6])
async def test_all_items_are_read_once_with_any_page_size(
    catalogue: GraphClient, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(use_cases, "CATALOGUE_PAGE", size)
    assert "".join(item.key for item in await read_catalogue(catalogue)) == "abcde"
