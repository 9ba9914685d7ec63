"""Linkage as a pure decision: what each rule does, and what holds for any evidence in any order."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from algorithms.identity.blocking import BlockingRules
from algorithms.identity.clustering import RefusalReason
from algorithms.identity.linkage import (
    ALIAS,
    Linkage,
    LinkageConfig,
    link,
    refuse_identifier,
)
from graph.model.identity import EvidenceRecord, Holding, Neighbourhood, RecordId
from graph.model.time import Millis

SMALL = LinkageConfig(
    limits={"external": 2, "email": 2, "phone": 1},
    component_cap=5,
    blocking=BlockingRules(frequency_cap=4, placeholders=frozenset({"blocked"})),
)


def holding(
    kind: str, value: str, since: int = 0, namespace: str = "", degree: int = 1, ended: int | None = None
) -> Holding:
    end = None if ended is None else Millis(ended)
    return Holding(f"{kind}:{namespace}:{value}", kind, value, namespace, Millis(since), degree, ended=end)


def record(name: str, *holdings: Holding, permitted: bool = True, source: str | None = None) -> EvidenceRecord:
    """An account, in a system of its own unless `source` is given."""
    return EvidenceRecord(RecordId(name), permitted, holdings, name if source is None else source)


def solve(*records: EvidenceRecord, config: LinkageConfig = SMALL, **judgements: Iterable[tuple[str, str]]) -> Linkage:
    pairs = {name: frozenset((RecordId(a), RecordId(b)) for a, b in found) for name, found in judgements.items()}
    return link(Neighbourhood(records, **pairs), config)


def together(found: Linkage, left: str, right: str) -> bool:
    place = find_places(found)
    return place[RecordId(left)] == place[RecordId(right)]


def find_places(found: Linkage) -> dict[RecordId, int]:
    """Which component each record is in, by the component's position."""
    return {name: position for position, group in enumerate(found.components) for name in group}


def find_connected(found: Linkage, start: RecordId) -> set[RecordId]:
    """The records that a path of links connects with `start`."""
    ends = [{each.left, each.right} for each in found.links]
    reached = {start}
    for _ in ends:  # no path is longer
        reached |= set().union(*(pair for pair in ends if pair & reached))
    return reached


def test_a_shared_identifier_makes_a_star_around_the_earliest_record() -> None:
    found = solve(*(record(name, holding("email", "a@x.com", at)) for name, at in (("p", 3), ("q", 1), ("r", 2))))
    assert found.components == (("p", "q", "r"),)
    assert {(each.left, each.right) for each in found.links} == {("q", "p"), ("q", "r")}
    assert {each.rule for each in found.links} == {"email"}


def test_a_stronger_kind_is_the_one_that_links() -> None:
    both = (holding("user_id", "u1", 5), holding("email", "a@x.com", 1))
    found = solve(record("p", *both), record("q", *both))
    assert [each.rule for each in found.links] == ["user_id"]


def test_the_first_of_two_accounts_of_a_shop_keeps_a_shared_card() -> None:
    card = "c1"
    found = solve(
        record("crm", holding("card", card, 10)),
        record("one", holding("user_id", "u1", 20), holding("card", card, 20), source="shop"),
        record("two", holding("user_id", "u2", 15), holding("card", card, 15), source="shop"),
    )
    assert together(found, "crm", "two")
    assert not together(found, "crm", "one")
    (refusal,) = found.refusals
    assert refusal.reason is RefusalReason.UNIQUE_CONFLICT
    assert (refusal.left, refusal.right, refusal.rule, refusal.detail) == ("crm", "one", "card", "user_id")


def test_a_tie_at_one_instant_is_broken_by_record_id() -> None:
    found = solve(
        record("c-crm", holding("card", "c", 1)),
        record("b", holding("user_id", "u2", 1), holding("card", "c", 1), source="shop"),
        record("a", holding("user_id", "u1", 1), holding("card", "c", 1), source="shop"),
    )
    assert together(found, "a", "c-crm")
    assert not together(found, "b", "c-crm")


def test_user_ids_of_different_namespaces_do_not_conflict() -> None:
    card = holding("card", "c")
    found = solve(
        record("p", holding("user_id", "1", namespace="shop"), card, source="shop"),
        record("q", holding("user_id", "1", namespace="crm"), card, source="crm"),
        record("r", holding("user_id", "2", namespace="crm"), card, source="crm"),
    )
    assert together(found, "p", "q")
    assert not together(found, "q", "r")


