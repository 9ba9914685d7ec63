"""Pages of long lists: their size, their keys, and sealed cursors.

A cursor is the position of an entry in the order of its list, sealed for everything it is bound to: client, role,
purpose, recipient, the person behind the credential, the list and its owner. Only the viewer who received it can use
it, and only for the same list; it shows nobody the position, which may hold IDs and times that are withheld. Every
invalid cursor gets the same error, whether it was made up, altered or given to someone else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import orjson

from graph.errors import BadInput
from privacy.gate import Viewer
from resolvers.access.keys import derive_key
from resolvers.access.seals import Sealer

T = TypeVar("T")

MAX_PAGE: Final = 100
MAX_KEY: Final = 512
MAX_CURSOR: Final = 2048
BAD_CURSOR: Final = "after: this is not a cursor of this list; start again without it."

Position = tuple[int | str, ...]
"""Where an entry is in its list: the values that the list is sorted by, of which the last is unique."""


def check_first(first: int) -> int:
    """Returns the number of entries requested, unless it is out of range. Raises BadInput."""
    if not 1 <= first <= MAX_PAGE:
        raise BadInput(f"first: a number from 1 to {MAX_PAGE} is expected.")
    return first


def check_key(key: str) -> str:
    """Returns the key unless it is empty or too long. Raises BadInput."""
    if not 0 < len(key) <= MAX_KEY:
        raise BadInput(f"key: 1 to {MAX_KEY} characters are expected.")
    return key


def read_position(position: Position | None) -> str:
    """Returns the key after which a page starts; empty for the first page."""
    return "" if position is None else str(position[0])


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How many entries to return, after which position; None: from the start."""

    first: int
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Entries with their cursors. `has_previous` tells whether the page was requested by a cursor."""

    nodes: Sequence[T]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


class CursorSealer:
    """Writes and reads the cursors of one viewer."""

    __slots__ = ("_bound", "_sealer")

    def __init__(self, secret: bytes, viewer: Viewer) -> None:
        self._sealer = Sealer(derive_key(secret, "cursor/1") + derive_key(secret, "cursor/2"))
        subject = viewer.subject.id if viewer.subject else None
        self._bound = orjson.dumps([viewer.client, viewer.role, viewer.purpose, viewer.recipient, subject])

    def write(self, place: str, position: Position) -> str:
        """Returns the cursor of a position in the list that `place` names."""
        return self._sealer.seal(orjson.dumps(position), *self._context(place))

    def read(self, place: str, cursor: str) -> Position:
        """Returns the position that a cursor of the list stands for. Raises BadInput for any other text."""
        content = self._sealer.open(cursor, *self._context(place)) if len(cursor) <= MAX_CURSOR else None
        if content is None:
            raise BadInput(BAD_CURSOR)
        return tuple(orjson.loads(content))

    def _context(self, place: str) -> tuple[bytes, bytes]:
        return self._bound, place.encode("utf-8", "surrogatepass")

    def request(self, place: str, first: int, after: str | None) -> PageRequest:
        """Checks the arguments of a page and returns them. Raises BadInput."""
        return PageRequest(check_first(first), None if after is None else self.read(place, after))

    def page(
        self, place: str, request: PageRequest, found: Sequence[T], position_of: Callable[[T], Position]
    ) -> Page[T]:
        """Returns a page of `found`, which holds one entry more than requested if there is a next page."""
        nodes = found[: request.first]
        cursors = [self.write(place, position_of(node)) for node in nodes]
        return Page(nodes, cursors, len(found) > request.first, request.after is not None)
