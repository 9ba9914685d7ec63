"""The latest saying of each fact wins, in whatever order they arrive."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from graph.identity.traits import merge_traits, parse_traits
from graph.model.time import Millis


def keep(*stated: tuple[dict[str, Any], int], text: str | None = None) -> str | None:
    return merge_traits(text, [(facts, Millis(at)) for facts, at in stated]) or text


def facts(text: str | None) -> dict[str, Any]:
    return {name: trait.value for name, trait in parse_traits(text).items() if trait.value is not None}


def test_a_later_statement_wins_and_a_late_earlier_one_does_not() -> None:
    assert facts(keep(({"email": "a"}, 2), ({"email": "b"}, 1))) == {"email": "a"}


def test_an_earlier_statement_does_not_restore_a_removed_fact() -> None:
    assert facts(keep(({"email": None}, 2), ({"email": "a"}, 1))) == {}


def test_the_later_arrival_of_two_statements_at_one_time_wins() -> None:
    assert facts(keep(({"email": "a"}, 1), ({"email": "b"}, 1))) == {"email": "b"}


def test_attributes_have_their_own_times() -> None:
    text = keep(({"attributes": {"a": 1, "b": 1}}, 1), ({"attributes": {"a": 2}}, 2), ({"attributes": {"b": None}}, 3))
    assert facts(text) == {"attributes.a": 2}


def test_statements_that_change_nothing_return_none() -> None:
    text = keep(({"email": "a"}, 2))
    assert merge_traits(text, [({"email": "a"}, Millis(2))]) is None
    assert merge_traits(text, [({"email": "b"}, Millis(1))]) is None
    assert merge_traits(text, [({"email": "b"}, Millis(2))]) is not None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, 1, 2]), st.integers(0, 5)), max_size=12))
def test_the_order_of_arrival_does_not_matter_if_times_differ(said: list[tuple[str, int | None, int]]) -> None:
    by_time = {(name, at): ({name: value, "attributes": {name: value}}, at) for name, value, at in said}
    sayings = list(by_time.values())
    answer = facts(keep(*sayings))
    random.Random(1).shuffle(sayings)
    assert facts(keep(*sayings)) == answer
    assert facts(keep(*sayings[3:], text=keep(*sayings[:3]))) == answer
