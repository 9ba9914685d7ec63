"""Finding people by each kind of key, and reading each part of a profile, on and off; on either engine."""

from __future__ import annotations

from typing import Any

import pytest

from graph.model.access import Trust
from graph.model.identity import Grade, IdentifierRef, RecordKind, RecordRef, UserId
from graph.profile import (
    FoundPerson,
    ProfileParts,
    Reach,
    Sharing,
    find_own_person,
    find_people_of_identifier,
    find_person_of_record,
    find_user,
    read_profile,
)
from graph.store.client import GraphClient
from tests.api.door import Door, given, identify
from tests.crowd import run
from tests.shop import WRITE_DERIVED, record

pytestmark = pytest.mark.store

ALL = ProfileParts(traits=True, identifiers=True, segments=True, rfm=True, recent=5, interactions=5, sessions=5)
ANYONE = Sharing()


def sharing_with(partner: str, now: int) -> Sharing:
    permit = f"partner_sharing@{partner}"
    return Sharing(permit, "partner_sharing@*", f"!{permit}", now)  # type: ignore[arg-type]


async def find(client: GraphClient, key: str = "ada", kind: RecordKind = RecordKind.USER) -> FoundPerson:
    (found,) = await find_person_of_record(client, record(key, kind), ANYONE, behaviour=True)
    return found


def reach_of(person: FoundPerson) -> Reach:
    proven = dict.fromkeys(person.records, Grade.PROVEN)
    return Reach(person.records, proven, proven)


async def test_a_person_is_found_without_any_facts(door: Door) -> None:
    found = await find(door.services.client)
    assert found.records == found.asked == {record("ada")}
    assert "service" in found.permits
    assert (found.own, found.proven_devices, found.unsettled, found.devices) == (None, frozenset(), frozenset(), ())


async def test_parts_that_are_not_requested_are_empty(door: Door) -> None:
    ada = await find(door.services.client)
    found = await read_profile(door.services.client, ada.id, ada.consent_epoch, reach_of(ada), ProfileParts())
    assert found is not None
    parts = (found.traits, found.identifiers, found.segments, found.recent, found.interactions)
    assert not any((*parts, found.sessions, found.rfm, found.trusts))


async def test_all_parts_in_one_read(door: Door) -> None:
    client = door.services.client
    ada = await find(client)
    await run(client, WRITE_DERIVED, user=ada.id)
    await run(client, "MATCH (s:Source {name: 'shop'}) SET s.trust = 'record'")
    found = await read_profile(client, ada.id, ada.consent_epoch, reach_of(ada), ALL)
    assert found is not None
    (traits,) = found.traits.values()
    assert {name: trait.value for name, trait in traits.items()} == {"email": "ada@example.com", "givenName": "Ada"}
    assert found.trusts == {record("ada"): Trust.RECORD}
    assert [(i.kind, i.value) for i in found.identifiers] == [("email", "ada@example.com"), ("user_id", "ada")]
    (member,) = found.segments
    assert (member.segment, member.purpose, member.since, member.score) == ("buyers", "analytics", 5, 0.5)
    assert (member.version, member.title, member.kind) == (2, "Buyers", "rfm")
    assert found.rfm is not None
    assert (found.rfm.cell, found.rfm.monetary, found.rfm.recency_score) == ("543", 9.5, 5)
    assert [event.item for event in found.recent] == ["i3", "i2", "i1", "i3", "i2"]
    assert [event.type for event in found.interactions][:2] == ["VIEWED", "VIEWED"]
    assert found.interactions[0].item is None, "a page has no item"
    assert found.interactions[1].item is not None
    assert found.interactions[1].item.topics == (("t", 2.0), ("u", 1.0))
    assert len(found.sessions) == 5
    assert found.sessions[0].source == "shop"
    assert [session.started_at for session in found.sessions] == sorted(
        (session.started_at for session in found.sessions), reverse=True
    )


async def test_nothing_is_read_beyond_the_records_ruled_on_or_after_a_change_of_permits(door: Door) -> None:
    client = door.services.client
    ada = await find(client)
    nothing = await read_profile(client, ada.id, ada.consent_epoch, Reach(), ALL)
    assert nothing is not None
    assert not any((nothing.traits, nothing.holdings, nothing.recent, nothing.interactions))
    await door.load(*given("ada", "marketing"))
    assert await read_profile(client, ada.id, ada.consent_epoch, reach_of(ada), ALL) is None


async def test_an_account_and_a_device_of_the_same_name_are_two_people(door: Door) -> None:
    client = door.services.client
    await door.load({"type": "identify", "anonymousId": "ada", "traits": {"firstName": "Nobody"}})
    for one in (record("ada"), record("ada", RecordKind.ANONYMOUS)):
        assert [person.records for person in await find_person_of_record(client, one, ANYONE)] == [{one}]
    assert await find_person_of_record(client, record("nobody"), ANYONE) == []


async def test_a_retired_id_leads_to_its_survivor_but_not_for_a_partner(door: Door) -> None:
    client = door.services.client
    ada = await find(client)
    await door.load(*given("ada", "partner_sharing", recipient="acme"))
    await run(
        client,
        "MATCH (u:User {id: $id}) CREATE (:User {id: 'old', created_at: 1, retired_at: 2, permits: []})"
        "-[:RETIRED_INTO {at: 2}]->(u)",
        id=ada.id,
    )
    acme = sharing_with("acme", door.clock())
    assert [one.id for one in await find_user(client, UserId("old"), ANYONE)] == [ada.id]
    assert await find_user(client, UserId("old"), acme) == []
    assert [one.id for one in await find_user(client, ada.id, acme)] == [ada.id]
    assert await find_user(client, UserId("nobody"), ANYONE) == []


