"""Writing the facts and topics of items, as catalogues declare them and events mention them.

Each fact has a rank, so that the result does not depend on the order of arrival: a declaration outranks every mention,
the later of two declarations or mentions wins, and a missing value never overwrites a known one. Only declarations move
`updated_at`: every reader of the catalogue sees it, and the time of a mention would reveal when a person did something.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from orjson import dumps

from graph.model.catalogue import ItemFacts
from graph.model.time import Millis
from graph.store.client import Writer, chunk_rows

DECLARED: Final = 10**15
"""Added to the time of a declaration to make its rank; larger than the time of any mention."""

WRITE_ITEMS: Final = """
UNWIND $rows AS row
MERGE (i:Item {key: row[0]})
ON CREATE SET i.created_at = $now
SET i.updated_at = CASE WHEN row[2] > row[1] AND row[1] >= coalesce(i.updated_at, 0) THEN row[1] ELSE i.updated_at END
FOREACH (_ IN CASE WHEN row[3] IS NOT NULL AND row[2] >= coalesce(i.title_rank, 0) THEN [1] ELSE [] END |
  SET i.title = row[3], i.title_rank = row[2])
FOREACH (_ IN CASE WHEN row[4] IS NOT NULL AND row[2] >= coalesce(i.category_rank, 0) THEN [1] ELSE [] END |
  SET i.category = row[4], i.category_rank = row[2])
FOREACH (_ IN CASE WHEN row[5] IS NOT NULL AND row[2] >= coalesce(i.price_rank, 0) THEN [1] ELSE [] END |
  SET i.price = row[5], i.price_rank = row[2])
FOREACH (_ IN CASE WHEN row[6] IS NOT NULL AND row[2] >= coalesce(i.available_rank, 0) THEN [1] ELSE [] END |
  SET i.available = row[6], i.available_rank = row[2])
FOREACH (_ IN CASE WHEN row[7] IS NOT NULL AND row[2] >= coalesce(i.year_rank, 0) THEN [1] ELSE [] END |
  SET i.year = row[7], i.year_rank = row[2])
FOREACH (_ IN CASE WHEN row[8] IS NOT NULL AND row[2] >= coalesce(i.attributes_rank, 0) THEN [1] ELSE [] END |
  SET i.attributes = row[8], i.attributes_rank = row[2])
"""

WRITE_TOPIC_ENDS: Final = """
UNWIND $rows AS row
MATCH (i:Item {key: row[0]})
WHERE row[1] >= coalesce(i.topics_rank, 0)
SET i.topics_rank = row[1]
WITH i
MATCH (i)-[a:ABOUT]->(:Topic)
DELETE a
"""

WRITE_TOPICS: Final = """
UNWIND $rows AS row
MATCH (i:Item {key: row[0]})
WHERE i.topics_rank = row[1]
MERGE (t:Topic {key: row[2]})
MERGE (i)-[a:ABOUT]->(t)
SET a.weight = row[3]
"""


async def write_items(tx: Writer, items: Iterable[ItemFacts], now: Millis) -> None:
    """Writes what is stated about items. The topics in a declaration replace earlier ones.

    Rows are in the order of rank, because a statement compares all of its rows before it sets any.
    """
    stated = sorted(items, key=lambda item: (item.key, _rank(item)))
    for chunk in chunk_rows([_row(item) for item in stated]):
        await tx.run(WRITE_ITEMS, rows=list(chunk), now=now)
    about = [item for item in stated if item.topics and item.declared]
    for ends in chunk_rows([[item.key, _rank(item)] for item in about]):
        await tx.run(WRITE_TOPIC_ENDS, rows=list(ends))
    topics = [[item.key, _rank(item), topic, weight] for item in about for topic, weight in item.topics]
    for some in chunk_rows(sorted(topics, key=lambda row: str(row[2]))):
        await tx.run(WRITE_TOPICS, rows=list(some))


def _rank(item: ItemFacts) -> int:
    return item.updated_at + (DECLARED if item.declared else 0)


def _row(item: ItemFacts) -> list[Any]:
    attributes = dumps(dict(item.attributes)).decode() if item.attributes else None
    return [
        item.key,
        item.updated_at,
        _rank(item),
        item.title,
        item.category,
        item.price,
        item.available,
        item.year,
        attributes,
    ]
