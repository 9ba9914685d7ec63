"""A profile in one read: each part on and off, each way to a person, and the later pages; on either engine."""

from __future__ import annotations

import pytest

from graph.model.identity import IdentifierRef, RecordKind, RecordRef, UserId
from graph.profile import (
    ProfileParts,
    Sharing,
    StoredProfile,
    read_profile_of_user,
    read_profiles_of_identifier,
    read_profiles_of_records,
)
from graph.store.client import Writer
from tests.api.door import Door, given
from tests.shop import WRITE_DERIVED, record

pytestmark = pytest.mark.store

NONE = ProfileParts()
ALL = ProfileParts(
    traits=True, identifiers=True, consents=True, segments=True, rfm=True, recent=5, interactions=5, sessions=5
)


async def one(found: list[StoredProfile]) -> StoredProfile:
    (profile,) = found
    return profile


async def test_parts_that_are_not_requested_are_empty(door: Door) -> None:
    found = await one(await read_profiles_of_records(door.services.client, [record("ada")], NONE))
    assert found.records == (RecordRef("shop", RecordKind.USER, "ada"),)
    assert "service" in found.permits
    parts = (found.traits, found.identifiers, found.events, found.segments, found.recent, found.interactions)
    assert not any((*parts, found.sessions, found.rfm))


async def test_all_parts_in_one_read(door: Door) -> None:
    client = door.services.client
    user = (await one(await read_profiles_of_records(client, [record("ada")], NONE))).id

    async def derive(tx: Writer) -> None:
        await tx.run(WRITE_DERIVED, user=user)

    await client.write(derive)
    found = await one(await read_profile_of_user(client, user, ALL))
    (traits,) = found.traits.values()
    assert {name: trait.value for name, trait in traits.items()} == {"email": "ada@example.com", "givenName": "Ada"}
    assert {(i.kind, i.value) for i in found.identifiers} == {("email", "ada@example.com"), ("user_id", "ada")}
    assert [event.statement.purpose for event in found.events] == ["analytics"]
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


async def test_records_are_returned_in_the_order_requested(door: Door) -> None:
    await door.load({"type": "identify", "anonymousId": "ada", "traits": {"firstName": "Nobody"}})
    keys = [record("ada"), record("nobody"), record("ada", RecordKind.ANONYMOUS)]
    found = await read_profiles_of_records(door.services.client, keys, ProfileParts(traits=True))
    names = [traits["givenName"].value for profile in found for traits in profile.traits.values()]
    assert names == ["Ada", "Nobody"]
    assert await read_profiles_of_records(door.services.client, [record("nobody")], ALL) == []


async def test_a_retired_id_leads_to_its_survivor(door: Door) -> None:
    client = door.services.client
    await door.load({"type": "identify", "anonymousId": "a-1"})
    alone = await one(await read_profiles_of_records(client, [record("a-1", RecordKind.ANONYMOUS)], NONE))
    await door.load({"type": "identify", "userId": "ada", "anonymousId": "a-1"})
    merged = await one(await read_profiles_of_records(client, [record("ada")], NONE))
    assert len(merged.records) == 2
    for user in (alone.id, merged.id):
        assert (await one(await read_profile_of_user(client, user, NONE))).id == merged.id
    assert await read_profile_of_user(client, UserId("nobody"), NONE) == []


async def test_an_identifier_refers_only_to_people_the_viewer_may_know_about(door: Door) -> None:
    client = door.services.client
    mail = IdentifierRef("email", "ada@example.com")
    now = door.clock()
    assert len(await read_profiles_of_identifier(client, mail, Sharing(), now, NONE)) == 1
    acme = Sharing("partner_sharing@acme", "partner_sharing@*", "!partner_sharing@acme")
    assert await read_profiles_of_identifier(client, mail, acme, now, NONE) == []
    await door.load(*given("ada", "partner_sharing", recipient="acme"))
    assert len(await read_profiles_of_identifier(client, mail, acme, door.clock(), NONE)) == 1
    await door.load(*given("ada", "partner_sharing"))
    other = Sharing("partner_sharing@globex", "partner_sharing@*", "!partner_sharing@globex")
    assert len(await read_profiles_of_identifier(client, mail, other, door.clock(), NONE)) == 1
    await door.load(*given("ada", "partner_sharing", state="refused", recipient="globex"))
    assert await read_profiles_of_identifier(client, mail, other, door.clock(), NONE) == []
    assert await read_profiles_of_identifier(client, IdentifierRef("email", "no"), Sharing(), now, ALL) == []
