"""Linkage in the graph: merges, splits, refusals, redirects, repetition and races, on the engine under test."""

from __future__ import annotations

import asyncio

import pytest

from graph.identity.records import read_people_of_records
from graph.identity.users import find_live_user
from graph.model.identity import RecordId, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer
from resolvers.identity.attachment import Evidence, attach_evidence
from resolvers.identity.linkage import LinkageChanges, link_records
from tests.linking import SMALL, LinkingWorld, add_evidence, card, email, ref, snapshot, user_id

pytestmark = pytest.mark.store


async def test_records_that_share_an_identifier_become_one_person(store: GraphClient) -> None:
    world = LinkingWorld(store)
    first = await world.arrive(("web", email("ada@x.com")))
    assert first == LinkageChanges()
    outcome = await world.arrive(("app", email("ada@x.com")), ("crm", email("eve@x.com")))
    assert await world.groups() == [["app", "web"], ["crm"]]
    (survivor,) = outcome.affected_users
    assert survivor.startswith("user-web")
    assert list(outcome.merged.values()) == [survivor]
    (edge,) = await world.edges()
    assert (edge["left"], edge["right"], edge["status"], edge["rule"]) == ("web", "app", "active", "email")
    assert (edge["actor"], edge["evidence"], edge["until"]) == ("linkage/deterministic/1", email("ada@x.com").id, None)


async def test_retired_ids_redirect_after_any_number_of_merges(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("c", card("d")))
    for name in ("b", "a"):
        await world.arrive((name, email(f"{name}@x.com")))
    old = {names[0]: UserId(user) for user, names in (await world.people()).items()}
    await world.arrive(("a", email("1@x.com")), ("b", email("1@x.com")))
    await world.arrive(("c", email("1@x.com")))
    ((survivor, names),) = (await world.people()).items()
    assert names == ["a", "b", "c"]
    assert survivor == old["c"]
    for user in old.values():
        assert await find_live_user(store, user) == survivor
    assert await find_live_user(store, UserId("nobody")) is None
    rows = await store.read("MATCH (u:User) WHERE u.retired_at IS NOT NULL RETURN u.permits AS permits")
    assert [row["permits"] for row in rows] == [[], []]


async def test_people_are_found_by_record(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("shop.a", user_id("1")), ("shop.a", card("both")), ("shop.a", email("a@x.com")))
    await world.arrive(("shop.b", user_id("2")), ("shop.b", card("both")))
    people = await read_people_of_records(store, [ref("shop.a").id, ref("shop.b").id, RecordId("none")])
    assert len({user for user, _ in people.values()}) == 2


async def test_a_card_of_two_accounts_of_a_shop_belongs_to_the_first(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("crm", card("c1")))
    await world.arrive(("shop.one", user_id("u1")), ("shop.one", card("c1")))
    await world.arrive(("shop.two", user_id("u2")), ("shop.two", card("c1")))
    assert await world.groups() == [["crm", "shop.one"], ["shop.two"]]
    assert await world.open("refused") == [("crm", "shop.two", "card", "unique_conflict")]


async def test_an_earlier_receipt_found_later_decides(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("crm", card("c1")), ("shop.one", user_id("u1")), ("shop.one", card("c1")))
    await world.arrive(("shop.two", user_id("u2")), ("shop.two", card("c1")))
    assert await world.groups() == [["crm", "shop.one"], ["shop.two"]]

    async def work(tx: Writer) -> LinkageChanges:
        late = Evidence()
        add_evidence(late, "shop.two", card("c1"), Millis(1))
        add_evidence(late, "crm", card("c1"), Millis(0))
        changed = (await attach_evidence(tx, late)).linking
        assert changed == {ref("shop.two").id, ref("crm").id}
        return await link_records(tx, changed, world.tick())

    await store.write(work)
    assert await world.groups() == [["crm", "shop.two"], ["shop.one"]]


