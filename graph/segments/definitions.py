"""Definitions of segments: written by runs, read by key or in pages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from orjson import dumps

from graph.model.recommendation import RunId
from graph.model.segments import SegmentFacts, SegmentKey
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows


@dataclass(frozen=True, slots=True)
class SegmentDefinition:
    """A segment to write. `definition` is the configuration that it is computed by; when that changes, the segment's
    version increases. `shown`: enough people are in it for everybody to know of it."""

    key: SegmentKey
    kind: str
    title: str
    description: str
    purpose: str
    definition: Mapping[str, Any] = field(default_factory=dict)
    shown: bool = False


WRITE_SEGMENTS: Final = """
UNWIND $rows AS row
MERGE (s:Segment {key: row.key})
ON CREATE SET s.created_at = $now
WITH s, row, CASE WHEN s.definition IS NULL THEN 1 WHEN s.definition = row.definition THEN s.version
                  ELSE s.version + 1 END AS version
SET s.kind = row.kind, s.title = row.title, s.description = row.description, s.purpose = row.purpose,
    s.version = version, s.definition = row.definition, s.run = $run, s.updated_at = $now,
    s.shown = row.shown AND coalesce(s.shown, false)
"""


async def write_segments(client: GraphClient, segments: Sequence[SegmentDefinition], run: RunId, now: Millis) -> None:
    """Creates or updates segments. One that becomes shown does so with `show_segments`, once it has its members."""
    rows = [
        {
            "key": segment.key,
            "kind": segment.kind,
            "title": segment.title,
            "description": segment.description,
            "purpose": segment.purpose,
            "definition": dumps(dict(segment.definition)).decode(),
            "shown": segment.shown,
        }
        for segment in segments
    ]

    async def work(tx: Writer) -> None:
        for chunk in chunk_rows(rows):
            await tx.run(WRITE_SEGMENTS, rows=list(chunk), run=run, now=now)

    await client.write(work)


WRITE_SHOWN: Final = """
MATCH (s:Segment)
WHERE s.kind = $kind
SET s.shown = s.key IN $keys
"""


async def show_segments(client: GraphClient, kind: str, keys: Sequence[SegmentKey]) -> None:
    """Shows these segments of a kind to everybody, and no others of that kind."""

    async def work(tx: Writer) -> None:
        await tx.run(WRITE_SHOWN, kind=kind, keys=list(keys))

    await client.write(work)


READ_KEYS_OF_KIND: Final = """
MATCH (s:Segment)
WHERE s.kind = $kind
RETURN s.key AS key
ORDER BY key
"""


async def read_keys_of_kind(client: GraphClient, kind: str) -> list[SegmentKey]:
    """Returns the keys of all segments of a kind, sorted."""
    return [SegmentKey(row["key"]) for row in await client.read(READ_KEYS_OF_KIND, kind=kind)]


_SEGMENT: Final = """
RETURN s.key AS key, coalesce(s.purpose, $default_purpose) AS purpose, s.title AS title, s.kind AS kind,
       s.description AS description, s.version AS version, s.updated_at AS updated_at,
       coalesce(s.shown, false) AS shown
ORDER BY key LIMIT $limit
"""


READ_SEGMENT: Final = "MATCH (s:Segment {key: $key})" + _SEGMENT


READ_SEGMENTS: Final = (
    """
MATCH (s:Segment)
WHERE s.key > $after AND (NOT $shown OR coalesce(s.shown, false)) AND NOT coalesce(s.kind, '') IN $hidden
"""
    + _SEGMENT
)


async def read_segment(client: GraphClient, key: SegmentKey, *, default_purpose: str) -> SegmentFacts | None:
    """Returns a segment, or None if there is none with this key. A segment without a purpose gets the default one."""
    rows = await client.read(READ_SEGMENT, key=key, default_purpose=default_purpose, limit=1)
    return SegmentFacts(**rows[0]) if rows else None


async def read_segments(
    client: GraphClient,
    limit: int,
    after: str = "",
    *,
    default_purpose: str,
    shown: bool = False,
    hidden: Collection[str] = (),
) -> list[SegmentFacts]:
    """Returns up to `limit` segments in the order of their keys, starting after a key: with `shown`, only those that
    everybody may know of, and none of a `hidden` kind."""
    rows = await client.read(
        READ_SEGMENTS, default_purpose=default_purpose, limit=limit, after=after, shown=shown, hidden=sorted(hidden)
    )
    return [SegmentFacts(**row) for row in rows]