def test_two_sources_may_each_name_a_person_but_one_source_may_not_name_it_twice() -> None:
    card = holding("card", "c")
    shop, crm = (
        record("p", holding("user_id", "1"), card, source="shop"),
        record("q", holding("user_id", "7"), card, source="crm"),
    )
    found = solve(shop, crm, record("r", holding("user_id", "2"), card, source="shop"))
    assert together(found, "p", "q")
    assert not together(found, "p", "r")
    assert RefusalReason.UNIQUE_CONFLICT in {each.reason for each in found.refusals}


def test_contact_data_that_a_source_holds_for_two_accounts_at_once_links_nobody() -> None:
    desk = [holding("email", "info@x.com", at) for at in (1, 2, 3)]
    found = solve(*(record(name, held, source=name[0]) for name, held in zip(("s1", "s2", "c1"), desk, strict=True)))
    assert len(found.components) == 3
    assert [(each.reason, each.evidence, each.left) for each in found.refusals] == [
        (RefusalReason.SHARED_CONTACT, "email::info@x.com", None)
    ]
    card = [replace(each, kind="card") for each in desk]
    others = solve(*(record(name, held, source=name[0]) for name, held in zip(("s1", "s2", "c1"), card, strict=True)))
    assert len(others.components) == 1


def test_an_address_that_moved_between_two_accounts_of_a_source_is_not_shared() -> None:
    found = solve(
        record("old", holding("email", "a@x.com", 1, ended=5), source="shop"),
        record("new", holding("email", "a@x.com", 5), source="shop"),
        record("crm", holding("email", "a@x.com", 6)),
    )
    assert found.components == (("crm", "new"), ("old",))
    assert [(each.reason, each.left, each.right) for each in found.refusals] == [
        (RefusalReason.NO_OVERLAP, "old", "new")
    ]


def test_an_address_links_only_records_that_had_it_at_the_same_time() -> None:
    found = solve(
        record("p", holding("email", "a@x.com", 1, ended=4)),
        record("q", holding("email", "a@x.com", 3, ended=6)),
        record("r", holding("email", "a@x.com", 5)),
        record("s", holding("email", "a@x.com", 6, ended=6)),
    )
    assert found.components == (("p", "q", "r", "s"),)
    assert {(each.left, each.right) for each in found.links} == {("p", "q"), ("q", "r"), ("r", "s")}
    recycled = solve(record("p", holding("email", "a@x.com", 1, ended=4)), record("q", holding("email", "a@x.com", 4)))
    assert len(recycled.components) == 2


def test_one_user_id_in_two_sources_is_one_person() -> None:
    one = holding("user_id", "1")
    assert together(solve(record("p", one, source="shop"), record("q", one, source="app")), "p", "q")


def test_an_alias_joins_the_accounts_that_it_names_and_their_records() -> None:
    one, two = holding("user_id", "u1"), holding("user_id", "u2", namespace="crm")
    records = [record("p", one), record("p2", one), record("q", two), record("q2", two)]
    found = solve(*records, asserted=[("q", "p")])
    assert len(found.components) == 1
    assert ("p", "q", ALIAS) in {(each.left, each.right, each.rule) for each in found.links}


def test_an_alias_does_not_override_the_veto_of_unique_user_ids() -> None:
    one, two = holding("user_id", "u1"), holding("user_id", "u2")
    found = solve(record("p", one, source="shop"), record("q", two, source="shop"), asserted=[("p", "q")])
    assert len(found.components) == 2
    (refusal,) = found.refusals
    assert (refusal.reason, refusal.rule, refusal.left, refusal.right) == (
        RefusalReason.UNIQUE_CONFLICT, ALIAS, "p", "q",
    )  # fmt: skip


def test_a_blocked_value_links_no_records_and_is_refused() -> None:
    found = solve(record("p", holding("email", "blocked")), record("q", holding("email", "blocked")))
    assert not found.links
    assert [(each.reason, each.left) for each in found.refusals] == [(RefusalReason.BLOCKED_VALUE, None)]


