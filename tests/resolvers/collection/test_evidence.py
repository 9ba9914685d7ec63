"""Evidence in messages of who people are and what they permit: both IDs, addresses, aliases, consents."""

from __future__ import annotations

import pytest

from graph.model.access import ALWAYS, Source, Trust
from graph.model.identity import Proof
from graph.model.message import Message
from graph.store.client import GraphClient
from resolvers.identity.candidates import count_candidates
from tests.arrivals import NOW, count, ingest, message, permits, register, track

pytestmark = pytest.mark.store

PREFERENCES = "MATCH (r:Record)-[:DECIDED]->(e:ConsentEvent) RETURN count(e) AS n"


WEB = Source("web", trust=Trust.PUBLIC)
VERIFYING = Source("shop", verifies={"email": ALWAYS})
CRM = Source("crm", trust=Trust.RECORD, user_namespace="crm")
CARD = {"context": {"externalIds": [{"id": "c1", "type": "card"}]}}


def carrying(id_: str, at: int, user_id: str = "ada", *, received: int | None = None, **categories: bool) -> Message:
    """A click at an instant, received then, that carries along what a consent banner holds."""
    context = {"consent": {"categoryPreferences": categories}}
    return track(id_, user_id, "Clicked", at, received=at if received is None else received, context=context)


async def people(store: GraphClient) -> list[list[str]]:
    """The records of each person, as `source:key`; those of devices with their kind."""
    rows = await store.read(
        """
        MATCH (r:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL
        RETURN u.id AS user, collect([r.source, r.kind, r.key]) AS of
        """
    )
    return sorted(
        sorted(f"{s}:{key}" if kind == "user" else f"{s}:device {key}" for s, kind, key in r["of"]) for r in rows
    )


async def counted(store: GraphClient) -> list[tuple[str, str, str]]:
    """Which device counts for which account, with the grade."""
    rows = await store.read(
        "MATCH (d:Record)-[c:COUNTS_FOR]->(a:Record) RETURN d.key AS d, a.key AS a, c.grade AS grade"
    )
    return sorted((row["d"], row["a"], row["grade"]) for row in rows)


async def test_both_ids_in_a_message_of_a_server_tie_the_device_to_the_account(store: GraphClient) -> None:
    anonymous = message(type="track", messageId="a", anonymousId="visitor", event="Clicked", at=NOW - 1000)
    both = message(type="track", messageId="b", anonymousId="visitor", userId="ada", event="Clicked")
    for given in (anonymous, both, track("c", "ada", "Clicked")):
        await ingest(store, given)
    assert await people(store) == [["shop:ada"], ["shop:device visitor"]]
    assert await counted(store) == [("visitor", "ada", "proven")]
    assert await count(store, "MATCH (r:Record {kind: 'user'})-[:HAD]->(s:Session)-[e]->(s) RETURN count(e) AS n") == 2


async def test_both_ids_in_a_group_with_an_earlier_anonymous_event_tie_them(store: GraphClient) -> None:
    await ingest(
        store,
        message(type="track", messageId="b", anonymousId="visitor", userId="ada", event="Clicked"),
        message(type="track", messageId="a", anonymousId="visitor", event="Clicked", at=NOW - 1000),
    )
    assert await counted(store) == [("visitor", "ada", "proven")]
    assert await count(store, "MATCH (u:User) WHERE u.retired_at IS NULL RETURN count(u) AS n") == 2


async def test_a_user_id_of_a_public_source_is_written_to_the_device(store: GraphClient) -> None:
    await ingest(store, message(WEB, type="track", messageId="a", anonymousId="visitor", userId="ada", event="Clicked"))
    assert await people(store) == [["web:device visitor"]]
    await ingest(store, track("b", "ada", "Clicked"))
    assert await counted(store) == [("visitor", "ada", "claimed")]


async def test_contact_data_is_a_claim_of_a_public_source_and_merely_stated_by_a_server(store: GraphClient) -> None:
    traits = {"email": "ada@example.org"}
    await ingest(store, message(WEB, type="identify", messageId="a", anonymousId="visitor", traits=traits))
    await ingest(store, message(type="identify", messageId="b", userId="ada", traits=traits))
    await ingest(store, message(CRM, type="identify", messageId="c", userId="c-7", traits=traits))
    assert await people(store) == [["crm:c-7"], ["shop:ada"], ["web:device visitor"]]
    rows = await store.read(
        "MATCH (r:Record)-[h:IDENTIFIED_BY|CLAIMS]->(:Identifier {kind: 'email', degree: 1}) "
        "RETURN r.source AS source, coalesce(h.grade, 'claimed') AS grade ORDER BY source"
    )
    assert [tuple(row.values()) for row in rows] == [("crm", "proven"), ("shop", "stated"), ("web", "claimed")]


async def test_a_verified_address_links_two_systems(store: GraphClient) -> None:
    await register(store, VERIFYING)
    traits = {"email": "ada@example.org"}
    await ingest(store, message(VERIFYING, type="identify", messageId="a", userId="ada", traits=traits))
    await ingest(
        store, message(CRM, type="identify", messageId="b", userId="c-7", traits=traits | {"email": "Ada@Example.org "})
    )
    assert await people(store) == [["crm:c-7", "shop:ada"]]


