"""The catalogue: declared items read by key or in pages, in the order of their keys.

An item that only events name is not part of it: anybody who may send events could put keys there, and a page that one
person visited would show up. A condition that a filter leaves out is passed as null, which every item meets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orjson import loads

from graph.model.catalogue import ItemFacts, ItemKey, TopicWeight
from graph.store.client import GraphClient, Row


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Conditions on items; one that is None is ignored. Bounds of price and year are inclusive."""

    keys: tuple[ItemKey, ...] | None = None
    category: str | None = None
    topic: str | None = None
    available: bool | None = None
    min_price: float | None = None
    max_price: float | None = None
    min_year: int | None = None
    max_year: int | None = None

    def admits(self, item: ItemFacts) -> bool:
        """Returns whether an item meets all conditions. An unknown value meets no condition."""
        return (
            (self.keys is None or item.key in self.keys)
            and (self.category is None or item.category == self.category)
            and (self.topic is None or any(key == self.topic for key, _ in item.topics))
            and (self.available is None or item.available is self.available)
            and _within(item.price, self.min_price, self.max_price)
            and _within(item.year, self.min_year, self.max_year)
        )


def _within(value: float | None, least: float | None, most: float | None) -> bool:
    if least is None and most is None:
        return True
    return value is not None and (least is None or value >= least) and (most is None or value <= most)


READ_ITEM: Final = """
MATCH (i:Item {key: $key})
WHERE i.updated_at IS NOT NULL
RETURN properties(i) AS item, [(i)-[a:ABOUT]->(t:Topic) | [t.key, a.weight]] AS topics
"""


async def read_item(client: GraphClient, key: ItemKey) -> ItemFacts | None:
    """Returns one item, or None if no catalogue declares one with this key."""
    rows = await client.read(READ_ITEM, key=key)
    return parse_item(rows[0]["item"], rows[0]["topics"]) if rows else None


_FILTERED: Final = """
WHERE ($min_price IS NULL OR i.price >= $min_price) AND ($max_price IS NULL OR i.price <= $max_price)
  AND ($min_year IS NULL OR i.year >= $min_year) AND ($max_year IS NULL OR i.year <= $max_year)
  AND ($available IS NULL OR i.available = $available) AND ($category IS NULL OR i.category = $category)
  AND i.key > $after AND i.updated_at IS NOT NULL
WITH i ORDER BY i.key LIMIT $limit
RETURN properties(i) AS item, [(i)-[a:ABOUT]->(t:Topic) | [t.key, a.weight]] AS topics
ORDER BY item.key
"""

READ_ITEMS: Final = "MATCH (i:Item)" + _FILTERED
READ_ITEMS_OF_CATEGORY: Final = "MATCH (i:Item {category: $category})" + _FILTERED
READ_ITEMS_OF_TOPIC: Final = "MATCH (:Topic {key: $topic})<-[:ABOUT]-(i:Item)" + _FILTERED
READ_ITEMS_OF_KEYS: Final = "UNWIND $keys AS key MATCH (i:Item {key: key})" + _FILTERED
"""One statement for each way into the catalogue; all apply the same conditions."""


async def read_items(client: GraphClient, where: ItemFilter, limit: int, after: str = "") -> list[ItemFacts]:
    """Returns up to `limit` declared items that match a filter, in the order of their keys, starting after a key."""
    rest: dict[str, Any] = {
        "category": where.category,
        "available": where.available,
        "min_price": where.min_price,
        "max_price": where.max_price,
        "min_year": where.min_year,
        "max_year": where.max_year,
        "after": after,
        "limit": limit,
    }
    if where.keys is not None:
        rows = await client.read(READ_ITEMS_OF_KEYS, keys=sorted(set(where.keys)), **rest | {"limit": len(where.keys)})
        return [item for item in _parse_items(rows) if where.admits(item)][:limit]
    if where.topic is not None:
        rows = await client.read(READ_ITEMS_OF_TOPIC, topic=where.topic, **rest)
    else:
        rows = await client.read(READ_ITEMS_OF_CATEGORY if where.category is not None else READ_ITEMS, **rest)
    return _parse_items(rows)


def _parse_items(rows: Sequence[Row]) -> list[ItemFacts]:
    return [parse_item(row["item"], row["topics"]) for row in rows]


def parse_item(row: Mapping[str, Any], topics: Sequence[Sequence[Any]] = ()) -> ItemFacts:
    """Returns an item from the properties of its node and its pairs of topic and weight."""
    attributes = row.get("attributes")
    return ItemFacts(
        key=ItemKey(row["key"]),
        title=row.get("title"),
        category=row.get("category"),
        price=row.get("price"),
        available=row.get("available"),
        year=row.get("year"),
        topics=tuple(sorted(TopicWeight(key, float(weight)) for key, weight in topics)),
        attributes=loads(attributes) if attributes else {},
        updated_at=row.get("updated_at"),
    )