def test_a_frequent_identifier_links_no_records_whether_counted_here_or_in_the_graph() -> None:
    here = solve(*(record(f"r{n}", holding("phone", "+1", n)) for n in range(5)))
    assert (len(here.components), here.refusals[0].reason) == (5, RefusalReason.FREQUENCY_CAP)
    there = solve(*(record(f"r{n}", holding("phone", "+1", n, degree=5)) for n in range(2)))
    assert (len(there.components), there.refusals[0].reason) == (2, RefusalReason.FREQUENCY_CAP)
    assert len(solve(*(record(f"r{n}", holding("phone", "+1", n)) for n in range(4))).components) == 1


def test_over_the_limit_the_latest_identifier_is_demoted_and_the_rest_still_match() -> None:
    user = holding("user_id", "u", 0)
    cards = [holding("card", f"c{n}", n) for n in range(3)]
    others = [record(f"crm{n}", card) for n, card in enumerate(cards)]
    found = solve(record("user", user, *cards), *others)
    assert together(found, "user", "crm0")
    assert together(found, "user", "crm1")
    assert not together(found, "user", "crm2")
    (refusal,) = found.refusals
    assert (refusal.reason, refusal.evidence) == (RefusalReason.LIMIT_EXCEEDED, "card::c2")


def test_a_weak_identifier_may_not_join_people_with_too_many_strong_ones() -> None:
    phone = holding("phone", "+1", 9)
    found = solve(
        record("p", phone, *(holding("email", f"p{n}@x.com") for n in range(2))),
        record("q", phone, *(holding("email", f"q{n}@x.com") for n in range(2))),
    )
    assert len(found.components) == 2
    assert [(each.reason, each.detail) for each in found.refusals] == [(RefusalReason.LIMIT_EXCEEDED, "email")]


def test_a_cannot_link_outranks_every_rule_even_through_other_records() -> None:
    one, two = holding("email", "a@x.com", 1), holding("phone", "+1", 1)
    found = solve(record("p", one), record("q", one, two), record("r", two), apart=[("r", "p")])
    assert together(found, "p", "q")
    assert not together(found, "q", "r")
    assert found.refusals[0].reason is RefusalReason.CANNOT_LINK
    asserted = solve(record("p"), record("r"), asserted=[("p", "r")], apart=[("p", "r")])
    assert (len(asserted.components), asserted.refusals[0].rule) == (2, ALIAS)


def test_a_component_never_exceeds_its_cap() -> None:
    chain = [record(f"r{n}", holding("card", f"c{n}", n), holding("card", f"c{n + 1}", n)) for n in range(6)]
    found = solve(*chain, config=SMALL.model_copy(update={"limits": {"external": 50}}))
    assert sorted(len(group) for group in found.components) == [1, 5]
    assert [each.reason for each in found.refusals] == [RefusalReason.COMPONENT_TOO_LARGE]


def test_a_record_whose_person_objects_takes_no_part() -> None:
    email = holding("email", "a@x.com", 1)
    found = solve(record("p", email), record("q", email, permitted=False), record("r", email), asserted=[("p", "q")])
    assert found.components == (("p", "r"), ("q",))
    assert [(each.reason, each.left) for each in found.refusals] == [(RefusalReason.NO_CONSENT, "q")]


def test_the_configuration_refuses_invalid_values() -> None:
    for wrong in ({"order": ("user_id",)}, {"limits": {"email": 0}}, {"component_cap": 1}, {"surprise": 1}):
        with pytest.raises(ValidationError):
            LinkageConfig.model_validate(wrong)
    assert LinkageConfig().rank("loyalty_card") == LinkageConfig().rank("external")


NAMES = [RecordId(f"r{n}") for n in range(9)]
SOURCES = {name: ("shop", "crm", "app")[number % 3] for number, name in enumerate(NAMES)}
VALUES = [
    *(("user_id", value, namespace) for value in ("u1", "u2") for namespace in ("", "crm")),
    *(("email", f"e{n}@x.com", "") for n in range(4)),
    ("email", "blocked", ""),
    *(("phone", f"+{n}", "") for n in range(3)),
    *(("card", f"c{n}", "") for n in range(5)),
]
NAME = st.sampled_from(NAMES)
PAIR = st.tuples(NAME, NAME).filter(lambda pair: pair[0] != pair[1])
Value = tuple[str, str, str]


