"""The latest saying of each fact wins, in whatever order they arrive."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from orjson import dumps

from graph.identity.traits import MOST_BYTES, MOST_TRAITS, merge_traits, parse_traits
from graph.model.time import Millis


def keep(*stated: tuple[dict[str, Any], int], text: str | None = None) -> str | None:
    return merge_traits(text, [(facts, Millis(at)) for facts, at in stated]).text or text


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
    assert merge_traits(text, [({"email": "a"}, Millis(2))]).text is None
    assert merge_traits(text, [({"email": "b"}, Millis(1))]).text is None
    assert merge_traits(text, [({"email": "b"}, Millis(2))]).text is not None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, 1, 2]), st.integers(0, 5)), max_size=12))
def test_the_order_of_arrival_does_not_matter_if_times_differ(said: list[tuple[str, int | None, int]]) -> None:
    by_time = {(name, at): ({name: value, "attributes": {name: value}}, at) for name, value, at in said}
    sayings = list(by_time.values())
    answer = facts(keep(*sayings))
    random.Random(1).shuffle(sayings)
    assert facts(keep(*sayings)) == answer
    assert facts(keep(*sayings[3:], text=keep(*sayings[:3]))) == answer


def some(number: int, prefix: str = "t", value: Any = "v") -> dict[str, Any]:
    return {"attributes": {f"{prefix}{n}": value for n in range(number)}}


def test_a_record_takes_no_more_traits_than_it_may_keep() -> None:
    merged = merge_traits(None, [(some(MOST_TRAITS), Millis(1)), (some(1, "more"), Millis(2)), (some(2), Millis(3))])
    assert merged.refused == (1,)
    assert len(parse_traits(merged.text)) == MOST_TRAITS


def test_a_record_takes_no_more_bytes_than_it_may_keep() -> None:
    text: str | None = None
    refused = 0
    for n in range(100):
        merged = merge_traits(text, [(some(10, f"{n}_", "é" * 100), Millis(n))])
        text = merged.text or text
        refused += len(merged.refused)
    assert text is not None
    assert 0.9 * MOST_BYTES < len(text.encode()) <= MOST_BYTES
    assert 0 < refused < 100


def test_a_full_record_can_be_corrected() -> None:
    text = merge_traits(None, [(some(MOST_TRAITS), Millis(1))]).text
    merged = merge_traits(text, [({"attributes": {"t1": None, "t2": "other"}}, Millis(2))])
    assert merged.refused == ()
    assert facts(merged.text)["attributes.t2"] == "other"


def test_a_record_from_before_the_limit_may_shrink_but_not_grow() -> None:
    large = dumps({f"attributes.t{n}": ["v" * 1000, 1] for n in range(600)}).decode()
    assert merge_traits(large, [({"attributes": {"t1": "w" * 1000}}, Millis(2))]).refused == ()
    assert merge_traits(large, [({"attributes": {"t1": None}}, Millis(2))]).refused == ()
    assert merge_traits(large, [({"attributes": {"t1": "w" * 1001}}, Millis(2))]).refused == (0,)
    assert merge_traits(large, [({"email": "a"}, Millis(2))]).refused == (0,)
