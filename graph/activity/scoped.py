"""Interactions read for computation, only from people who permit the purpose.

Every read takes a `PermittedScope`, and the statement that reads also checks the permit. A person's behaviour is that
of their own records and of the devices that count for them, where both permit. Work is split into pages of people, so
that no statement runs long.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graph.access.terms import UNSETTLED
from graph.consent.permits import IN_FORCE
from graph.model.catalogue import ItemKey
from graph.model.identity import Grade, UserId
from graph.model.scope import PermittedScope
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer

PEOPLE_PAGE: Final = 2000
LEAVERS_PAGE: Final = 5000
HISTORIES_PAGE: Final = 200

_UNSETTLED: Final = f"""
MATCH (x:Source)
WHERE {UNSETTLED}
WITH collect(x.name) AS unsettled
"""
"""Begins every statement: the sources that are being re-derived. Usually there are none, and nothing is looked up."""

_PERMITTED: Final = f"u.retired_at IS NULL AND {IN_FORCE}"

_PERMITTED_BY_V: Final = _PERMITTED.replace("u.", "v.")
"""The same for another user."""

_SETTLED: Final = """CASE WHEN size(unsettled) = 0 THEN true
  ELSE size([(u)<-[q:RESOLVES_TO]-(o:Record) WHERE q.to IS NULL AND o.source IN unsettled | o.id]) = 0 END"""
"""Whether no record of the person comes from an unsettled source."""

_IN_SCOPE: Final = f"{_PERMITTED} AND {_SETTLED}"

READ_PEOPLE_IN_SCOPE: Final = f"""{_UNSETTLED}
MATCH (u:User)
WHERE u.id > $after AND {_IN_SCOPE}
WITH u ORDER BY u.id LIMIT $limit
RETURN u.id AS user, coalesce(u.consent_epoch, 0) AS epoch, coalesce(u.created_at, 0) AS since,
  size([(u)<-[k:RESOLVES_TO]-(a:Record) WHERE k.to IS NULL AND a.kind = 'user' | a.id]) > 0 AS account,
  size([(u)<-[dl:RESOLVES_TO]-(:Record)-[:COUNTS_FOR]->(:Record)-[vl:RESOLVES_TO]->(v:User)
    WHERE dl.to IS NULL AND vl.to IS NULL AND {_PERMITTED_BY_V} | v.id]) > 0 AS counted
ORDER BY user
"""


@dataclass(frozen=True, slots=True)
class PersonInScope:
    """What a computation knows about a person besides their behaviour: their consent epoch, when they were created,
    whether they have an account record. `counted`: a device that counts for an account that also permits the purpose.
    Its behaviour is the account's, so it is no person of its own."""

    epoch: int
    since: Millis
    account: bool
    counted: bool


async def read_people_in_scope(client: GraphClient, scope: PermittedScope) -> dict[UserId, PersonInScope]:
    """Returns everyone in scope, sorted by ID."""
    found: dict[UserId, PersonInScope] = {}
    after = ""
    while True:
        rows = await client.read(READ_PEOPLE_IN_SCOPE, after=after, limit=PEOPLE_PAGE, **bind_scope(scope))
        for row in rows:
            found[UserId(row["user"])] = PersonInScope(row["epoch"], row["since"], row["account"], row["counted"])
        if len(rows) < PEOPLE_PAGE:
            return found
        after = rows[-1]["user"]


READ_STILL_IN_SCOPE: Final = f"""{_UNSETTLED}
UNWIND $users AS id
MATCH (u:User {{id: id}})
WHERE {_IN_SCOPE}
RETURN u.id AS user
"""


async def read_still_in_scope(
    client: GraphClient | Writer, users: Collection[UserId], scope: PermittedScope
) -> set[UserId]:
    """Returns which of these people are in scope. Within a transaction, lock them first (`locks.lock_users`)."""
    read = client.run if isinstance(client, Writer) else client.read
    rows = await read(READ_STILL_IN_SCOPE, users=sorted(users), **bind_scope(scope))
    return {UserId(row["user"]) for row in rows}


READ_LEAVERS: Final = f"""{_UNSETTLED}
MATCH (u:User)
WHERE u.permits_changed_at >= $since AND (u.permits_changed_at > $since OR u.id > $after)
  AND coalesce(u.created_at, 0) <= $created AND NOT coalesce({_IN_SCOPE}, false)
WITH u ORDER BY u.permits_changed_at, u.id LIMIT $limit
RETURN u.id AS user, u.permits_changed_at AS at
ORDER BY at, user
"""

READ_SUCCEEDED: Final = f"""{_UNSETTLED}
UNWIND $users AS id
MATCH (:User {{id: id}})-[:RETIRED_INTO*1..]->(u:User)
WHERE {_IN_SCOPE}
RETURN id AS user
"""


