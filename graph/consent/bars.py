"""Bars: the denials that records left on their identifiers, for everyone who holds the same identifier.

Per record, purpose, recipient and assurance, the first and the latest denial count, so writing a bar is a minimum and a
maximum: bars don't depend on the order of processing. None is ever removed, and none hides another: a record doesn't
hear its own bars, and a former holder hears only denials that began before it gave the identifier up. So where a link
ends because of a cap, a limit or a lowered trust, the denials of either side still bar the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import reduce
from typing import Final, NamedTuple

from orjson import dumps, loads

from graph.model.consent import Bar
from graph.model.identity import Grade, RecordId, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows

MOST_IDENTIFIERS: Final = 16
"""How many of its identifiers a record leaves its denials on, beside those that link it or once did: contact data, then
those it has had longest, devices last."""

MOST_DENIERS: Final = 8
"""How many records with the same denial an identifier names. If there are more, all hear it."""

NOBODY: Final = RecordId("")
"""Stands for the records of a bar that no longer names them."""

MOST_HEARERS: Final = 20
"""How many people of an identifier are refolded with a denial. If there are more, all are marked stale instead."""

MOST_MARKED: Final = 500
"""How many people of an identifier are marked stale with a denial. If there are more, a server marks them beside its
requests."""

READ_BARRABLE: Final = """
UNWIND $records AS record
MATCH (r:Record {id: record})
RETURN record,
  [(r)-[held:IDENTIFIED_BY|CLAIMS]->(i:Identifier) |
    [i.kind = 'anonymous_id', NOT i.kind IN ['email', 'phone'], held.since, i.id, coalesce(held.grade, 'claimed')]
  ] AS held,
  [(r)-[l:LINKED]-(:Record) WHERE l.status = 'active' AND l.evidence IS NOT NULL | l.evidence] AS linked
"""


async def read_barrable(tx: Writer, records: Collection[RecordId]) -> dict[RecordId, dict[str, Grade]]:
    """Reads the identifiers on which each record leaves its denials, with their grades: all that link it with other
    records or once did, and up to MOST_IDENTIFIERS others."""
    found: dict[RecordId, dict[str, Grade]] = {}
    for row in await tx.run(READ_BARRABLE, records=sorted(records)):
        known: dict[str, Grade] = {}
        for *_, identifier, grade in sorted(row["held"]):
            known[identifier] = max(known.get(identifier, Grade.CLAIMED), Grade(grade), key=lambda one: one.rank)
        linked = set(row["linked"])
        others = [identifier for identifier in known if identifier not in linked][:MOST_IDENTIFIERS]
        kept = {one: grade for one, grade in known.items() if one in linked or one in others}
        if kept:
            found[RecordId(row["record"])] = kept
    return found


MOST_SHARED: Final = 64
"""How many identifiers of the person's other records a record leaves its denials on: those held longest."""

READ_SHARED: Final = """
UNWIND $records AS id
MATCH (r:Record {id: id, kind: 'user'})-[x:RESOLVES_TO]->(u:User)<-[y:RESOLVES_TO]-(q:Record {kind: 'user'})
WHERE x.to IS NULL AND y.to IS NULL AND q.id <> r.id
MATCH (q)-[held:IDENTIFIED_BY]->(i:Identifier)
WHERE coalesce(held.grade, 'proven') = 'proven' AND NOT i.kind IN ['user_id', 'anonymous_id'] AND i.degree > 1
  AND EXISTS {
    MATCH (i)<-[other:IDENTIFIED_BY]-(o:Record {kind: 'user'})-[z:RESOLVES_TO]->(v:User)
    WHERE coalesce(other.grade, 'proven') = 'proven' AND z.to IS NULL AND v.id <> u.id
  }
RETURN id AS record, collect([held.since, i.id]) AS held
"""


async def read_shared(tx: Writer, records: Collection[RecordId]) -> dict[RecordId, list[str]]:
    """Reads on which identifiers of the same person's other accounts each account leaves its denials: those that
    another person's account holds, too, though nothing links the two. User IDs are left out: they link, except by
    somebody's decision."""
    rows = await tx.run(READ_SHARED, records=sorted(records))
    return {
        RecordId(row["record"]): list(dict.fromkeys(identifier for _, identifier in sorted(row["held"])))[:MOST_SHARED]
        for row in rows
    }


READ_DENYING_MATES: Final = """
UNWIND $users AS id
MATCH (u:User {id: id})<-[x:RESOLVES_TO]-(r:Record {kind: 'user'})
WHERE x.to IS NULL AND r.denies = true AND EXISTS {
  MATCH (u)<-[y:RESOLVES_TO]-(q:Record {kind: 'user'})
  WHERE y.to IS NULL AND q.id <> r.id
}
RETURN collect(r.id) AS records
"""


