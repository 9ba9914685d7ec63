"""Dead letters: rejected messages, kept with the reason, to be listed and replayed.

The payload is personal data: it is never logged, and only operators may read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from graph.model.identity import Proof
from graph.model.time import Millis
from graph.store.client import GraphClient, Row, Writer, chunk_rows

LONGEST_PAYLOAD: Final = 32_768
"""How many characters of a payload are kept. A longer one is marked as truncated and can't be replayed."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One rejected message. `payload` is what arrived, as text. The same payload from the same source, proven alike, is
    one letter, however often it arrives; `times` counts the arrivals. `from_file` tells that an operator loaded it from
    a file, so it may have one of our own line types, `imported` that the message states when it was received. `proof`
    is what proved its names when it arrived, by an issuer who may speak for the sources in `reach` (None: for any); the
    proof itself is not kept."""

    source: str
    reason: str
    message: str
    payload: str
    received_at: Millis
    field: str | None = None
    truncated: bool = False
    times: int = 1
    from_file: bool = False
    imported: bool = False
    proof: Proof | None = None
    reach: frozenset[str] | None = None

    @property
    def id(self) -> str:
        """Deterministic ID, 32 hex digits. What proves a letter is part of it, so that nobody who sends the same text
        without the proof changes it."""
        proof = "" if self.proof is None else f"\0{self.proof}"
        text = f"{self.source}\0{self.payload}{proof}".encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=16).hexdigest()


WRITE_LETTERS: Final = """
UNWIND $rows AS row
MERGE (d:DeadLetter {id: row[0]})
ON CREATE SET d.source = row[1], d.payload = row[4], d.times = 0, d.first_at = row[5]
SET d.reason = row[2], d.message = row[3], d.received_at = row[5], d.field = row[6], d.truncated = row[7],
    d.times = d.times + row[8], d.from_file = coalesce(d.from_file, false) OR row[9],
    d.imported = coalesce(d.imported, false) OR row[10], d.proof = coalesce(row[11], d.proof),
    d.reach = CASE WHEN row[11] IS NULL THEN d.reach ELSE row[12] END
"""


async def write_letters(tx: Writer, letters: Iterable[DeadLetter]) -> None:
    """Stores rejected messages, or counts them again if they are known."""
    rows = [
        [
            one.id,
            one.source,
            one.reason,
            one.message,
            one.payload,
            one.received_at,
            one.field,
            one.truncated,
            one.times,
            one.from_file,
            one.imported,
            one.proof and str(one.proof),
            None if one.reach is None else sorted(one.reach),
        ]
        for one in letters
    ]
    for chunk in chunk_rows(sorted(rows, key=lambda row: str(row[0])), size=100):
        await tx.run(WRITE_LETTERS, rows=list(chunk))


READ_LETTERS: Final = """
MATCH (d:DeadLetter)
WHERE d.id > $after AND ($source IS NULL OR d.source = $source) AND ($reason IS NULL OR d.reason = $reason)
RETURN d.id AS id, d.source AS source, d.reason AS reason, d.message AS message, d.payload AS payload,
       d.received_at AS received_at, d.field AS field, d.truncated AS truncated, d.times AS times,
       coalesce(d.from_file, false) AS from_file, coalesce(d.imported, false) AS imported, d.proof AS proof,
       d.reach AS reach
ORDER BY id
LIMIT $limit
"""


async def read_letters(
    client: GraphClient, limit: int, after: str = "", source: str | None = None, reason: str | None = None
) -> list[DeadLetter]:
    """Returns up to `limit` letters in the order of their IDs, starting after an ID."""
    rows = await client.read(READ_LETTERS, limit=limit, after=after, source=source, reason=reason)
    return [letter_of(row) for row in rows]


READ_NUMBER_OF_LETTERS: Final = """
MATCH (d:DeadLetter)
WHERE ($source IS NULL OR d.source = $source) AND ($reason IS NULL OR d.reason = $reason)
RETURN count(d) AS number
"""


async def count_letters(client: GraphClient, source: str | None = None, reason: str | None = None) -> int:
    """Returns the number of letters, of a source or with a reason if one is given."""
    rows = await client.read(READ_NUMBER_OF_LETTERS, source=source, reason=reason)
    return int(rows[0]["number"])


WRITE_REMOVALS: Final = """
UNWIND $ids AS id
MATCH (d:DeadLetter {id: id})
DELETE d
"""


async def remove_letters(tx: Writer, ids: Sequence[str]) -> None:
    """Deletes letters whose messages have been accepted."""
    await tx.run(WRITE_REMOVALS, ids=list(ids))


def letter_of(row: Row) -> DeadLetter:
    """Returns a row as a letter."""
    return DeadLetter(
        source=row["source"],
        reason=row["reason"],
        message=row["message"],
        payload=row["payload"],
        received_at=Millis(row["received_at"]),
        field=row["field"],
        truncated=bool(row["truncated"]),
        times=row["times"],
        from_file=row["from_file"],
        imported=row["imported"],
        proof=Proof(row["proof"]) if row["proof"] else None,
        reach=None if row["reach"] is None else frozenset(row["reach"]),
    )
