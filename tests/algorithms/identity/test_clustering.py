"""Components of records under vetoes: what each veto refuses, and what no sequence of joins may break."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from algorithms.identity.clustering import Components, DisjointSets, RefusalReason, Slot, Veto
from graph.model.identity import RecordId

P, Q, R, S, T = (RecordId(name) for name in "pqrst")
EMAIL = Slot("email", "", 2, unique=False)
USER = Slot("user_id", "", 1, unique=True, source="shop")


def components(
    records: Iterable[RecordId] = (P, Q, R, S, T), apart: Iterable[tuple[RecordId, RecordId]] = (), cap: int = 9
) -> Components:
    return Components(records, apart, cap)


def reasons(found: Components, *pairs: tuple[RecordId, RecordId]) -> list[RefusalReason | None]:
    vetoes = [found.veto(left, right) for left, right in pairs]
    return [veto and veto.reason for veto in vetoes]


def test_an_unknown_name_is_a_set_of_its_own() -> None:
    sets = DisjointSets()
    assert (sets.find("a"), sets.size("a")) == ("a", 1)


def test_a_joined_set_keeps_the_name_of_the_larger_or_of_the_left_equal() -> None:
    sets = DisjointSets()
    assert sets.join("b", "a") == "b"
    assert sets.join("c", "a") == "b"
    assert sets.join("d", "e") == "d"
    assert sets.join("e", "c") == "b"
    assert sets.join("e", "a") == "b"
    assert {sets.find(name) for name in "abcde"} == {"b"}
    assert sets.size("d") == 5


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")), max_size=20))
def test_sets_are_those_of_a_plain_partition(joins: list[tuple[str, str]]) -> None:
    sets, plain = DisjointSets(), {name: {name} for name in "abcdefgh"}
    for left, right in joins:
        sets.join(left, right)
        merged = plain[left] | plain[right]
        plain |= dict.fromkeys(merged, merged)
    for name, members in plain.items():
        assert sets.size(name) == len(members)
        assert {other for other in plain if sets.find(other) == sets.find(name)} == members


def test_groups_are_sorted_and_complete() -> None:
    found = components((T, S, R, Q, P))
    found.join(T, Q)
    found.join(R, T)
    assert found.groups() == (("p",), ("q", "r", "t"), ("s",))
    assert components(()).groups() == ()


def test_joining_a_component_with_itself_changes_nothing() -> None:
    found = components()
    found.join(P, Q)
    assert found.veto(P, Q) is None
    found.join(Q, P)
    assert found.groups() == (("p", "q"), ("r",), ("s",), ("t",))


def test_records_kept_apart_stay_apart_when_both_sides_grow() -> None:
    found = components(apart=[(P, Q), (P, RecordId("unknown"))])
    for left, right in ((R, P), (S, Q), (T, S)):
        assert found.veto(left, right) is None
        found.join(left, right)
    assert found.veto(R, T) == found.veto(T, R) == Veto(RefusalReason.CANNOT_LINK)


def test_a_value_over_the_limit_is_not_admitted_and_changes_nothing() -> None:
    found = components()
    assert [found.admit(P, EMAIL, value) for value in ("a", "b", "c", "a", "b")] == [True, True, False, True, True]
    assert found.admit(P, USER, "1")
    assert not found.admit(P, USER, "2")
    assert found.admit(Q, EMAIL, "b")
    assert found.veto(P, Q) is None


def test_a_component_holds_the_values_of_all_its_records() -> None:
    found = components()
    found.join(P, Q)
    assert found.admit(P, EMAIL, "a")
    assert found.admit(Q, EMAIL, "b")
    assert not found.admit(P, EMAIL, "c")


def test_a_value_on_both_sides_counts_once() -> None:
    found = components()
    for record, values in ((P, "ab"), (Q, "bc"), (R, "ba"), (S, "c")):
        assert all(found.admit(record, EMAIL, value) for value in values)
    assert found.veto(P, Q) == Veto(RefusalReason.LIMIT_EXCEEDED, "email")
    assert reasons(found, (P, R), (P, S), (Q, S)) == [None, RefusalReason.LIMIT_EXCEEDED, None]


def test_each_namespace_and_source_has_its_own_slot() -> None:
    found = components()
    slots = (USER, Slot("user_id", "crm", 1, True, "shop"), Slot("user_id", "", 1, True, "app"))
    assert [found.admit(P, slot, str(number)) for number, slot in enumerate(slots)] == [True, True, True]
    assert found.admit(Q, slots[1], "7")
    assert found.veto(P, Q) == Veto(RefusalReason.UNIQUE_CONFLICT, "user_id")


def test_two_values_of_a_unique_kind_stay_apart_through_every_join() -> None:
    found = components()
    for record, value in ((P, "1"), (Q, "2"), (R, "1")):
        assert found.admit(record, USER, value)
    assert found.veto(P, R) is None
    found.join(P, R)
    found.join(Q, S)
    assert reasons(found, (P, Q), (R, S), (S, T)) == [RefusalReason.UNIQUE_CONFLICT] * 2 + [None]


def test_a_component_is_never_larger_than_its_cap() -> None:
    found = components(cap=3)
    found.join(P, Q)
    found.join(R, S)
    assert reasons(found, (P, R), (Q, T), (T, S)) == [RefusalReason.COMPONENT_TOO_LARGE, None, None]


def test_a_judgement_is_reported_before_a_limit_and_a_limit_before_the_cap() -> None:
    found = components(apart=[(P, Q)], cap=1)
    for record, values in ((P, "ab"), (Q, "cd"), (R, "ef")):
        assert all(found.admit(record, EMAIL, value) for value in values)
    assert reasons(found, (P, Q), (P, R), (S, T)) == [
        RefusalReason.CANNOT_LINK,
        RefusalReason.LIMIT_EXCEEDED,
        RefusalReason.COMPONENT_TOO_LARGE,
    ]


RECORDS = [RecordId(f"r{number}") for number in range(5)]
PAIR = st.tuples(st.sampled_from(RECORDS), st.sampled_from(RECORDS))


@given(
    st.lists(st.tuples(st.sampled_from(RECORDS), st.sampled_from((EMAIL, USER)), st.sampled_from("abcd"))),
    st.lists(PAIR.filter(lambda pair: pair[0] != pair[1]), max_size=3),
    st.lists(PAIR, max_size=20),
)
def test_joins_that_no_veto_forbids_break_no_limit(
    values: list[tuple[RecordId, Slot, str]],
    apart: list[tuple[RecordId, RecordId]],
    joins: list[tuple[RecordId, RecordId]],
) -> None:
    found = components(RECORDS, apart, cap=4)
    held = {(record, slot, value) for record, slot, value in values if found.admit(record, slot, value)}
    for left, right in joins:
        assert (found.veto(left, right) is None) is (found.veto(right, left) is None)
        if found.veto(left, right) is None:
            found.join(left, right)
            assert found.find(left) == found.find(right)
    groups = found.groups()
    assert sorted(record for group in groups for record in group) == RECORDS
    for group in groups:
        assert len(group) <= 4
        assert not [pair for pair in apart if set(pair) <= set(group)]
        for slot in (EMAIL, USER):
            assert len({value for record, kept, value in held if kept == slot and record in group}) <= slot.limit