async def read_denying_mates(tx: Writer, users: Collection[UserId]) -> set[RecordId]:
    """Returns the accounts that ever denied anything, of people who have more than one account."""
    return {RecordId(record) for record in (await tx.run(READ_DENYING_MATES, users=sorted(users)))[0]["records"]}


WRITE_BAR_LOCKS: Final = """
UNWIND $identifiers AS identifier
MATCH (i:Identifier {id: identifier})
SET i._v = coalesce(i._v, 0) + 1
RETURN collect([i.id, i.bars]) AS bars
"""

WRITE_BARS: Final = """
UNWIND $rows AS row
MATCH (i:Identifier {id: row[0]})
SET i.bars = row[1]
"""


async def add_bars(tx: Writer, bars: Mapping[str, Iterable[Bar]]) -> set[str]:
    """Adds bars by identifier ID, under the identifiers' locks. Returns the identifiers whose bars this changed."""
    changed: dict[str, str] = {}
    for chunk in chunk_rows(sorted(bars)):
        for identifier, text in (await tx.run(WRITE_BAR_LOCKS, identifiers=list(chunk)))[0]["bars"]:
            merged = write_bars(merge_bars([*parse_bars(text), *bars[identifier]]))
            if merged != text:
                changed[identifier] = merged
    for rows in chunk_rows([list(row) for row in sorted(changed.items())]):
        await tx.run(WRITE_BARS, rows=list(rows))
    return set(changed)


READ_DENYING_RECORDS: Final = """
UNWIND $records AS id
MATCH (r:Record {id: id})
WHERE r.denies = true
RETURN collect(id) AS records
"""


async def read_denying_records(tx: Writer, records: Collection[RecordId]) -> set[RecordId]:
    """Returns which of the records ever denied anything."""
    return {RecordId(record) for record in (await tx.run(READ_DENYING_RECORDS, records=sorted(records)))[0]["records"]}


HEARD: Final = """
(type(h) = 'IDENTIFIED_BY' OR h.heard = true OR i.kind = 'former_person'
  OR (i.kind = 'anonymous_id' AND r.key = i.value))
"""
"""The condition that a record `r` hears the bars on an identifier `i`, over the edge `h`. A mere claim hears nothing:
otherwise a stranger could claim an address and learn what its owner denies. A device hears of its own name, and a
record of what it held before the trust of its source was lowered."""

READ_HEARERS: Final = f"""
UNWIND $identifiers AS identifier
MATCH (i:Identifier {{id: identifier}})
RETURN identifier, COLLECT {{
  MATCH (i)<-[h:IDENTIFIED_BY|CLAIMS]-(r:Record)-[x:RESOLVES_TO]->(u:User)
  WHERE x.to IS NULL AND {HEARD}
  RETURN DISTINCT u.id LIMIT $most
}} AS users
"""

WRITE_STALE: Final = """
UNWIND $users AS id
MATCH (u:User {id: id})
WHERE coalesce(u.permits_until, 2) <> 1
SET u.permits_until = 1, u.permit_ends = [permit IN u.permits | 1], u.permits_changed_at = $now
"""

WRITE_UNHEARD: Final = """
UNWIND $identifiers AS identifier
MATCH (i:Identifier {id: identifier})
SET i.unheard_since = $now
"""


async def find_hearers(tx: Writer, identifiers: Collection[str], now: Millis) -> set[UserId]:
    """Returns the people who hear the bars on one of the identifiers. Where an identifier has more than MOST_HEARERS,
    its people are marked stale instead: what they permitted is over until they are refolded. Where there are more than
    MOST_MARKED, they are left to `read_unheard`, so that no withdrawal waits for thousands of others."""
    found: set[UserId] = set()
    stale: set[UserId] = set()
    crowds: list[str] = []
    rows = await tx.run(READ_HEARERS, identifiers=sorted(identifiers), most=MOST_MARKED + 1)
    for row in rows:
        users = {UserId(user) for user in row["users"]}
        if len(users) > MOST_MARKED:
            crowds.append(row["identifier"])
        elif len(users) > MOST_HEARERS:
            stale |= users
        else:
            found |= users
    await mark_stale(tx, stale, now)
    if crowds:
        await tx.run(WRITE_UNHEARD, identifiers=crowds, now=now)
    return found


READ_PEOPLE_OF_DEVICES: Final = """
UNWIND $users AS id
MATCH (:User {id: id})<-[x:RESOLVES_TO]-(a:Record {kind: 'user'})-[h:IDENTIFIED_BY]->(i:Identifier)
WHERE x.to IS NULL AND i.kind = 'anonymous_id' AND coalesce(h.grade, 'proven') = 'proven'
MATCH (i)<-[:CLAIMS]-(d:Record {kind: 'anonymous'})-[y:RESOLVES_TO]->(v:User)
WHERE y.to IS NULL AND d.key = i.value
RETURN DISTINCT v.id AS user
"""


