"""Items as they are read, and which of them a filter admits."""

from __future__ import annotations

from itertools import product

import pytest

from graph.catalogue.items import write_items
from graph.catalogue.reading import ItemFilter, parse_item, read_item, read_items
from graph.model.catalogue import ItemFacts, ItemKey, TopicWeight
from graph.model.time import Millis
from graph.store.client import GraphClient
from tests.api.door import Door

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
def test_an_unknown_value_meets_no_condition(conditions: dict[str, object]) -> None:
    assert not ItemFilter(**conditions).admits(ItemFacts(LAMP.key))  # type: ignore[arg-type]


@pytest.mark.store
async def test_an_item_is_declared_once_a_catalogue_has_described_it(store: GraphClient) -> None:
    async def is_declared() -> bool:
        item = await read_item(store, LAMP.key)
        listed = [one.key for one in await read_items(store, ItemFilter(), 9)]
        chosen = [one.key for one in await read_items(store, ItemFilter(keys=(LAMP.key,)), 9)]
        assert (listed == [LAMP.key], chosen == [LAMP.key]) == (item is not None,) * 2
        return item is not None

    await store.write(lambda tx: tx.run("CREATE (:Item {key: $key})", key=LAMP.key))
    assert not await is_declared()
    await store.write(lambda tx: write_items(tx, [ItemFacts(LAMP.key, updated_at=Millis(5))]))
    assert await is_declared()


@pytest.mark.store
async def test_the_catalogue_by_each_way_into_it(door: Door) -> None:
    client = door.services.client

    async def keys(limit: int = 10, after: str = "", **conditions: object) -> list[str]:
        return [item.key for item in await read_items(client, ItemFilter(**conditions), limit, after)]  # type: ignore[arg-type]

    assert await keys() == ["i1", "i2", "i3"]
    assert await keys(limit=2) == ["i1", "i2"]
    assert await keys(after="i1") == ["i2", "i3"]
    assert await keys(category="home") == ["i1", "i2"]
    assert await keys(category="home", available=False) == ["i2"]
    assert await keys(min_price=9.5, max_price=9.5, min_year=2001, max_year=2001) == ["i1"]
    assert await keys(min_price=10) == []
    assert await keys(topic="u") == ["i3"]
    assert await keys(topic="u", category="home") == []
    assert await keys(keys=(ItemKey("i3"), ItemKey("i1"), ItemKey("no"))) == ["i1", "i3"]
    assert await keys(keys=(ItemKey("i3"), ItemKey("i1")), topic="t") == ["i3"]
    item = await read_item(client, ItemKey("i2"))
    assert item is not None
    assert (item.available, item.attributes) == (False, {"a": [1]})
    assert await read_item(client, ItemKey("no")) is None


ITEMS = [
    ItemFacts(ItemKey("a"), "A", "home", 5.0, True, 1999, (TopicWeight("t", 1.0), TopicWeight("u", 2.0))),
    ItemFacts(ItemKey("b"), "B", "home", 0.0, False, 2001, (TopicWeight("t", 0.5),)),
    ItemFacts(ItemKey("c"), category="travel", price=9.5),
    ItemFacts(ItemKey("d"), topics=(TopicWeight("u", 1.0),)),
    ItemFacts(ItemKey("e"), "E", "travel", 5.0, True, 2001, (TopicWeight("t", 1.0),)),
]
KEYS = (None, tuple(ItemKey(key) for key in ("e", "a", "none", "c", "a")), ())


@pytest.fixture
async def catalogue(store: GraphClient) -> GraphClient:
    await store.write(lambda tx: write_items(tx, ITEMS))
    return store


@pytest.mark.store
async def test_a_filter_admits_in_memory_what_the_store_finds(catalogue: GraphClient) -> None:
    everything = await read_items(catalogue, ItemFilter(), 10)
    assert len(everything) == 5
    seen = set()
    for keys, category, topic, available in product(KEYS, (None, "home"), (None, "t"), (None, True, False)):
        for price, year in ((None, None), (5.0, None), (None, 2001), (0.0, 2001)):
            where = ItemFilter(keys, category, topic, available, min_price=price, min_year=year, max_year=year)
            found = await read_items(catalogue, where, 10)
            assert found == [item for item in everything if where.admits(item)], where
            seen.add(len(found))
    assert seen >= {0, 1, 2, 3, 5}


@pytest.mark.store
@pytest.mark.parametrize("where", [ItemFilter(keys=KEYS[1]), ItemFilter(topic="t"), ItemFilter(category="travel")])
async def test_filtered_pages_are_those_of_the_whole(catalogue: GraphClient, where: ItemFilter) -> None:
    whole = await read_items(catalogue, where, 10)
    walked: list[ItemFacts] = []
    while page := await read_items(catalogue, where, 1, walked[-1].key if walked else ""):
        walked += page
    assert walked == whole
    assert len(whole) >= 2


def test_topics_are_sorted() -> None:
    item = parse_item({"key": "a", "updated_at": 3}, [["u", 1], ["t", 2]])
    assert (item.topics, item.updated_at, item.attributes) == ((TopicWeight("t", 2.0), TopicWeight("u", 1.0)), 3, {})
    assert parse_item({"key": "a"}).updated_at is None
