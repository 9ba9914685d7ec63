"""The neighbourhood of records: what leads from one to the next, what does not, and where it is cut back."""

from __future__ import annotations

import pytest

from algorithms.identity.blocking import BlockingRules
from algorithms.identity.linkage import LinkageConfig
from graph.identity.identifiers import NewHolding, write_holdings, write_refused_identifiers
from graph.identity.links import LinkEdge, write_links
from graph.model.identity import Grade, IdentifierRef, Judgement, LinkOutcome, LinkStatus, RecordId
from graph.model.time import Millis
from graph.store.client import GraphClient
from resolvers.identity.neighbourhood import LockedNeighbourhood, lock_neighbourhood
from tests.crowd import run
from tests.newcomers import email, record, user, write_newcomers

pytestmark = pytest.mark.store

CONFIG = LinkageConfig(
    neighbourhood_cap=4, blocking=BlockingRules(frequency_cap=3, placeholders=frozenset({"nobody@x.com"}))
)


async def hold(store: GraphClient, identifier: IdentifierRef, *names: str, grade: Grade = Grade.PROVEN) -> None:
    rows = [NewHolding(record(name), identifier, grade, Millis(1)) for name in names]
    await store.write(lambda tx: write_holdings(tx, rows))


async def link(store: GraphClient, left: str, right: str, status: LinkStatus) -> LinkEdge:
    edge = LinkEdge(record(left), record(right), status, "email", "evidence")
    await store.write(lambda tx: write_links(tx, [edge], "ada", Millis(2)))
    return edge


async def object_to_linking(store: GraphClient, name: str) -> None:
    await run(store, "MATCH (r:Record {id: $id}) SET r.linking_objected = true", id=record(name))


async def lock(store: GraphClient, *names: str) -> LockedNeighbourhood:
    return await store.write(lambda tx: lock_neighbourhood(tx, [record(name) for name in names], CONFIG))


async def reached(store: GraphClient, *names: str) -> str:
    """The names of the records in the neighbourhood, none of them deferred."""
    found = await lock(store, *names)
    assert found.deferred == set()
    known = {record(name): name for name in "abcdefgh"}
    return "".join(sorted(known[id_] for id_ in found.records))