async def read_people_of_devices(tx: Writer, users: Collection[UserId]) -> set[UserId]:
    """Reads the people of the devices that these people's accounts proved to use: they hear what is denied there."""
    return {UserId(row["user"]) for row in await tx.run(READ_PEOPLE_OF_DEVICES, users=sorted(users))}


READ_DEVICES_TO_TELL: Final = """
UNWIND $identifiers AS identifier
MATCH (i:Identifier {id: identifier})<-[h:IDENTIFIED_BY]-(a:Record {kind: 'user'})-[x:RESOLVES_TO]->(u:User)
WHERE i.kind = 'anonymous_id' AND coalesce(h.grade, 'proven') = 'proven' AND x.to IS NULL AND EXISTS {
  MATCH (u)<-[y:RESOLVES_TO]-(b:Record)
  WHERE y.to IS NULL AND (b.denies = true
    OR EXISTS { MATCH (b)-[:IDENTIFIED_BY|CLAIMS]->(n:Identifier) WHERE n.bars IS NOT NULL })
}
MATCH (i)<-[:CLAIMS]-(d:Record {kind: 'anonymous'})
WHERE d.key = i.value
RETURN DISTINCT d.id AS device
"""


async def find_devices_to_tell(tx: Writer, identifiers: Collection[str]) -> set[RecordId]:
    """Returns the devices with one of these anonymous IDs whose accounts denied or heard anything. Other kinds of
    identifiers are passed over."""
    return {RecordId(row["device"]) for row in await tx.run(READ_DEVICES_TO_TELL, identifiers=sorted(identifiers))}


async def mark_stale(tx: Writer, users: Collection[UserId], now: Millis) -> None:
    """Ends what people and their devices permitted, until they are refolded."""
    for chunk in chunk_rows(sorted(users)):
        heard = await read_people_of_devices(tx, chunk)
        await tx.run(WRITE_STALE, users=sorted(heard.union(chunk)), now=now)


EVERYBODY: Final = 2**31 - 1
"""The largest limit that both engines take."""


class UnheardBars(NamedTuple):
    """An identifier with bars that not all who hear them are marked for yet, and since when."""

    identifier: str
    since: Millis


READ_UNHEARD: Final = """
MATCH (i:Identifier)
WHERE i.unheard_since > 0
RETURN i.id AS identifier, i.unheard_since AS since
LIMIT 10
"""


async def read_unheard(client: GraphClient) -> list[UnheardBars]:
    """Returns up to 10 identifiers whose people have still to be marked stale."""
    return [UnheardBars(row["identifier"], Millis(row["since"])) for row in await client.read(READ_UNHEARD)]


async def read_crowd(client: GraphClient, identifier: str) -> list[UserId]:
    """Returns everybody who hears the bars on an identifier. Time and memory: O(people)."""
    rows = await client.read(READ_HEARERS, identifiers=[identifier], most=EVERYBODY)
    return [UserId(user) for row in rows for user in row["users"]]


FINISH_UNHEARD: Final = """
MATCH (i:Identifier {id: $identifier})
WHERE i.unheard_since = $since
REMOVE i.unheard_since
"""


async def finish_unheard(tx: Writer, one: UnheardBars) -> None:
    """Removes the mark, unless further bars have been left since."""
    await tx.run(FINISH_UNHEARD, identifier=one.identifier, since=one.since)


def parse_bars(text: str | None) -> list[Bar]:
    """Returns the bars in an identifier's text."""
    return [Bar(*row) for row in loads(text)] if text else []


def write_bars(bars: Iterable[Bar]) -> str:
    """Returns bars as the text that an identifier carries."""
    ordered = sorted(bars, key=lambda bar: (bar.purpose, bar.recipient or "", bar.assurance, bar.device, bar.record))
    return dumps([list(bar) for bar in ordered]).decode()


def merge_bars(bars: Iterable[Bar]) -> list[Bar]:
    """Returns one bar for each record and subject, and one of NOBODY for each subject with more than MOST_DENIERS
    records. The order doesn't matter."""
    subjects: dict[tuple[str, str | None, int, bool], dict[RecordId, Bar]] = {}
    for bar in bars:
        by_record = subjects.setdefault((bar.purpose, bar.recipient, bar.assurance, bar.device), {})
        by_record[bar.record] = _join(by_record.get(bar.record, bar), bar)
    found: list[Bar] = []
    for by_record in subjects.values():
        some = list(by_record.values())
        if NOBODY in by_record or len(some) > MOST_DENIERS:
            some = [reduce(_join, some)._replace(record=NOBODY)]
        found += some
    return found


def _join(one: Bar, other: Bar) -> Bar:
    latest = max(one, other, key=lambda bar: (bar.at, bar.event))
    return latest._replace(since=min(one.since, other.since))
