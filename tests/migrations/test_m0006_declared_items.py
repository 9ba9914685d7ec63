"""Items of which events said something: what a catalogue declared stays, with its time; the rest is removed."""

from __future__ import annotations

from typing import Any

import pytest

from graph.catalogue.items import write_items
from graph.catalogue.reading import read_item
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.time import Millis
from graph.store.client import GraphClient
from migrations.m0006_declared_items import KEEP_DECLARED_FACTS
from migrations.runner import migrate

pytestmark = pytest.mark.store

DECLARED = 10**15
OLD: list[dict[str, Any]] = [
    {"key": "letter", "title": "Letter to Vera", "title_rank": 7, "price": 1.5, "price_rank": 8, "created_at": 9},
    {"key": "tea", "title": "Tea", "title_rank": DECLARED + 5, "price": 0.01, "price_rank": 8, "category": "drinks",
     "category_rank": DECLARED + 4, "available": True, "available_rank": DECLARED + 5, "year": 2000,
     "year_rank": DECLARED + 1, "topics_rank": DECLARED + 5, "created_at": 3, "updated_at": 5},
]  # fmt: skip


async def kept(store: GraphClient) -> list[dict[str, Any]]:
    rows = await store.read("MATCH (i:Item) RETURN properties(i) AS facts ORDER BY i.key")
    return [{name: value for name, value in row["facts"].items() if value is not None} for row in rows]


async def test_what_events_said_of_items_is_removed(store: GraphClient) -> None:
    await store.write(lambda tx: tx.run("MATCH (m:Migration) WHERE m.version >= 6 DELETE m"))
    await store.write(lambda tx: tx.run("UNWIND $rows AS row CREATE (i:Item) SET i = row", rows=OLD))
    (status,) = [one for one in await migrate(store) if one.changed]
    assert (status.version, status.changed) == (6, 2)
    tea = {"key": "tea", "title": "Tea", "title_at": 5, "category": "drinks", "category_at": 4, "available": True}
    tea |= {"available_at": 5, "year": 2000, "year_at": 1, "topics_at": 5, "updated_at": 5}
    assert await kept(store) == [{"key": "letter"}, tea]
    again = await store.write(lambda tx: tx.run(KEEP_DECLARED_FACTS, after="", until="~"))
    assert again == [{"changed": 0}]
    assert await kept(store) == [{"key": "letter"}, tea]


async def test_declarations_go_on_from_where_they_were(store: GraphClient) -> None:
    await store.write(lambda tx: tx.run("MATCH (m:Migration) WHERE m.version >= 6 DELETE m"))
    await store.write(lambda tx: tx.run("UNWIND $rows AS row CREATE (i:Item) SET i = row", rows=OLD))
    await migrate(store)
    told = [ItemFacts(ItemKey("tea"), "Old tea", price=4.5, updated_at=Millis(4))]
    await store.write(lambda tx: write_items(tx, told))
    found = await read_item(store, ItemKey("tea"))
    assert found is not None
    assert (found.title, found.price, found.updated_at) == ("Tea", 4.5, 5)
