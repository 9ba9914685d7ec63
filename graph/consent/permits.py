"""The result of folding the consent log, as stored on each person: permits, when they expire, and the consent epoch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from graph.consent.bars import HEARD, parse_bars
from graph.consent.log import RecordLog, log_of
from graph.model.consent import Bar, ConsentEvent, Standing
from graph.model.identity import RecordId, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, Row, Writer, chunk_rows


@dataclass(frozen=True, slots=True)
class StoredPermits:
    """The permits stored on one person. `until` is when they must be folded again, or None. `ends` and `grants` have
    the order of `permits`: until when each may be relied on (0: no end), and the grant that decides it (or empty)."""

    user: UserId
    permits: tuple[str, ...]
    until: Millis | None
    epoch: int = 0
    ends: tuple[int, ...] = ()
    grants: tuple[str, ...] = ()


IN_FORCE: Final = """
($permit IN u.permits OR ($blanket IN u.permits AND NOT $barred IN u.permits))
  AND (u.permits_until IS NULL OR u.permits_until > $now OR any(i IN range(0, size(u.permits) - 1)
    WHERE u.permits[i] = CASE WHEN $permit IN u.permits THEN $permit ELSE $blanket END
      AND (u.permit_ends[i] = 0 OR u.permit_ends[i] > $now)))
"""
"""The condition that a user `u` permits a purpose at `$now`. While no refold is due, no list is walked. People written
before permits had ends have no `permit_ends`: all their permits end at `permits_until`."""


@dataclass(frozen=True, slots=True)
class UserLog:
    """A person's stored permits, and what they should follow from: the logs of the person's live records, the bars on
    their identifiers and, for a device, the people of the accounts that proved to use it."""

    stored: StoredPermits
    records: tuple[RecordLog, ...]
    bars: tuple[Bar, ...] = ()
    accounts: tuple[UserLog, ...] = ()

    @property
    def events(self) -> list[ConsentEvent]:
        """All consent events of the person."""
        return [event for record in self.records for event in record.events]

    @property
    def standings(self) -> dict[RecordId, Standing]:
        """What each record's statements are worth."""
        return {record.record: record.standing for record in self.records}


# The embedded engine takes a pattern that starts at null for one that starts anywhere, hence the CASE.
READ_USER_LOGS: Final = f"""
UNWIND $users AS id
MATCH (u:User {{id: id}})
OPTIONAL MATCH (u)<-[x:RESOLVES_TO]-(r:Record)
WHERE x.to IS NULL
OPTIONAL MATCH (r)-[:FROM]->(s:Source)
OPTIONAL MATCH (r)-[:DECIDED]->(e:ConsentEvent)
WITH u, r, s, collect(properties(e)) AS events
RETURN u.id AS user, u.permits AS permits, u.permits_until AS until, coalesce(u.consent_epoch, 0) AS epoch,
       u.permit_ends AS ends, u.permit_grants AS grants, r.id AS record, events, r.denied_since AS since,
       [r.kind, r.key, s.trust, s.jurisdiction, r.source] AS standing,
       CASE WHEN r IS NULL THEN [] ELSE
         [(r)-[h:IDENTIFIED_BY|CLAIMS]->(i:Identifier) WHERE i.bars IS NOT NULL AND {HEARD} |
           [i.kind, i.bars, i.id, coalesce(h.heard, false) OR coalesce(h.grade, 'proven') <> 'proven', h.ended]]
       END AS bars,
       CASE WHEN r IS NULL THEN [] ELSE
         [(r)-[l:LINKED]-(:Record) WHERE l.status = 'active' AND l.evidence IS NOT NULL | l.evidence]
       END AS linked,
       CASE WHEN r IS NULL OR r.kind <> 'anonymous' THEN [] ELSE
         [(r)-[:CLAIMS]->(n:Identifier)<-[g:IDENTIFIED_BY]-(a:Record)-[y:RESOLVES_TO]->(v:User)
           WHERE n.kind = 'anonymous_id' AND n.value = r.key AND a.kind = 'user'
             AND coalesce(g.grade, 'proven') = 'proven' AND y.to IS NULL | [g.since, v.id]]
       END AS accounts
"""


async def read_user_logs(tx: Writer | GraphClient, users: Collection[UserId]) -> list[UserLog]:
    """Reads the stored permits and the log of each person: all live records, including those without statements, the
    bars on their identifiers, and the logs of the first MOST_ACCOUNTS that proved to use a device."""
    logs, accounts = await _read_logs(tx, users)
    known = {one.stored.user: one for one in logs}
    missing = {account for some in accounts.values() for account in some} - known.keys()
    if missing:
        known |= {one.stored.user: one for one in (await _read_logs(tx, missing))[0]}
    return [
        replace(one, accounts=tuple(known[each] for each in accounts.get(one.stored.user, ()) if each in known))
        for one in logs
    ]


