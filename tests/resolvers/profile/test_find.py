"""Which data a person's own credential opens: what their own record leads to, never what was only claimed."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from graph.model.access import Trust
from graph.model.activity import SessionFacts, SessionId
from graph.model.identity import IdentifierRef, RecordKind, RecordRef, UserId
from graph.model.profile import StoredFacts
from graph.store.client import GraphClient
from privacy.gate import Role, SubjectPermits, Viewer, decide, reveal
from privacy.policy import Policy
from resolvers.access import registration
from resolvers.context import RequestContext
from resolvers.profile.find import PersonView, Wanted, find_own
from tests.api.door import ISSUER, START, Door, given, identify, open_door, viewed
from tests.crowd import run
from tests.devices import write_device

pytestmark = pytest.mark.store

CANARY = "canary9c1d"
MINE = """{ me {
    email phone givenName address { street } attributes identifiers { kind value } consents { purpose recipient state }
    consentHistory(first: 50) { nodes { id purpose } }
    sessions(first: 50) { nodes { source grade } }
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
        await registration.register_source(door.services, "news", Trust.SERVER)
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
        view = PersonView(RequestContext(door.services, viewer, now), decision, facts, Wanted(frozenset()), (), {})
        assert facts.sessions == view.reveal(sessions=[visit]).sessions == seen


async def people(door: Door) -> int:
    rows = await door.services.client.read(
        "MATCH (:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL RETURN count(DISTINCT u) AS n"
    )
    return int(rows[0]["n"])


JOIN = """
MATCH (a:Record {key: $one})-[x:RESOLVES_TO]->(:User), (:Record {key: $other})-[y:RESOLVES_TO]->(u:User)
WHERE x.to IS NULL AND y.to IS NULL
SET x.to = 1
CREATE (a)-[:RESOLVES_TO {`from`: 1}]->(u)
"""


async def join(door: Door, one: str, other: str) -> None:
    """Makes one person of two records, as a wrong judgement could."""
    assert await people(door) == 3
    await run(door.services.client, JOIN, one=one, other=other)
    assert await people(door) == 2


async def look(door: Door, token: str) -> str:
    answer = await door.send(MINE, token)
    pages = await door.send(PAGES, token)
    assert "errors" not in answer.json(), answer.json()
    assert "errors" not in pages.json(), pages.json()
    return answer.text + pages.text


async def test_claiming_another_persons_address_does_not_open_their_data(door: Door) -> None:
    await door.load(identify("mallory", email=VICTIM["email"]), viewed("mallory", "own", "own"))
    await join(door, "mallory", f"{CANARY}-letter")
    seen = await look(door, await door.token("web", "mallory"))
    assert CANARY not in seen
    assert VICTIM["phone"] not in seen
    assert VICTIM["email"] in seen


async def test_claiming_another_persons_user_id_by_an_alias_does_not_open_their_data(door: Door) -> None:
    await door.load(identify("mallory"), {"type": "alias", "userId": "mallory", "previousId": "victim"})
    await join(door, "mallory", "victim")
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
        ({"record": {"source": "news", "key": f"{CANARY}-letter", "kind": "ANONYMOUS"}}, False),
    ):
        answer = await door.ask(query, token, {"by": by})
        assert (answer["profile"] is not None) is found, by
    own = await door.ask("{ me { id } }", token)
    assert (await door.ask(query, token, {"by": {"id": own["me"]["id"]}}))["profile"]


async def test_a_persons_own_user_id_leads_to_their_devices_and_sources_with_the_same_user_ids(door: Door) -> None:
    await door.load(
        viewed("ada", "i1", "m1"),
        {"type": "track", "anonymousId": "phone", "event": "On the phone", "messageId": "m2"},
        {"type": "track", "anonymousId": "tablet", "event": "Somewhere else", "messageId": "m4"},
    )
    for device, proof in (("phone", "token"), ("tablet", "hash")):
        await write_device(door.services.client, device, "ada", proof)
    await door.load({"type": "track", "userId": "ada", "event": "Opened", "messageId": "m3"}, source="news")
    token = await door.token("web", "ada")
    seen = (await door.ask(MINE, token))["me"]
    assert {one["id"] for one in seen["interactions"]["nodes"]} == {"shop|m1", "shop|m2", "news|m3"}
    assert {one["source"] for one in seen["sessions"]["nodes"]} == {"shop", "news"}
    assert {one["grade"] for one in seen["sessions"]["nodes"]} == {"PROVEN"}
    after = (await door.ask("{ me { interactions(first: 1) { pageInfo { endCursor } } } }", token))["me"]
    cursor = after["interactions"]["pageInfo"]["endCursor"]
    pages = (await door.ask(PAGES, token, {"at": cursor}))["me"]
    assert len(pages["interactions"]["nodes"]) == 3
    assert len(pages["all"]["nodes"]) == 1


PARTNERS = """
query($by: ProfileKey!) { profile(by: $by) {
    id createdAt updatedAt segments { since score segment { key } }
    interactions(first: 1) { nodes { id } pageInfo { endCursor } } sessions(first: 1) { nodes { id } }
} }
"""
BY_ADA = {"by": {"record": {"source": "shop", "key": "ada"}}}


@pytest.fixture
async def shared(store: GraphClient) -> AsyncIterator[Door]:
    """Ada shares everything with two partners."""
    policy = Policy.parse(
        {"categories": {name: ["partner_sharing", "analytics"] for name in ("behaviour", "segments")}}
    )
    async with open_door(store, policy=policy) as door:
        for name in ("acme", "globex"):
            await door.client(name, "partner", "partner_sharing", recipient=name)
            await door.load(*given("ada", "partner_sharing", recipient=name))
        await door.load(identify("ada", email="ada@example.com"), *(viewed("ada", "i", f"m{n}") for n in range(3)))
        await door.load(*given("ada", "analytics"))
        await run(
            store,
            "MATCH (:Record {key: 'ada'})-[:RESOLVES_TO]->(u:User) CREATE (u)-[:IN_SEGMENT {since: $at, score: 0.5}]->"
            "(:Segment {key: 'buyers', purpose: 'analytics', shown: true})",
            at=int(START) + 5,
        )
        yield door


async def test_partners_see_pseudonyms_and_no_times_of_the_profile(shared: Door) -> None:
    acme, globex = [(await shared.ask(PARTNERS, shared.keys[name], BY_ADA))["profile"] for name in ("acme", "globex")]
    again = (await shared.ask(PARTNERS, shared.keys["acme"], BY_ADA))["profile"]
    assert again == acme
    assert (acme["createdAt"], acme["updatedAt"]) == (None, None)
    (member,) = acme["segments"]
    assert (member["score"], member["since"][11:]) == (None, "00:00:00.000Z")
    for of in (lambda one: one["id"], lambda one: one["interactions"]["nodes"], lambda one: one["sessions"]["nodes"]):
        assert of(acme) != of(globex)
    rows = await shared.services.client.read("MATCH (u:User)<-[:RESOLVES_TO]-(r:Record) RETURN u.id AS u, r.id AS r")
    cursor = acme["interactions"]["pageInfo"]["endCursor"]
    for text in (str(acme), str(b64decode(cursor + "==", altchars=b"-_")), str(b64decode(acme["id"]))):
        assert not any(value in text for value in ("shop|m", rows[0]["u"], rows[0]["r"]))


async def test_a_partner_uses_only_its_own_current_pseudonym(shared: Door) -> None:
    node = "query($id: ID!) { node(id: $id) { id } profile(by: {id: $id}) { id } }"

    async def look(id_: str, partner: str = "acme") -> bytes:
        return (await shared.send(node, shared.keys[partner], {"id": id_})).content

    first = (await shared.ask(PARTNERS, shared.keys["acme"], BY_ADA))["profile"]
    found = await shared.ask(node, shared.keys["acme"], {"id": first["id"]})
    assert found == {"node": {"id": first["id"]}, "profile": {"id": first["id"]}}
    nothing = await look("UHJvZmlsZTowMUhYWFhYWFhYWFhYWFhYWFhYWFhYWFhY")
    (user,) = await shared.services.client.read(
        "MATCH (u:User)<-[:RESOLVES_TO]-(:Record {key: 'ada'}) RETURN u.id AS id"
    )
    assert await look(first["id"], "globex") == nothing
    assert await look(b64encode(f"Profile:{user['id']}".encode()).decode()) == nothing
    await shared.load(*given("ada", "partner_sharing", recipient="acme", state="withdrawn"))
    assert await look(first["id"]) == nothing
    await shared.load(*given("ada", "partner_sharing", recipient="acme"))
    assert await look(first["id"]) == nothing
    second = (await shared.ask(PARTNERS, shared.keys["acme"], BY_ADA))["profile"]
    assert second["id"] != first["id"]
    more = (
        "query($by: ProfileKey!, $at: String) "
        "{ profile(by: $by) { interactions(first: 1, after: $at) { nodes { id } } } }"
    )
    for one, codes in ((first, ["BAD_USER_INPUT"]), (second, [])):
        after = BY_ADA | {"at": one["interactions"]["pageInfo"]["endCursor"]}
        assert await shared.codes(more, shared.keys["acme"], after) == codes


async def test_a_partners_read_writes_nothing_and_what_ran_out_is_absent(shared: Door) -> None:
    end = int(shared.clock()) + 10_000
    await shared.load(*given("ada", "partner_sharing", recipient="acme", expiresAt=end))
    assert (await shared.ask(PARTNERS, shared.keys["acme"], BY_ADA))["profile"] is not None
    shared.clock.now = end
    kinds: list[str] = []
    shared.services.client.observe = lambda kind, outcome, seconds: kinds.append(kind)
    try:
        seen = [(await shared.ask(PARTNERS, shared.keys[name], BY_ADA))["profile"] for name in ("acme", "globex")]
    finally:
        shared.services.client.observe = None
    assert [one is None for one in seen] == [True, False]
    assert set(kinds) == {"read"}


async def test_an_issuer_restricted_to_sources_reaches_only_those(door: Door) -> None:
    await door.load(identify("ada", firstName="Shop"))
    await door.load(identify("ada", phone="+46701234567"), source="news")
    subject = RecordRef("shop", RecordKind.USER, "ada")
    for sources, phone in ((None, "+46701234567"), (frozenset({"shop"}), None)):
        viewer = Viewer("web", Role.SUBJECT, subject=subject, sources=sources)
        view = await find_own(RequestContext(door.services, viewer, door.clock()), Wanted(frozenset({"phone"})))
        assert view is not None
        assert view.facts.phone == phone


async def test_a_lookup_takes_those_of_whom_the_identifier_is_proven(door: Door) -> None:
    await door.client("mail", "frontend", "marketing")
    for name, grade in (("ben", "stated"), ("cyd", "proven"), ("dan", "stated")):
        await door.load(identify(name, firstName=name), *given(name, "marketing"))
        await run(
            door.services.client,
            "MATCH (r:Record {key: $key}) MERGE (n:Identifier {id: $id}) "
            "CREATE (r)-[:IDENTIFIED_BY {grade: $grade, since: 1}]->(n)",
            key=name,
            id=IdentifierRef("email", "info@example.com").id,
            grade=grade,
        )
    query = '{ profile(by: {identifier: {kind: "email", value: "info@example.com"}}) { givenName } }'
    assert (await door.ask(query, door.keys["mail"]))["profile"] == {"givenName": "cyd"}
    await run(door.services.client, "MATCH (:Record {key: 'cyd'})-[h:IDENTIFIED_BY]->() SET h.ended = 5")
    assert (await door.ask(query, door.keys["mail"]))["profile"] is None, "two are as likely"
