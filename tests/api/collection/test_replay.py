"""Replay applies the rules that rejected a message: a sender gains nothing by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from api.collection.bodies import Entry, read_batch
from api.collection.intake import read_entries, submit, write_letter
from api.collection.origin import Origin
from api.collection.reasons import Rejected, RejectionReason
from api.collection.replay import replay
from api.collection.segment.mapping import read_message
from graph.model.access import Source
from graph.store.client import GraphClient
from resolvers.consent import recording
from tests.api.door import Door, identify, open_door, viewed
from tests.sources import VERIFIED

SHOP = Source("shop", verifies=VERIFIED)
pytestmark = pytest.mark.store

FORGED = {"type": "consent", "userId": "ada", "purpose": "personalisation", "state": "given", "assurance": 9}
READ_EVENTS = "MATCH (e:ConsentEvent) RETURN e.purpose AS purpose, e.assurance AS assurance"
READ_ITEMS = "MATCH (i:Item) RETURN i.key AS key"


@pytest.fixture
async def door(store: GraphClient) -> AsyncIterator[Door]:
    async with open_door(store) as door:
        await door.load(identify("ada"))
        yield door


async def send(door: Door, *messages: dict[str, Any]) -> None:
    """Sends messages as `POST /v1/batch` does. All must be rejected."""
    origin = Origin(SHOP, door.clock(), door.services.policy)
    entries = [Entry(message) for message in messages]
    receipt = await submit(door.runtime.ingestor, await read_entries(entries, origin))
    assert len(receipt.rejections) == len(messages)


async def test_a_rejected_consent_line_of_a_sender_is_not_accepted_by_replay(door: Door) -> None:
    wide = FORGED | {
        "notice": "ö" * 20_000
    }  # over the limit in bytes, not in characters: rejected before its type is read
    await send(door, FORGED, wide, {"type": "item", "itemId": "forged", "title": "Cheap"})
    report = await replay(door.runtime)
    assert (report.accepted, len(report.kept)) == (0, 3)
    assert await door.services.client.read(READ_EVENTS) == []
    assert await door.services.client.read(READ_ITEMS) == []


async def test_a_message_that_was_not_utf_8_is_not_accepted_by_replay(door: Door) -> None:
    body = b'{"batch": [{"type": "track", "userId": "ad\xff", "event": "X"}]}'
    origin = Origin(SHOP, door.clock(), door.services.policy)
    receipt = await submit(door.runtime.ingestor, await read_entries(read_batch(body).entries, origin))
    assert receipt.rejected == {"bad_unicode": 1}
    report = await replay(door.runtime)
    assert (report.accepted, len(report.kept)) == (0, 1)


async def test_a_consent_line_that_an_operator_loaded_is_accepted_by_replay(door: Door) -> None:
    origin = Origin(
        Source("shop", verifies=VERIFIED), door.clock(), door.services.policy, own_types=True, received_earlier=True
    )
    line = {"type": "consent", "userId": "ada", "purpose": "research", "state": "given"}
    with pytest.raises(Rejected) as refused:
        read_message(line, origin)
    text = orjson.dumps(line | {"purpose": "analytics"}).decode()
    letter = write_letter(text, refused.value, origin, from_file=True)
    await door.runtime.ingestor.submit([], [letter])
    assert (await replay(door.runtime)).accepted == 1
    assert [row["purpose"] for row in await door.services.client.read(READ_EVENTS)] == ["analytics"]


async def test_a_loaded_line_keeps_its_own_times_in_replay(door: Door) -> None:
    now = door.clock()
    origin = Origin(SHOP, now, door.services.policy, own_types=True, received_earlier=True)
    line = viewed("ada", "tea", "m") | {"timestamp": now - 5000, "sentAt": now - 4000, "receivedAt": now - 3000}
    letter = write_letter(orjson.dumps(line).decode(), Rejected(RejectionReason.BAD_VALUE, ""), origin, from_file=True)
    await door.runtime.ingestor.submit([], [letter])
    assert (await replay(door.runtime)).accepted == 1
    rows = await door.services.client.read("MATCH (:Session)-[e:VIEWED]->(:Item) RETURN e.at AS at")
    assert [row["at"] for row in rows] == [now - 4000]


async def test_traits_that_had_no_room_are_accepted_once_there_is_some(door: Door) -> None:
    def large(number: int) -> dict[str, Any]:
        return identify("ada", **{f"t{n}": "v" * 9000 for n in range(3)}) | {"messageId": f"large{number}"}

    await door.load(identify("ada", **{f"old{n}": "v" * 9000 for n in range(3)}))
    await door.load(identify("ada", **{f"more{n}": "v" * 9000 for n in range(3)}))
    await send(door, large(1))
    assert (await replay(door.runtime)).accepted == 0
    await door.load(identify("ada", **{f"old{n}": None for n in range(3)}))
    report = await replay(door.runtime)
    assert (report.accepted, report.kept) == (1, [])


async def test_a_consent_that_had_no_room_is_accepted_once_there_is_some(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = {"type": "consent", "userId": "ada", "purpose": "marketing", "state": "given"}
    with monkeypatch.context() as full:
        full.setattr(recording, "MOST_LIVE", 0)
        await door.load(stated)
        assert (await replay(door.runtime)).accepted == 0
    report = await replay(door.runtime, reason="too_many_consents")
    assert (report.accepted, report.kept) == (1, [])
