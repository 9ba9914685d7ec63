"""Writing the facts and topics of items, as catalogues declare them. Events only name items; what else they state about
items is not kept.

Each fact has the time at which it was declared, so that the result does not depend on the order of arrival: the later
of two declarations wins, and a missing value never overwrites a known one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from orjson import dumps

from graph.model.catalogue import ItemFacts
from graph.store.client import Writer, chunk_rows

WRITE_ITEMS: Final = """
UNWIND $rows AS row
MERGE (i:Item {key: row[0]})
SET i.updated_at = CASE WHEN row[1] >= coalesce(i.updated_at, 0) THEN row[1] ELSE i.updated_at END
FOREACH (_ IN CASE WHEN row[2] IS NOT NULL AND row[1] >= coalesce(i.title_at, 0) THEN [1] ELSE [] END |
  SET i.title = row[2], i.title_at = row[1])
FOREACH (_ IN CASE WHEN row[3] IS NOT NULL AND row[1] >= coalesce(i.category_at, 0) THEN [1] ELSE [] END |
  SET i.category = row[3], i.category_at = row[1])
FOREACH (_ IN CASE WHEN row[4] IS NOT NULL AND row[1] >= coalesce(i.price_at, 0) THEN [1] ELSE [] END |
  SET i.price = row[4], i.price_at = row[1])
FOREACH (_ IN CASE WHEN row[5] IS NOT NULL AND row[1] >= coalesce(i.available_at, 0) THEN [1] ELSE [] END |
  SET i.available = row[5], i.available_at = row[1])
FOREACH (_ IN CASE WHEN row[6] IS NOT NULL AND row[1] >= coalesce(i.year_at, 0) THEN [1] ELSE [] END |
  SET i.year = row[6], i.year_at = row[1])
FOREACH (_ IN CASE WHEN row[7] IS NOT NULL AND row[1] >= coalesce(i.attributes_at, 0) THEN [1] ELSE [] END |
  SET i.attributes = row[7], i.attributes_at = row[1])
"""

WRITE_TOPIC_ENDS: Final = """
UNWIND $rows AS row
MATCH (i:Item {key: row[0]})
WHERE row[1] >= coalesce(i.topics_at, 0)
SET i.topics_at = row[1]
WITH i
MATCH (i)-[a:ABOUT]->(:Topic)
DELETE a
"""

WRITE_TOPICS: Final = """
UNWIND $rows AS row
MATCH (i:Item {key: row[0]})
WHERE i.topics_at = row[1]
MERGE (t:Topic {key: row[2]})
MERGE (i)-[a:ABOUT]->(t)
SET a.weight = row[3]
"""


async def write_items(tx: Writer, items: Iterable[ItemFacts]) -> None:
    """Writes what is declared about items. The topics in a declaration replace earlier ones.

    Rows are in the order of time, because a statement compares all of its rows before it sets any.
    """
    stated = sorted(items, key=lambda item: (item.key, item.updated_at or 0))
    for chunk in chunk_rows([_row(item) for item in stated]):
        await tx.run(WRITE_ITEMS, rows=list(chunk))
    about = [item for item in stated if item.topics]
    for ends in chunk_rows([[item.key, item.updated_at] for item in about]):
        await tx.run(WRITE_TOPIC_ENDS, rows=list(ends))
    topics = [[item.key, item.updated_at, topic, weight] for item in about for topic, weight in item.topics]
    for some in chunk_rows(sorted(topics, key=lambda row: str(row[2]))):
        await tx.run(WRITE_TOPICS, rows=list(some))


def _row(item: ItemFacts) -> list[Any]:
    attributes = dumps(dict(item.attributes)).decode() if item.attributes else None
    return [
        item.key,
        item.updated_at,
        item.title,
        item.category,
        item.price,
        item.available,
        item.year,
        attributes,
    ]
