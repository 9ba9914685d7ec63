"""Which account a device counts for, as messages arrive."""

from __future__ import annotations

from typing import Any

import pytest

from algorithms.identity.devices import MOST_DEVICES
from graph.model.access import Source, Trust
from graph.model.message import Message
from graph.store.client import GraphClient
from tests.arrivals import NOW, ingest, message

pytestmark = pytest.mark.store

WEB = Source("web", trust=Trust.PUBLIC)
SHOP = Source("shop", trust=Trust.SERVER)

READ_COUNTED = """
MATCH (d:Record)-[c:COUNTS_FOR]->(a:Record)
RETURN d.key AS device, a.source + ':' + a.key AS account, c.grade AS grade
"""


def seen(name: str, source: Source = WEB, *, received: int = NOW, **names: Any) -> Message:
    return message(source, received=received, type="track", event="Seen", messageId=name, **names)


async def counted(store: GraphClient) -> dict[str, tuple[str, str]]:
    return {row["device"]: (row["account"], row["grade"]) for row in await store.read(READ_COUNTED)}


async def test_a_device_counts_for_the_account_that_it_claimed_first(store: GraphClient) -> None:
    await ingest(store, seen("m1", SHOP, userId="ada"), seen("m2", SHOP, userId="bob"))
    await ingest(store, seen("m3", userId="ada", anonymousId="d1", received=NOW - 5))
    await ingest(store, seen("m4", userId="bob", anonymousId="d1", received=NOW - 3))
    assert await counted(store) == {"d1": ("shop:ada", "claimed")}


async def test_receipt_decides_which_claim_was_first(store: GraphClient) -> None:
    await ingest(store, seen("m1", SHOP, userId="ada"), seen("m2", SHOP, userId="bob"))
    await ingest(store, seen("m3", userId="ada", anonymousId="d1", received=NOW - 5))
    await ingest(store, seen("m4", userId="bob", anonymousId="d1", received=NOW - 9))
    assert await counted(store) == {"d1": ("shop:bob", "claimed")}


async def test_a_claim_waits_for_its_account(store: GraphClient) -> None:
    await ingest(store, seen("m3", userId="ada", anonymousId="d1"))
    assert await counted(store) == {}
    await ingest(store, seen("m1", SHOP, userId="ada"))
    assert await counted(store) == {"d1": ("shop:ada", "claimed")}


async def test_a_proof_outranks_an_earlier_claim(store: GraphClient) -> None:
    device = "0b0a1c1e-7e6f-4d8b-9c53-5e1d2f3a4b5c"
    await ingest(store, seen("m2", SHOP, userId="bob"), seen("m3", userId="bob", anonymousId=device, received=NOW - 9))
    await ingest(store, seen("m4", SHOP, userId="ada", anonymousId=device))
    found = await store.read(READ_COUNTED)
    assert {(row["account"], row["grade"]) for row in found} == {("shop:ada", "proven")}
    assert len(found) == 2  # the browser's record of the device, and the shop's


async def test_an_account_has_a_limited_number_of_devices_and_proven_ones_come_first(store: GraphClient) -> None:
    await ingest(store, seen("m0", SHOP, userId="ada"))
    flood = [seen(f"f{n}", userId="ada", anonymousId=f"fake-{n:02}") for n in range(MOST_DEVICES + 5)]
    await ingest(store, *flood)
    assert len(await counted(store)) == MOST_DEVICES
    await ingest(store, seen("m1", SHOP, userId="ada", anonymousId="her-own", received=NOW + 5))
    found = await counted(store)
    assert len(found) == MOST_DEVICES
    assert found["her-own"] == ("shop:ada", "proven")


async def test_a_waiting_device_takes_the_place_of_one_that_leaves(store: GraphClient) -> None:
    await ingest(store, seen("m0", SHOP, userId="ada"), seen("m1", SHOP, userId="bob"))
    for n in range(MOST_DEVICES + 1):
        await ingest(store, seen(f"f{n}", userId="ada", anonymousId=f"device-{n:02}", received=NOW + n))
    assert "device-20" not in await counted(store)
    await ingest(store, seen("m2", userId="bob", anonymousId="device-07", received=NOW - 1))
    found = await counted(store)
    assert found["device-07"] == ("shop:bob", "claimed")
    assert found["device-20"] == ("shop:ada", "claimed")
