"""Use cases of the catalogue: one declared item by its key, a page of them, all of them."""

from __future__ import annotations

from typing import Final

from graph.catalogue.reading import ItemFilter, read_item, read_items
from graph.errors import BadInput
from graph.model.catalogue import ItemFacts, ItemKey
from graph.store.client import GraphClient
from resolvers.context import RequestContext
from resolvers.pages import CursorSealer, Page, check_key, read_position

CATALOGUE_PAGE: Final = 2000
MAX_KEYS: Final = 100


async def find_item(request: RequestContext, key: str) -> ItemFacts | None:
    """Returns one item, or None if no catalogue declares one with this key. Raises BadInput."""
    return await read_item(request.services.client, ItemKey(check_key(key)))


async def page_items(
    request: RequestContext, where: ItemFilter | None, first: int, after: str | None
) -> Page[ItemFacts]:
    """Returns a page of items. Raises BadInput."""
    cursors = CursorSealer(request.services.secret, request.viewer)
    wanted = cursors.request("Query.items", first, after)
    where = check_filter(where) or ItemFilter()
    found = await read_items(request.services.client, where, first + 1, read_position(wanted.after))
    return cursors.page("Query.items", wanted, found, lambda item: (item.key,))


def check_filter(where: ItemFilter | None) -> ItemFilter | None:
    """Returns the filter unless it lists too many keys. Raises BadInput."""
    if where is not None and where.keys is not None and len(where.keys) > MAX_KEYS:
        raise BadInput(f"where.keys: at most {MAX_KEYS} keys.")
    return where


async def read_catalogue(client: GraphClient) -> list[ItemFacts]:
    """Returns all declared items, read in pages."""
    found: list[ItemFacts] = []
    while True:
        page = await read_items(client, ItemFilter(), CATALOGUE_PAGE, found[-1].key if found else "")
        found.extend(page)
        if len(page) < CATALOGUE_PAGE:
            return found
