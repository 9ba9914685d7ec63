"""A shop with three items and one customer, loaded through a door, for tests of what is read."""

from __future__ import annotations

from graph.model.identity import RecordId, RecordKind, RecordRef
from tests.api.door import START, Door, given, identify, viewed

HOUR = 3_600_000

WRITE_DERIVED = """
MATCH (u:User {id: $user})
SET u.rfm_recency = 3.0, u.rfm_frequency = 2.0, u.rfm_monetary = 9.5, u.rfm_recency_score = 5,
    u.rfm_frequency_score = 4, u.rfm_monetary_score = 3, u.rfm_cell = '543', u.rfm_computed_at = 7, u.rfm_shown = true
MERGE (s:Segment {key: 'buyers'}) SET s.purpose = 'analytics', s.title = 'Buyers', s.kind = 'rfm', s.version = 2,
    s.shown = true
MERGE (t:Segment {key: 'former'}) SET t.purpose = 'analytics', t.shown = true
CREATE (u)-[:IN_SEGMENT {since: 5, score: 0.5, version: 2}]->(s)
CREATE (u)-[:IN_SEGMENT {since: 1, until: 2, version: 1}]->(t)
"""


def record(key: str, kind: RecordKind = RecordKind.USER) -> RecordId:
    return RecordRef("shop", kind, key).id


async def load_shop(door: Door) -> None:
    day = int(START) - 24 * HOUR
    await door.load(
        {"type": "item", "itemId": "i1", "title": "Lamp", "category": "home", "price": 9.5, "year": 2001},
        {"type": "item", "itemId": "i2", "category": "home", "available": False, "attributes": {"a": [1]}},
        {"type": "item", "itemId": "i3", "topics": [{"key": "t", "weight": 2}, "u"]},
        identify("ada", email="ada@example.com", firstName="Ada"),
        *given("ada", "analytics"),
        *(viewed("ada", f"i{n % 3 + 1}", f"m{n}", day + n * HOUR) for n in range(6)),
        {"type": "page", "userId": "ada", "name": "Home", "messageId": "p1", "timestamp": day + 9 * HOUR},
    )
