"""Which user ID survives a merge and a split, and that every record ends with the user of its component."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from algorithms.identity.succession import Succession, assign_users
from graph.model.identity import Membership, RecordId, UserId
from graph.model.time import Millis


def place(record: str, user: str, *, recorded: int = 0, since: int = 0) -> tuple[RecordId, Membership]:
    return RecordId(record), Membership(RecordId(record), Millis(recorded), UserId(user), Millis(since))


def solve(components: list[list[str]], *places: tuple[RecordId, Membership]) -> Succession:
    numbers = count(1)
    groups = [[RecordId(name) for name in group] for group in components]
    return assign_users(groups, dict(places), lambda: UserId(f"new{next(numbers)}"))


def test_nothing_changes_if_the_partition_is_unchanged() -> None:
    assert solve([["a", "b"], ["c"]], place("a", "u"), place("b", "u"), place("c", "v")) == Succession()


def test_the_oldest_user_survives_a_merge() -> None:
    found = solve([["a", "b", "c"]], place("a", "w", since=9), place("b", "v", since=2), place("c", "u", since=2))
    assert found.moves == {"a": "u", "b": "u"}
    assert found.retired == {"w": "u", "v": "u"}
    assert (found.created, found.split, found.affected) == ([], {}, {"u"})


def test_the_larger_part_keeps_the_id_in_a_split() -> None:
    found = solve([["a"], ["b", "c"]], *(place(name, "u", recorded=at) for name, at in (("a", 1), ("b", 2), ("c", 3))))
    assert found.moves == {"a": "new1"}
    assert (found.created, found.retired) == (["new1"], {})
    assert found.split == {"u": ["new1"]}
    assert found.affected == {"u", "new1"}


def test_the_part_with_the_earliest_record_keeps_the_id_among_equals() -> None:
    found = solve([["a"], ["b"]], place("a", "u", recorded=5), place("b", "u", recorded=4))
    assert found.moves == {"a": "new1"}


def test_a_split_part_may_move_to_another_live_user() -> None:
    found = solve([["a", "b"], ["c", "d"]], place("a", "u"), place("b", "u"), place("c", "u"), place("d", "v", since=5))
    assert found.moves == {"c": "v"}
    assert found.split == {"u": ["v"]}
    assert not found.retired


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=12))
def test_every_record_ends_up_with_the_one_user_of_its_component(rows: list[tuple[int, int, int]]) -> None:
    present = dict(place(f"r{n}", f"u{user}", recorded=at, since=user % 3) for n, (user, _, at) in enumerate(rows))
    groups: dict[int, list[RecordId]] = {}
    for n, (_, group, _) in enumerate(rows):
        groups.setdefault(group, []).append(RecordId(f"r{n}"))
    numbers = count()
    found = assign_users(list(groups.values()), present, lambda: UserId(f"new{next(numbers)}"))
    after = {record: found.moves.get(record, here.user) for record, here in present.items()}
    owners = [{after[record] for record in group} for group in groups.values()]
    assert all(len(owner) == 1 for owner in owners)
    assert len(set().union(*owners)) == len(groups)
    living = set(after.values())
    before = {here.user for here in present.values()}
    assert before - living == found.retired.keys()
    assert set(found.retired.values()) <= living
    assert living - before == set(found.created)
    changed = {user for record, user in found.moves.items()} | {present[record].user for record in found.moves}
    assert found.affected == changed & living