MOST_ACCOUNTS: Final = 100
"""How many of the accounts that proved to use a device it hears directly: those that did first. All leave bars."""


async def _read_logs(
    tx: Writer | GraphClient, users: Collection[UserId]
) -> tuple[list[UserLog], dict[UserId, list[UserId]]]:
    """Reads people's logs, and for devices the people of the accounts that proved to use them."""
    run = tx.run if isinstance(tx, Writer) else tx.read
    stored: dict[UserId, StoredPermits] = {}
    logs: dict[UserId, list[RecordLog]] = {}
    bars: dict[UserId, set[Bar]] = {}
    accounts: dict[UserId, list[UserId]] = {}
    for row in await run(READ_USER_LOGS, users=sorted(users)):
        user = UserId(row["user"])
        stored[user] = _parse_permits(row)
        known = logs.setdefault(user, [])
        if row["record"] is not None:
            log = log_of(row)
            known.append(log)
            heard = bars.setdefault(user, set())
            for kind, text, identifier, unproven, ended in row["bars"]:
                since = None if identifier in row["linked"] else ended
                heard.update(_hear(parse_bars(text), log.standing, kind, unproven=bool(unproven), ended=since))
            if row["accounts"]:
                first = dict.fromkeys(UserId(account) for _, account in sorted(row["accounts"]))
                accounts[user] = list(first)[:MOST_ACCOUNTS]
    found = [UserLog(one, tuple(logs[user]), tuple(bars.get(user, ()))) for user, one in stored.items()]
    return found, accounts


READ_SUCCESSORS: Final = """
UNWIND $users AS id
MATCH (u:User {id: id})-[:RETIRED_INTO]->(next:User)
RETURN next.id AS user
"""


async def read_successors(tx: Writer, users: Collection[UserId]) -> set[UserId]:
    """Reads the users that these were retired into, one step further."""
    return {UserId(row["user"]) for row in await tx.run(READ_SUCCESSORS, users=sorted(users))}


WRITE_PERMITS: Final = """
UNWIND $rows AS row
MATCH (u:User {id: row.user})
SET u.permits = row.permits, u.permit_ends = row.ends, u.permit_grants = row.grants, u.permits_until = row.until,
  u.consent_epoch = coalesce(u.consent_epoch, 0) + 1, u.permits_changed_at = $now
"""


async def write_permits(tx: Writer, changed: Iterable[StoredPermits], now: Millis) -> None:
    """Stores new permits and raises the consent epoch by one. The caller ends the memberships that
    they no longer allow."""
    rows = [
        {
            "user": one.user,
            "permits": list(one.permits),
            "until": one.until,
            "ends": list(one.ends),
            "grants": list(one.grants),
        }
        for one in changed
    ]
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_PERMITS, rows=list(chunk), now=now)


READ_STALE_USERS: Final = """
MATCH (u:User)
WHERE u.permits_until <= $now
RETURN u.id AS user
LIMIT $limit
"""


async def read_stale_users(client: GraphClient, now: Millis, limit: int) -> list[UserId]:
    """Reads up to `limit` people whose stored permits have become stale."""
    return [UserId(row["user"]) for row in await client.read(READ_STALE_USERS, now=now, limit=limit)]


READ_USER_PAGE: Final = """
MATCH (u:User)
WHERE u.id > $after
RETURN u.id AS user
ORDER BY user
LIMIT $limit
"""


async def read_user_page(client: GraphClient, after: str, limit: int) -> list[UserId]:
    """Reads up to `limit` people in the order of their IDs, including retired ones, starting after an ID."""
    return [UserId(row["user"]) for row in await client.read(READ_USER_PAGE, after=after, limit=limit)]


def _hear(bars: Iterable[Bar], standing: Standing, kind: str, *, unproven: bool, ended: Millis | None) -> Iterator[Bar]:
    """Yields what a record hears of the bars on one of its identifiers.

    Accounts that used the same device may be two people of a family: they hear the device, not each other. Since a
    record's holding ended, the identifier may be somebody else's. Where the holding isn't proven, the record may be
    somebody else's who typed it in: it hears that the purpose is denied, and not to whom.
    """
    for bar in bars:
        if (standing.device or kind != "anonymous_id" or bar.device) and (ended is None or bar.since < ended):
            heard = bar if ended is None else bar._replace(at=min(bar.at, ended))
            yield heard._replace(recipient=None) if unproven else heard


def _parse_permits(row: Row) -> StoredPermits:
    """Lists that are missing become those of permits that no grant with an end decides, so that a refold that finds
    no such grant changes nothing."""
    permits, until = tuple(row["permits"] or ()), row["until"]
    ends = (until or 0,) * len(permits) if row["ends"] is None else tuple(row["ends"])
    grants = ("",) * len(permits) if row["grants"] is None else tuple(row["grants"])
    return StoredPermits(row["user"], permits, until, row["epoch"], ends, grants)
