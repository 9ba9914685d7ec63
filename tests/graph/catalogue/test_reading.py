"""Items as they are read, and which of them a filter admits."""

from __future__ import annotations

import pytest

from graph.catalogue.items import write_items
from graph.catalogue.reading import ItemFilter, read_item
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.time import Millis
from graph.store.client import GraphClient

LAMP = ItemFacts(
    ItemKey("lamp"), category="home", price=10.0, available=True, year=2000, topics=(("light", 1.0), ("wood", 0.5))
)


@pytest.mark.parametrize(
    ("conditions", "admitted"),
    [
        ({}, True),
        ({"keys": ("chair", "lamp")}, True),
        ({"keys": ()}, False),
        ({"category": "home", "topic": "wood", "available": True}, True),
        ({"category": "garden"}, False),
        ({"topic": "steel"}, False),
        ({"available": False}, False),
        ({"min_price": 10.0, "max_price": 10.0, "min_year": 2000, "max_year": 2000}, True),
        ({"min_price": 10.5}, False),
        ({"max_price": 9.5}, False),
        ({"min_year": 2001}, False),
        ({"max_year": 1999}, False),
    ],
)
def test_all_conditions_must_hold(conditions: dict[str, object], admitted: bool) -> None:
    assert ItemFilter(**conditions).admits(LAMP) is admitted  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "conditions",
    [{"category": "home"}, {"topic": "light"}, {"available": False}, {"min_price": 0.0}, {"max_year": 9999}],
)
def test_what_is_unknown_of_an_item_meets_no_condition(conditions: dict[str, object]) -> None:
    assert not ItemFilter(**conditions).admits(ItemFacts(LAMP.key))  # type: ignore[arg-type]


@pytest.mark.store
async def test_an_item_is_declared_once_a_catalogue_has_described_it(store: GraphClient) -> None:
    async def is_declared() -> bool:
        item = await read_item(store, LAMP.key)
        assert item is not None
        return item.declared

    mention = ItemFacts(LAMP.key, "Lamp", updated_at=Millis(9), declared=False)
    await store.write(lambda tx: write_items(tx, [mention], Millis(10)))
    assert not await is_declared()
    await store.write(lambda tx: write_items(tx, [ItemFacts(LAMP.key, updated_at=Millis(5))], Millis(11)))
    assert await is_declared()