async def test_an_address_that_a_source_holds_for_two_accounts_at_once_links_nobody(store: GraphClient) -> None:
    await register(store, VERIFYING)
    traits = {"email": "info@example.org"}
    await ingest(store, message(VERIFYING, type="identify", messageId="a", userId="ada", traits=traits))
    await ingest(store, message(CRM, type="identify", messageId="b", userId="c-7", traits=traits))
    await ingest(store, message(VERIFYING, type="identify", messageId="c", userId="eve", traits=traits))
    assert await people(store) == [["crm:c-7"], ["shop:ada"], ["shop:eve"]]
    assert await count(store, "MATCH (i:Identifier {refused: 'shared_contact'}) RETURN count(i) AS n") == 1
    moved = {"email": "eve@example.org"}
    await ingest(
        store, message(VERIFYING, type="identify", messageId="d", userId="eve", traits=moved, received=NOW + 9)
    )
    assert len(await people(store)) == 3, "both had it for a while"


async def test_an_address_that_was_given_up_joins_nobody_who_gets_it_later(store: GraphClient) -> None:
    await register(store, VERIFYING)
    for place, (who, address, received) in enumerate(
        (("ada", "old@x.org", NOW - 9), ("ada", "new@x.org", NOW - 5), ("eve", "old@x.org", NOW - 4))
    ):
        source = VERIFYING if who == "ada" else CRM
        await ingest(
            store,
            message(
                source, type="identify", messageId=f"m{place}", userId=who, traits={"email": address}, received=received
            ),
        )
    assert await people(store) == [["crm:eve"], ["shop:ada"]]
    rows = await store.read(
        "MATCH (:Record {key: 'ada'})-[h:IDENTIFIED_BY]->(i:Identifier {kind: 'email'}) "
        "RETURN i.value AS value, h.ended AS ended ORDER BY value"
    )
    assert [tuple(row.values()) for row in rows] == [("new@x.org", None), ("old@x.org", NOW - 5)]
    await ingest(
        store,
        message(CRM, type="identify", messageId="late", userId="eve", traits={"email": "old@x.org"}, received=NOW - 8),
    )
    assert await people(store) == [["crm:eve", "shop:ada"]], "an earlier receipt shows that both had it"


async def test_a_proof_makes_a_public_message_the_accounts(store: GraphClient) -> None:
    device = "0b0a1c1e-7e6f-4d8b-9c53-5e1d2f3a4b5c"
    raw = {"type": "track", "event": "Clicked", "userId": "ada", "anonymousId": device}
    proven = message(WEB, messageId="a", proof=Proof.HASH, **raw)
    await ingest(store, proven)
    assert await people(store) == [["web:ada"], [f"web:device {device}"]]
    assert await counted(store) == [(device, "ada", "proven")]
    rows = await store.read("MATCH ()-[h:IDENTIFIED_BY]->(i) RETURN i.kind AS kind, h.grade AS grade, h.proof AS proof")
    assert {tuple(row.values()) for row in rows} == {(kind, "proven", "hash") for kind in ("user_id", "anonymous_id")}


async def test_an_alias_of_a_server_ties_the_device_it_names(store: GraphClient) -> None:
    await ingest(store, message(type="track", messageId="a", event="Clicked", anonymousId="old"))
    await ingest(store, message(type="alias", messageId="b", previousId="old", userId="ada"))
    assert await people(store) == [["shop:ada"], ["shop:device old"]]
    assert await counted(store) == [("old", "ada", "proven")]


@pytest.mark.parametrize("aliased_first", [False, True])
async def test_an_alias_of_two_user_ids_makes_a_candidate(store: GraphClient, aliased_first: bool) -> None:
    """A source that knows two user IDs knows two people, whatever it says later."""
    alias = message(type="alias", messageId="b", previousId="old", userId="ada")
    for one in (alias, track("a", "old", "Clicked"))[:: 1 if aliased_first else -1]:
        await ingest(store, one)
    assert await people(store) == [["shop:ada"], ["shop:old"]]
    assert (await count_candidates(store)).pairs == {"user_id": 1}


async def test_an_alias_of_a_public_source_is_a_claim_of_the_device(store: GraphClient) -> None:
    await ingest(store, track("a", "ada", "Clicked"), track("b", "eve", "Clicked"))
    await ingest(store, message(WEB, type="alias", messageId="c", previousId="eve", userId="ada"))
    assert await people(store) == [["shop:ada"], ["shop:eve"], ["web:device eve"]]
    assert await counted(store) == [("eve", "ada", "claimed")]
    assert await count(store, "MATCH ()-[l:LINKED]->() RETURN count(l) AS n") == 0


async def test_an_alias_of_an_unknown_record_ties_it_once_it_arrives(store: GraphClient) -> None:
    await ingest(store, message(type="alias", messageId="b", previousId="old", userId="ada"))
    await ingest(store, message(type="track", messageId="a", event="Clicked", anonymousId="old"))
    assert await counted(store) == [("old", "ada", "proven")]


