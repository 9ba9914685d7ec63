"""Which session an event belongs to."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from algorithms.activity.sessions import GAP, Span, name_session, place_events
from graph.model.activity import SessionId
from graph.model.identity import RecordId
from graph.model.time import Millis

RECORD = RecordId("r")
MINUTE = 60_000


def span(start: int, end: int, id_: str = "known") -> Span:
    return Span(SessionId(id_), Millis(start), Millis(end))


def at(*instants: int) -> list[tuple[Millis, str | None]]:
    return [(Millis(instant), None) for instant in instants]


def test_an_event_within_the_gap_joins_and_extends_the_session() -> None:
    known = span(0, 10 * MINUTE)
    placed, spans = place_events(RECORD, at(40 * MINUTE), [known])
    assert (placed, spans) == (["known"], [known])
    assert (known.start, known.end, known.joined) == (0, 40 * MINUTE, True)


def test_an_event_past_the_gap_begins_a_session() -> None:
    placed, spans = place_events(RECORD, at(GAP + 1), [span(0, 0)])
    assert placed == [spans[1].id] == [name_session(RECORD, f"at:{GAP + 1}")]
    assert spans[1].begins
    assert not spans[0].joined


def test_an_event_between_two_sessions_joins_the_nearer_one() -> None:
    first, second = span(0, 0, "first"), span(50 * MINUTE, 60 * MINUTE, "second")
    assert place_events(RECORD, at(24 * MINUTE), [first, second])[0] == ["first"]
    first, second = span(0, 0, "first"), span(50 * MINUTE, 60 * MINUTE, "second")
    assert place_events(RECORD, at(26 * MINUTE), [first, second])[0] == ["second"]


def test_a_named_session_is_identified_by_its_name_alone() -> None:
    events = [(Millis(0), "s"), (Millis(10**9), "s"), (Millis(0), None), (Millis(0), "t")]
    placed, spans = place_events(RECORD, events, [])
    assert placed[0] == placed[1] != placed[3]
    assert placed[2] in (placed[0], placed[3])
    assert {one.id for one in spans} == {placed[0], placed[3]}


def test_two_records_never_share_a_session() -> None:
    one, _ = place_events(RecordId("a"), [(Millis(0), "s"), (Millis(10**9), None)], [])
    other, _ = place_events(RecordId("b"), [(Millis(0), "s"), (Millis(10**9), None)], [])
    assert not set(one) & set(other)


@given(st.lists(st.tuples(st.integers(0, 20 * GAP), st.sampled_from([None, None, "s", "t"])), min_size=1, max_size=30))
def test_the_order_of_events_does_not_matter(events: list[tuple[Millis, str | None]]) -> None:
    shuffled = events[:]
    random.Random(0).shuffle(shuffled)
    placed, spans = place_events(RECORD, events, [])
    again, _ = place_events(RECORD, shuffled, [])
    assert sorted(zip(events, placed, strict=True), key=repr) == sorted(zip(shuffled, again, strict=True), key=repr)
    bounds = {one.id: one for one in spans}
    for (instant, _), session in zip(events, placed, strict=True):
        assert bounds[session].start <= instant <= bounds[session].end


@given(st.lists(st.integers(0, 40 * GAP), min_size=1, max_size=40))
def test_unnamed_events_are_split_at_every_pause(instants: list[Millis]) -> None:
    placed, spans = place_events(RECORD, [(one, None) for one in instants], [])
    ordered = sorted(zip(instants, placed, strict=True))
    for (earlier, left), (later, right) in pairwise(ordered):
        assert (left == right) == (later - earlier <= GAP)
    assert all(one.begins and one.joined for one in spans)
