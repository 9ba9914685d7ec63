"""Which user a component of records keeps, which users are retired, and which are new.

A live user stays with the component that holds most of its records or, among equals, its earliest record. If several
users stay with one component, it keeps the oldest (created first, then smallest ID), and the others are retired into
that one. A component without a user gets a new one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from graph.model.identity import Membership, RecordId, UserId
from graph.model.time import Millis


@dataclass(slots=True)
class Succession:
    """What must change. `moves` maps a record to its new user, and `retired` a retired user to its survivor. `split`
    maps a user to the users, other than its survivor, that some of its records move to.
    `created` are new users; `affected` are the live users whose records change."""

    moves: dict[RecordId, UserId] = field(default_factory=dict)
    created: list[UserId] = field(default_factory=list)
    retired: dict[UserId, UserId] = field(default_factory=dict)
    split: dict[UserId, list[UserId]] = field(default_factory=dict)
    affected: set[UserId] = field(default_factory=set)


def assign_users(
    components: Sequence[Sequence[RecordId]], present: Mapping[RecordId, Membership], new_id: Callable[[], UserId]
) -> Succession:
    """Applies the rule to a partition of the records in `present`, which holds all records of their users.
    O(n log n)."""
    found = Succession()
    heirs = _find_heirs(components, present)
    for position, component in enumerate(components):
        candidates = sorted(heirs.get(position, ()))
        survivor = candidates[0][1] if candidates else new_id()
        if not candidates:
            found.created.append(survivor)
        for _, user in candidates[1:]:
            found.retired[user] = survivor
        for record in component:
            if present[record].user != survivor:
                found.moves[record] = survivor
                found.affected |= {survivor, present[record].user}
    found.affected -= found.retired.keys()
    for record, user in found.moves.items():
        before = present[record].user
        if found.retired.get(before) != user and user not in found.split.setdefault(before, []):
            found.split[before].append(user)
    found.split = {user: successors for user, successors in found.split.items() if successors}
    return found


def _find_heirs(
    components: Sequence[Sequence[RecordId]], present: Mapping[RecordId, Membership]
) -> dict[int, set[tuple[Millis, UserId]]]:
    """Returns, by position of the component, the users that stay with it, each with its time of creation."""
    kept: defaultdict[tuple[Millis, UserId], dict[int, list[tuple[Millis, RecordId]]]] = defaultdict(dict)
    for position, component in enumerate(components):
        for record in component:
            place = present[record]
            user = (place.user_since, place.user)
            kept[user].setdefault(position, []).append((place.recorded_at, record))
    heirs: dict[int, set[tuple[Millis, UserId]]] = {}
    for user, shares in kept.items():
        winner = min(shares, key=lambda position: (-len(shares[position]), min(shares[position])))
        heirs.setdefault(winner, set()).add(user)
    return heirs