@dataclass
class Evidence:
    """Everything known, as it grows: what a store holds, reduced to what linkage reads. A value is held from an instant
    until another one (None: still)."""

    held: dict[tuple[RecordId, Value], tuple[int, int | None]] = field(default_factory=dict)
    asserted: set[tuple[RecordId, RecordId]] = field(default_factory=set)
    apart: set[tuple[RecordId, RecordId]] = field(default_factory=set)
    objected: set[RecordId] = field(default_factory=set)

    def holders(self) -> dict[Value, set[RecordId]]:
        found = defaultdict(set)
        for name, value in self.held:
            found[value].add(name)
        return dict(found)

    def overlap(self, value: Value, left: RecordId, right: RecordId) -> bool:
        """Whether both records held a value at the same time."""
        (since, end), (other, until) = self.held[left, value], self.held[right, value]
        return (end is None or other < end) and (until is None or since < until)

    def shared(self, value: Value) -> bool:
        """Whether contact data of one source belonged to two records at once, among those that take part."""
        holders = sorted(self.holders()[value] - self.objected)
        return value[0] in SMALL.contacts and any(
            SOURCES[one] == SOURCES[other] and self.overlap(value, one, other)
            for place, one in enumerate(holders)
            for other in holders[place + 1 :]
        )

    def neighbourhood(self, names: Iterable[RecordId], shuffle: random.Random | None = None) -> Neighbourhood:
        holders = self.holders()
        chosen = sorted(names)
        records = []
        for name in chosen:
            mine = [
                holding(kind, value, since, namespace, len(holders[kind, value, namespace]), ended)
                for (holder, (kind, value, namespace)), (since, ended) in sorted(self.held.items(), key=lambda e: e[0])
                if holder == name
            ]
            if shuffle:
                shuffle.shuffle(mine)
            records.append(record(name, *mine, permitted=name not in self.objected, source=SOURCES[name]))
        if shuffle:
            shuffle.shuffle(records)
        inside = set(chosen)
        pairs = [frozenset(pair for pair in found if inside.issuperset(pair)) for found in (self.asserted, self.apart)]
        return Neighbourhood(tuple(records), *pairs)


INSTANT = st.integers(0, 4)
HELD = st.dictionaries(
    st.tuples(NAME, st.sampled_from(VALUES)),
    st.tuples(INSTANT, st.none() | INSTANT).map(lambda span: (span[0], None if span[1] is None else sum(span))),
    max_size=30,
)


@st.composite
def evidence(draw: st.DrawFn) -> Evidence:
    held = draw(HELD)
    return Evidence(
        {key: (since, end if key[1][0] in SMALL.contacts else None) for key, (since, end) in held.items()},
        draw(st.sets(PAIR, max_size=3)),
        draw(st.sets(PAIR, max_size=3)),
        draw(st.sets(NAME, max_size=2)),
    )


@given(evidence(), st.randoms(use_true_random=False))
def test_the_decision_does_not_depend_on_any_order(known: Evidence, rng: random.Random) -> None:
    expected = link(known.neighbourhood(NAMES), SMALL)
    shuffled = known.neighbourhood(NAMES, rng)
    assert link(shuffled, SMALL) == expected
    swapped = replace(shuffled, asserted=frozenset((b, a) for a, b in shuffled.asserted))
    assert link(swapped, SMALL) == expected


@given(evidence())
def test_links_are_a_spanning_forest_over_real_evidence(known: Evidence) -> None:
    found = link(known.neighbourhood(NAMES), SMALL)
    assert sorted(name for group in found.components for name in group) == NAMES
    assert len(found.links) == len(NAMES) - len(found.components)
    place = find_places(found)
    ids = {(name, holding(*value[:2], 0, value[2]).identifier) for name, value in known.held}
    for each in found.links:
        assert place[each.left] == place[each.right]
        if each.rule == ALIAS:
            assert {(each.left, each.right), (each.right, each.left)} & known.asserted
        else:
            assert {(each.left, each.evidence), (each.right, each.evidence)} <= ids
    for group in found.components:
        assert find_connected(found, group[0]) == set(group)


@given(evidence())
def test_every_veto_is_respected(known: Evidence) -> None:
    single: dict[tuple[RecordId, str], str] = {}
    for name, value in sorted(known.held):
        if value[0] == "user_id" and any(holder == name for holder, _ in single):
            del known.held[name, value]  # a source gives its user IDs one namespace, so a record has one user ID
        elif value[0] == "user_id":
            single[name, value[2]] = value[1]
    found = link(known.neighbourhood(NAMES), SMALL)
    place = find_places(found)
    assert all(place[a] != place[b] for a, b in known.apart)
    assert all(len(group) <= SMALL.component_cap for group in found.components)
    for name in known.objected:
        assert found.components[place[name]] == (name,)
    for group in found.components:
        for source in set(SOURCES.values()):
            for namespace in ("", "crm"):
                members = [name for name in group if SOURCES[name] == source]
                assert len({single[name, namespace] for name in members if (name, namespace) in single}) <= 1


