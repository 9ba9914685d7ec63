"""Devices and the accounts that they count for: statements on `(device:Record)-[:COUNTS_FOR]->(account:Record)`.

The edge exists while the device counts and is deleted afterwards. Otherwise the owner of an account could pile up ended
edges by objecting to linking and consenting again. `Record.crowded` marks an account that more devices name than may
count for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from graph.model.access import Trust
from graph.model.identity import Grade, Proof, RecordId, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows


class ProvenUse(NamedTuple):
    """An account record that proved to use a device: since when, by what, and its source's trust."""

    account: RecordId
    source: str
    since: Millis
    proof: Proof | None
    trust: Trust


@dataclass(frozen=True, slots=True)
class DeviceEvidence:
    """What is known about a device: its source and key, whether that source is public, whether its person objects to
    identity linking, the accounts that proved to use it, each with the anonymous ID that it named, the user ID that it
    claimed first, with the receipt, and the account that it counts for now."""

    device: RecordId
    source: str
    key: str
    public: bool
    objected: bool
    proven: tuple[tuple[str, ProvenUse], ...]
    claim: tuple[Millis, str] | None
    account: RecordId | None


READ_DEVICES: Final = """
UNWIND $devices AS device
MATCH (d:Record {id: device, kind: 'anonymous'})
OPTIONAL MATCH (d)-[:FROM]->(s:Source)
RETURN collect([
  d.id, d.source, d.key, coalesce(s.trust, 'server'), coalesce(d.linking_objected, false), d.first_claim,
  [(d)-[:CLAIMS]->(i:Identifier {kind: 'anonymous_id'})<-[h:IDENTIFIED_BY]-(a:Record {kind: 'user'})-[:FROM]->(t:Source)
    WHERE h.grade = 'proven' AND NOT coalesce(a.linking_objected, false) |
    [i.value, a.id, a.source, h.since, h.proof, t.trust]],
  [(d)-[:COUNTS_FOR]->(b:Record) | b.id]
]) AS devices
"""


async def read_devices(tx: Writer, devices: Collection[RecordId]) -> list[DeviceEvidence]:
    """Reads the evidence about those of the records that are devices."""
    found: list[DeviceEvidence] = []
    for chunk in chunk_rows(sorted(devices)):
        for id_, source, key, trust, objected, claim, proven, accounts in (
            await tx.run(READ_DEVICES, devices=list(chunk))
        )[0]["devices"]:
            since, _, identifier = (claim or "").partition(":")
            found.append(
                DeviceEvidence(
                    id_,
                    source,
                    key,
                    trust == Trust.PUBLIC,
                    objected,
                    tuple((row[0], _parse_use(row)) for row in proven),
                    (Millis(int(since)), identifier) if claim else None,
                    RecordId(accounts[0]) if accounts else None,
                )
            )
    return found


def _parse_use(row: list[Any]) -> ProvenUse:
    _, account, source, since, proof, trust = row
    return ProvenUse(account, source, since, Proof(proof) if proof else None, Trust(trust or Trust.SERVER))


READ_ACCOUNTS_OF_USER_IDS: Final = """
UNWIND $identifiers AS identifier
MATCH (:Identifier {id: identifier})<-[h:IDENTIFIED_BY]-(a:Record {kind: 'user'})-[:FROM]->(t:Source)
WHERE h.grade = 'proven' AND NOT coalesce(a.linking_objected, false)
RETURN collect([identifier, a.id, a.source, h.since, h.proof, t.trust]) AS holders
"""


async def read_accounts_of_user_ids(tx: Writer, identifiers: Collection[str]) -> dict[str, list[ProvenUse]]:
    """Reads the account records that hold each user ID, by its identifier's ID."""
    found: dict[str, list[ProvenUse]] = {}
    rows = await tx.run(READ_ACCOUNTS_OF_USER_IDS, identifiers=sorted(identifiers))
    for row in rows[0]["holders"]:
        found.setdefault(row[0], []).append(_parse_use(row))
    return found


READ_DEVICES_OF_IDENTIFIERS: Final = """
UNWIND $identifiers AS identifier
MATCH (i:Identifier {id: identifier})
RETURN COLLECT {
  MATCH (i)<-[:CLAIMS]-(d:Record {kind: 'anonymous'})
  WHERE i.kind = 'anonymous_id' OR d.first_claim ENDS WITH i.id
  RETURN d.id ORDER BY d.first_claim, d.id LIMIT $most
} AS devices
"""


async def read_devices_of_identifiers(tx: Writer, identifiers: Collection[str], most: int) -> set[RecordId]:
    """Returns the devices that have one of the anonymous IDs, or that claimed one of the user IDs before any other, at
    most `most` for each, those that claimed it first."""
    rows = await tx.run(READ_DEVICES_OF_IDENTIFIERS, identifiers=sorted(identifiers), most=most)
    return {RecordId(device) for row in rows for device in row["devices"]}


READ_IDENTIFIERS_OF_ACCOUNTS: Final = """
UNWIND $accounts AS account
MATCH (:Record {id: account})-[h:IDENTIFIED_BY]->(i:Identifier)
WHERE h.grade = 'proven' AND i.kind IN ['user_id', 'anonymous_id']
RETURN DISTINCT i.id AS identifier
"""


