"""Evidence in messages of who people are and what they permit: both ids, addresses, aliases, consents."""

from __future__ import annotations

import pytest

from graph.model.access import Source
from graph.model.message import Message
from graph.store.client import GraphClient
from tests.arrivals import NOW, count, ingest, message, permits, track

pytestmark = pytest.mark.store

PREFERENCES = "MATCH (r:Record)-[:DECIDED]->(e:ConsentEvent) RETURN count(e) AS n"


def carrying(id_: str, at: int, user_id: str = "ada", **categories: bool) -> Message:
    return track(id_, user_id, "Clicked", at, context={"consent": {"categoryPreferences": categories}})


async def test_both_ids_in_a_message_make_one_person(store: GraphClient) -> None:
    anonymous = message(type="track", messageId="a", anonymousId="visitor", event="Clicked", at=NOW - 1000)
    both = message(type="track", messageId="b", anonymousId="visitor", userId="ada", event="Clicked")
    for given in (anonymous, both, track("c", "ada", "Clicked")):
        await ingest(store, given)
    rows = await store.read(
        """
        MATCH (r:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL
        RETURN u.id AS user, collect(r.kind) AS kinds
        """
    )
    assert [sorted(row["kinds"]) for row in rows] == [["anonymous", "user"]]
    assert await count(store, "MATCH (r:Record {kind: 'user'})-[:HAD]->(s:Session)-[e]->(s) RETURN count(e) AS n") == 2


async def test_both_ids_in_a_group_with_an_earlier_anonymous_event_make_one_person(store: GraphClient) -> None:
    await ingest(
        store,
        message(type="track", messageId="b", anonymousId="visitor", userId="ada", event="Clicked"),
        message(type="track", messageId="a", anonymousId="visitor", event="Clicked", at=NOW - 1000),
    )
    assert await count(store, "MATCH (u:User) WHERE u.retired_at IS NULL RETURN count(u) AS n") == 1


async def test_an_address_links_two_systems_but_not_two_users_of_one_system(store: GraphClient) -> None:
    traits = {"email": "ada@example.org"}
    await ingest(store, message(type="identify", messageId="a", userId="ada", traits=traits))
    await ingest(store, message(Source("crm"), type="identify", messageId="b", userId="c-7", traits=traits, at=NOW + 1))
    await ingest(store, message(type="identify", messageId="c", userId="eve", traits=traits, at=NOW + 2))
    rows = await store.read(
        """
        MATCH (r:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL
        RETURN u.id AS user, collect(r.key) AS keys
        """
    )
    assert sorted(sorted(row["keys"]) for row in rows) == [["ada", "c-7"], ["eve"]]


@pytest.mark.parametrize("previous_is_user", [False, True])
async def test_an_alias_links_the_records_it_names(store: GraphClient, previous_is_user: bool) -> None:
    name = {"userId": "old"} if previous_is_user else {"anonymousId": "old"}
    await ingest(store, message(type="track", messageId="a", event="Clicked", **name))
    await ingest(store, message(type="alias", messageId="b", previousId="old", userId="ada"))
    assert await count(store, "MATCH (u:User) WHERE u.retired_at IS NULL RETURN count(u) AS n") == 1
    assert await count(store, "MATCH (r:Record) RETURN count(r) AS n") == 2


async def test_an_alias_of_an_unknown_record_links_it_once_it_arrives(store: GraphClient) -> None:
    await ingest(store, message(type="alias", messageId="b", previousId="old", userId="ada"))
    await ingest(store, message(type="track", messageId="a", event="Clicked", anonymousId="old"))
    assert await count(store, "MATCH (u:User) WHERE u.retired_at IS NULL RETURN count(u) AS n") == 1


async def test_repeated_preferences_are_written_only_when_they_differ(store: GraphClient) -> None:
    await ingest(store, *(carrying(f"a{n}", NOW - 1000 + n, Analytics=True, Functional=False) for n in range(5)))
    assert await count(store, PREFERENCES) == 2
    assert await permits(store) == ["analytics", "identity_linking", "service"]
    await ingest(store, carrying("b", NOW - 500, Analytics=True, Functional=False))
    assert await count(store, PREFERENCES) == 2
    await ingest(store, carrying("c", NOW - 400, Analytics=False, Functional=True))
    assert await count(store, PREFERENCES) == 4
    assert await permits(store) == ["identity_linking", "personalisation", "service"]


