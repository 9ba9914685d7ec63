"""What the result of a mutation reveals, and which messages its IDs can affect."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from graph.store.client import GraphClient
from privacy.policy import Policy
from tests.api.door import START, Door, identify, open_door, viewed

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


RECORD_INPUT = "mutation($input: ConsentInput!) { recordConsent(input: $input) { accepted } }"
ADA = {"record": {"source": "shop", "userId": "ada"}, "purpose": "analytics", "state": "GIVEN"}
DAY = 86_400_000


def iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"purpose": ""}, "purpose is not an allowed field or value."),
        ({"purpose": "fun"}, f"purpose must be one of {', '.join(Policy.default().purposes)}."),
        ({"recipient": "acme"}, "recipient does not fit the policy's purposes."),
        ({"noticeVersion": "x" * 513}, "noticeVersion is not an allowed field or value."),
        ({"rawSignal": "x" * 8193}, "rawSignal is not an allowed field or value."),
        ({"categories": ["x" * 513]}, "categories is not an allowed field or value."),
        ({"mechanism": "shout"}, "mechanism does not fit the policy's purposes."),
        ({"notice": "a\nb"}, "notice must not be empty or contain control characters."),
        ({"messageId": "x" * 257}, "messageId must have 1 to 256 characters and no control characters."),
        ({"record": {"source": "shop"}}, "userId or anonymousId is required and must not be null or empty."),
        ({"record": {"source": "shop", "userId": "null"}}, "userId is a placeholder that identifies no one."),
        (
            {"record": {"source": "no", "userId": "ada"}},
            "source: it is not registered; see `consentric source create`.",
        ),
        ({"effectiveAt": "2101-01-01T00:00:00Z"}, "timestamp is out of range; numbers are epoch milliseconds."),
        (
            {"effectiveAt": iso(START + 2 * DAY)},
            "timestamp must lie between 1990 and one day after receipt, corrected for the sender's clock.",
        ),
        ({"expiresAt": "1989-12-31T00:00:00Z"}, "expiresAt must lie between 1990 and 2100."),
        ({"expiresAt": "2101-01-01T00:00:00Z"}, "expiresAt is out of range; numbers are epoch milliseconds."),
    ],
)
async def test_an_invalid_statement_is_refused(door: Door, change: dict[str, Any], message: str) -> None:
    key = await door.client("support", "operator")
    response = (await door.send(RECORD_INPUT, key, {"input": ADA | change})).json()
    assert [(one["message"], one["extensions"]["code"]) for one in response["errors"]] == [(message, "BAD_USER_INPUT")]
    rows = await door.services.client.read("MATCH (e:ConsentEvent) RETURN count(e) AS n")
    assert rows[0]["n"] == 0


async def test_a_statement_is_kept_as_it_was_made(door: Door) -> None:
    given = {
        "recipient": " ACME ", "effectiveAt": iso(START - DAY), "expiresAt": iso(START + DAY), "lawfulBasis": "consent",
        "mechanism": "opt-in", "jurisdiction": "AU", "channel": "", "method": "banner", "categories": ["contact"],
    }  # fmt: skip
    key = await door.client("support", "operator")
    statement = ADA | given | {"purpose": "partner_sharing", "messageId": "s1"}
    assert (await door.ask(RECORD_INPUT, key, {"input": statement}))["recordConsent"] == {"accepted": 1}
    token = await door.token("web", "ada")
    await door.ask(RECORD_INPUT, token, {"input": {"purpose": "analytics", "state": "REFUSED"}})
    rows = await door.services.client.read(
        """
        MATCH (r:Record {key: 'ada'})-[:DECIDED]->(e:ConsentEvent)-[:FOR]->(p:Purpose)
        RETURN p.key AS purpose, properties(e) AS event ORDER BY e.seq
        """
    )
    assert [row["purpose"] for row in rows] == ["partner_sharing", "analytics"]
    first, second = (row["event"] for row in rows)
    assert {name: first[name] for name in ("state", "recipient", "effective_at", "expires_at")} == {
        "state": "given", "recipient": "acme", "effective_at": START - DAY, "expires_at": START + DAY,
    }  # fmt: skip
    assert [first.get(name) for name in ("lawful_basis", "mechanism", "jurisdiction", "channel", "method")] == [
        "consent", "opt-in", "AU", None, "banner",
    ]  # fmt: skip
    assert (first["actor"], first["assurance"], first["categories"]) == ("support", 1, ["contact"])
    assert (second["actor"], second["assurance"], second["state"]) == ("web", 2, "refused")


TRACK = """mutation($input: [EventInput!]!) { track(input: $input) { accepted rejected { index code field } } }"""


async def test_an_event_of_an_unknown_source_does_not_affect_the_others(door: Door) -> None:
    event = {"event": "Product Viewed", "userId": "ada", "item": "i1"}
    entries = [{"source": "nosuch", "messageId": "x"} | event, {"source": "shop", "messageId": "y"} | event]
    response = (await door.ask(TRACK, door.keys["web"], {"input": entries}))["track"]
    assert response == {"accepted": 1, "rejected": [{"index": 0, "code": "unknown_source", "field": "source"}]}
