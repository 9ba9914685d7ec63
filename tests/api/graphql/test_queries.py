"""The gate through HTTP: what each kind of viewer sees, and when changes of consent take effect."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from graph.store.client import GraphClient
from tests.api.door import Door, given, identify, open_door, viewed

pytestmark = pytest.mark.store

PROFILE = """
query P($key: String!) {
  profile(by: {record: {source: "shop", key: $key}}) {
    id createdAt email givenName age country attributes
    identifiers { kind value }
    consents { purpose permitted state }
    interactions(first: 2) { edges { cursor node { type at item { key title } } } pageInfo { hasNextPage } }
    segments { segment { key } score }
    recommendations(first: 3) { item { key } strategy }
    withheld { field reason }
  }
}
"""


@pytest.fixture
async def door(store: GraphClient) -> AsyncIterator[Door]:
    async with open_door(store) as door:
        await door.client("web", "frontend", "personalisation", "service")
        await door.client("acme", "partner", "partner_sharing", recipient="acme")
        await door.client("audit", "auditor", "service")
        await door.client("ops", "operator")
        await door.load(
            {"type": "item", "itemId": "i1", "title": "Lamp", "category": "home", "price": 9.5},
            {"type": "item", "itemId": "i2", "title": "Chair", "category": "home"},
            {
                "type": "item",
                "itemId": "i3",
                "title": "Map",
                "category": "travel",
                "topics": [{"key": "t", "weight": 2}],
            },
            identify("ada", email="ada@example.com", firstName="Ada", age=36, country="gb", plan="gold"),
            viewed("ada", "i1", "m1"),
            viewed("ada", "i2", "m2"),
            viewed("ada", "i3", "m3"),
            *given("ada", "personalisation", "analytics"),
        )
        await door.services.recommender.load(door.services.client, catalogue=True)
        yield door


async def ask_profile(door: Door, key: str, user: str = "ada", **headers: str):
    response = (await door.send(PROFILE, key, {"key": user}, **headers)).json()
    assert "errors" not in response, response
    return response["data"]["profile"], response.get("extensions")


async def test_a_front_end_sees_what_its_purpose_permits(door: Door) -> None:
    found, extensions = await ask_profile(door, door.keys["web"], consentric_purpose="personalisation")
    assert found["givenName"] == "Ada"
    assert found["age"] == 36
    assert found["country"] == "GB"
    assert found["attributes"] == {"plan": "gold"}
    assert found["email"] is None
    assert found["identifiers"] is None
    assert found["consents"] is None
    assert found["withheld"] is None
    assert extensions is None
    assert [edge["node"]["item"]["key"] for edge in found["interactions"]["edges"]] == ["i3", "i2"]
    assert found["interactions"]["pageInfo"]["hasNextPage"] is True


async def test_another_purpose_of_the_same_client_sees_other_fields(door: Door) -> None:
    found, _ = await ask_profile(door, door.keys["web"], consentric_purpose="service")
    assert found["email"] == "ada@example.com"
    assert {one["kind"] for one in found["identifiers"]} == {"email", "user_id"}
    assert found["interactions"] is None
    assert found["recommendations"] is None


async def test_a_front_end_without_consent_gets_a_profile_of_nulls(door: Door) -> None:
    await door.load(identify("bob", email="bob@example.com", firstName="Bob"), viewed("bob", "i1", "m9"))
    found, _ = await ask_profile(door, door.keys["web"], "bob", consentric_purpose="personalisation")
    assert found.pop("id")
    assert found.pop("createdAt")
    assert set(found.values()) == {None}


async def test_to_a_partner_without_consent_the_person_does_not_exist(door: Door) -> None:
    hidden = await door.send(PROFILE, door.keys["acme"], {"key": "ada"})
    absent = await door.send(PROFILE, door.keys["acme"], {"key": "nobody"})
    assert hidden.content == absent.content
    assert hidden.json() == {"data": {"profile": None}}
    await door.load(*given("ada", "partner_sharing", recipient="acme"))
    found, _ = await ask_profile(door, door.keys["acme"])
    assert found["age"] == 36
    assert found["givenName"] is None
    assert found["interactions"] is None


async def test_a_person_sees_all_of_their_own_data(door: Door) -> None:
    token = await door.token("web", "ada")
    response = (
        await door.send("{ me { email consents { purpose permitted } rfm { cell } withheld { field } } }", token)
    ).json()
    me = response["data"]["me"]
    assert me["email"] == "ada@example.com"
    assert {"purpose": "personalisation", "permitted": True} in me["consents"]
    assert {"purpose": "marketing", "permitted": False} in me["consents"]
    assert me["withheld"] == []
    found, extensions = await ask_profile(door, token)
    assert found["email"] == "ada@example.com"
    assert extensions is None


async def test_a_person_is_told_why_fields_are_withheld(door: Door) -> None:
    await door.load(*given("ada", "personalisation", state="withdrawn"))
    token = await door.token("web", "ada")
    response = (await door.send("{ me { id recommendations(first: 1) { score } } }", token)).json()
    assert response["data"]["me"]["recommendations"] is None
    (noted,) = response["extensions"]["consent"]
    assert noted["path"] == ["me"]
    assert noted["withheld"] == {"recommendations": "not_computed"}


async def test_a_person_cannot_see_others(door: Door) -> None:
    await door.load(identify("bob", email="bob@example.com"))
    token = await door.token("web", "bob")
    found, _ = await ask_profile(door, token, "ada")
    assert found is None


async def test_me_requires_a_subject_token(door: Door) -> None:
    assert await door.codes("{ me { id } }", door.keys["ops"]) == ["FORBIDDEN"]


async def test_auditors_see_consents_but_not_values(door: Door) -> None:
    found, extensions = await ask_profile(door, door.keys["audit"])
    assert found["email"] is None
    assert {"purpose": "analytics", "permitted": True, "state": "GIVEN"} in found["consents"]
    assert {"field": "email", "reason": "no_scope"} in found["withheld"]
    assert extensions["consent"][0]["withheld"]["givenName"] == "no_scope"


async def test_a_withdrawal_takes_effect_in_the_next_read(door: Door) -> None:
    token = await door.token("web", "ada")
    query = """query { profile(by: {record: {source: "shop", key: "ada"}}) { givenName } }"""
    head = {"consentric_purpose": "personalisation"}
    before = (await door.send(query, door.keys["web"], **head)).json()
    assert before["data"]["profile"]["givenName"] == "Ada"
    withdrawn = await door.ask(
        'mutation { withdrawConsent(input: {purpose: "personalisation"}) { accepted consents { purpose permitted } } }',
        token,
    )
    assert {"purpose": "personalisation", "permitted": False} in withdrawn["withdrawConsent"]["consents"]
    after = (await door.send(query, door.keys["web"], **head)).json()
    assert after["data"]["profile"]["givenName"] is None


async def test_an_expired_consent_is_refolded_on_read(door: Door) -> None:
    await door.load(
        identify("eve", firstName="Eve"), *given("eve", "personalisation", expiresAt=door.clock.now + 5_000)
    )
    found, _ = await ask_profile(door, door.keys["web"], "eve", consentric_purpose="personalisation")
    assert found["givenName"] == "Eve"
    door.clock.now += 6_000
    found, _ = await ask_profile(door, door.keys["web"], "eve", consentric_purpose="personalisation")
    assert found["givenName"] is None


async def test_a_profile_is_found_by_each_kind_of_key(door: Door) -> None:
    key = door.keys["audit"]
    by_record = await door.ask('{ profile(by: {record: {source: "shop", key: "ada"}}) { id } }', key)
    global_id = by_record["profile"]["id"]
    by_id = await door.ask(
        "query($id: ID!) { profile(by: {id: $id}) { id } node(id: $id) { id __typename } }", key, {"id": global_id}
    )
    assert by_id["profile"]["id"] == by_id["node"]["id"] == global_id
    assert by_id["node"]["__typename"] == "Profile"
    by_mail = await door.ask('{ profile(by: {identifier: {kind: "email", value: " ADA@Example.com"}}) { id } }', key)
    assert by_mail["profile"]["id"] == global_id
    assert (await door.ask('{ profile(by: {identifier: {kind: "email", value: "test@test.com"}}) { id } }', key))[
        "profile"
    ] is None
    both = '{ profile(by: {id: "x", record: {source: "shop", key: "ada"}}) { id } }'
    assert await door.codes(both, key) == ["BAD_USER_INPUT"]
    assert await door.codes('{ node(id: "nonsense") { id } }', key) == ["BAD_USER_INPUT"]


async def test_roles_and_credentials(door: Door) -> None:
    assert (await door.send("{ purposes { key } }")).status_code == 401
    assert await door.codes("{ purposes { key } }") == ["UNAUTHENTICATED"]
    assert await door.codes("{ purposes { key } }", "cak_wrong") == ["UNAUTHENTICATED"]
    assert await door.codes("{ purposes { key } }", door.keys["web"]) == ["PURPOSE_REQUIRED"]
    assert await door.codes("{ system { version } }", door.keys["acme"]) == ["FORBIDDEN"]
    found = await door.ask(
        "{ system { version schemaVersion store { engine version } counts { users } modelRuns { id } } }",
        door.keys["ops"],
    )
    assert found["system"]["counts"]["users"] == 1
    assert await door.codes("mutation { track(input: []) { accepted } }", door.keys["acme"]) == ["FORBIDDEN"]


async def test_the_catalogue_is_filtered_and_paged(door: Door) -> None:
    key = door.keys["ops"]
    found = await door.ask(
        '{ item(key: "i3") { id key topics { key weight } }'
        " items(first: 2) { nodes { key } pageInfo { hasNextPage endCursor } } }",
        key,
    )
    assert found["item"]["topics"] == [{"key": "t", "weight": 2.0}]
    assert [node["key"] for node in found["items"]["nodes"]] == ["i1", "i2"]
    cursor = found["items"]["pageInfo"]["endCursor"]
    rest = await door.ask(
        "query($after: String) { items(first: 2, after: $after) { nodes { key } pageInfo { hasNextPage } } }",
        key,
        {"after": cursor},
    )
    assert rest["items"] == {"nodes": [{"key": "i3"}], "pageInfo": {"hasNextPage": False}}
    home = await door.ask('{ items(first: 9, where: {category: "home", maxPrice: 10}) { nodes { key } } }', key)
    assert home["items"]["nodes"] == [{"key": "i1"}]
    topic = await door.ask('{ items(first: 9, where: {topic: "t"}) { nodes { key } } }', key)
    assert topic["items"]["nodes"] == [{"key": "i3"}]
    keys = await door.ask('{ items(first: 9, where: {keys: ["i2", "i9", "i1"]}) { nodes { key } } }', key)
    assert keys["items"]["nodes"] == [{"key": "i1"}, {"key": "i2"}]
    for first in ("0", "101", "-1"):
        assert await door.codes(f"{{ items(first: {first}) {{ nodes {{ key }} }} }}", key) == ["BAD_USER_INPUT"]
    assert await door.codes("{ items { nodes { key } } }", key) == ["BAD_USER_INPUT"]


async def test_mutations_are_idempotent(door: Door) -> None:
    track = """mutation($e: [EventInput!]!) { track(input: $e) { accepted duplicate rejected { index code } } }"""
    events = [
        {"source": "shop", "messageId": "e1", "event": "Product Viewed", "userId": "cy", "item": "i1"},
        {"source": "shop", "messageId": "e2", "event": "Product Viewed", "item": "i1"},
    ]
    first = await door.send(track, door.keys["web"], {"e": events}, consentric_purpose="personalisation")
    assert first.json()["data"]["track"] == {
        "accepted": 1,
        "duplicate": 0,
        "rejected": [{"index": 1, "code": "missing_id"}],
    }
    again = await door.send(track, door.keys["web"], {"e": events[:1]}, consentric_purpose="personalisation")
    assert again.json()["data"]["track"] == {"accepted": 0, "duplicate": 1, "rejected": []}
    record = """mutation($r: RecordInput!) { upsertRecord(input: $r) { accepted duplicate rejected { code } } }"""
    entry = {
        "source": "shop",
        "userId": "cy",
        "messageId": "r1",
        "traits": {"email": "cy@example.com"},
        "identifiers": [{"kind": "phone", "value": "+44 20 7946 0958"}],
    }
    assert (await door.ask(record, door.keys["ops"], {"r": entry}))["upsertRecord"]["accepted"] == 1
    assert (await door.ask(record, door.keys["ops"], {"r": entry}))["upsertRecord"]["duplicate"] == 1
    assert await door.codes(record, door.keys["ops"], {"r": entry | {"source": "elsewhere"}}) == ["BAD_USER_INPUT"]
    items = """mutation {
        upsertItems(input: [{key: "n1", title: "New", topics: [{key: "t"}]}, {key: ""}]) { accepted rejected { index } }
    }"""
    assert (await door.ask(items, door.keys["ops"]))["upsertItems"] == {"accepted": 1, "rejected": [{"index": 1}]}
    by_phone = '{ profile(by: {identifier: {kind: "phone", value: "+442079460958"}}) { id } }'
    assert (await door.ask(by_phone, door.keys["audit"]))["profile"] is not None


async def test_consent_is_recorded_for_those_who_may_state_it(door: Door) -> None:
    token = await door.token("web", "ada")
    say = """mutation { recordConsent(input: {purpose: "partner_sharing", recipient: "acme", state: GIVEN}) {
        accepted consents { purpose recipient permitted } } }"""
    stated = await door.ask(say, token)
    assert {"purpose": "partner_sharing", "recipient": "acme", "permitted": True} in stated["recordConsent"]["consents"]
    found, _ = await ask_profile(door, door.keys["acme"])
    assert found["country"] == "GB"
    other = """mutation { recordConsent(input: {
        record: {source: "shop", userId: "bob"}, purpose: "marketing", state: GIVEN}) { accepted } }"""
    assert await door.codes(other, token) == ["FORBIDDEN"]
    assert await door.codes(other, door.keys["acme"]) == ["FORBIDDEN"]
    assert (await door.ask(other, door.keys["ops"]))["recordConsent"] == {"accepted": 1}
    wrong = 'mutation { recordConsent(input: {purpose: "nonsense", state: GIVEN}) { accepted } }'
    assert await door.codes(wrong, token) == ["BAD_USER_INPUT"]
    history = await door.ask(
        "{ me { consentHistory(first: 1) { nodes { purpose state recipient } pageInfo { endCursor hasNextPage } } } }",
        token,
    )
    page = history["me"]["consentHistory"]
    assert page["nodes"] == [{"purpose": "partner_sharing", "state": "GIVEN", "recipient": "acme"}]
    rest = await door.ask(
        "query($a: String) { me { consentHistory(first: 9, after: $a) { nodes { purpose } } } }",
        token,
        {"a": page["pageInfo"]["endCursor"]},
    )
    assert {node["purpose"] for node in rest["me"]["consentHistory"]["nodes"]} == {"personalisation", "analytics"}
