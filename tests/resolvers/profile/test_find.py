"""Which data a person's own credential opens: what their own record leads to, never what was only claimed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from graph.model.activity import SessionFacts, SessionId
from graph.model.identity import RecordKind, RecordRef, UserId
from graph.model.profile import StoredFacts
from graph.store.client import GraphClient
from privacy.gate import Role, SubjectPermits, Viewer, decide, reveal
from resolvers.access import registration
from resolvers.context import RequestContext
from resolvers.profile.find import PersonView, Wanted
from tests.api.door import ISSUER, Door, given, identify, open_door, viewed

pytestmark = pytest.mark.store

CANARY = "canary9c1d"
MINE = """{ me {
    email phone givenName address { street } attributes identifiers { kind value } consents { purpose recipient state }
    consentHistory(first: 50) { nodes { id purpose } }
    sessions(first: 50) { nodes { source } }
    interactions(first: 50) { nodes { id name item { key } } }
    segments { segment { key } } rfm { cell } recommendations(first: 5) { reasons { text } }
} }"""
PAGES = """query($at: String) { me {
    interactions(first: 50, where: {since: "2000-01-01T00:00:00Z"}) { nodes { id } }
    all: interactions(first: 1, after: $at) { nodes { id } pageInfo { endCursor hasNextPage } }
} }"""
VICTIM: dict[str, Any] = {
    "email": "victim@example.com",
    "phone": "+46701234567",
    "firstName": CANARY,
    "address": {"street": CANARY},
    "plan": CANARY,
}


@pytest.fixture
async def door(store: GraphClient) -> AsyncIterator[Door]:
    """The shop's front-end, and a victim: a user of the shop, and known to a newsletter by address."""
    async with open_door(store) as door:
        await registration.register_source(door.services, "news")
        await door.client("web", "frontend", "service")
        await door.load(
            {"type": "identify", "anonymousId": f"{CANARY}-letter", "traits": VICTIM},
            {"type": "track", "anonymousId": f"{CANARY}-letter", "event": CANARY, "messageId": CANARY},
            {**given("x", "analytics", "personalisation")[0], "userId": None, "anonymousId": f"{CANARY}-letter"},
            source="news",
        )
        await door.load(
            {"type": "identify", "userId": "victim", "traits": {"firstName": f"{CANARY}-user"}},
            viewed("victim", f"{CANARY}-item", f"{CANARY}-view"),
        )
        yield door


async def test_facts_read_after_the_profile_pass_the_gate_as_well(door: Door) -> None:
    policy, now = door.services.policy, door.clock()
    visit = SessionFacts(SessionId("s"), "shop", now, now)
    for permits, seen in ((("personalisation",), (visit,)), ((), None)):
        viewer = Viewer("web", Role.FRONTEND, "personalisation")
        decision = decide(viewer, SubjectPermits(permits), policy, now)
        facts = reveal(decision, StoredFacts(UserId("u"), now, now, sessions=(visit,)))
        assert facts is not None
        view = PersonView(RequestContext(door.services, viewer, now), decision, facts, Wanted(frozenset()), {})
        assert facts.sessions == view.reveal(sessions=[visit]).sessions == seen


async def people(door: Door) -> int:
    rows = await door.services.client.read(
        "MATCH (:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL RETURN count(DISTINCT u) AS n"
    )
    return int(rows[0]["n"])


async def look(door: Door, token: str) -> str:
    answer = await door.send(MINE, token)
    pages = await door.send(PAGES, token)
    assert "errors" not in answer.json(), answer.json()
    assert "errors" not in pages.json(), pages.json()
    return answer.text + pages.text


async def test_claiming_another_persons_address_does_not_open_their_data(door: Door) -> None:
    await door.load(identify("mallory", email=VICTIM["email"]), viewed("mallory", "own", "own"))
    assert await people(door) == 2
    seen = await look(door, await door.token("web", "mallory"))
    assert CANARY not in seen
    assert VICTIM["phone"] not in seen
    assert VICTIM["email"] in seen


async def test_claiming_another_persons_user_id_by_an_alias_does_not_open_their_data(door: Door) -> None:
    await door.load(identify("mallory"), {"type": "alias", "userId": "mallory", "previousId": "victim"})
    assert await people(door) == 2
    assert CANARY not in await look(door, await door.token("web", "mallory"))


async def test_a_device_that_names_another_person_does_not_open_their_data(door: Door) -> None:
    await door.load({"type": "identify", "userId": "victim", "anonymousId": "device"})
    token = ISSUER.sign("web", RecordRef("shop", RecordKind.ANONYMOUS, "device"), door.clock(), 3600)
    assert CANARY not in await look(door, token)


async def test_a_claim_does_not_reveal_what_else_is_known_of_another_person(door: Door) -> None:
    """Neither fields nor keys reveal it: a person is not found by identifiers that only a claim ties to them."""
    await door.load(identify("mallory", email=VICTIM["email"]))
    token = await door.token("web", "mallory")
    query = "query($by: ProfileKey!) { profile(by: $by) { email } }"
    for by, found in (
        ({"identifier": {"kind": "email", "value": VICTIM["email"]}}, True),
        ({"identifier": {"kind": "phone", "value": VICTIM["phone"]}}, False),
        ({"record": {"source": "shop", "key": "mallory"}}, True),
        ({"record": {"source": "news", "key": f"{CANARY}-letter"}}, False),
    ):
        answer = await door.ask(query, token, {"by": by})
        assert (answer["profile"] is not None) is found, by
    own = await door.ask("{ me { id } }", token)
    assert (await door.ask(query, token, {"by": {"id": own["me"]["id"]}}))["profile"]


async def test_a_persons_own_user_id_leads_to_their_devices_and_sources_with_the_same_user_ids(door: Door) -> None:
    await door.load(
        viewed("ada", "i1", "m1"),
        {"type": "track", "anonymousId": "phone", "event": "On the phone", "messageId": "m2"},
        {"type": "identify", "userId": "ada", "anonymousId": "phone"},
    )
    await door.load({"type": "track", "userId": "ada", "event": "Opened", "messageId": "m3"}, source="news")
    token = await door.token("web", "ada")
    seen = (await door.ask(MINE, token))["me"]
    assert {one["id"] for one in seen["interactions"]["nodes"]} == {"shop|m1", "shop|m2", "news|m3"}
    assert {one["source"] for one in seen["sessions"]["nodes"]} == {"shop", "news"}
    after = (await door.ask("{ me { interactions(first: 1) { pageInfo { endCursor } } } }", token))["me"]
    cursor = after["interactions"]["pageInfo"]["endCursor"]
    pages = (await door.ask(PAGES, token, {"at": cursor}))["me"]
    assert len(pages["interactions"]["nodes"]) == 3
    assert len(pages["all"]["nodes"]) == 1
