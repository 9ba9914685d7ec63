"""Candidates: records of different people that share an identifier, read on demand. They move nothing.

IDs that devices claim are left out: what a device counts for is decided by `graph/identity/devices.py`. So is that
records were one person before sources had a trust: it is no evidence, it only passes on denials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from graph.model.identity import Grade, RecordId, RecordKind, UserId
from graph.store.client import GraphClient

MOST_HOLDERS: Final = 50
"""How many holders of one identifier are read at most."""


class Holder(NamedTuple):
    """A record that holds or claims an identifier, with its live person and the grade."""

    user: UserId
    record: RecordId
    source: str
    kind: RecordKind
    grade: Grade


@dataclass(frozen=True, slots=True)
class SharedIdentifier:
    """An identifier that records of several people hold or claim. `id` orders pages."""

    id: str
    kind: str
    holders: tuple[Holder, ...]


READ_SHARED_PAGE: Final = """
MATCH (i:Identifier)
WHERE i.id > $after
WITH i ORDER BY i.id LIMIT $size
RETURN i.id AS id, i.kind AS kind, CASE
  WHEN i.kind IN ['anonymous_id', 'former_person'] THEN [] ELSE COLLECT {
  MATCH (i)<-[h:IDENTIFIED_BY|CLAIMS]-(r:Record)-[x:RESOLVES_TO]->(u:User)
  WHERE x.to IS NULL AND (i.kind <> 'user_id' OR type(h) = 'IDENTIFIED_BY')
  RETURN [u.id, r.id, r.source, r.kind, coalesce(h.grade, 'claimed')] LIMIT $most
} END AS holders
ORDER BY id
"""


async def read_shared_page(client: GraphClient, after: str, size: int) -> tuple[list[SharedIdentifier], str | None]:
    """Reads the next `size` identifiers after an ID. Returns those that records of several people share, and the ID
    after which to go on (None: there are no more)."""
    rows = await client.read(READ_SHARED_PAGE, after=after, size=size, most=MOST_HOLDERS)
    found = []
    for row in rows:
        holders = tuple(
            Holder(UserId(user), RecordId(record), source, RecordKind(kind), Grade(grade))
            for user, record, source, kind, grade in row["holders"]
        )
        if len({holder.user for holder in holders}) > 1:
            found.append(SharedIdentifier(row["id"], row["kind"], holders))
    return found, rows[-1]["id"] if len(rows) == size else None
