"""Linkage in the graph: merges, splits, refusals, redirects, repetition and races, on the engine under test."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from algorithms.identity.blocking import BlockingRules
from algorithms.identity.linkage import DEFAULT_LINKAGE, LinkageConfig
from graph.identity.identifiers import NewHolding
from graph.identity.links import LinkEdge, write_links
from graph.identity.records import NewPerson, RecordCall, read_people_of_records, touch_records, write_people
from graph.identity.users import find_live_user
from graph.model.identity import IdentifierRef, Judgement, RecordId, RecordKind, RecordRef, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer
from privacy.policy import Policy
from resolvers.identity.linkage import LinkageChanges, attach_identifiers, link_records, resolve_all

pytestmark = pytest.mark.store

SMALL = LinkageConfig(
    limits={"external": 2, "email": 2, "phone": 1, "anonymous_id": 2},
    component_cap=5,
    blocking=BlockingRules(frequency_cap=3),
)


def ref(name: str) -> RecordRef:
    return RecordRef("shop", RecordKind.USER, name)


def email(value: str) -> IdentifierRef:
    return IdentifierRef("email", value)


def user_id(value: str, namespace: str = "") -> IdentifierRef:
    return IdentifierRef("user_id", value, namespace)


def device(value: str) -> IdentifierRef:
    return IdentifierRef("anonymous_id", value)


@dataclass
class World:
    """A store with records under short names, and a clock that moves with every step."""

    client: GraphClient
    config: LinkageConfig = DEFAULT_LINKAGE
    now: int = 1000
    names: dict[RecordId, str] = field(default_factory=dict)
    meeting: asyncio.Barrier | None = None

    async def meet(self) -> None:
        """Where a meeting is set, wait until two writers have evidence that the other can't see yet. On an engine where
        writers take turns the other never comes; then go on alone."""
        if self.meeting is not None:
            with suppress(TimeoutError, asyncio.BrokenBarrierError):
                await asyncio.wait_for(self.meeting.wait(), 0.5)

    async def race(self, *arrivals: Any) -> None:
        """Two arrivals at once that meet between writing their evidence and linking."""
        self.meeting = asyncio.Barrier(2)
        await asyncio.gather(*(self.arrive(*evidence) for evidence in arrivals))
        self.meeting = None

    def tick(self) -> Millis:
        self.now += 10
        return Millis(self.now)

    async def arrive(self, *evidence: tuple[str, IdentifierRef], aliases: tuple[tuple[str, str], ...] = ()) -> Any:
        """What an arrival does: make and lock the records, attach what they carry, link."""
        now = self.tick()

        async def work(tx: Writer) -> LinkageChanges:
            return await self.ingest(tx, evidence, aliases, now)

        return await self.client.write(work)

    async def ingest(
        self,
        tx: Writer,
        evidence: tuple[tuple[str, IdentifierRef], ...],
        aliases: tuple[tuple[str, str], ...],
        now: Millis,
    ) -> LinkageChanges:
        refs = {ref(name).id: ref(name) for name in [n for n, _ in evidence] + [n for pair in aliases for n in pair]}
        self.names |= {id_: each.key for id_, each in refs.items()}
        touched = await touch_records(tx, [RecordCall(each, id_) for id_, each in refs.items()], now)
        new = sorted(id_ for id_, each in touched.items() if each.new)
        people = [NewPerson(id_, UserId(f"user-{refs[id_].key}-{now}"), "shop") for id_ in new]
        await write_people(tx, people, [], now)
        pairs = [NewHolding(ref(name).id, identifier, now) for name, identifier in evidence]
        changed = await attach_identifiers(tx, pairs, [(ref(a).id, ref(b).id) for a, b in aliases], now)
        await self.meet()
        return await link_records(tx, changed, now, self.config)

    async def relink(self, *names: str) -> LinkageChanges:
        now = self.tick()
        return await self.client.write(lambda tx: link_records(tx, [ref(n).id for n in names], now, self.config))

    async def object(self, name: str, answer: bool = True) -> LinkageChanges:
        async def work(tx: Writer) -> None:
            await tx.run("MATCH (r:Record {id: $id}) SET r.linking_objected = $answer", id=ref(name).id, answer=answer)

        await self.client.write(work)
        return await self.relink(name)

    async def judge_apart(self, left: str, right: str) -> LinkageChanges:
        now = self.tick()
        edge = LinkEdge(ref(left).id, ref(right).id, Judgement.CANNOT_LINK, "judgement")
        await self.client.write(lambda tx: write_links(tx, [edge], "ada", now))
        return await self.relink(left, right)

    async def people(self) -> dict[str, list[str]]:
        """Live user → names of its records, after checking that every record has exactly one live user."""
        rows = await self.client.read(
            "MATCH (r:Record)-[m:RESOLVES_TO]->(u:User) WHERE m.to IS NULL RETURN r.id AS record, u.id AS user"
        )
        assert len({row["record"] for row in rows}) == len(rows) == len(self.names)
        found: dict[str, list[str]] = {}
        for row in rows:
            found.setdefault(row["user"], []).append(self.names[row["record"]])
        return {user: sorted(names) for user, names in found.items()}

    async def groups(self) -> list[list[str]]:
        return sorted((await self.people()).values())

    async def edges(self) -> list[dict[str, Any]]:
        rows = await self.client.read(
            "MATCH (a:Record)-[l:LINKED]->(b:Record) RETURN a.id AS left, b.id AS right, l.status AS status,"
            " l.rule AS rule, l.reason AS reason, l.actor AS actor, l.`from` AS since, l.to AS until,"
            " l.ended_by AS ended_by, l.evidence AS evidence"
        )
        return [row | {"left": self.names[row["left"]], "right": self.names[row["right"]]} for row in rows]

    async def open(self, status: str) -> list[tuple[str, str, str, str | None]]:
        return sorted(
            (*sorted((row["left"], row["right"])), row["rule"], row["reason"])  # type: ignore[misc]
            for row in await self.edges()
            if row["status"] == status and row["until"] is None
        )


async def snapshot(client: GraphClient) -> list[dict[str, Any]]:
    rows = await client.read(
        "MATCH (n) OPTIONAL MATCH (n)-[r]->() WITH labels(n)[0] AS label, type(r) AS sort, count(*) AS number "
        "RETURN label, sort, number ORDER BY label, sort"
    )
    users = await client.read("MATCH (u:User) RETURN u.id AS id, u.retired_at AS at, u.updated_at AS up ORDER BY id")
    links = await client.read("MATCH ()-[l:LINKED]->() RETURN l.`from` AS since, l.to AS until ORDER BY since, until")
    return rows + users + links


async def test_records_that_share_an_identifier_become_one_person(store: GraphClient) -> None:
    world = World(store)
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
    world = World(store)
    await world.arrive(("c", device("d")))
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
    world = World(store)
    await world.arrive(("a", user_id("1")), ("a", email("both@x.com")), ("a", email("a@x.com")))
    await world.arrive(("b", user_id("2")), ("b", email("both@x.com")))
    people = await read_people_of_records(store, [ref("a").id, ref("b").id, RecordId("none")])
    assert len({user for user, _ in people.values()}) == 2


async def test_both_ids_in_a_message_link_the_device_to_the_person(store: GraphClient) -> None:
    world = World(store)
    await world.arrive(("anon", device("d1")))
    await world.arrive(("user", user_id("u")), ("user", device("d1")), ("anon", device("d1")))
    assert await world.groups() == [["anon", "user"]]
    assert await world.open("active") == [("anon", "user", "anonymous_id", None)]


async def test_a_shared_device_belongs_to_the_person_who_logged_in_first(store: GraphClient) -> None:
    world = World(store)
    await world.arrive(("anon", device("d1")))
    await world.arrive(("one", user_id("u1")), ("one", device("d1")))
    await world.arrive(("two", user_id("u2")), ("two", device("d1")))
    assert await world.groups() == [["anon", "one"], ["two"]]
    assert await world.open("refused") == [("anon", "two", "anonymous_id", "unique_conflict")]


async def test_an_earlier_time_found_later_decides(store: GraphClient) -> None:
    world = World(store)
    await world.arrive(("anon", device("d1")), ("one", user_id("u1")), ("one", device("d1")))
    await world.arrive(("two", user_id("u2")), ("two", device("d1")))
    assert await world.groups() == [["anon", "one"], ["two"]]

    async def work(tx: Writer) -> LinkageChanges:
        late = [NewHolding(ref("two").id, device("d1"), Millis(1)), NewHolding(ref("anon").id, device("d1"), Millis(0))]
        changed = await attach_identifiers(tx, late, [], world.tick())
        assert changed == {ref("two").id, ref("anon").id}
        return await link_records(tx, changed, world.tick())

    await store.write(work)
    assert await world.groups() == [["anon", "two"], ["one"]]


async def test_an_alias_joins_two_user_ids(store: GraphClient) -> None:
    world = World(store)
    await world.arrive(("old", user_id("u1")), ("old", email("a@x.com")))
    await world.arrive(("new", user_id("u2")), ("new", email("a@x.com")))
    assert len(await world.groups()) == 2
    outcome = await world.arrive(aliases=(("new", "old"),))
    assert await world.groups() == [["new", "old"]]
    assert len(outcome.merged) == 1
    assert await world.open("active") == [("new", "old", "alias", None)]
    assert await world.open("refused") == []
    before = await snapshot(store)
    await world.arrive(aliases=(("old", "new"),))
    assert await snapshot(store) == before


async def test_an_identifier_that_is_too_frequent_stops_linking_with_the_reason(store: GraphClient) -> None:
    world = World(store, SMALL)
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
    world = World(store)
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
    world = World(store)
    await world.arrive(("a", email("x@x.com")), ("b", email("x@x.com")))
    await world.judge_apart("a", "b")
    assert await world.groups() == [["a"], ["b"]]
    assert await world.open("refused") == [("a", "b", "email", "cannot_link")]
    await world.arrive(("a", user_id("1")), ("b", user_id("1")))
    assert await world.groups() == [["a"], ["b"]]
    assert ("a", "b", "user_id", "cannot_link") in await world.open("refused")


async def test_the_part_that_keeps_most_records_keeps_the_id(store: GraphClient) -> None:
    world = World(store)
    await world.arrive(("a", email("x@x.com")))
    await world.arrive(("b", email("x@x.com")), ("b", email("y@x.com")), ("c", email("y@x.com")))
    ((original, _),) = (await world.people()).items()
    await world.object("a")
    assert (await world.people())[original] == ["b", "c"]


async def test_a_retired_user_leaves_its_segments(store: GraphClient) -> None:
    world = World(store)
    await world.arrive(("a", user_id("1")), ("b", email("x@x.com")))

    async def enter(tx: Writer) -> None:
        await tx.run("MATCH (u:User) MERGE (s:Segment {key: 'vip'}) CREATE (u)-[:IN_SEGMENT {since: 1}]->(s)")

    await store.write(enter)
    outcome = await world.arrive(("a", email("x@x.com")))
    (retired,) = outcome.merged
    rows = await store.read("MATCH (u:User)-[s:IN_SEGMENT]->() RETURN u.id AS user, s.until AS until")
    assert {row["user"]: row["until"] is not None for row in rows} == {retired: True, outcome.merged[retired]: False}


async def test_moves_end_edges_and_open_new_ones(store: GraphClient) -> None:
    world = World(store)
    await world.arrive(("a", email("x@x.com")))
    await world.arrive(("b", email("x@x.com")))
    rows = await store.read(
        "MATCH (r:Record {id: $id})-[m:RESOLVES_TO]->(u:User) RETURN m.`from` AS since, m.to AS until",
        id=ref("b").id,
    )
    assert len(rows) == 2
    assert sorted(row["until"] is None for row in rows) == [False, True]


async def test_linking_again_writes_nothing(store: GraphClient) -> None:
    world = World(store, SMALL)
    evidence = [
        *((name, email("desk@x.com")) for name in "abcd"),
        ("a", device("d")), ("b", device("d")), ("a", user_id("1")), ("b", user_id("2")), ("c", device("d")),
    ]  # fmt: skip
    await world.arrive(*evidence, aliases=(("c", "d"),))
    before = await snapshot(store)
    outcome = await world.relink("a", "b", "c", "d")
    assert (outcome.opened, outcome.ended, outcome.affected_users) == (0, 0, frozenset())
    await world.arrive(*evidence, aliases=(("c", "d"),))
    assert await snapshot(store) == before


async def test_repeating_known_evidence_requires_no_linking(store: GraphClient) -> None:
    world = World(store)
    await world.arrive(("a", email("x@x.com")), ("b", email("x@x.com")))

    async def work(tx: Writer) -> set[RecordId]:
        return await attach_identifiers(tx, [NewHolding(ref("a").id, email("x@x.com"), Millis(9999))], [], Millis(9999))

    assert await store.write(work) == set()


async def test_two_writers_with_one_new_identifier_end_in_one_person(store: GraphClient) -> None:
    world = World(store)
    for number in range(12):
        shared, names = email(f"{number}@x.com"), (f"p{number}", f"q{number}")
        await world.arrive(*((name, user_id(name, name)) for name in names))
        await asyncio.gather(*(world.arrive((name, shared)) for name in names))
    assert await world.groups() == sorted([f"p{n}", f"q{n}"] for n in range(12))
    rows = await store.read("MATCH (i:Identifier {kind: 'email'}) RETURN i.degree AS degree")
    assert [row["degree"] for row in rows] == [2] * 12
    assert len(await world.open("active")) == 12


async def test_two_writers_that_link_overlapping_components_end_in_one_person(store: GraphClient) -> None:
    world = World(store)
    for number in range(3):
        a, b, c, d = (f"{letter}{number}" for letter in "abcd")
        for left, right in ((a, b), (c, d)):
            await world.arrive((left, email(f"{left}@x.com")), (right, email(f"{left}@x.com")))
        joint, other = email(f"joint{number}@x.com"), email(f"other{number}@x.com")
        await world.race([(a, joint), (c, joint)], [(d, other), (b, other)])
    assert await world.groups() == sorted([f"{letter}{n}" for letter in "abcd"] for n in range(3))
    assert len(await world.open("active")) == 9


async def test_two_writers_cannot_together_break_a_veto_that_each_respects(store: GraphClient) -> None:
    world = World(store)
    for number in range(3):
        a, b, one, two = (f"{name}{number}" for name in ("a", "b", "one", "two"))
        await world.arrive((a, email(f"{a}@x.com")), (b, email(f"{a}@x.com")))
        await world.arrive((one, user_id(one)), (two, user_id(two)), (a, device(a)), (b, device(b)))
        left, right = email(f"left{number}@x.com"), email(f"right{number}@x.com")
        await world.race([(a, left), (one, left)], [(b, right), (two, right)])
    groups = await world.groups()
    assert sorted(len(group) for group in groups) == [1] * 3 + [3] * 3
    assert not any({f"one{n}", f"two{n}"} <= set(group) for n in range(3) for group in groups)
    assert {reason for *_, reason in await world.open("refused")} == {"unique_conflict"}


async def test_a_neighbourhood_too_large_for_an_arrival_is_left_to_the_batch(store: GraphClient) -> None:
    tight = SMALL.model_copy(update={"neighbourhood_cap": 3, "component_cap": 50, "limits": {"external": 50}})
    world = World(store, tight)
    for number in range(6):
        await world.arrive(
            (f"r{number}", IdentifierRef("card", f"c{number}")), (f"r{number}", IdentifierRef("card", f"c{number + 1}"))
        )
    assert len(await world.groups()) > 1
    deferred = await world.relink("r5")
    assert deferred.deferred == {ref("r5").id}
    other = await world.arrive(("x", email("x@x.com")), ("y", email("x@x.com")))
    assert (len(other.merged), other.deferred) == (1, frozenset())
    await world.object("r0")
    assert ["r0"] in await world.groups()
    report = await resolve_all(world.client, Policy.default(), world.tick, tight)
    assert await world.groups() == [["r0"], ["r1", "r2", "r3", "r4", "r5"], ["x", "y"]]
    assert (report.records, report.users, report.deferred) == (8, 3, 0)


async def test_changed_rules_take_effect_in_the_batch(store: GraphClient) -> None:
    world = World(store, SMALL)
    for name in "abcd":
        await world.arrive((name, email("desk@x.com")))
    assert len(await world.groups()) == 4
    report = await resolve_all(world.client, Policy.default(), world.tick, DEFAULT_LINKAGE)
    assert await world.groups() == [["a", "b", "c", "d"]]
    assert (report.merged, report.links, report.refused) == (3, 3, {})
    back = await resolve_all(world.client, Policy.default(), world.tick, SMALL)
    assert len(await world.groups()) == 4
    assert (back.split, back.links, back.refused) == (1, 0, {"frequency_cap": 1})


POOL: list[Callable[[int], IdentifierRef]] = [
    lambda n: email(f"e{n % 4}@x.com"),
    lambda n: device(f"d{n % 4}"),
    lambda n: user_id(f"u{n % 3}"),
    lambda n: IdentifierRef("phone", f"+{n % 3}"),
]


@pytest.mark.parametrize("seed", range(4))
async def test_arrivals_in_any_order_and_the_batch_agree(store: GraphClient, seed: int) -> None:
    rng = random.Random(seed)
    world = World(store, SMALL)
    held = {(f"r{rng.randrange(10)}", rng.choice(POOL)(rng.randrange(12))): rng.randrange(5) for _ in range(28)}
    world.names = {ref(name).id: name for name, _ in held}

    async def forget(tx: Writer) -> None:
        await tx.run("MATCH (n) WHERE NOT n:Migration AND NOT n:Lock DETACH DELETE n")

    async def load(evidence: list[tuple[tuple[str, IdentifierRef], int]], *, linked: bool) -> None:
        async def work(tx: Writer) -> None:
            refs = {ref(name).id: ref(name) for (name, _), _ in evidence}
            now = world.tick()
            touched = await touch_records(tx, [RecordCall(each, id_) for id_, each in refs.items()], now)
            fresh = [id_ for id_, each in touched.items() if each.new]
            new = [NewPerson(id_, UserId(f"{refs[id_].key}-{now}"), "shop") for id_ in fresh]
            await write_people(tx, new, [], now)
            pairs = [NewHolding(ref(name).id, identifier, Millis(since)) for (name, identifier), since in evidence]
            changed = await attach_identifiers(tx, pairs, [], now)
            if linked:
                await link_records(tx, changed, now, SMALL)

        await store.write(work)

    answers = []
    for _ in range(2):
        arriving = list(held.items())
        rng.shuffle(arriving)
        await store.write(forget)
        while arriving:
            size = rng.randrange(1, 6)
            await load(arriving[:size], linked=True)
            arriving = arriving[size:]
        answers.append((await world.groups(), await world.open("active"), await world.open("refused")))
        settled = await resolve_all(world.client, Policy.default(), world.tick, SMALL)
        assert (settled.opened, settled.ended, settled.merged, settled.split) == (0, 0, 0, 0)
    await store.write(forget)
    await load(list(held.items()), linked=False)
    report = await resolve_all(world.client, Policy.default(), world.tick, SMALL)
    answers.append((await world.groups(), await world.open("active"), await world.open("refused")))
    assert answers[0] == answers[1] == answers[2]
    assert (report.records, report.users, report.links) == (len(world.names), len(answers[2][0]), len(answers[2][1]))
