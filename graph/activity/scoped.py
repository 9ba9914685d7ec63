"""Interactions read for computation, only from people who permit the purpose.

Every read takes a `PermittedScope`, and the statement that reads also checks the permit. Work is split into pages of
people, so that no statement runs long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graph.consent.permits import IN_FORCE
from graph.model.catalogue import ItemKey
from graph.model.identity import UserId
from graph.model.scope import PermittedScope
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer

PEOPLE_PAGE: Final = 2000
HISTORIES_PAGE: Final = 200

_IN_SCOPE: Final = f"u.retired_at IS NULL AND {IN_FORCE}"

READ_PEOPLE_IN_SCOPE: Final = f"""
MATCH (u:User)
WHERE u.id > $after AND {_IN_SCOPE}
RETURN u.id AS user, coalesce(u.consent_epoch, 0) AS epoch
ORDER BY user
LIMIT $limit
"""


async def read_people_in_scope(client: GraphClient, scope: PermittedScope) -> dict[UserId, int]:
    """Returns everyone in scope, sorted by ID, with their consent epoch."""
    found: dict[UserId, int] = {}
    after = ""
    while True:
        rows = await client.read(READ_PEOPLE_IN_SCOPE, after=after, limit=PEOPLE_PAGE, **bind_scope(scope))
        found.update((UserId(row["user"]), row["epoch"]) for row in rows)
        if len(rows) < PEOPLE_PAGE:
            return found
        after = rows[-1]["user"]


READ_STILL_IN_SCOPE: Final = f"""
UNWIND $users AS id
MATCH (u:User {{id: id}})
WHERE {_IN_SCOPE}
RETURN u.id AS user
"""


async def read_still_in_scope(tx: Writer, users: Collection[UserId], scope: PermittedScope) -> set[UserId]:
    """Returns which of these people are in scope. The transaction has locked them already (`locks.lock_users`)."""
    rows = await tx.run(READ_STILL_IN_SCOPE, users=sorted(users), **bind_scope(scope))
    return {UserId(row["user"]) for row in rows}


@dataclass(frozen=True, slots=True)
class SessionHistory:
    """One session's interactions with items, in five lists of equal length. `graded` tells whether an interaction
    carries a value of its own, such as a rating."""

    user: UserId
    items: list[ItemKey]
    types: list[str]
    at: list[Millis]
    weights: list[float]
    graded: list[bool]


READ_HISTORIES: Final = f"""
UNWIND $users AS id
MATCH (u:User {{id: id}})<-[l:RESOLVES_TO]-(:Record)-[:HAD]->(s:Session)-[e]->(i:Item)
WHERE l.to IS NULL AND {_IN_SCOPE}
RETURN id AS user, s.id AS session, collect(i.key) AS items, collect(type(e)) AS types,
       collect(coalesce(e.at, 0)) AS at, collect(coalesce(e.weight, 1.0)) AS weights,
       collect(e.value IS NOT NULL) AS graded
"""


async def read_histories(
    client: GraphClient, users: Sequence[UserId], scope: PermittedScope
) -> AsyncIterator[list[SessionHistory]]:
    """Yields the interactions with items of the people who are in scope, a page of people at a time. A session takes
    one row on the wire, 50 bytes per interaction; one row per interaction would cost three times that."""
    for start in range(0, len(users), HISTORIES_PAGE):
        page = list(users[start : start + HISTORIES_PAGE])
        rows = await client.read(READ_HISTORIES, users=page, **bind_scope(scope))
        yield [
            SessionHistory(row["user"], row["items"], row["types"], row["at"], row["weights"], row["graded"])
            for row in rows
        ]


@dataclass(frozen=True, slots=True)
class PurchaseSums:
    """What RFM needs to know about one person: latest purchase, number of purchases, and their value less refunds."""

    user: UserId
    latest: Millis
    purchases: int
    value: float


READ_PURCHASE_SUMS: Final = f"""
UNWIND $users AS id
MATCH (u:User {{id: id}})<-[l:RESOLVES_TO]-(:Record)-[:HAD]->(:Session)-[e]->()
WHERE l.to IS NULL AND e.at >= $since AND e.at <= $until AND type(e) IN $counted + $refunded AND {_IN_SCOPE}
WITH id, e, type(e) IN $counted AS bought
WITH id, max(CASE WHEN bought THEN e.at ELSE NULL END) AS latest,
     count(DISTINCT CASE WHEN bought THEN coalesce(e.order, e.message_id) ELSE NULL END) AS purchases,
     sum(CASE WHEN bought THEN coalesce(e.value, 0.0) ELSE -abs(coalesce(e.value, 0.0)) END) AS value
WHERE purchases > 0
RETURN id AS user, latest, purchases, value
ORDER BY user
"""


@dataclass(frozen=True, slots=True)
class PurchaseWindow:
    """Which interaction types count as purchases and as refunds, and between which instants (both inclusive)."""

    counted: tuple[str, ...]
    refunded: tuple[str, ...]
    since: Millis
    until: Millis


async def read_purchase_sums(
    client: GraphClient, users: Sequence[UserId], window: PurchaseWindow, scope: PermittedScope
) -> list[PurchaseSums]:
    """Returns the sums of the people who are in scope and bought something within the window. All products of one order
    count as one purchase."""
    found: list[PurchaseSums] = []
    for start in range(0, len(users), HISTORIES_PAGE):
        rows = await client.read(
            READ_PURCHASE_SUMS,
            users=list(users[start : start + HISTORIES_PAGE]),
            counted=list(window.counted),
            refunded=list(window.refunded),
            since=window.since,
            until=window.until,
            **bind_scope(scope),
        )
        found.extend(PurchaseSums(**row) for row in rows)
    return found


def bind_scope(scope: PermittedScope) -> dict[str, Any]:
    """Returns a scope as the parameters of these statements."""
    return {"permit": scope.permit, "blanket": scope.blanket, "barred": scope.barred, "now": scope.now}