async def test_contact_data_that_a_source_holds_twice_links_nobody_until_an_end_is_known(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("shop.one", user_id("1")), ("shop.one", email("a@x.com")), ("crm", email("a@x.com")))
    assert await world.groups() == [["crm", "shop.one"]]
    await world.arrive(("shop.two", user_id("2")), ("shop.two", email("a@x.com")))
    assert await world.groups() == [["crm"], ["shop.one"], ["shop.two"]]
    rows = await store.read("MATCH (i:Identifier {kind: 'email'}) RETURN i.refused AS refused")
    assert rows == [{"refused": "shared_contact"}]
    assert {row["ended_by"] for row in await world.edges()} == {"shared_contact"}

    async def end(tx: Writer) -> LinkageChanges:
        found = Evidence(ends={(ref("shop.one").id, email("a@x.com").id): Millis(world.now)})
        return await link_records(tx, (await attach_evidence(tx, found)).linking, world.tick())

    await store.write(end)
    assert await world.groups() == [["crm", "shop.one"], ["shop.two"]]
    assert await world.open("refused") == [("crm", "shop.two", "email", "unique_conflict")]


async def test_an_alias_does_not_join_two_user_ids_of_a_source(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("shop.old", user_id("u1")), ("shop.new", user_id("u2")))
    outcome = await world.arrive(aliases=(("shop.new", "shop.old"),))
    assert len(await world.groups()) == 2
    assert outcome.merged == {}
    assert await world.open("refused") == [("shop.new", "shop.old", "alias", "unique_conflict")]


async def test_an_alias_joins_accounts_of_different_systems(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("old", user_id("u1", "crm")), ("new", user_id("u2")))
    outcome = await world.arrive(aliases=(("new", "old"),))
    assert await world.groups() == [["new", "old"]]
    assert len(outcome.merged) == 1
    assert await world.open("active") == [("new", "old", "alias", None)]
    assert await world.open("refused") == []
    before = await snapshot(store)
    await world.arrive(aliases=(("old", "new"),))
    assert await snapshot(store) == before


async def test_an_identifier_that_is_too_frequent_stops_linking_with_the_reason(store: GraphClient) -> None:
    world = LinkingWorld(store, SMALL)
    for name in "abc":
        await world.arrive((name, email("desk@x.com")))
    assert await world.groups() == [["a", "b", "c"]]
    outcome = await world.arrive(("d", email("desk@x.com")))
    assert await world.groups() == [["a"], ["b"], ["c"], ["d"]]
    assert sum(len(successors) for successors in outcome.split.values()) == 2
    rows = await store.read("MATCH (i:Identifier) RETURN i.refused AS refused, i.degree AS degree")
    assert rows == [{"refused": "frequency_cap", "degree": 4}]
    assert {row["ended_by"] for row in await world.edges()} == {"frequency_cap"}
    assert await world.arrive(("e", email("desk@x.com"))) == LinkageChanges()


async def test_an_objection_splits_and_its_reversal_restores(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("a", email("x@x.com")))
    await world.arrive(("b", email("x@x.com")), ("b", email("y@x.com")))
    await world.arrive(("c", email("y@x.com")))
    before = await world.people()
    ((original, _),) = before.items()
    outcome = await world.object("b")
    assert await world.groups() == [["a"], ["b"], ["c"]]
    assert {names[0] for user, names in (await world.people()).items() if user == original} == {"a"}
    assert set(outcome.split) == {original}
    assert len(outcome.affected_users) == 3
    ended = [row for row in await world.edges() if row["until"] is not None]
    assert {row["ended_by"] for row in ended} == {"no_consent"}
    again = await world.object("b", answer=False)
    assert await world.people() == before
    assert set(again.merged.values()) == {original}
    assert len([row for row in await world.edges() if row["until"] is not None]) == len(ended)


async def test_a_cannot_link_judgement_outranks_shared_identifiers(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("a", email("x@x.com")), ("b", email("x@x.com")))
    await world.judge_apart("a", "b")
    assert await world.groups() == [["a"], ["b"]]
    assert await world.open("refused") == [("a", "b", "email", "cannot_link")]
    await world.arrive(("a", user_id("1")), ("b", user_id("1")))
    assert await world.groups() == [["a"], ["b"]]
    assert ("a", "b", "user_id", "cannot_link") in await world.open("refused")


async def test_the_part_that_keeps_most_records_keeps_the_id(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("a", email("x@x.com")))
    await world.arrive(("b", email("x@x.com")), ("b", email("y@x.com")), ("c", email("y@x.com")))
    ((original, _),) = (await world.people()).items()
    await world.object("a")
    assert (await world.people())[original] == ["b", "c"]


