"""Items as they are kept: the later declaration of a fact wins, and silence erases nothing."""

from __future__ import annotations

from itertools import permutations

import pytest

from graph.catalogue.items import write_items
from graph.catalogue.reading import parse_item
from graph.model.catalogue import ItemFacts, ItemKey, TopicWeight
from graph.model.time import Millis
from graph.store.client import GraphClient
from tests.crowd import run

pytestmark = pytest.mark.store

LAMP = ItemKey("lamp")


def declared(at: int, **facts: object) -> ItemFacts:
    return ItemFacts(LAMP, updated_at=Millis(at), **facts)  # type: ignore[arg-type]


async def say(store: GraphClient, *items: ItemFacts) -> None:
    await store.write(lambda tx: write_items(tx, items))


async def kept(store: GraphClient) -> ItemFacts:
    """Returns the item."""
    (row,) = await store.read(
        "MATCH (i:Item {key: $key}) "
        "RETURN properties(i) AS item, [(i)-[a:ABOUT]->(t:Topic) | [t.key, a.weight]] AS topics",
        key=LAMP,
    )
    return parse_item(row["item"], row["topics"])


async def test_facts_within_one_write_are_compared_with_each_other(store: GraphClient) -> None:
    said = [
        declared(20, title="Lamp"),
        declared(10, title="Old lamp", year=1999),
        declared(15, category="home"),
    ]
    for order in permutations(said):
        await run(store, "MATCH (i:Item) DETACH DELETE i")
        await say(store, *order)
        found = await kept(store)
        assert (found.title, found.category, found.year, found.updated_at) == ("Lamp", "home", 1999, 20)


async def test_a_missing_value_erases_nothing(store: GraphClient) -> None:
    full = declared(5, title="Lamp", category="home", price=0.0, available=False, year=0, topics=(("t", 0.0),))
    await say(store, full)
    before = await kept(store)
    await say(store, declared(9))
    after = await kept(store)
    assert after.updated_at == 9
    assert (before.title, before.price, before.available, before.year) == ("Lamp", 0.0, False, 0)
    assert (after.title, after.category, after.price, after.available, after.year, after.topics) == (
        before.title, before.category, before.price, before.available, before.year, before.topics,
    )  # fmt: skip


async def test_the_later_write_of_two_declarations_at_one_instant_wins(store: GraphClient) -> None:
    await say(store, declared(5, title="First", topics=(("a", 1.0), ("b", 1.0))))
    await say(store, declared(5, title="Second", topics=(("b", 2.0),)))
    found = await kept(store)
    assert (found.title, found.topics) == ("Second", (("b", 2.0),))


async def test_more_items_and_topics_than_a_statement_may_write(store: GraphClient) -> None:
    topics = tuple((f"t{number:03}", float(number)) for number in range(501))
    many = [ItemFacts(ItemKey(f"i{number:03}"), f"Item {number}", topics=topics[:1]) for number in range(501)]
    await say(store, *many, declared(5, topics=topics))
    assert (await kept(store)).topics == topics
    rows = await store.read("MATCH (i:Item)-[:ABOUT]->(t:Topic {key: 't000'}) RETURN count(DISTINCT i) AS n")
    assert rows == [{"n": 502}]


async def test_the_latest_of_several_declarations_decides_the_topics(store: GraphClient) -> None:
    older, newer = (declared(at, topics=(TopicWeight(topic, 1.0),)) for at, topic in ((10, "old"), (20, "new")))
    for order in ((older, newer), (newer, older)):
        await say(store, *order)
        assert [topic.key for topic in (await kept(store)).topics] == ["new"]
        await run(store, "MATCH (n) WHERE n:Item OR n:Topic DETACH DELETE n")
