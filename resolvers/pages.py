"""Pages of long lists: their size, and cursors that only the viewer who got them can use, only where they came from.

What lives here: `Page`, page requests and their checks, signing and reading cursors. What does not: the statements that
take a position (`graph/*`) and the shapes of a connection (`api/graphql/types/relay.py`).

A cursor is the position of an entry, in the order of its list, with an HMAC over the position and everything it is
bound to: client, role, purpose, recipient, the person behind the credential, the field and whose field it is. Each
wrong cursor gets the same answer, whether it was made up, altered, or given to somebody else.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import orjson

from graph.errors import BadInput
from privacy.gate import Viewer
from resolvers.access.keys import derive_key

T = TypeVar("T")

MAX_PAGE: Final = 100
MAX_CURSOR: Final = 2048
SIGNATURE_BYTES: Final = 16
BAD_CURSOR: Final = "after: this is not a cursor of this list; start again without it."

Position = tuple[int | str, ...]
"""Where an entry stands in its list: the values it is ordered by, the last of them unique."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How many entries, after which position (None: from the start)."""

    first: int
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Entries with their cursors. `has_previous` is whether the page was asked for by a cursor."""

    nodes: Sequence[T]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


class CursorSigner:
    """Signs and reads the cursors of one viewer."""

    __slots__ = ("_bound", "_key")

    def __init__(self, secret: bytes, viewer: Viewer) -> None:
        self._key = derive_key(secret, "cursor")
        subject = viewer.subject.id if viewer.subject else None
        self._bound = orjson.dumps([viewer.client, viewer.role, viewer.purpose, viewer.recipient, subject])

    def write(self, place: str, position: Position) -> str:
        """The cursor of a position in the list that `place` names."""
        text = _dump(position)
        return base64.urlsafe_b64encode(self._sign(place, text) + text).decode().rstrip("=")

    def read(self, place: str, cursor: str) -> Position:
        """The position a cursor of that list stands for. Raises BadInput for every other text."""
        try:
            if len(cursor) > MAX_CURSOR:
                raise ValueError("too long")
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            signature, text = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
            if not hmac.compare_digest(signature, self._sign(place, text)):
                raise ValueError("not signed for this")
            return tuple(orjson.loads(text))
        except (binascii.Error, ValueError, TypeError):
            raise BadInput(BAD_CURSOR) from None

    def _sign(self, place: str, text: bytes) -> bytes:
        message = b"\0".join((self._bound, place.encode("utf-8", "surrogatepass"), text))
        return hmac.digest(self._key, message, "sha256")[:SIGNATURE_BYTES]

    def request(self, place: str, first: int, after: str | None) -> PageRequest:
        """A checked page request. Raises BadInput."""
        if not 1 <= first <= MAX_PAGE:
            raise BadInput(f"first: a number from 1 to {MAX_PAGE} is expected.")
        return PageRequest(first, None if after is None else self.read(place, after))

    def page(
        self, place: str, request: PageRequest, found: Sequence[T], position_of: Callable[[T], Position]
    ) -> Page[T]:
        """The page of `found`, which was read with one entry more than asked for to see whether there is a next."""
        nodes = found[: request.first]
        cursors = [self.write(place, position_of(node)) for node in nodes]
        return Page(nodes, cursors, len(found) > request.first, request.after is not None)


def _dump(position: Any) -> bytes:
    return orjson.dumps(position)
