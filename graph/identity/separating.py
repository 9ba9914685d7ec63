"""Devices that share a person with other records, as all devices could before sources had a trust."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from graph.model.identity import RecordId, UserId
from graph.store.client import Writer


class SharedDevice(NamedTuple):
    """A device that is not alone: its person is another record's as well, or was retired."""

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
