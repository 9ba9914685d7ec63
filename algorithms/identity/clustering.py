"""Disjoint sets of records under vetoes, which decide whether two components may become one person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from graph.model.identity import RecordId


class RefusalReason(StrEnum):
    """Why evidence does not link. Stable: stored with the link, counted in metrics and reports."""

    BLOCKED_VALUE = "blocked_value"
    FREQUENCY_CAP = "frequency_cap"
    UNIQUE_CONFLICT = "unique_conflict"
    LIMIT_EXCEEDED = "limit_exceeded"
    CANNOT_LINK = "cannot_link"
    COMPONENT_TOO_LARGE = "component_too_large"
    SHARED_CONTACT = "shared_contact"
    NO_OVERLAP = "no_overlap"
    NO_CONSENT = "no_consent"


@dataclass(frozen=True, slots=True)
class Slot:
    """What a component holds values of, and how many at most: one identifier kind or, for a unique kind, what one
    source states within one namespace."""

    kind: str
    namespace: str
    limit: int
    unique: bool
    source: str = ""

    @property
    def reason(self) -> RefusalReason:
        """The reason for refusing a value that would exceed the limit."""
        return RefusalReason.UNIQUE_CONFLICT if self.unique else RefusalReason.LIMIT_EXCEEDED


@dataclass(frozen=True, slots=True)
class Veto:
    """Why two components stay apart, and the identifier kind in conflict, if any."""

    reason: RefusalReason
    kind: str | None = None


class DisjointSets:
    """Plain union–find over names. A name not seen before is a set of its own. Amortised near O(1)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._size: dict[str, int] = {}

    def find(self, name: str) -> str:
        """Returns the set that a name is in, as one of its members."""
        root = name
        while (above := self._parent.get(root, root)) != root:
            root = above
        while (above := self._parent.get(name, name)) != root:
            self._parent[name] = root
            name = above
        return root

    def size(self, name: str) -> int:
        """Returns how many names are in the name's set."""
        return self._size.get(self.find(name), 1)

    def join(self, left: str, right: str) -> str:
        """Joins both sets and returns the result, which keeps the name of the larger one, or the left one of equals."""
        one, other = self.find(left), self.find(right)
        if one == other:
            return one
        if self.size(one) < self.size(other):
            one, other = other, one
        self._size[one] = self.size(one) + self._size.pop(other, 1)
        self._parent[other] = one
        return one


class Components:
    """Components of records that grow by `join` and never break a veto.

    A component holds at most `slot.limit` different values per slot, at most `cap` records, and never both records of a
    pair in `apart`. `find` is amortised near O(1), `veto` and `join` O(values held by the smaller component).
    """

    def __init__(self, records: Iterable[RecordId], apart: Iterable[tuple[RecordId, RecordId]], cap: int) -> None:
        self._sets = DisjointSets()
        self._members: dict[str, list[RecordId]] = {record: [record] for record in records}
        self._held: dict[str, dict[Slot, set[str]]] = {}
        self._apart: defaultdict[str, set[RecordId]] = defaultdict(set)
        self._cap = cap
        for left, right in apart:
            if left in self._members and right in self._members:
                self._apart[left].add(right)
                self._apart[right].add(left)

    def find(self, record: str) -> str:
        """Returns the component that a record is in now, as the ID of one of its records."""
        return self._sets.find(record)

    def admit(self, record: RecordId, slot: Slot, value: str) -> bool:
        """Adds the value to the record's component. Returns False, without a change, if that would exceed the limit."""
        held = self._held.setdefault(self.find(record), {}).setdefault(slot, set())
        if not _fits(slot, held, {value}):
            return False
        held.add(value)
        return True

    def veto(self, left: RecordId, right: RecordId) -> Veto | None:
        """Returns what forbids joining both components, or None."""
        one, other = self._ordered(left, right)
        if any(self.find(record) == one for record in self._apart.get(other, ())):
            return Veto(RefusalReason.CANNOT_LINK)
        mine = self._held.get(one, {})
        for slot, values in self._held.get(other, {}).items():
            if not _fits(slot, mine.get(slot, set()), values):
                return Veto(slot.reason, slot.kind)
        if len(self._members[one]) + len(self._members[other]) > self._cap:
            return Veto(RefusalReason.COMPONENT_TOO_LARGE)
        return None

    def join(self, left: RecordId, right: RecordId) -> None:
        """Joins both components. The caller has called `veto` with the same arguments and received None."""
        one, other = self._ordered(left, right)
        if one == other:
            return
        self._sets.join(one, other)
        mine = self._held.setdefault(one, {})
        for slot, values in self._held.pop(other, {}).items():
            mine.setdefault(slot, set()).update(values)
        self._apart[one] |= self._apart.pop(other, set())
        self._members[one] += self._members.pop(other)

    def groups(self) -> tuple[tuple[RecordId, ...], ...]:
        """Returns the partition: each component's records sorted, and components sorted by their first record."""
        return tuple(sorted(tuple(sorted(members)) for members in self._members.values()))

    def _ordered(self, left: RecordId, right: RecordId) -> tuple[str, str]:
        one, other = self.find(left), self.find(right)
        return (one, other) if len(self._members[one]) >= len(self._members[other]) else (other, one)


def _fits(slot: Slot, held: set[str], values: set[str]) -> bool:
    return len(held) + len(values) <= slot.limit or len(held | values) <= slot.limit
