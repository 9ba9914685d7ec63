"""Contact data over time: one value ends the other by receipt, in whatever order the statements are processed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from algorithms.identity.contacts import MOST_VALUES, REMOVED, ContactStatement, find_ends, merge_contacts
from graph.model.time import Millis


def stated(received: int, *values: str, kind: str = "email", at: int = 0) -> ContactStatement:
    return ContactStatement(kind, frozenset(values), Millis(received), Millis(at))


def replay(statements: Iterable[ContactStatement], *, together: bool = False) -> tuple[str | None, dict[str, Any]]:
    """The state after statements, and the ends that the changes added up to. A value without one is current."""
    text: str | None = None
    ends: dict[str, Any] = {}
    for some in [list(statements)] if together else [[one] for one in statements]:
        change = merge_contacts(text, some)
        if change is not None:
            text = change.text
            ends |= change.ends
    return text, {value: end for value, end in ends.items() if end is not None}


def ends(*statements: ContactStatement) -> Mapping[str, int]:
    return replay(statements)[1]


def test_a_new_value_ends_the_one_before() -> None:
    assert ends(stated(1, "a")) == {}
    assert ends(stated(1, "a"), stated(3, "b"), stated(5, "c")) == {"a": 3, "b": 5}


def test_a_repeat_changes_no_end_and_a_return_makes_a_value_current() -> None:
    text, _ = replay([stated(1, "a")])
    again = merge_contacts(text, [stated(4, "a")])
    assert again is not None
    assert again.ends == {}
    assert merge_contacts(again.text, [stated(1, "a"), stated(4, "a"), stated(2, "a")]) is None
    text, found = replay([stated(1, "a"), stated(3, "b")])
    assert found == {"a": 3}
    back = merge_contacts(text, [stated(5, "a")])
    assert back is not None
    assert back.ends == {"a": None, "b": 3}


def test_a_value_that_was_given_up_is_not_held_longer_each_time_the_other_one_is_stated() -> None:
    """Somebody who moves to a new address and back has given the new one up, whoever has it later."""
    away = [stated(1, "old"), stated(3, "new"), stated(4, "new"), stated(6, "old")]
    assert ends(*away) == {"new": 4}
    assert ends(*away, stated(20, "old"), stated(900, "old")) == {"new": 4}


def test_the_receipt_decides_and_an_earlier_event_time_gains_nothing() -> None:
    assert ends(stated(1, "a", at=900), stated(3, "b", at=100)) == {"a": 3}
    assert ends(stated(3, "b", at=100), stated(1, "a", at=900)) == {"a": 3}


def test_within_one_receipt_the_order_of_events_decides() -> None:
    assert ends(stated(7, "b", at=2), stated(7, "a", at=1)) == {"a": 7}


def test_two_values_of_one_message_are_both_current() -> None:
    assert ends(stated(1, "a", "b"), stated(3, "c")) == {"a": 3, "b": 3}


def test_a_record_without_a_value_ends_the_one_it_had() -> None:
    assert ends(stated(1, "a"), stated(3)) == {"a": 3}
    assert ends(stated(3), stated(5, "a")) == {}


def test_kinds_do_not_end_each_other() -> None:
    assert ends(stated(1, "a"), stated(3, "+1", kind="phone")) == {}


def test_the_values_of_a_state_are_listed_without_removals() -> None:
    text, _ = replay([stated(1, "a"), stated(2), stated(3, "b"), stated(4, "+1", kind="phone")])
    assert set(find_ends(text)) == {"a", "b", "+1"}
    assert set(find_ends(None)) == set()


def test_only_the_values_stated_last_are_remembered() -> None:
    text, found = replay([stated(number, f"v{number:02}") for number in range(MOST_VALUES + 3)])
    assert set(find_ends(text)) == {f"v{number:02}" for number in range(3, MOST_VALUES + 3)}
    assert found["v00"] == 1
    assert f"v{MOST_VALUES + 2:02}" not in found


STATEMENTS = st.lists(
    st.builds(
        ContactStatement,
        st.sampled_from(["email", "phone"]),
        st.frozensets(st.sampled_from("abc"), max_size=2),
        st.integers(0, 6).map(Millis),
        st.integers(0, 3).map(Millis),
    ),
    max_size=10,
)


@given(STATEMENTS, st.randoms(use_true_random=False), st.booleans())
def test_the_ends_do_not_depend_on_the_order_of_statements(
    statements: list[ContactStatement], rng: Any, together: bool
) -> None:
    """Each kind has values of its own."""
    named = [one._replace(identifiers=frozenset(f"{one.kind}:{v}" for v in one.identifiers)) for one in statements]
    shuffled = list(named)
    rng.shuffle(shuffled)
    assert replay(shuffled, together=together)[1] == replay(named)[1]


@given(STATEMENTS)
def test_a_value_is_current_or_ended_by_one_stated_after_it(statements: list[ContactStatement]) -> None:
    mine = [one for one in statements if one.kind == "email"]
    found = ends(*mine)
    assert REMOVED not in found
    for value in {value for one in mine for value in one.identifiers}:
        last = max((one.received, one.at) for one in mine if value in one.identifiers)
        later = [one.received for one in mine if (one.received, one.at) > last]
        assert (value in found) is bool(later)
        if later:
            assert last[0] <= found[value] <= min(later)


@given(STATEMENTS, st.integers(7, 20))
def test_repeating_the_current_value_moves_no_end(statements: list[ContactStatement], when: int) -> None:
    current = [*(one for one in statements if one.kind == "email"), stated(7, "now", at=4)]
    assert ends(*current, stated(when, "now", at=5)) == ends(*current)