async def test_a_record_that_shares_nothing_is_alone(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b")
    await hold(store, email("a"), "a")
    assert await reached(store, "a") == "a"
    assert await reached(store, "none") == ""
    assert await reached(store) == ""


async def test_shared_identifiers_connect_records_transitively_from_every_side(store: GraphClient) -> None:
    await write_newcomers(store, *"abcdef")
    for number, pair in enumerate(("ab", "bc", "cd", "ef")):
        await hold(store, email(str(number)), *pair)
    for start in "abcd":
        assert await reached(store, start) == "abcd"
    assert await reached(store, "a", "e") == "abcdef"


async def test_only_proven_holdings_lead_on(store: GraphClient) -> None:
    await write_newcomers(store, *"abc")
    await hold(store, email("x"), "a")
    await hold(store, email("x"), "b", grade=Grade.STATED)
    await hold(store, IdentifierRef("anonymous_id", "d"), "a", "c")
    assert await reached(store, "a") == "a"
    assert await reached(store, "a", "b", "c") == "abc"


async def test_what_rests_on_a_trust_that_was_lowered_does_not_lead_on(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b")
    await hold(store, email("x"), "a", "b")
    assert await reached(store, "a") == "ab"
    await run(store, "MATCH (s:Source {name: 'shop'}) SET s.verifies = []")
    assert await reached(store, "a") == "a"


async def test_devices_are_in_no_neighbourhood(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b")
    await hold(store, email("x"), "a", "b")
    await run(store, "MATCH (r:Record {id: $id}) SET r.kind = 'anonymous'", id=record("b"))
    assert await reached(store, "a", "b") == "a"


async def test_identifiers_that_link_no_records_are_not_followed(store: GraphClient) -> None:
    await write_newcomers(store, *"abcdefgh")
    await hold(store, email("nobody"), "a", "b")
    await hold(store, email("desk"), *"cdef")
    assert await reached(store, "a") == "a"
    assert await reached(store, "c") == "c"
    await link(store, "g", "h", Judgement.CANNOT_LINK)
    assert await reached(store, "g") == "g"


async def test_a_refusal_stored_on_an_identifier_is_not_relied_on(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b")
    await hold(store, email("x"), "a", "b")
    await store.write(lambda tx: write_refused_identifiers(tx, [(email("x").id, "frequency_cap")], Millis(3)))
    assert await reached(store, "a") == "ab"
    assert (await lock(store, "a")).refused() == {email("x").id: "frequency_cap"}


@pytest.mark.parametrize("status", [LinkOutcome.ACTIVE, LinkOutcome.REFUSED, Judgement.ASSERTED])
async def test_open_edges_are_followed_in_both_directions(store: GraphClient, status: LinkStatus) -> None:
    await write_newcomers(store, "a", "b")
    await link(store, "a", "b", status)
    assert await reached(store, "a") == await reached(store, "b") == "ab"
    await run(store, "MATCH (:Record)-[l:LINKED]->(:Record) SET l.to = 5")
    assert await reached(store, "a") == "a"


async def test_only_decided_edges_are_followed_from_a_record_that_objects_to_linking(store: GraphClient) -> None:
    await write_newcomers(store, *"abcd")
    await hold(store, email("x"), "a", "b")
    await link(store, "b", "c", Judgement.ASSERTED)
    await link(store, "b", "d", LinkOutcome.ACTIVE)
    await object_to_linking(store, "b")
    assert await reached(store, "a") == await reached(store, "b", "a") == "abd"
    assert await reached(store, "b") == "bd"
    assert (await lock(store, "b")).refused() == {}


async def test_an_identifier_that_became_too_frequent_leads_to_the_records_it_linked(store: GraphClient) -> None:
    await write_newcomers(store, *"abcd")
    await hold(store, email("desk"), *"abcd")
    edge = LinkEdge(record("b"), record("c"), LinkOutcome.ACTIVE, "email", email("desk").id)
    await store.write(lambda tx: write_links(tx, [edge], "linkage", Millis(2)))
    assert await reached(store, "a") == "abc"
    await store.write(lambda tx: write_refused_identifiers(tx, [(email("desk").id, "frequency_cap")], Millis(3)))
    assert await reached(store, "a") == "a"


async def test_only_edges_with_both_ends_inside_count(store: GraphClient) -> None:
    await write_newcomers(store, *"abc")
    inside = [await link(store, "a", "b", status) for status in (LinkOutcome.ACTIVE, Judgement.ASSERTED)]
    judged = await link(store, "b", "a", Judgement.CANNOT_LINK)
    await link(store, "b", "c", Judgement.CANNOT_LINK)
    found = await lock(store, "a")
    assert found.edges() == {*inside, judged}
    assert found.evidence().asserted == {(record("a"), record("b"))}
    assert found.evidence().apart == {(record("b"), record("a"))}
    assert {id_: one.user for id_, one in found.memberships().items()} == {record(n): user(n) for n in "ab"}


async def test_a_neighbourhood_over_its_cap_is_cut_back_to_existing_people(store: GraphClient) -> None:
    await write_newcomers(store, *"abcdefgh")
    for number, pair in enumerate(("ab", "bc", "cd", "de", "ef")):
        await hold(store, email(str(number)), *pair)
    await hold(store, email("other"), "g", "h")
    for left, right in ("ab", "ef"):
        await link(store, left, right, LinkOutcome.ACTIVE)
    found = await lock(store, "a", "c", "g")
    assert found.deferred == {record("a"), record("c")}
    assert set(found.records) == {record(name) for name in "abcgh"}


async def test_a_neighbourhood_exactly_at_its_cap_is_complete(store: GraphClient) -> None:
    await write_newcomers(store, *"abcde")
    for number, pair in enumerate(("ab", "bc", "cd")):
        await hold(store, email(str(number)), *pair)
    assert await reached(store, "d") == "abcd"
    await hold(store, email("more"), "d", "e")
    assert (await lock(store, "e")).deferred == {record("e")}


async def test_everything_read_is_locked(store: GraphClient) -> None:
    await write_newcomers(store, *"abc")
    await hold(store, email("x"), "a", "b")
    before = await versions(store)
    await lock(store, "a")
    assert await versions(store) == {
        **before,
        record("a"): before[record("a")] + 1,
        record("b"): before[record("b")] + 1,
    }


async def versions(store: GraphClient) -> dict[RecordId, int]:
    return {row["id"]: row["v"] for row in await store.read("MATCH (r:Record) RETURN r.id AS id, r._v AS v")}