@dataclass(frozen=True, slots=True)
class Changes:
    """Which changes of permits to look for: those since an instant, of people created by another."""

    since: Millis
    created: Millis


async def read_leavers(
    client: GraphClient, changes: Changes, scope: PermittedScope
) -> AsyncGenerator[dict[UserId, Millis]]:
    """Yields the people whose permits changed and who are not in scope, each with the instant of the change, in pages,
    the earliest first. A person merged into one who is in scope has not left."""
    since, after, bound = changes.since, "", bind_scope(scope)
    while True:
        rows = await client.read(
            READ_LEAVERS, since=since, after=after, created=changes.created, limit=LEAVERS_PAGE, **bound
        )
        found = {UserId(row["user"]): Millis(row["at"]) for row in rows}
        succeeded = await client.read(READ_SUCCEEDED, users=sorted(found), **bound) if found else []
        stayed = {row["user"] for row in succeeded}
        yield {user: at for user, at in found.items() if user not in stayed}
        if len(rows) < LEAVERS_PAGE:
            return
        since, after = Millis(rows[-1]["at"]), rows[-1]["user"]


READ_ACCOUNT: Final = "MATCH (r:Record) WHERE r.kind = 'user' RETURN r.id AS id LIMIT 1"


async def has_accounts(client: GraphClient) -> bool:
    """Whether the store holds any account record."""
    return bool(await client.read(READ_ACCOUNT))


_GIVERS: Final = f"""{_UNSETTLED}
UNWIND $users AS id
MATCH (u:User {{id: id}})
WHERE {_IN_SCOPE}
WITH u.id AS user,
  [(u)<-[l:RESOLVES_TO]-(own:Record) WHERE l.to IS NULL | [own.id, u.id, 'proven']]
  + [(u)<-[l:RESOLVES_TO]-(:Record)<-[c:COUNTS_FOR]-(d:Record)-[dl:RESOLVES_TO]->(v:User)
     WHERE l.to IS NULL AND dl.to IS NULL AND NOT d.source IN unsettled
       AND {_PERMITTED_BY_V} | [d.id, v.id, c.grade]] AS givers
UNWIND givers AS giver
"""
"""The records whose behaviour is a person's, each as its ID, the user who permits its use, and the grade at which it
counts for the person: their own records, then devices."""


@dataclass(frozen=True, slots=True)
class SessionHistory:
    """One session's interactions with items, in five lists of equal length. `graded` tells whether an interaction
    carries a value of its own, such as a rating. `giver` is the user that the session's own record belongs to, whose
    permit is needed too: the person, or a device that counts for them. `proven`: the session is the person's beyond
    doubt, not only claimed."""

    user: UserId
    giver: UserId
    proven: bool
    items: list[ItemKey]
    types: list[str]
    at: list[Millis]
    weights: list[float]
    graded: list[bool]


READ_HISTORIES: Final = f"""{_GIVERS}
MATCH (:Record {{id: giver[0]}})-[:HAD]->(s:Session)-[e]->(i:Item)
RETURN user, giver[1] AS giver, giver[2] AS grade, s.id AS session, collect(i.key) AS items, collect(type(e)) AS types,
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
            SessionHistory(
                row["user"],
                row["giver"],
                row["grade"] == Grade.PROVEN,
                row["items"],
                row["types"],
                row["at"],
                row["weights"],
                row["graded"],
            )
            for row in rows
        ]


@dataclass(frozen=True, slots=True)
class PurchaseSums:
    """What RFM needs to know about one person: latest purchase, number of purchases, and their value less refunds.
    `givers` are the users whose records they come from (see `SessionHistory`)."""

    user: UserId
    latest: Millis
    purchases: int
    value: float
    givers: tuple[UserId, ...]


READ_PURCHASE_SUMS: Final = f"""{_GIVERS}
MATCH (:Record {{id: giver[0]}})-[:HAD]->(:Session)-[e]->()
WHERE e.at >= $since AND e.at <= $until AND type(e) IN $counted + $refunded
WITH user, giver, e, type(e) IN $counted AS bought
WITH user, collect(DISTINCT giver[1]) AS givers, max(CASE WHEN bought THEN e.at ELSE NULL END) AS latest,
     count(DISTINCT CASE WHEN bought THEN coalesce(e.order, e.message_id) ELSE NULL END) AS purchases,
     sum(CASE WHEN bought THEN coalesce(e.value, 0.0) ELSE -abs(coalesce(e.value, 0.0)) END) AS value
WHERE purchases > 0
RETURN user, latest, purchases, value, givers
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
        found.extend(
            PurchaseSums(row["user"], row["latest"], row["purchases"], row["value"], tuple(sorted(row["givers"])))
            for row in rows
        )
    return found


def bind_scope(scope: PermittedScope) -> dict[str, Any]:
    """Returns a scope as the parameters of these statements."""
    return {"permit": scope.permit, "blanket": scope.blanket, "barred": scope.barred, "now": scope.now}
