"""Ids of records and identifiers: kept in every graph, so the same name must give the same id for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.model.identity import IdentifierRef, RecordKind, RecordRef, is_secret

WORD = st.text(st.characters(exclude_characters="\0"), max_size=5)
UUID = "5f0c6e1a-3b7d-4c52-9e8f-0a1b2c3d4e5f"


def test_ids_stay_as_they_are_in_existing_graphs() -> None:
    assert RecordRef("shop", RecordKind.USER, "ada").id == "364e94941e999b51f509ce24b804d584"
    assert RecordRef("shop", RecordKind.ANONYMOUS, "ada").id == "bbf7d94fa57a8b866deb9adc282ef108"
    assert IdentifierRef("email", "ada@example.com").id == "3cd9b8bda9a97c7ec65fceaa286da4d1"
    assert IdentifierRef("user_id", "ada", "eu").id == "17ac2d5cfaac4af31470c53e41b9b974"


@given(st.lists(st.tuples(WORD, st.sampled_from(RecordKind), st.text(max_size=5)), unique=True))
def test_different_names_are_different_records(names: list[tuple[str, RecordKind, str]]) -> None:
    assert len({RecordRef(*name).id for name in names}) == len(names)


@given(st.lists(st.tuples(WORD, st.text(max_size=5), WORD), unique=True))
def test_different_values_are_different_identifiers(values: list[tuple[str, str, str]]) -> None:
    assert len({IdentifierRef(*value).id for value in values}) == len(values)


def test_parts_do_not_run_into_each_other() -> None:
    assert RecordRef("a", RecordKind.USER, "bc").id != RecordRef("ab", RecordKind.USER, "c").id
    assert IdentifierRef("a", "b", "c").id != IdentifierRef("a", "c", "b").id != IdentifierRef("a", "bc").id


def test_a_lone_surrogate_has_an_id() -> None:
    assert RecordRef("shop", RecordKind.USER, "\ud800").id != RecordRef("shop", RecordKind.USER, "\ud801").id


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        (UUID, True),
        (UUID.upper(), True),
        ("5f0c6e1a-3b7d-1c52-9e8f-0a1b2c3d4e5f", False),
        ("x" * 22, True),
        ("a" * 31, False),
        ("0" * 32, True),
        ("a" * 21, False),
        ("visitor-1", False),
        ("", False),
        ("x" * 22 + "!", False),
        ("é" * 30, False),
        ("x" * 22 + "\n", False),
    ],
)
def test_only_a_name_that_nobody_can_guess_is_a_secret(key: str, secret: bool) -> None:
    """A UUID of another version holds a time and an address; short hexadecimal names are often a time."""
    assert is_secret(key) is secret