async def read_identifiers_of_accounts(tx: Writer, accounts: Collection[RecordId]) -> set[str]:
    """Returns the user IDs and anonymous IDs that accounts hold, as IDs of identifiers: by these, devices may count
    for them."""
    rows = await tx.run(READ_IDENTIFIERS_OF_ACCOUNTS, accounts=sorted(accounts))
    return {row["identifier"] for row in rows}


class CountingDevice(NamedTuple):
    """A device that counts for an account now."""

    account: RecordId
    device: RecordId
    grade: Grade
    received: Millis


READ_COUNTING: Final = """
UNWIND $accounts AS account
MATCH (a:Record {id: account})
RETURN account, coalesce(a.crowded, false) AS crowded,
  [(a)<-[c:COUNTS_FOR]-(d:Record) | [d.id, c.grade, c.received]] AS devices
"""


async def read_counting(tx: Writer, accounts: Collection[RecordId]) -> tuple[list[CountingDevice], set[RecordId]]:
    """Reads the devices that count for accounts now, and which of the accounts are crowded. The caller has locked the
    accounts."""
    found: list[CountingDevice] = []
    crowded: set[RecordId] = set()
    for row in await tx.run(READ_COUNTING, accounts=sorted(accounts)):
        account = RecordId(row["account"])
        found += [
            CountingDevice(account, RecordId(device), Grade(grade), Millis(received))
            for device, grade, received in row["devices"]
        ]
        if row["crowded"]:
            crowded.add(account)
    return found, crowded


WRITE_COUNT_ENDS: Final = """
UNWIND $rows AS row
MATCH (:Record {id: row[0]})-[c:COUNTS_FOR]->(:Record {id: row[1]})
DELETE c
"""

WRITE_COUNTS: Final = """
UNWIND $rows AS row
MATCH (d:Record {id: row[0]})
MATCH (a:Record {id: row[1]})
CREATE (d)-[:COUNTS_FOR {grade: row[2], received: row[3], from: $now}]->(a)
"""

WRITE_CROWDED: Final = """
UNWIND $accounts AS account
MATCH (a:Record {id: account})
SET a.crowded = true
"""


async def write_counting(
    tx: Writer,
    ended: Iterable[CountingDevice],
    begun: Iterable[CountingDevice],
    crowded: Iterable[RecordId],
    now: Millis,
) -> None:
    """Ends and begins that devices count for accounts, and marks crowded accounts."""
    for left in chunk_rows([[one.device, one.account] for one in sorted(ended)]):
        await tx.run(WRITE_COUNT_ENDS, rows=list(left))
    for joined in chunk_rows([[one.device, one.account, one.grade.value, one.received] for one in sorted(begun)]):
        await tx.run(WRITE_COUNTS, rows=list(joined), now=now)
    for accounts in chunk_rows(sorted(crowded)):
        await tx.run(WRITE_CROWDED, accounts=list(accounts))


READ_USED_NAMES: Final = """
UNWIND $records AS record
MATCH (a:Record {id: record, kind: 'user'})-[:IDENTIFIED_BY]->(i:Identifier {kind: 'anonymous_id'})
MATCH (a)-[x:RESOLVES_TO]->(u:User)
WHERE x.to IS NULL
RETURN i.id AS identifier, collect(DISTINCT u.id) AS users
"""


async def read_used_names(tx: Writer, accounts: Collection[RecordId]) -> dict[str, set[UserId]]:
    """Returns the anonymous IDs that accounts hold, as IDs of identifiers, each with the people of these accounts."""
    rows = await tx.run(READ_USED_NAMES, records=sorted(accounts))
    return {row["identifier"]: {UserId(user) for user in row["users"]} for row in rows}


class SharedDevice(NamedTuple):
    """A device that is not alone, as devices were before sources had a trust: its person is another record's as well,
    or was retired."""

    device: RecordId
    user: UserId


READ_SHARED_DEVICES: Final = """
UNWIND $records AS record
MATCH (d:Record {id: record, kind: 'anonymous'})-[x:RESOLVES_TO]->(u:User)
WHERE x.to IS NULL AND (u.retired_at IS NOT NULL OR EXISTS {
  MATCH (u)<-[y:RESOLVES_TO]-(other:Record)
  WHERE y.to IS NULL AND (other.kind = 'user' OR other.id < d.id)
})
RETURN record, u.id AS user
ORDER BY record
"""


async def read_shared_devices(tx: Writer, records: Collection[RecordId]) -> list[SharedDevice]:
    """Returns which of the records are devices that have to leave their person: an account keeps it, or else the device
    with the least ID."""
    rows = await tx.run(READ_SHARED_DEVICES, records=sorted(records))
    return [SharedDevice(RecordId(row["record"]), UserId(row["user"])) for row in rows]


READ_COUNTED: Final = """
MATCH (:Record)-[c:COUNTS_FOR]->(:Record)
RETURN c.grade AS grade, count(*) AS number
"""


async def count_devices(client: GraphClient) -> dict[str, int]:
    """Counts the devices that count for an account, by grade."""
    return {row["grade"]: row["number"] for row in await client.read(READ_COUNTED)}