async def test_repeated_preferences_are_written_only_when_they_differ(store: GraphClient) -> None:
    await ingest(store, *(carrying(f"a{n}", NOW - 1000 + n, Analytics=True, Functional=False) for n in range(5)))
    assert await count(store, PREFERENCES) == 2
    assert await permits(store) == ["analytics", "identity_linking", "service"]
    await ingest(store, carrying("b", NOW - 500, Analytics=True, Functional=False))
    assert await count(store, PREFERENCES) == 2
    await ingest(store, carrying("c", NOW - 400, Analytics=False, Functional=True))
    assert await count(store, PREFERENCES) == 4
    assert await permits(store) == ["identity_linking", "personalisation", "service"]


async def test_a_repeated_denial_is_fresher_against_grants_of_its_own_record_only(store: GraphClient) -> None:
    """An old device that repeats its banner must not override what the person stated elsewhere since."""
    await ingest(
        store, carrying("a", NOW - 1000, Analytics=False), message(messageId="x", type="identify", userId="ada", **CARD)
    )
    given = {"type": "consent", "userId": "c-7", "purpose": "analytics", "state": "given", "assurance": 1}
    await ingest(store, message(CRM, messageId="y", type="identify", userId="c-7", **CARD))
    await ingest(store, message(CRM, messageId="b", at=NOW - 900, received=NOW - 900, from_file=True, **given))
    assert await people(store) == [["crm:c-7", "shop:ada"]]
    assert "analytics" in await permits(store)
    await ingest(store, carrying("c", NOW - 800, Analytics=False))
    assert "analytics" in await permits(store)
    await ingest(store, carrying("d", NOW - 700, Functional=False, Analytics=False))
    assert "analytics" in await permits(store), "the same denial of analytics, beside another one"
    await ingest(store, carrying("e", NOW - 600, Analytics=True), carrying("f", NOW - 500, Analytics=False))
    assert "analytics" not in await permits(store), "a new denial, after a grant of its own"


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


async def versions(store: GraphClient) -> dict[str, int]:
    return {row["key"]: row["v"] for row in await store.read("MATCH (r:Record) RETURN r.key AS key, r._v AS v")}


async def test_a_known_second_record_is_not_touched_again(store: GraphClient) -> None:
    def both(id_: str, received: int) -> Message:
        raw = {"anonymousId": "visitor", "userId": "ada", "event": "Clicked"}
        return message(type="track", messageId=id_, received=received, at=NOW - 50, **raw)

    await ingest(store, both("a", NOW - 10))
    before = await versions(store)
    await ingest(store, both("b", NOW - 5))
    after = await versions(store)
    assert (after["visitor"] - before["visitor"], after["ada"] > before["ada"]) == (0, True)
    await ingest(store, both("c", NOW - 20))
    rows = await store.read(
        "MATCH (:Record)-[h:IDENTIFIED_BY|CLAIMS]->(:Identifier {kind: 'anonymous_id'}) RETURN h.since AS at"
    )
    assert [row["at"] for row in rows] == [NOW - 20] * 2
    rows = await store.read("MATCH ()-[c:COUNTS_FOR]->() RETURN c.received AS at")
    assert [row["at"] for row in rows] == [NOW - 20]


async def test_older_preferences_that_arrive_late_do_not_override_newer_ones(store: GraphClient) -> None:
    await ingest(store, carrying("a", NOW - 400, Analytics=False))
    await ingest(store, carrying("b", NOW - 900, received=NOW - 350, Analytics=True))
    assert "analytics" not in await permits(store)
    await ingest(store, carrying("c", NOW - 300, Analytics=False))
    assert "analytics" not in await permits(store)
    await ingest(store, carrying("d", NOW - 200, Analytics=True))
    assert "analytics" in await permits(store)


async def test_a_denial_takes_effect_when_it_is_received_whatever_instant_it_names(store: GraphClient) -> None:
    await ingest(store, carrying("a", NOW - 400, Analytics=True))
    await ingest(store, carrying("b", NOW - 900, received=NOW - 300, Analytics=False))
    assert "analytics" not in await permits(store)
    await ingest(store, carrying("c", NOW - 350, received=NOW - 250, Analytics=True))
    assert "analytics" not in await permits(store)


async def test_repeated_preferences_are_compared_per_record(store: GraphClient) -> None:
    await ingest(store, carrying("a", NOW - 10, Analytics=True), carrying("b", NOW - 10, "eve", Analytics=True))
    assert await count(store, PREFERENCES) == 2
    assert "analytics" in await permits(store, "eve")


@pytest.mark.parametrize("order", ["abc", "acb", "bac", "cab", "cba"])
async def test_what_was_denied_last_stays_denied_in_any_order_of_processing(store: GraphClient, order: str) -> None:
    sent = {
        "a": carrying("a", NOW - 900, Analytics=False),
        "b": carrying("b", NOW - 800, Analytics=True),
        "c": carrying("c", NOW - 700, Analytics=False),
    }
    for name in order:
        await ingest(store, sent[name])
    assert "analytics" not in await permits(store)
