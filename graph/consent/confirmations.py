"""Confirmations that were asked for: statements that count once a person presses the button of a link.

Only a keyed hash of the link's token is stored. A confirmation is deleted some time after it expires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from graph.model.identity import RecordKind, RecordRef
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A statement that a record's person was asked to confirm, with the client that asked. `statement` is JSON text.
    `browser` is a keyed hash of the secret of the browser that asked; `kind` and `value` are the contact data that the
    link was sent to. Each may be absent. `confirmed_at` is None until it is confirmed."""

    id: str
    record: RecordRef
    statement: str
    actor: str
    expires_at: Millis
    browser: str | None = None
    kind: str | None = None
    value: str | None = None
    confirmed_at: Millis | None = None


WRITE_CONFIRMATION: Final = """
MATCH (r:Record {id: $record})
CREATE (c:Confirmation {id: $id})
SET c.statement = $stated, c.actor = $actor, c.expires_at = $expires_at, c.browser = $browser, c.kind = $kind,
    c.value = $value
CREATE (r)-[:ASKED]->(c)
RETURN c.id AS id
"""


async def write_confirmation(tx: Writer, asked: Confirmation) -> bool:
    """Stores a confirmation that is asked for. Returns False if its record is unknown."""
    rows = await tx.run(
        WRITE_CONFIRMATION,
        record=asked.record.id,
        id=asked.id,
        stated=asked.statement,
        actor=asked.actor,
        expires_at=asked.expires_at,
        browser=asked.browser,
        kind=asked.kind,
        value=asked.value,
    )
    return bool(rows)


READ_CONFIRMATION: Final = """
MATCH (c:Confirmation {id: $id})
MATCH (r:Record)-[:ASKED]->(c)
RETURN r.source AS source, r.kind AS record_kind, r.key AS key, c.statement AS statement, c.actor AS actor,
       c.expires_at AS expires_at, c.browser AS browser, c.kind AS kind, c.value AS value,
       c.confirmed_at AS confirmed_at
"""


async def read_confirmation(client: GraphClient, id_: str) -> Confirmation | None:
    """Reads a confirmation, whether or not it expired. None if there is none."""
    rows = await client.read(READ_CONFIRMATION, id=id_)
    if not rows:
        return None
    row = rows[0]
    return Confirmation(
        id=id_,
        record=RecordRef(row["source"], RecordKind(row["record_kind"]), row["key"]),
        statement=row["statement"],
        actor=row["actor"],
        expires_at=Millis(row["expires_at"]),
        browser=row["browser"],
        kind=row["kind"],
        value=row["value"],
        confirmed_at=row["confirmed_at"],
    )


FINISH_CONFIRMATION: Final = """
MATCH (c:Confirmation {id: $id})
SET c.confirmed_at = coalesce(c.confirmed_at, $now)
"""


async def finish_confirmation(tx: Writer, id_: str, now: Millis) -> None:
    """Marks a confirmation as confirmed, so that it can't be used again."""
    await tx.run(FINISH_CONFIRMATION, id=id_, now=now)


REMOVE_EXPIRED_CONFIRMATIONS: Final = """
MATCH (c:Confirmation)
WHERE c.expires_at < $before
WITH c LIMIT 100
DETACH DELETE c
"""


async def remove_expired_confirmations(tx: Writer, before: Millis) -> None:
    """Deletes up to 100 confirmations that expired before an instant."""
    await tx.run(REMOVE_EXPIRED_CONFIRMATIONS, before=before)
