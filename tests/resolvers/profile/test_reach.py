"""What counts as a person's behaviour: their account's, and that of devices where both permit the purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from graph.model.access import Trust
from graph.store.client import GraphClient
from resolvers.access import registration
from tests.api.door import Door, given, identify, open_door, viewed
from tests.crowd import run
from tests.devices import write_device

pytestmark = pytest.mark.store

BEHAVIOUR = "interactions(first: 9) { nodes { id grade } } sessions(first: 9) { nodes { grade } }"
ADA = '{ profile(by: {record: {source: "shop", key: "ada"}}) { email ' + BEHAVIOUR + " } }"
PHONE = '{ profile(by: {record: {source: "shop", key: "phone", kind: ANONYMOUS}}) { ' + BEHAVIOUR + " } }"


@pytest.fixture
async def door(store: GraphClient) -> AsyncIterator[Door]:
    """Ada's account, and a phone that counts for it because it claims to."""
    async with open_door(store) as door:
        await door.client("web", "frontend", "personalisation")
        await door.load(identify("ada", email="ada@example.com"), viewed("ada", "i1", "m1"))
        await door.load({"type": "track", "anonymousId": "phone", "event": "Opened", "messageId": "d1"})
        await write_device(store, "phone", "ada")
        yield door


def on_phone(*purposes: str, state: str = "given") -> list[dict[str, object]]:
    return [{**line, "userId": None, "anonymousId": "phone"} for line in given("x", *purposes, state=state)]


async def seen(door: Door, query: str = ADA) -> dict[str, str] | None:
    person = (await door.ask(query, door.keys["web"]))["profile"]
    if person["interactions"] is None:
        return None
    grades = {one["grade"] for one in person["interactions"]["nodes"]}
    assert {one["grade"] for one in person["sessions"]["nodes"]} == grades
    return {one["id"]: one["grade"] for one in person["interactions"]["nodes"]}


async def test_a_devices_behaviour_is_shown_where_account_and_device_permit_the_purpose(door: Door) -> None:
    assert await seen(door) is None
    await door.load(*given("ada", "personalisation"))
    assert await seen(door) == {"shop|m1": "PROVEN"}
    await door.load(*on_phone("personalisation"))
    assert await seen(door) == {"shop|m1": "PROVEN", "shop|d1": "CLAIMED"}
    assert await seen(door, PHONE) == {"shop|d1": "PROVEN"}, "asking by the device shows the device"
    await door.load(*on_phone("personalisation", state="withdrawn"))
    assert await seen(door) == {"shop|m1": "PROVEN"}


async def test_a_device_ended_or_unsettled_does_not_count(door: Door) -> None:
    await door.load(*given("ada", "personalisation"), *on_phone("personalisation"))
    client = door.services.client
    await run(client, "MERGE (:Source {name: 'app', trust_epoch: 1, settled_epoch: 0})")
    await run(
        client,
        "MATCH (d:Record {key: 'phone'})-[f:FROM]->(:Source) MATCH (s:Source {name: 'app'}) "
        "DELETE f CREATE (d)-[:FROM]->(s)",
    )
    assert await seen(door) == {"shop|m1": "PROVEN"}
    await run(client, "MATCH (s:Source {name: 'app'}) SET s.settled_epoch = 1")
    assert len(await seen(door) or ()) == 2
    await run(client, "MATCH (:Record)-[c:COUNTS_FOR]->(:Record) DELETE c")
    assert await seen(door) == {"shop|m1": "PROVEN"}


UNSETTLED = """
MATCH (s:Source {name: 'crm'}) SET s.trust_epoch = 2, s.settled_epoch = $settled
WITH s
MATCH (r:Record {key: 'ada', source: 'shop'})-[:RESOLVES_TO]->(u:User)
MATCH (c:Record {source: 'crm'})-[x:RESOLVES_TO]->(:User)
WHERE x.to IS NULL
SET x.to = 1
CREATE (c)-[:RESOLVES_TO]->(u)
"""


async def test_people_of_an_unsettled_source_are_shown_record_by_record(door: Door) -> None:
    await door.load(*given("ada", "personalisation", "marketing"), *given("ada", "partner_sharing", recipient="acme"))
    await registration.register_source(door.services, "crm", Trust.SERVER)
    await door.load({"type": "identify", "userId": "c1", "traits": {"phone": "+46701234567"}}, source="crm")
    client = door.services.client
    await run(client, UNSETTLED, settled=1)
    await door.client("mail", "frontend", "marketing")
    await door.client("audit", "auditor")
    acme = await door.client("acme", "partner", "partner_sharing", recipient="acme")
    fields = "{ email phone }"
    by_shop = '{ profile(by: {record: {source: "shop", key: "ada"}}) ' + fields + " }"
    by_crm = '{ profile(by: {record: {source: "crm", key: "c1"}}) ' + fields + " }"
    by_mail = '{ profile(by: {identifier: {kind: "email", value: "ada@example.com"}}) ' + fields + " }"
    id_ = (await door.ask(by_shop.replace(fields, "{ id }"), door.keys["audit"]))["profile"]["id"]
    by_id = f'{{ profile(by: {{id: "{id_}"}}) {fields} }}'

    async def look(query: str, key: str) -> object:
        return (await door.ask(query, key))["profile"]

    both = {"email": "ada@example.com", "phone": "+46701234567"}
    mail = door.keys["mail"]
    assert await look(by_shop, mail) == {"email": both["email"], "phone": None}
    assert await look(by_crm, mail) == {"email": None, "phone": both["phone"]}
    assert await look(by_mail, mail) == {"email": both["email"], "phone": None}
    assert await look(by_id, mail) == {"email": None, "phone": None}
    assert [await look(query, acme) for query in (by_shop, by_crm, by_mail)] == [None, None, None]
    await run(client, "MATCH (s:Source {name: 'crm'}) SET s.settled_epoch = 2")
    assert [await look(query, mail) for query in (by_shop, by_crm, by_mail, by_id)] == [both] * 4
    assert await look(by_shop, acme) is not None
