"""Cursors: a viewer may use one only for the list it came from; every other text gets the same error."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import BadInput
from graph.model.identity import RecordKind, RecordRef
from privacy.gate import Role, Viewer
from resolvers.pages import BAD_CURSOR, MAX_CURSOR, MAX_PAGE, CursorSealer, Page, PageRequest, Position

SECRET = b"s" * 32
ADA = RecordRef("shop", RecordKind.USER, "ada")
WEB = Viewer("web", Role.FRONTEND, "personalisation", None, ADA)
SEALER = CursorSealer(SECRET, WEB)
PLACE = "Query.items"
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
POSITIONS = st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), TEXT), max_size=4).map(tuple)


def refused(cursor: str, sealer: CursorSealer = SEALER, place: str = PLACE) -> bool:
    with pytest.raises(BadInput) as caught:
        sealer.read(place, cursor)
    assert caught.value.__context__ is None
    return str(caught.value) == BAD_CURSOR


@given(POSITIONS, TEXT)
def test_a_cursor_stands_for_its_position(position: Position, place: str) -> None:
    assert SEALER.read(place, SEALER.write(place, position)) == position


@given(POSITIONS)
def test_a_cursor_fits_into_a_url(position: Position) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", SEALER.write(PLACE, position))


@given(POSITIONS, st.data())
def test_a_cursor_with_any_bit_changed_is_refused(position: Position, data: st.DataObject) -> None:
    cursor = SEALER.write(PLACE, position)
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    assert refused(base64.urlsafe_b64encode(raw).decode().rstrip("="))


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize("text", ["", "a", "====", "é", "\0", "a" * MAX_CURSOR, "a" * (MAX_CURSOR + 1), "\ud800"])
def test_malformed_texts_are_refused_like_any_other(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize(
    "other",
    [
        replace(WEB, client="app"),
        replace(WEB, role=Role.OPERATOR),
        replace(WEB, purpose="service"),
        replace(WEB, purpose=None),
        replace(WEB, recipient="acme"),
        replace(WEB, subject=None),
        replace(WEB, subject=replace(ADA, key="ben")),
    ],
)
def test_another_viewer_cannot_use_a_cursor(other: Viewer) -> None:
    assert refused(SEALER.write(PLACE, (1, "a")), CursorSealer(SECRET, other))


def test_a_cursor_is_bound_to_one_list_and_one_secret() -> None:
    cursor = SEALER.write(PLACE, (1, "a"))
    assert refused(cursor, place="Query.segments")
    assert refused(cursor, place=f"{PLACE}\0")
    assert refused(cursor, CursorSealer(b"t" * 32, WEB))
    assert CursorSealer(SECRET, replace(WEB)).read(PLACE, cursor) == (1, "a")


@pytest.mark.parametrize("first", [-1, 0, MAX_PAGE + 1])
def test_a_page_has_a_bounded_size(first: int) -> None:
    with pytest.raises(BadInput, match=f"first: a number from 1 to {MAX_PAGE}"):
        SEALER.request(PLACE, first, None)


def test_a_request_gives_the_position_the_page_starts_after() -> None:
    assert SEALER.request(PLACE, 1, None) == PageRequest(1)
    assert SEALER.request(PLACE, MAX_PAGE, SEALER.write(PLACE, ("a",))) == PageRequest(MAX_PAGE, ("a",))
    with pytest.raises(BadInput, match="not a cursor"):
        SEALER.request(PLACE, 1, "")


def walk(found: str, first: int, after: str | None = None) -> Page[str]:
    """Returns a page of a list of letters, read with one more than requested."""
    request = SEALER.request(PLACE, first, after)
    start = 0 if request.after is None else found.index(str(request.after[0])) + 1
    return SEALER.page(PLACE, request, found[start : start + first + 1], lambda letter: (letter,))


@pytest.mark.parametrize(
    ("found", "pages"), [("", [""]), ("a", ["a"]), ("ab", ["ab"]), ("abc", ["ab", "c"]), ("abcd", ["ab", "cd"])]
)
def test_pages_follow_each_other_to_the_end(found: str, pages: list[str]) -> None:
    after, seen = None, []
    while True:
        page = walk(found, 2, after)
        seen.append("".join(page.nodes))
        assert len(page.cursors) == len(page.nodes)
        assert page.has_previous is (after is not None)
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert seen == pages
