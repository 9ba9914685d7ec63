"""A change of trust: what rested on it is derived again."""

from __future__ import annotations

import pytest

from graph.errors import NotFound
from graph.model.access import ALWAYS, Source, Trust
from graph.model.identity import Proof
from graph.store.client import GraphClient
from resolvers.consent.permits import check_permits
from resolvers.identity.rederive import RederiveReport, rederive_source
from tests.arrivals import NOW, POLICY, ingest, message, permits, register
from tests.context import services_of

pytestmark = pytest.mark.store

SHOP = Source("shop", trust=Trust.SERVER)
CHECKING = Source("shop", trust=Trust.SERVER, verifies={"email": ALWAYS})
CRM = Source("crm", trust=Trust.RECORD, user_namespace="crm")
WRITE_TRUST = """
MATCH (s:Source {name: $name})
SET s.trust = $trust, s.verifies = $verifies, s.verified_since = $since,
  s.trust_epoch = coalesce(s.trust_epoch, 0) + $lowered
"""
READ_PEOPLE = """
MATCH (r:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL
WITH u.id AS user, collect(r.key) AS keys
RETURN keys
"""


READ_HOLDINGS = """
MATCH (:Record {key: 'ada'})-[h:IDENTIFIED_BY]->(i:Identifier {kind: 'email'})
RETURN h.grade AS grade, h.since AS since, i.degree AS degree
"""


async def change(
    store: GraphClient, name: str, trust: Trust, *verifies: str, since: int = ALWAYS, lowered: bool = False
) -> RederiveReport:
    values = {"name": name, "trust": trust.value, "verifies": list(verifies), "lowered": int(lowered)}
    await store.write(lambda tx: tx.run(WRITE_TRUST, since=[since for _ in verifies], **values))
    return await rederive_source(services_of(store, lambda: NOW), name, fence=0)


async def people(store: GraphClient) -> list[list[str]]:
    return sorted(sorted(row["keys"]) for row in await store.read(READ_PEOPLE))


async def begin(store: GraphClient) -> None:
    traits = {"email": "ada@x.com"}
    await register(store, SHOP, CRM)
    await ingest(
        store,
        message(SHOP, type="identify", messageId="1", userId="ada", traits=traits),
        message(CRM, type="identify", messageId="2", userId="c1", traits=traits),
    )


async def test_addresses_that_a_source_verifies_join(store: GraphClient) -> None:
    await begin(store)
    assert await people(store) == [["ada"], ["c1"]]
    report = await change(store, "shop", Trust.SERVER, "email")
    assert report == RederiveReport(records=1, regraded=1, merged=1, split=0)
    assert await people(store) == [["ada", "c1"]]


async def test_what_a_source_no_longer_verifies_joins_nobody(store: GraphClient) -> None:
    await begin(store)
    await change(store, "shop", Trust.SERVER, "email")
    report = await change(store, "shop", Trust.SERVER, lowered=True)
    assert (report.regraded, report.split) == (1, 1)
    assert await people(store) == [["ada"], ["c1"]]


async def test_an_address_is_proven_by_receipts_since_its_source_began_to_verify(store: GraphClient) -> None:
    """Whatever was checked when it arrived: deriving again leads to what is known as if it had been so then."""
    await begin(store)  # received at NOW
    again = message(
        SHOP, type="identify", messageId="3", userId="ada", traits={"email": "ada@x.com"}, received=NOW + 10
    )
    await ingest(store, again)

    async def find(since: int, *, lowered: bool = False) -> tuple[str, int, int, int]:
        report = await change(store, "shop", Trust.SERVER, "email", since=since, lowered=lowered)
        assert not (await rederive_source(services_of(store, lambda: NOW), "shop", fence=0)).regraded
        assert len(await people(store)) == (2 if report.split or not report.merged else 1)
        (row,) = await store.read(READ_HOLDINGS)
        return row["grade"], row["since"], row["degree"], report.regraded

    assert await find(NOW + 11) == ("stated", NOW, 1, 0)
    assert await find(NOW + 5) == ("proven", NOW + 10, 2, 1)
    await change(store, "shop", Trust.SERVER, lowered=True)
    assert await find(NOW) == ("proven", NOW, 2, 1)
    assert (await change(store, "shop", Trust.SERVER, "email", since=NOW + 9, lowered=True)).regraded == 1
    (row,) = await store.read(READ_HOLDINGS)
    assert (row["grade"], row["since"]) == ("proven", NOW + 10)
    assert (await change(store, "shop", Trust.SERVER, "email", since=NOW + 11, lowered=True)).split == 1
    (row,) = await store.read(READ_HOLDINGS)
    assert (row["grade"], row["since"]) == ("stated", NOW)


async def test_a_denial_bars_whoever_was_joined_before_the_trust_was_lowered(store: GraphClient) -> None:
    await begin(store)
    await change(store, "shop", Trust.SERVER, "email")
    consent = {"consent": {"categoryPreferences": {"Analytics": True}}}
    event = "Segment Consent Preference Updated"
    given = message(CRM, type="track", messageId="3", userId="c1", event=event, context=consent, received=NOW - 9)
    consent = {"consent": {"categoryPreferences": {"Analytics": False}}}
    refused = message(
        CHECKING, type="track", messageId="4", userId="ada", event=event, context=consent, received=NOW - 5
    )
    await ingest(store, given, refused)
    assert "analytics" not in await permits(store, "c1")
    await change(store, "shop", Trust.PUBLIC, lowered=True)
    assert await people(store) == [["ada"], ["c1"]]
    assert "analytics" not in await permits(store, "c1")
    assert not (await check_permits(store, POLICY, lambda: NOW)).differences


async def test_grants_of_a_source_that_became_public_no_longer_count(store: GraphClient) -> None:
    await begin(store)
    consent = {"consent": {"categoryPreferences": {"Analytics": True}}}
    event = "Segment Consent Preference Updated"
    await ingest(store, message(SHOP, type="track", messageId="3", userId="ada", event=event, context=consent))
    assert "analytics" in await permits(store, "ada")
    await change(store, "shop", Trust.PUBLIC, lowered=True)
    assert "analytics" not in await permits(store, "ada")
    public = Source("shop", trust=Trust.PUBLIC)
    proven = message(public, type="track", messageId="4", userId="ada", event=event, context=consent, proof=Proof.HASH)
    await ingest(store, proven)
    assert "analytics" in await permits(store, "ada")


async def test_a_source_is_settled_afterwards_and_nothing_is_left_to_change(store: GraphClient) -> None:
    await begin(store)
    await change(store, "crm", Trust.PUBLIC, lowered=True)
    rows = await store.read("MATCH (s:Source {name: 'crm'}) RETURN s.settled_epoch = s.trust_epoch AS settled")
    assert rows[0]["settled"]
    again = await rederive_source(services_of(store, lambda: NOW), "crm", fence=0)
    assert again == RederiveReport(records=1, regraded=0, merged=0, split=0)


async def test_progress_counts_the_records(store: GraphClient) -> None:
    await begin(store)
    seen: list[int] = []
    await rederive_source(services_of(store, lambda: NOW), "shop", seen.append, fence=0)
    assert seen == [1]


async def test_an_unknown_source_is_an_error(store: GraphClient) -> None:
    with pytest.raises(NotFound):
        await rederive_source(services_of(store), "nowhere", fence=0)
