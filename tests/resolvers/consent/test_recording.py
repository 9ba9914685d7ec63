"""Recording consent: what is appended to the log, what only refreshes it, and the bars that denials leave."""

from __future__ import annotations

import asyncio

import pytest

from graph.consent.log import NewEvent, RecordLog, append_events, lock_logs
from graph.identity.identifiers import NewHolding, write_claims, write_holdings
from graph.model.consent import UNPROVEN, ConsentEvent, ConsentState, ConsentStatement, Standing
from graph.model.identity import Grade, Proof, RecordId, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient
from resolvers.consent.permits import refresh_permits
from resolvers.consent.recording import (
    MOST_LIVE,
    MOST_OF_FRONTENDS,
    MOST_RECIPIENTS,
    MOST_UNVOUCHED,
    NoRoomForConsents,
    find_bars,
    share_denials,
    spread_denials,
)
from tests.consenting import (
    ANNE,
    APP,
    BASE,
    NOW,
    POLICY,
    WEB,
    append,
    count_events,
    differences,
    person,
    read_stored,
    statement_of,
)
from tests.newcomers import email

EVE = UserId("eve")
EVES = RecordId("eve-1")


@pytest.mark.store
async def test_the_log_links_each_statement_to_the_one_it_supersedes(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await append(store, WEB, statement_of("marketing", notice="terms", notice_version="2", categories=("email", "sms")))
    await append(
        store,
        WEB,
        statement_of("marketing", "withdrawn", NOW + 5),
        statement_of("partner_sharing", recipient="acme"),
        now=NOW + 5,
    )
    rows = await store.read(
        """
        MATCH (r:Record)-[:DECIDED]->(e:ConsentEvent)-[:FOR]->(p:Purpose)
        OPTIONAL MATCH (e)-[:TO]->(t:Recipient)
        OPTIONAL MATCH (e)-[:UNDER]->(n:Notice)
        OPTIONAL MATCH (e)-[:SUPERSEDES]->(before:ConsentEvent)
        RETURN e.seq AS seq, p.key AS purpose, e.state AS state, t.key AS recipient, n.version AS version,
               before.seq AS before, e.categories AS categories
        ORDER BY seq
        """
    )
    assert [tuple(row.values()) for row in rows] == [
        (1, "marketing", "given", None, "2", None, ["email", "sms"]),
        (2, "marketing", "withdrawn", None, None, 1, None),
        (3, "partner_sharing", "given", "acme", None, None, None),
    ]


@pytest.mark.store
async def test_an_event_counts_once(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    for state in ("given", "refused"):
        await append(store, WEB, statement_of("analytics", state), ids=["same"])
    await append(store, WEB, statement_of("analytics"), statement_of("analytics", "refused"), ids=["other", "other"])
    assert await count_events(store) == 2
    assert "analytics" in (await read_stored(store)).permits


@pytest.mark.store
async def test_an_objection_to_linking_is_returned_and_stored(store: GraphClient) -> None:
    async def relinked(record: str, state: str, now: int) -> frozenset[str]:
        return (await append(store, record, statement_of("identity_linking", state, now), now=now)).relinked

    await person(store, ANNE, WEB, APP)
    assert await relinked(WEB, "objected", NOW) == {WEB}
    assert await relinked(WEB, "objected", NOW + 1) == set()
    assert await relinked(APP, "given", NOW) == set()
    rows = await store.read("MATCH (r:Record {id: $id}) RETURN r.linking_objected AS objected", id=WEB)
    assert rows == [{"objected": True}]
    assert await relinked(WEB, "given", NOW + 2) == {WEB}
    rows = await store.read("MATCH (r:Record {id: $id}) RETURN r.linking_objected AS objected", id=WEB)
    assert rows == [{"objected": False}]


@pytest.mark.store
async def test_a_carried_statement_is_appended_once(store: GraphClient) -> None:
    await person(store, ANNE, WEB, APP)
    for step in range(5):
        await append(store, WEB, statement_of("analytics", at=NOW + step, assurance=0), now=NOW + step)
        await append(store, WEB, statement_of("marketing", "refused", at=NOW + step, assurance=0), now=NOW + step)
    assert await count_events(store) == 2
    assert set((await read_stored(store)).permits) == {*BASE, "analytics"}


@pytest.mark.store
async def test_a_carried_refusal_is_fresher_against_grants_of_its_own_record_only(store: GraphClient) -> None:
    await person(store, ANNE, WEB, APP)
    await append(store, WEB, statement_of("marketing", "refused", NOW, assurance=0))
    await append(store, APP, statement_of("marketing", "given", NOW + 1), now=NOW + 1)
    await append(store, WEB, statement_of("marketing", "refused", NOW + 2, assurance=0), ids=["again"], now=NOW + 2)
    assert "marketing" in (await read_stored(store)).permits
    (row,) = await store.read("MATCH (e:ConsentEvent {state: 'refused'}) RETURN e.repeated_at AS at")
    assert row["at"] == NOW + 2
    await append(store, WEB, statement_of("marketing", "refused", NOW + 9, assurance=0), ids=["ahead"], now=NOW + 3)
    (row,) = await store.read("MATCH (e:ConsentEvent {state: 'refused'}) RETURN e.repeated_at AS at")
    assert row["at"] == NOW + 3, "a repeat is never fresher than its receipt"
    assert await differences(store, POLICY, Millis(NOW + 3)) == ()


@pytest.mark.store
async def test_sequence_numbers_of_a_record_are_dense_under_races(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await asyncio.gather(
        *(append(store, WEB, statement_of("analytics", "renewed", NOW + n), ids=[f"e{n}"]) for n in range(16))
    )
    rows = await store.read("MATCH (e:ConsentEvent) RETURN e.seq AS seq ORDER BY seq")
    assert [row["seq"] for row in rows] == list(range(1, 17))


@pytest.mark.store
async def test_a_log_keeps_what_may_still_matter_and_an_old_one_is_shortened_by_the_next_statement(
    store: GraphClient,
) -> None:
    events = [
        ConsentEvent(f"o{n}", n, WEB, Millis(n), statement_of("analytics", "given" if n % 2 else "withdrawn", n))
        for n in range(20)
    ]
    await person(store, ANNE, WEB)
    await store.write(lambda tx: append_events(tx, [NewEvent(one, None) for one in events]))
    await append(store, WEB, statement_of("analytics", "given", NOW), ids=["new"])
    logs = await store.write(lambda tx: lock_logs(tx, [WEB]))
    assert [one.id for one in logs[WEB].events] == ["o18", "new"]
    rows = await store.read("MATCH (:Record)-[d:DECIDED|FORMERLY_DECIDED]->() RETURN count(d) AS n")
    assert rows == [{"n": 21}]


async def find_live_states(store: GraphClient) -> dict[str, int]:
    """The number of live events of the record, by state."""
    rows = await store.read("MATCH (:Record {id: $id})-[:DECIDED]->(e) RETURN e.state AS state, count(e) AS n", id=WEB)
    return {row["state"]: row["n"] for row in rows}


@pytest.mark.store
async def test_a_record_has_room_for_few_live_statements_that_nothing_vouches_for(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await store.write(
        lambda tx: tx.run(
            "MATCH (r:Record {id: $id}) CREATE (r)-[:FROM]->(:Source {name: 's', trust: 'public'})", id=WEB
        )
    )
    later = [statement_of("analytics", at=NOW + n) for n in range(1, MOST_UNVOUCHED + 2)]
    await append(store, WEB, *later[:-1])
    with pytest.raises(NoRoomForConsents) as refused:
        await append(store, WEB, later[-1], statement_of("marketing", "withdrawn"), ids=["one more", "denial"])
    assert refused.value.event_ids == {"one more"}
    assert await find_live_states(store) == {"given": MOST_UNVOUCHED}
    await append(store, WEB, statement_of("marketing"), ids=["proven"], proof=Proof.TOKEN)
    assert "marketing" in (await read_stored(store)).permits
    for n in range(3):
        denial = statement_of("marketing", "withdrawn", controller=f"c{n}", notice="n", notice_version=f"{n}")
        await append(store, WEB, denial, ids=[f"d{n}"], now=NOW + n)
    assert "marketing" not in (await read_stored(store)).permits
    assert await find_live_states(store) == {"given": MOST_UNVOUCHED + 1, "withdrawn": 1}
    assert await differences(store, POLICY, Millis(NOW + 2)) == ()


@pytest.mark.store
async def test_front_ends_take_no_room_from_others(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    left = [statement_of("partner_sharing", "withdrawn", recipient=f"p{n}") for n in range(MOST_OF_FRONTENDS)]
    await append(store, WEB, *left, proof=Proof.FRONTEND)
    more = [statement_of("partner_sharing", "withdrawn", recipient="one more"), statement_of("marketing", "withdrawn")]
    with pytest.raises(NoRoomForConsents) as refused:
        await append(store, WEB, *more, ids=["one more", "all"], proof=Proof.FRONTEND)
    assert refused.value.event_ids == {"one more"}
    await append(store, WEB, more[1], ids=["all"], proof=Proof.FRONTEND)
    granted = [statement_of("partner_sharing", recipient=f"q{n}", at=n) for n in range(MOST_LIVE)]
    logs = await store.write(lambda tx: lock_logs(tx, [WEB]))
    last = logs[WEB].events[-1].seq
    events = [ConsentEvent(f"o{n}", last + n, WEB, Millis(n), one) for n, one in enumerate(granted[:-1], 1)]
    await store.write(lambda tx: append_events(tx, [NewEvent(one, None) for one in events]))
    await append(store, WEB, granted[-1], ids=["the last place"])
    with pytest.raises(NoRoomForConsents):
        await append(store, WEB, statement_of("partner_sharing", recipient="q"), ids=["no place"])
    assert await find_live_states(store) == {"given": MOST_LIVE, "withdrawn": MOST_OF_FRONTENDS + 1}


@pytest.mark.store
async def test_a_full_log_keeps_working(store: GraphClient) -> None:
    stated = [statement_of("partner_sharing", recipient=f"p{n}", at=n) for n in range(MOST_LIVE + 6)]
    events = [ConsentEvent(f"o{n}", n, WEB, Millis(n), one) for n, one in enumerate(stated)]
    await person(store, ANNE, WEB)
    await store.write(lambda tx: append_events(tx, [NewEvent(one, None) for one in events]))
    for new in (
        statement_of("partner_sharing", recipient="new"),
        statement_of("partner_sharing", "withdrawn", recipient="p0"),
        statement_of("analytics"),
        statement_of("analytics", "expired"),
    ):
        with pytest.raises(NoRoomForConsents):
            await append(store, WEB, new)
    await append(store, WEB, statement_of("partner_sharing", recipient="p1"), ids=["again"])
    assert "partner_sharing@p1" in (await read_stored(store)).permits
    details = {"controller": "c", "notice": "n", "notice_version": "1", "notice_sha256": "h", "jurisdiction": "DE"}
    await append(store, WEB, statement_of("partner_sharing", "withdrawn", **details), ids=["all"], now=NOW + 1)
    assert not [one for one in (await read_stored(store)).permits if one.startswith("partner")]
    logs = await store.write(lambda tx: lock_logs(tx, [WEB]))
    assert logs[WEB].events[-1].statement == statement_of("partner_sharing", "withdrawn")
    assert await find_live_states(store) == {"given": MOST_LIVE + 6, "withdrawn": 1}


def bars_of(
    standing: Standing,
    *,
    proof: Proof | None = None,
    state: str = "withdrawn",
    purpose: str = "analytics",
    grade: Grade = Grade.PROVEN,
) -> list[int]:
    statement = ConsentStatement(purpose, ConsentState(state), Millis(1), assurance=2)
    event = ConsentEvent("e", 1, WEB, Millis(7), statement, proof)
    found = find_bars(RecordLog(WEB, (event,), standing=standing), [event], grade)
    assert all((one.at, one.record, one.event) == (7, WEB, "e") for one in found)
    return [one.assurance for one in found]


def test_a_denial_is_worth_on_identifiers_what_its_record_vouches_for() -> None:
    assert bars_of(Standing()) == [2]
    assert bars_of(Standing(public=True)) == bars_of(Standing(device=True, public=True)) == [UNPROVEN]
    assert bars_of(Standing(public=True), proof=Proof.TOKEN) == [2]
    assert bars_of(Standing(public=True), proof=Proof.TOKEN, grade=Grade.CLAIMED) == [UNPROVEN], (
        "whose address it is, is a claim"
    )
    assert bars_of(Standing(), grade=Grade.CLAIMED) == [2]
    assert bars_of(Standing(), grade=Grade.STATED) == [1], "somebody typed the address in, whoever denied"
    assert bars_of(Standing(), state="given") == bars_of(Standing(), state="unknown") == []
    assert bars_of(Standing(), purpose="identity_linking") == []


def test_a_bar_names_a_recipient_if_no_stranger_can_have_invented_it_and_the_record_named_few() -> None:
    events = tuple(
        ConsentEvent(
            f"e{n}", n, WEB, Millis(n), ConsentStatement("partner_sharing", ConsentState.WITHDRAWN, Millis(n), f"p{n}")
        )
        for n in range(MOST_RECIPIENTS + 2)
    )
    log = RecordLog(WEB, events)
    found = find_bars(log, events, Grade.PROVEN)
    assert [one.recipient for one in found] == [f"p{n}" for n in range(MOST_RECIPIENTS)] + [None, None]
    assert [one.recipient for one in find_bars(log, events[-2:], Grade.PROVEN)] == [None, None]
    strange = RecordLog(WEB, events, standing=Standing(public=True))
    assert {one.recipient for one in find_bars(strange, events, Grade.PROVEN)} == {None}


async def share_address(store: GraphClient, *records: RecordId, claimed: bool = False) -> None:
    grade = Grade.CLAIMED if claimed else Grade.STATED
    rows = [NewHolding(record, email("ada"), grade, Millis(1)) for record in records]
    await store.write(lambda tx: (write_claims if claimed else write_holdings)(tx, rows))


@pytest.mark.store
async def test_a_denial_reaches_whoever_may_be_the_same_person(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await person(store, EVE, EVES)
    await share_address(store, WEB)
    await share_address(store, EVES, claimed=True)
    await append(store, WEB, statement_of("analytics"), statement_of("marketing"))
    recorded = await append(store, EVES, statement_of("analytics", "withdrawn"), users=[EVE])
    assert recorded.hearers == {ANNE}, "who only claims an address hears nothing of it"
    assert set((await read_stored(store)).permits) == {*BASE, "marketing"}
    await append(store, WEB, statement_of("analytics", at=NOW + 5), ids=["later"], now=NOW + 5)
    assert set((await read_stored(store)).permits) == {*BASE, "analytics", "marketing"}
    assert await differences(store, POLICY, Millis(NOW + 5)) == ()


@pytest.mark.store
async def test_a_denial_goes_with_identifiers_that_its_record_gets_later(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await person(store, EVE, EVES)
    await share_address(store, WEB)
    await append(store, WEB, statement_of("analytics"))
    assert (await append(store, EVES, statement_of("analytics", "withdrawn"), users=[EVE])).hearers == set()
    assert "analytics" in (await read_stored(store)).permits
    await share_address(store, EVES)
    reached = await store.write(lambda tx: spread_denials(tx, {EVES}, NOW))
    assert reached == {ANNE, EVE}
    await store.write(lambda tx: refresh_permits(tx, reached, POLICY, NOW))
    assert "analytics" not in (await read_stored(store)).permits
    assert await store.write(lambda tx: spread_denials(tx, set(), NOW)) == set()


@pytest.mark.store
async def test_a_denial_reaches_whoever_shares_something_with_another_account_of_the_person(store: GraphClient) -> None:
    await person(store, ANNE, WEB, APP)
    await person(store, EVE, EVES)
    await store.write(lambda tx: tx.run("MATCH (r:Record) SET r.kind = 'user'"))
    await append(store, EVES, statement_of("analytics"), users=[EVE])
    assert (await append(store, WEB, statement_of("analytics", "withdrawn"))).hearers == set()
    proven = [NewHolding(one, email("ada"), Grade.PROVEN, Millis(1)) for one in (APP, EVES)]
    await store.write(lambda tx: write_holdings(tx, proven[:1]))
    assert await store.write(lambda tx: share_denials(tx, {ANNE}, NOW)) == set(), "nobody else holds it"
    await store.write(lambda tx: write_holdings(tx, proven[1:]))
    assert await store.write(lambda tx: share_denials(tx, {EVE}, NOW)) == set(), "one account is no person of several"
    reached = await store.write(lambda tx: share_denials(tx, {ANNE}, NOW))
    assert reached == {ANNE, EVE}
    await store.write(lambda tx: refresh_permits(tx, reached, POLICY, NOW))
    assert "analytics" not in (await read_stored(store, EVE)).permits
    assert await store.write(lambda tx: share_denials(tx, {ANNE}, NOW)) == set(), "it is there already"


@pytest.mark.store
async def test_an_objection_to_linking_stays_the_records_own(store: GraphClient) -> None:
    await person(store, ANNE, WEB)
    await person(store, EVE, EVES)
    await share_address(store, WEB, EVES)
    recorded = await append(store, EVES, statement_of("identity_linking", "objected"), users=[EVE])
    assert recorded.hearers == set()
    assert await store.read("MATCH (i:Identifier) WHERE i.bars IS NOT NULL RETURN i.id AS id") == []
