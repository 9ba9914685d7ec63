"""What dead letters keep: any value as text, and messages in a form that can be read on its own later."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from api.collection.bodies import Entry
from api.collection.intake import read_entries
from api.collection.origin import Origin
from api.collection.payloads import add_times, write_payload
from api.collection.segment.mapping import read_message
from graph.model.access import Source
from graph.model.time import Millis
from privacy.policy import Policy

NOW = Millis(1_790_000_000_000)
MINUTE = 60_000
SENT = {"type": "track", "messageId": "m", "userId": "ada", "event": "Clicked", "timestamp": NOW - 2 * MINUTE}
ORIGIN = Origin(Source("shop"), NOW, Policy.default(), sent_at=NOW - MINUTE)


def test_any_value_is_written_as_text() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert write_payload({"a": 1}) == '{"a":1}'
    assert write_payload(deep) == ""
    assert json.loads(write_payload({"a": 2**70})) == {"a": 2**70}


@pytest.mark.parametrize("origin", [ORIGIN, replace(ORIGIN, sent_at=None)])
async def test_a_payload_reads_as_the_same_message_as_its_batch(origin: Origin) -> None:
    context = {"consent": {"categoryPreferences": {"Analytics": True}}}
    message = (await read_entries([Entry(SENT)], origin, context=context)).messages[0]
    assert message.payload is not None
    assert message.consents
    later = Origin(origin.source, NOW, origin.policy, own_types=True, received_earlier=True)
    assert read_message(json.loads(message.payload.write()), later) == message


def test_the_payload_of_a_line_is_the_line() -> None:
    origin = Origin(ORIGIN.source, NOW, ORIGIN.policy, own_types=True, received_earlier=True)
    line = SENT | {"sentAt": NOW - MINUTE}
    payload = read_message(line, origin).payload
    assert payload is not None
    assert json.loads(payload.write()) == line


def test_a_rejected_entry_states_when_its_request_was_sent() -> None:
    assert add_times(SENT, ORIGIN) == SENT | {"sentAt": NOW - MINUTE}
    assert add_times(SENT | {"sentAt": NOW}, ORIGIN)["sentAt"] == NOW
    assert add_times("text", ORIGIN) == "text"