async def test_every_key_leads_only_to_people_the_viewer_may_know_about(door: Door) -> None:
    client, ada = door.services.client, await find(door.services.client)
    mail = IdentifierRef("email", "ada@example.com")

    async def ways(sharing: Sharing) -> list[int]:
        found = (
            await find_people_of_identifier(client, mail, sharing),
            await find_person_of_record(client, record("ada"), sharing),
            await find_user(client, ada.id, sharing),
        )
        return [len(people) for people in found]

    assert await ways(ANYONE) == [1, 1, 1]
    assert await ways(sharing_with("acme", door.clock())) == [0, 0, 0]
    await door.load(*given("ada", "partner_sharing", recipient="acme", expiresAt=int(door.clock()) + 10_000))
    assert await ways(sharing_with("acme", door.clock())) == [1, 1, 1]
    assert await ways(sharing_with("acme", door.clock() + 20_000)) == [0, 0, 0]
    await door.load(*given("ada", "partner_sharing"))
    assert await ways(sharing_with("globex", door.clock())) == [1, 1, 1]
    assert await ways(sharing_with("globex", door.clock() + 20_000)) == [1, 1, 1], "what ran out hides nothing else"
    await run(client, "MATCH (s:Source {name: 'shop'}) SET s.trust_epoch = 2, s.settled_epoch = 1")
    assert await ways(sharing_with("globex", door.clock())) == [0, 0, 0]
    assert await ways(ANYONE) == [1, 1, 1]
    assert (await find(client)).unsettled == {record("ada")}
    await run(client, "MATCH (s:Source {name: 'shop'}) SET s.settled_epoch = 2")
    await door.load(*given("ada", "partner_sharing", state="refused", recipient="globex"))
    assert await ways(sharing_with("globex", door.clock())) == [0, 0, 0]


HOLD = """
MATCH (r:Record {key: $key})
MERGE (n:Identifier {id: $id}) SET n.kind = $kind, n.value = $value, n.namespace = ''
MERGE (r)-[h:IDENTIFIED_BY]->(n) SET h += $facts
"""


async def hold(client: GraphClient, key: str, ref: IdentifierRef, **facts: Any) -> None:
    await run(client, HOLD, key=key, id=ref.id, kind=ref.kind, value=ref.value, facts=facts)


async def test_an_identifier_leads_first_to_those_of_whom_it_is_proven_and_to_no_former_holder(door: Door) -> None:
    client, mail = door.services.client, IdentifierRef("email", "info@example.com")
    await door.load(*(identify(key, firstName="x") for key in ("ben", "cyd", "dan")))
    await hold(client, "ben", mail, grade="stated")
    await hold(client, "cyd", mail, grade="proven")
    await hold(client, "dan", mail, grade="proven", ended=5)
    found = await find_people_of_identifier(client, mail, ANYONE)
    held = [(one.records, one.grade) for one in found]
    assert held == [({record("cyd")}, Grade.PROVEN), ({record("ben")}, Grade.STATED)]
    assert await find_people_of_identifier(client, IdentifierRef("email", "no"), ANYONE) == []


async def test_a_credential_proves_the_records_of_its_user_id_and_the_devices_it_was_used_on(door: Door) -> None:
    client = door.services.client
    await run(client, "MERGE (:Source {name: 'news'})")
    await door.load(identify("ada"), source="news")
    news = RecordRef("news", RecordKind.USER, "ada").id
    await hold(client, "ada", IdentifierRef("anonymous_id", "phone"), proof="token", grade="proven")
    await hold(client, "ada", IdentifierRef("anonymous_id", "hashed"), proof="hash", grade="proven")
    (found,) = await find_own_person(client, record("ada"), None)
    assert found.own == {record("ada"), news}
    assert found.proven_devices == {"phone"}
    (found,) = await find_own_person(client, record("ada"), frozenset({"shop"}))
    assert found.own == {record("ada")}
    await run(client, "MATCH (:Record {source: 'news'})-[h:IDENTIFIED_BY]->(:Identifier) SET h.grade = 'stated'")
    (found,) = await find_own_person(client, record("ada"), None)
    assert found.own == {record("ada")}
    assert await find_own_person(client, record("nobody"), None) == []


async def test_devices_that_count_come_with_what_their_own_users_permit(door: Door) -> None:
    client = door.services.client
    await door.load({"type": "track", "anonymousId": "phone", "event": "Opened", "messageId": "d1"})
    await run(
        client,
        "MATCH (d:Record {key: 'phone'}), (r:Record {key: 'ada'}) CREATE (d)-[:COUNTS_FOR {grade: 'claimed'}]->(r)",
    )
    (device,) = (await find(client)).devices
    assert (device.record.key, device.account, device.grade) == ("phone", record("ada"), Grade.CLAIMED)
    assert "service" in device.permits
    (without,) = await find_person_of_record(client, record("ada"), ANYONE)
    assert without.devices == ()
    await run(client, "MATCH (:Record)-[c:COUNTS_FOR]->(:Record) DELETE c")
    assert (await find(client)).devices == ()
