"""Permits on the real store: they change with the log in the same transaction, and follow from it."""

from __future__ import annotations

import asyncio
import random

import pytest

from graph.identity.users import write_moves, write_retirements
from graph.model.consent import ConsentState
from graph.model.identity import UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer
from privacy.gate import Role, Viewer
from privacy.policy import Policy
from resolvers.consent.permits import (
    PermitCheck,
    apply_policy,
    check_permits,
    fresh_permits,
    refresh_everybody,
    refresh_permits,
    refresh_stale,
)
from resolvers.context import RequestContext, Services
from resolvers.profile.find import ById, Wanted, find_profile
from resolvers.profile.history import page_consents
from resolvers.recommendation.serve import WalkRecommender
from tests.consenting import (
    ANNE,
    APP,
    BASE,
    NOW,
    POLICY,
    WEB,
    append,
    differences,
    person,
    read_stored,
    statement_of,
)

pytestmark = pytest.mark.store


async def test_a_grant_permits_and_a_withdrawal_ends_it(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await append(store, WEB, statement_of("analytics"), statement_of("partner_sharing", recipient="acme"))
    after_grant = await read_stored(store)
    assert set(after_grant.permits) == {*BASE, "analytics", "partner_sharing@acme"}
    await append(store, WEB, statement_of("analytics", "withdrawn", NOW + 1), now=NOW + 1)
    after_withdrawal = await read_stored(store)
    assert set(after_withdrawal.permits) == {*BASE, "partner_sharing@acme"}
    assert after_withdrawal.consent_epoch == after_grant.consent_epoch + 1
    assert await differences(store, POLICY, Millis(NOW + 1)) == ()


async def test_a_withdrawal_is_in_effect_on_a_server_whose_clock_is_behind(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await append(store, WEB, statement_of("analytics", at=NOW - 9000), statement_of("marketing", at=NOW - 9000))
    await append(store, WEB, statement_of("analytics", "withdrawn"))
    await append(store, WEB, statement_of("personalisation", at=NOW - 5000), now=NOW - 5000)
    assert set((await read_stored(store)).permits) == {*BASE, "marketing", "personalisation"}


async def test_unchanged_permits_are_not_written_again(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await append(store, WEB, statement_of("analytics"))
    epoch = (await read_stored(store)).consent_epoch
    await append(store, WEB, statement_of("analytics", "renewed", NOW + 1), now=NOW + 1)
    assert (await read_stored(store)).consent_epoch == epoch


async def test_an_expiry_makes_permits_stale_and_a_refold_ends_them(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await append(store, WEB, statement_of("analytics", expires_at=NOW + 1000))
    before = await read_stored(store)
    assert before.permits_until == NOW + 1000
    assert dict(zip(before.permits, before.ends, strict=True)) == {"analytics": NOW + 1000} | dict.fromkeys(BASE, 0)
    assert not before.stale(Millis(NOW + 999))
    assert before.stale(Millis(NOW + 1000))
    assert await refresh_stale(store, POLICY, Millis(NOW + 999)) == 0
    assert await refresh_stale(store, POLICY, Millis(NOW + 1000)) == 1
    after = await read_stored(store)
    assert after.permits == BASE
    assert after.permits_until is None


async def test_a_permit_to_a_recipient_keeps_the_grant_that_decides_it(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await append(store, WEB, statement_of("partner_sharing"), statement_of("analytics"), ids=["all", "own"])
    await append(store, WEB, statement_of("partner_sharing", recipient="acme", at=NOW + 1), ids=["acme"], now=NOW + 1)
    await append(
        store, WEB, statement_of("partner_sharing", "withdrawn", recipient="beta", at=NOW + 2), ids=["no"], now=NOW + 2
    )
    stored = await read_stored(store)
    grants = dict.fromkeys(stored.permits, "") | {"partner_sharing@*": "all", "partner_sharing@acme": "acme"}
    assert dict(zip(stored.permits, stored.grants, strict=True)) == grants
    assert "!partner_sharing@beta" in grants


async def test_a_reader_refolds_stale_permits(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await append(store, WEB, statement_of("analytics", at=NOW + 1000))
    before = await read_stored(store)
    assert before.permits == BASE
    fresh = await fresh_permits(store, ANNE, before, POLICY, Millis(NOW + 1000))
    assert "analytics" in fresh.permits
    assert fresh == await read_stored(store)
    assert await fresh_permits(store, ANNE, fresh, POLICY, Millis(NOW + 1001)) is fresh


async def test_statements_of_all_records_of_a_person_are_combined(store: GraphClient) -> None:
    await person(store, ANNE, WEB, APP)
    await append(store, WEB, statement_of("analytics"), statement_of("marketing"))
    await append(store, APP, statement_of("marketing", "withdrawn", NOW + 9), now=NOW - 1)
    assert set((await read_stored(store)).permits) == {*BASE, "analytics", "marketing"}
    await append(store, APP, statement_of("marketing", "withdrawn", NOW - 9))
    assert set((await read_stored(store)).permits) == {*BASE, "analytics"}


async def test_a_person_retired_with_an_expiring_grant_differs_in_nothing(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await person(store, "ben", APP)
    await append(store, WEB, statement_of("analytics", expires_at=NOW + 5_000))
    await store.write(lambda tx: write_moves(tx, {WEB: UserId("ben")}, NOW))
    await store.write(lambda tx: write_retirements(tx, {ANNE: UserId("ben")}, NOW))
    await store.write(lambda tx: refresh_permits(tx, [UserId("ben")], POLICY, NOW))
    assert await differences(store, POLICY, NOW) == ()


async def test_a_retired_person_is_followed_to_their_successor(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await append(store, WEB, statement_of("analytics"))
    await person(store, "ben", APP)

    async def merge(tx: Writer) -> None:
        await tx.run(
            """
            MATCH (r:Record {id: $record})-[x:RESOLVES_TO]->(old:User {id: 'anne'})
            MATCH (next:User {id: 'ben'})
            SET x.to = 5
            CREATE (r)-[:RESOLVES_TO]->(next)
            CREATE (old)-[:RETIRED_INTO {at: 5}]->(next)
            """,
            record=WEB,
        )

    await store.write(merge)
    await append(store, WEB, statement_of("marketing"))
    assert (await read_stored(store)).permits == ()
    assert set((await read_stored(store, "ben")).permits) == {*BASE, "analytics", "marketing"}
    assert await differences(store, POLICY, NOW) == ()


async def test_memberships_and_rfm_end_with_the_permit(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await append(store, WEB, statement_of("analytics"), statement_of("marketing"))

    async def join(tx: Writer) -> None:
        await tx.run(
            """
            MATCH (u:User {id: 'anne'})
            SET u.rfm_run = 'r', u.rfm_cell = '555', u.rfm_recency = 1.0
            WITH u
            UNWIND [['high', 'analytics'], ['offers', 'marketing']] AS pair
            MERGE (s:Segment {key: pair[0]})
            SET s.purpose = pair[1]
            CREATE (u)-[:IN_SEGMENT {since: 1}]->(s)
            """
        )

    await store.write(join)
    await append(store, WEB, statement_of("analytics", "withdrawn", NOW + 9), now=NOW + 9)
    rows = await store.read(
        "MATCH (:User {id: 'anne'})-[m:IN_SEGMENT]->(s:Segment) RETURN s.key AS key, m.until AS until ORDER BY key"
    )
    assert rows == [{"key": "high", "until": NOW + 9}, {"key": "offers", "until": None}]
    rows = await store.read("MATCH (u:User {id: 'anne'}) RETURN [k IN keys(u) WHERE k STARTS WITH 'rfm_'] AS left")
    assert rows == [{"left": []}]


async def test_rfm_stays_while_analytics_is_permitted(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await append(store, WEB, statement_of("analytics"), statement_of("marketing"))

    async def score(tx: Writer) -> None:
        await tx.run("MATCH (u:User {id: 'anne'}) SET u.rfm_run = 'r', u.rfm_cell = '555'")

    await store.write(score)
    await append(store, WEB, statement_of("marketing", "withdrawn", NOW + 9), now=NOW + 9)
    assert await store.read("MATCH (u:User {id: 'anne'}) RETURN u.rfm_cell AS cell") == [{"cell": "555"}]


async def test_the_profile_shows_states_and_history(store: GraphClient) -> None:
    await person(store, ANNE, WEB, APP)
    await append(store, WEB, statement_of("analytics", expires_at=NOW + 50), ids=["a"])
    await append(store, APP, statement_of("marketing", "refused", NOW + 1), ids=["b"], now=NOW + 1)
    await append(store, WEB, statement_of("partner_sharing", recipient="acme"), ids=["c"], now=NOW + 1)
    services = Services(store, POLICY, WalkRecommender(), b"k" * 32)
    request = RequestContext(services, Viewer("audit", Role.AUDITOR), Millis(NOW + 2))
    view = await find_profile(request, ById(ANNE), Wanted(frozenset({"consents", "consentHistory"})))
    assert view is not None
    states = {(s.purpose, s.recipient): s for s in view.facts.consents or ()}
    analytics = states["analytics", None]
    assert (analytics.permitted, analytics.state, analytics.event) == (True, ConsentState.GIVEN, "a")
    assert analytics.expires_at == NOW + 50
    assert states["marketing", None].state is ConsentState.REFUSED
    assert states["partner_sharing", "acme"].permitted
    assert not states["partner_sharing", None].permitted
    assert states["personalisation", None].state is None
    first = await page_consents(view, 2, None)
    assert first is not None
    assert [event.id for event in first.nodes] == ["c", "b"]
    rest = await page_consents(view, 2, first.cursors[-1])
    assert rest is not None
    assert [event.id for event in rest.nodes] == ["a"]
    assert rest.nodes[0].statement == statement_of("analytics", expires_at=NOW + 50)


async def test_a_new_policy_applies_to_everyone(store: GraphClient) -> None:
    for name in ("ben", "cyd", "dot"):
        await person(store, name, f"record of {name}")
    entry = {"title": "A", "description": "A", "lawful_basis": "legitimate_interests", "regime": "opt_out"}
    loose = Policy.parse({"purposes": {"analytics": entry}})
    assert len(await differences(store, loose, NOW)) == 3
    assert await refresh_everybody(store, loose, NOW) == 3
    assert await differences(store, loose, NOW) == ()
    assert "analytics" in (await read_stored(store, "cyd")).permits


async def test_starting_under_another_policy_refolds_everyone_once(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    assert await apply_policy(store, POLICY, NOW) == 1
    assert await apply_policy(store, POLICY, NOW) == 0
    entry = {"title": "A", "description": "A", "lawful_basis": "legitimate_interests", "regime": "opt_out"}
    loose = Policy.parse({"purposes": {"analytics": entry}})
    assert await apply_policy(store, loose, NOW) == 1
    assert "analytics" in (await read_stored(store, ANNE)).permits
    assert await apply_policy(store, POLICY, NOW) == 1
    assert "analytics" not in (await read_stored(store, ANNE)).permits


async def test_the_check_finds_permits_that_were_tampered_with(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await append(store, WEB, statement_of("analytics", "refused"))

    async def tamper(tx: Writer) -> None:
        await tx.run("MATCH (u:User {id: 'anne'}) SET u.permits = u.permits + ['marketing']")

    await store.write(tamper)
    found = await differences(store, POLICY, NOW)
    assert [(one.user, one.stored, one.computed) for one in found] == [(ANNE, (*BASE, "marketing"), BASE)]


async def test_the_check_tells_whether_it_covered_everyone(store: GraphClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resolvers.consent.permits.PAGE", 2)
    for name in ("ben", "cyd", "dot", "eve", "fay"):
        await person(store, name, f"record of {name}")
    assert await check_permits(store, POLICY, lambda: NOW) == PermitCheck(5, (), complete=True)
    assert await check_permits(store, POLICY, lambda: NOW, limit=4) == PermitCheck(4, (), complete=False)
    assert await check_permits(store, POLICY, lambda: NOW, limit=5) == PermitCheck(5, (), complete=True)


async def test_a_withdrawal_and_a_grant_race_without_write_skew(store: GraphClient) -> None:
    for turn in range(20):
        user, web, app = f"user-{turn}", f"web-{turn}", f"app-{turn}"
        await person(store, user, web, app)
        await asyncio.gather(
            append(store, web, statement_of("analytics", "given", NOW), users=[user]),
            append(store, app, statement_of("analytics", "withdrawn", NOW), users=[user]),
            append(store, app, statement_of("marketing", "given", NOW), users=[user]),
            append(store, web, statement_of("marketing", "given", NOW), users=[user]),
        )
        assert set((await read_stored(store, user)).permits) == {*BASE, "marketing"}
    assert await differences(store, POLICY, NOW) == ()


async def test_stored_permits_equal_the_log_after_any_history(store: GraphClient) -> None:
    rng = random.Random(7)
    users = [f"user-{n}" for n in range(6)]
    records = {user: [f"{user}-{n}" for n in range(3)] for user in users}
    for user in users:
        await person(store, user, *records[user])
    now = int(NOW)
    for step in range(40):
        now += rng.randrange(1000)
        user = rng.choice(users)
        statements = []
        for _ in range(rng.randint(1, 4)):
            purpose = rng.choice([*POLICY.purposes])
            statements.append(
                statement_of(
                    purpose,
                    rng.choice([*ConsentState]),
                    now + rng.randrange(-3000, 3000),
                    recipient=rng.choice([None, "acme", "bolt"]) if purpose == "partner_sharing" else None,
                    assurance=rng.randrange(3),
                    expires_at=rng.choice([None, now + rng.randrange(5000)]),
                    jurisdiction=rng.choice([None, "US-CA", "DE"]),
                )
            )
        ids = [f"{step}/{n}" for n in range(len(statements))]
        await append(store, rng.choice(records[user]), *statements, ids=ids, users=[user], now=now)
        if step % 5 == 0:
            await refresh_stale(store, POLICY, Millis(now))
            assert await differences(store, POLICY, Millis(now)) == ()
    await refresh_stale(store, POLICY, Millis(now + 10_000))
    assert await differences(store, POLICY, Millis(now + 10_000)) == ()
    assert len({(await read_stored(store, user)).permits for user in users}) > 1