async def test_a_retired_user_leaves_its_segments(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("a", user_id("1")), ("b", email("x@x.com")))

    async def enter(tx: Writer) -> None:
        await tx.run("MATCH (u:User) MERGE (s:Segment {key: 'vip'}) CREATE (u)-[:IN_SEGMENT {since: 1}]->(s)")

    await store.write(enter)
    outcome = await world.arrive(("a", email("x@x.com")))
    (retired,) = outcome.merged
    rows = await store.read("MATCH (u:User)-[s:IN_SEGMENT]->() RETURN u.id AS user, s.until AS until")
    assert {row["user"]: row["until"] is not None for row in rows} == {retired: True, outcome.merged[retired]: False}


async def test_moves_end_edges_and_open_new_ones(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("a", email("x@x.com")))
    await world.arrive(("b", email("x@x.com")))
    rows = await store.read(
        "MATCH (r:Record {id: $id})-[m:RESOLVES_TO]->(u:User) RETURN m.`from` AS since, m.to AS until",
        id=ref("b").id,
    )
    assert len(rows) == 2
    assert sorted(row["until"] is None for row in rows) == [False, True]


async def test_linking_again_writes_nothing(store: GraphClient) -> None:
    world = LinkingWorld(store, SMALL)
    evidence = [
        *((name, email("desk@x.com")) for name in "abcd"),
        ("a", card("d")), ("b", card("d")), ("a", user_id("1")), ("b", user_id("2")), ("c", card("d")),
    ]  # fmt: skip
    await world.arrive(*evidence, aliases=(("c", "d"),))
    before = await snapshot(store)
    outcome = await world.relink("a", "b", "c", "d")
    assert (outcome.opened, outcome.ended, outcome.affected_users) == (0, 0, frozenset())
    await world.arrive(*evidence, aliases=(("c", "d"),))
    assert await snapshot(store) == before


async def test_repeating_known_evidence_requires_no_linking(store: GraphClient) -> None:
    world = LinkingWorld(store)
    await world.arrive(("a", email("x@x.com")), ("b", email("x@x.com")))

    async def work(tx: Writer) -> frozenset[RecordId]:
        again = Evidence()
        add_evidence(again, "a", email("x@x.com"), Millis(9999))
        return (await attach_evidence(tx, again)).linking

    assert await store.write(work) == set()


async def test_two_writers_with_one_new_identifier_end_in_one_person(store: GraphClient) -> None:
    world = LinkingWorld(store)
    for number in range(12):
        shared, names = email(f"{number}@x.com"), (f"p{number}", f"q{number}")
        await world.arrive(*((name, user_id(name, name)) for name in names))
        await asyncio.gather(*(world.arrive((name, shared)) for name in names))
    assert await world.groups() == sorted([f"p{n}", f"q{n}"] for n in range(12))
    rows = await store.read("MATCH (i:Identifier {kind: 'email'}) RETURN i.degree AS degree")
    assert [row["degree"] for row in rows] == [2] * 12
    assert len(await world.open("active")) == 12


async def test_two_writers_that_link_overlapping_components_end_in_one_person(store: GraphClient) -> None:
    world = LinkingWorld(store)
    for number in range(3):
        a, b, c, d = (f"{letter}{number}" for letter in "abcd")
        for left, right in ((a, b), (c, d)):
            await world.arrive((left, email(f"{left}@x.com")), (right, email(f"{left}@x.com")))
        joint, other = email(f"joint{number}@x.com"), email(f"other{number}@x.com")
        await world.race([(a, joint), (c, joint)], [(d, other), (b, other)])
    assert await world.groups() == sorted([f"{letter}{n}" for letter in "abcd"] for n in range(3))
    assert len(await world.open("active")) == 9


async def test_two_writers_cannot_together_break_a_veto_that_each_respects(store: GraphClient) -> None:
    world = LinkingWorld(store)
    for number in range(3):
        a, b, one, two = (f"{name}{number}" for name in ("a", "b", "shop.one", "shop.two"))
        await world.arrive((a, email(f"{a}@x.com")), (b, email(f"{a}@x.com")))
        await world.arrive((one, user_id(one)), (two, user_id(two)))
        left, right = email(f"left{number}@x.com"), email(f"right{number}@x.com")
        await world.race([(a, left), (one, left)], [(b, right), (two, right)])
    groups = await world.groups()
    assert sorted(len(group) for group in groups) == [1] * 3 + [3] * 3
    assert not any({f"shop.one{n}", f"shop.two{n}"} <= set(group) for n in range(3) for group in groups)
    assert {reason for *_, reason in await world.open("refused")} == {"unique_conflict"}