async def test_a_repeated_denial_overrides_a_grant_of_another_record_in_between(store: GraphClient) -> None:
    await ingest(store, message(type="alias", messageId="x", userId="ada", previousId="eve"))
    await ingest(store, carrying("a", NOW - 1000, Analytics=False))
    eve = {"type": "consent", "anonymousId": "eve", "purpose": "analytics", "state": "given", "assurance": 1}
    await ingest(store, message(messageId="b", at=NOW - 900, from_file=True, **eve))
    assert "analytics" in await permits(store)
    await ingest(store, carrying("c", NOW - 800, Analytics=False))
    assert "analytics" not in await permits(store)


async def test_the_preference_event_is_always_written(store: GraphClient) -> None:
    consent = {"consent": {"categoryPreferences": {"Analytics": True, "Unheard": True}}}
    for number in range(2):
        given = track(f"{number}", "ada", "Segment Consent Preference Updated", NOW - 10 + number, context=consent)
        await ingest(store, given)
    rows = await store.read("MATCH (e:ConsentEvent)-[:FOR]->(p:Purpose) RETURN p.key AS purpose, e.assurance AS sure")
    assert rows == [{"purpose": "analytics", "sure": 1}] * 2
    assert await count(store, "MATCH (s:Session) RETURN count(s) AS n") == 0
    assert "analytics" in await permits(store)


async def test_a_consent_line_takes_effect_once_it_is_acknowledged(store: GraphClient) -> None:
    line = {"type": "consent", "userId": "ada", "purpose": "personalisation", "state": "given"}
    await ingest(
        store, message(messageId="a", from_file=True, at=NOW - 10, notice="privacy", noticeVersion="3", **line)
    )
    assert "personalisation" in await permits(store)
    await ingest(store, message(messageId="b", from_file=True, at=NOW - 5, **line | {"state": "withdrawn"}))
    assert "personalisation" not in await permits(store)
    assert await count(store, "MATCH (:ConsentEvent)-[:UNDER]->(n:Notice) RETURN count(n) AS n") == 1


async def test_shared_addresses_make_one_person_across_sources(store: GraphClient) -> None:
    for source in ("shop", "app"):
        traits = {"email": "Ada@Example.org" if source == "shop" else "ada@example.org "}
        await ingest(
            store, message(Source(source, source), type="identify", messageId="m", userId=f"{source}-1", traits=traits)
        )
    assert await count(store, "MATCH (u:User) WHERE u.retired_at IS NULL RETURN count(u) AS n") == 1


async def versions(store: GraphClient) -> dict[str, int]:
    return {row["key"]: row["v"] for row in await store.read("MATCH (r:Record) RETURN r.key AS key, r._v AS v")}


async def test_a_known_second_record_is_not_touched_again(store: GraphClient) -> None:
    def both(id_: str, at: int) -> Message:
        return message(type="track", messageId=id_, anonymousId="visitor", userId="ada", event="Clicked", at=at)

    await ingest(store, both("a", NOW - 10))
    before = await versions(store)
    await ingest(store, both("b", NOW - 5))
    after = await versions(store)
    assert (after["visitor"] - before["visitor"], after["ada"] > before["ada"]) == (0, True)
    await ingest(store, both("c", NOW - 20))
    assert (await versions(store))["visitor"] > after["visitor"]
    rows = await store.read(
        "MATCH (:Record)-[h:IDENTIFIED_BY]->(:Identifier {kind: 'anonymous_id'}) RETURN h.since AS at"
    )
    assert [row["at"] for row in rows] == [NOW - 20] * 2


async def test_an_alias_means_the_user_rather_than_the_anonymous_record_with_that_id(store: GraphClient) -> None:
    await ingest(
        store,
        track("a", "old", "Clicked"),
        message(type="track", messageId="b", event="Clicked", anonymousId="old"),
    )
    await ingest(store, message(type="alias", messageId="c", previousId="old", userId="ada"))
    rows = await store.read(
        "MATCH (r:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL "
        "RETURN u.id AS user, collect(r.kind + r.key) AS of"
    )
    assert sorted(sorted(row["of"]) for row in rows) == [["anonymousold"], ["userada", "userold"]]


async def test_older_preferences_that_arrive_late_do_not_override_newer_ones(store: GraphClient) -> None:
    await ingest(store, carrying("a", NOW - 400, Analytics=False))
    await ingest(store, carrying("b", NOW - 900, Analytics=True))
    assert "analytics" not in await permits(store)
    await ingest(store, carrying("c", NOW - 300, Analytics=False))
    assert "analytics" not in await permits(store)
    await ingest(store, carrying("d", NOW - 200, Analytics=True))
    assert "analytics" in await permits(store)


async def test_repeated_preferences_are_compared_per_record(store: GraphClient) -> None:
    await ingest(store, carrying("a", NOW - 10, Analytics=True), carrying("b", NOW - 10, "eve", Analytics=True))
    assert await count(store, PREFERENCES) == 2
    assert "analytics" in await permits(store, "eve")
