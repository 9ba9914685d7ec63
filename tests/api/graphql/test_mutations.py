"""What the result of a mutation reveals, and which messages its IDs can affect."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from graph.store.client import GraphClient
from tests.api.door import Door, identify, open_door, viewed

pytestmark = pytest.mark.store

WITHDRAW = """mutation($id: String!) {
    withdrawConsent(input: {purpose: "analytics", messageId: $id}) { accepted duplicate } }"""


@pytest.fixture
async def door(store: GraphClient) -> AsyncIterator[Door]:
    async with open_door(store) as door:
        await door.client("web", "frontend", "personalisation")
        await door.load(identify("ada"), identify("bob"), viewed("ada", "i1", "order-1001"))
        yield door


async def test_a_person_does_not_learn_which_messages_of_others_exist(door: Door) -> None:
    token = await door.token("web", "bob")
    there = await door.ask(WITHDRAW, token, {"id": "order-1001"})
    assert there["withdrawConsent"] == {"accepted": 1, "duplicate": 0}
    again = await door.ask(WITHDRAW, token, {"id": "order-1001"})
    assert again["withdrawConsent"] == {"accepted": 0, "duplicate": 1}


async def test_a_message_id_used_by_one_person_is_free_for_others(door: Door) -> None:
    await door.ask(WITHDRAW, await door.token("web", "bob"), {"id": "order-1002"})
    mine = await door.ask(WITHDRAW, await door.token("web", "ada"), {"id": "order-1002"})
    assert mine["withdrawConsent"]["accepted"] == 1
    await door.load(viewed("ada", "i1", "order-1002"))
    rows = await door.services.client.read("MATCH (:Session)-[x:VIEWED]->(:Item) RETURN count(x) AS n")
    assert rows[0]["n"] == 2


RECORD = """mutation($state: ConsentStateName!) { recordConsent(input: {
    record: {source: "shop", userId: "ada"}, purpose: "personalisation", state: $state}) { accepted } }"""
WITHDRAW_FOR_ADA = """mutation($where: String) { withdrawConsent(input: {
    record: {source: "shop", userId: "ada"}, purpose: "personalisation", jurisdiction: $where}) { accepted } }"""


async def test_viewers_cannot_give_consent_for_people(door: Door) -> None:
    """Not even with the API key of a client of role `subject`: only its tokens stand for a person."""
    await door.client("app", "subject")
    await door.client("acme", "partner", "partner_sharing", recipient="acme")
    await door.client("audit", "auditor")
    for name in ("web", "app", "acme", "audit"):
        for state in ("GIVEN", "UNKNOWN"):
            assert await door.codes(RECORD, door.keys[name], {"state": state}) == ["FORBIDDEN"], name
    rows = await door.services.client.read("MATCH (e:ConsentEvent) RETURN count(e) AS n")
    assert rows[0]["n"] == 0


async def test_a_front_end_withdraws_consent_but_states_no_jurisdiction(door: Door) -> None:
    assert (await door.ask(WITHDRAW_FOR_ADA, door.keys["web"]))["withdrawConsent"] == {"accepted": 1}
    assert await door.codes(WITHDRAW_FOR_ADA, door.keys["web"], {"where": "US-CA"}) == ["FORBIDDEN"]
    await door.client("app", "subject")
    assert await door.codes(WITHDRAW_FOR_ADA, door.keys["app"]) == ["FORBIDDEN"]


TRACK = """mutation($input: [EventInput!]!) { track(input: $input) { accepted rejected { index code field } } }"""


async def test_an_event_of_an_unknown_source_does_not_affect_the_others(door: Door) -> None:
    event = {"event": "Product Viewed", "userId": "ada", "item": "i1"}
    entries = [{"source": "nosuch", "messageId": "x"} | event, {"source": "shop", "messageId": "y"} | event]
    answer = (await door.ask(TRACK, door.keys["web"], {"input": entries}))["track"]
    assert answer == {"accepted": 1, "rejected": [{"index": 0, "code": "unknown_source", "field": "source"}]}
