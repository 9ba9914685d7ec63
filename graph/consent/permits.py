"""The result of folding the consent log, as stored on each person: permits, when they expire, and the consent epoch."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from graph.consent.bars import HEARD, parse_bars
from graph.consent.log import RecordLog, parse_events, parse_standing
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
    their identifiers and, for a device, the person of the account that it counts for with proof."""

    stored: StoredPermits
    records: tuple[RecordLog, ...]
    bars: tuple[Bar, ...] = ()
    account: UserLog | None = None

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
       u.permit_ends AS ends, u.permit_grants AS grants, r.id AS record, events,
       [r.kind, r.key, s.trust, s.jurisdiction, r.source] AS standing,
       CASE WHEN r IS NULL THEN [] ELSE
         [(r)-[h:IDENTIFIED_BY|CLAIMS]->(i:Identifier) WHERE i.bars IS NOT NULL AND {HEARD} | [i.kind, i.bars]]
       END AS bars,
       CASE WHEN r IS NULL OR r.kind <> 'anonymous' THEN [] ELSE
         [(r)-[c:COUNTS_FOR]->(:Record)-[y:RESOLVES_TO]->(v:User)
           WHERE c.to IS NULL AND c.grade = 'proven' AND y.to IS NULL | v.id]
       END AS accounts
"""


async def read_user_logs(tx: Writer | GraphClient, users: Collection[UserId]) -> list[UserLog]:
    """Reads the stored permits and the log of each person: all live records, including those without statements, the
    bars on their identifiers, and the log of the account that a device counts for."""
    logs, accounts = await _read_logs(tx, users)
    known = {one.stored.user: one for one in logs}
    missing = set(accounts.values()) - known.keys()
    if missing:
        known |= {one.stored.user: one for one in (await _read_logs(tx, missing))[0]}
    return [
        replace(one, account=known.get(accounts[one.stored.user])) if one.stored.user in accounts else one
        for one in logs
    ]


async def _read_logs(tx: Writer | GraphClient, users: Collection[UserId]) -> tuple[list[UserLog], dict[UserId, UserId]]:
    """Reads people's logs, and for devices the person of the account that they count for with proof."""
    run = tx.run if isinstance(tx, Writer) else tx.read
    stored: dict[UserId, StoredPermits] = {}
    logs: dict[UserId, list[RecordLog]] = {}
    bars: dict[UserId, set[Bar]] = {}
    accounts: dict[UserId, UserId] = {}
    for row in await run(READ_USER_LOGS, users=sorted(users)):
        user = UserId(row["user"])
        stored[user] = _parse_permits(row)
        known = logs.setdefault(user, [])
        if row["record"] is not None:
            standing = parse_standing(row["standing"])
            known.append(RecordLog(row["record"], parse_events(row["record"], row["events"]), standing=standing))
            bars.setdefault(user, set()).update(
                bar for kind, text in row["bars"] for bar in parse_bars(text) if _hears(standing, kind, bar)
            )
            for account in row["accounts"]:
                accounts[user] = UserId(account)
    found = [UserLog(one, tuple(logs[user]), tuple(bars.get(user, ()))) for user, one in stored.items()]
    return found, accounts


READ_PROVEN_DEVICES: Final = """
UNWIND $users AS id
MATCH (:User {id: id})<-[x:RESOLVES_TO]-(:Record)<-[c:COUNTS_FOR]-(:Record)-[y:RESOLVES_TO]->(v:User)
WHERE x.to IS NULL AND c.to IS NULL AND c.grade = 'proven' AND y.to IS NULL
RETURN DISTINCT v.id AS user
"""


async def read_proven_devices(tx: Writer, users: Collection[UserId]) -> set[UserId]:
    """Reads the people that the devices are which count with proof for these people's accounts: they hear what is
    denied there."""
    return {UserId(row["user"]) for row in await tx.run(READ_PROVEN_DEVICES, users=sorted(users))}


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


def _hears(standing: Standing, kind: str, bar: Bar) -> bool:
    """Whether a record hears a bar on one of its identifiers. Accounts that used the same device may be two people of a
    family: they hear the device, not each other."""
    return standing.device or kind != "anonymous_id" or bar.device


def _parse_permits(row: Row) -> StoredPermits:
    """Lists that are missing become those of permits that no grant with an end decides, so that a refold that finds
    no such grant changes nothing."""
    permits, until = tuple(row["permits"] or ()), row["until"]
    ends = (until or 0,) * len(permits) if row["ends"] is None else tuple(row["ends"])
    grants = ("",) * len(permits) if row["grants"] is None else tuple(row["grants"])
    return StoredPermits(row["user"], permits, until, row["epoch"], ends, grants)