@given(evidence())
def test_records_that_did_not_hold_a_value_at_the_same_time_are_never_linked_by_it(known: Evidence) -> None:
    values = {holding(*value[:2], 0, value[2]).identifier: value for _, value in known.held}
    for each in link(known.neighbourhood(NAMES), SMALL).links:
        if each.rule != ALIAS:
            assert known.overlap(values[each.evidence], each.left, each.right)
            assert not known.shared(values[each.evidence])


@given(evidence())
def test_every_refusal_is_reported(known: Evidence) -> None:
    found = link(known.neighbourhood(NAMES), SMALL)
    place = find_places(found)
    refused = {each.evidence for each in found.refusals}
    for value, holders in known.holders().items():
        taking_part = holders - known.objected
        if len({place[name] for name in taking_part}) > 1:
            assert holding(*value[:2], 0, value[2]).identifier in refused
    for pair in known.asserted:
        if place[pair[0]] != place[pair[1]] and not known.objected & set(pair):
            assert any(each.rule == ALIAS and {each.left, each.right} == set(pair) for each in found.refusals)


class Incremental:
    """Linkage as evidence arrives, a neighbourhood at a time, in the way the store's resolver works."""

    def __init__(self) -> None:
        self.known = Evidence()
        self.place: dict[RecordId, frozenset[RecordId]] = {name: frozenset({name}) for name in NAMES}
        self.links: dict[frozenset[RecordId], set[object]] = {}

    def arrive(self, change: tuple[str, object, object]) -> None:
        sort, what, span = change
        if sort == "held":
            if span[1] is not None or what not in self.known.held:  # type: ignore[index]
                self.known.held[what] = span  # type: ignore[index,assignment]
            touched = {what[0]}  # type: ignore[index]
            value = what[1]  # type: ignore[index]
            if len(self.known.holders()[value]) == SMALL.blocking.frequency_cap + 1 or self.known.shared(value):
                touched |= self.known.holders()[value]
        elif sort == "objected":
            self.known.objected.add(what)  # type: ignore[arg-type]
            touched = {what}
        else:
            getattr(self.known, sort).add(what)
            touched = set(what)  # type: ignore[call-overload]
        closed = self.close(touched)
        found = link(self.known.neighbourhood(closed), SMALL)
        for group in found.components:
            members = frozenset(group)
            for name in group:
                self.place[name] = members

    def close(self, names: set[RecordId]) -> set[RecordId]:
        holders = self.known.holders()
        found: set[RecordId] = set()
        waiting = set(names)
        while waiting:
            name = waiting.pop()
            found.add(name)
            beside = set(self.place[name])
            for value, having in holders.items():
                facts = holding(*value[:2], 0, value[2])
                usable = refuse_identifier(facts, len(having), SMALL) is None
                if usable and name in having and name not in self.known.objected:
                    beside |= having
            if name not in self.known.objected:
                beside |= {other for pair in self.known.asserted if name in pair for other in pair}
            waiting |= beside - found
        return found


@settings(max_examples=200, deadline=None)
@given(evidence(), st.randoms(use_true_random=False))
def test_evidence_arriving_in_any_order_gives_the_decision_of_the_batch(known: Evidence, rng: random.Random) -> None:
    changes: list[tuple[str, object, object]] = [("held", pair, span) for pair, span in known.held.items()]
    for pair, (since, end) in known.held.items():
        if end is not None:
            changes.append(("held", pair, (since, None)))
    changes += [("asserted", pair, 0) for pair in known.asserted]
    changes += [("apart", pair, 0) for pair in known.apart]
    changes += [("objected", name, 0) for name in known.objected]
    rng.shuffle(changes)
    stepwise = Incremental()
    for change in changes:
        stepwise.arrive(change)
    batch = link(known.neighbourhood(NAMES), SMALL)
    assert set(stepwise.place.values()) == {frozenset(group) for group in batch.components}
