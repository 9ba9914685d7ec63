"""The key format: recognised whole, refused when changed, hashed under a key."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.access.keys import BASE62, Key, KeyHasher, KeyKind, derive_key, make_key, parse_key

KINDS = st.sampled_from(list(KeyKind))
CHARACTERS = st.sampled_from(string.ascii_letters + string.digits + "_-. :é\n")


@given(KINDS)
def test_a_new_key_is_recognised(kind: KeyKind) -> None:
    key = make_key(kind)
    assert parse_key(key.text, kind) == key
    assert key.text.startswith(f"{kind}_{key.id}_")


@given(KINDS, st.data())
def test_one_changed_character_is_refused(kind: KeyKind, data: st.DataObject) -> None:
    text = make_key(kind).text
    at = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(CHARACTERS.filter(lambda character: character != text[at]))
    assert parse_key(text[:at] + put + text[at + 1 :], kind) is None


@given(KINDS, st.data())
def test_two_swapped_adjacent_characters_are_refused(kind: KeyKind, data: st.DataObject) -> None:
    text = make_key(kind).text
    at = data.draw(st.integers(0, len(text) - 2).filter(lambda at: text[at] != text[at + 1]))
    assert parse_key(text[:at] + text[at + 1] + text[at] + text[at + 2 :], kind) is None


@given(st.text())
def test_arbitrary_text_is_not_a_key(text: str) -> None:
    assert parse_key(text, KeyKind.API) is None


@pytest.mark.parametrize("change", [str.upper, str.lower, lambda t: t + "\n", lambda t: " " + t, lambda t: t[:-1]])
def test_case_space_and_length_matter(change: object) -> None:
    text = make_key(KeyKind.WRITE).text
    changed = change(text)  # type: ignore[operator]
    assert parse_key(changed, KeyKind.WRITE) is None


def test_a_key_of_the_other_kind_is_refused() -> None:
    assert parse_key(make_key(KeyKind.WRITE).text, KeyKind.API) is None


def test_keys_differ_and_carry_256_bits() -> None:
    keys = [make_key(KeyKind.API) for _ in range(100)]
    assert len({key.id for key in keys}) == len({key.text for key in keys}) == 100
    assert len(BASE62) ** 43 > 2**256


def test_the_hash_depends_on_key_and_secret() -> None:
    key, other = make_key(KeyKind.API), make_key(KeyKind.API)
    hasher = KeyHasher(b"a" * 32)
    assert hasher.matches(key, hasher.hash(key))
    assert not hasher.matches(other, hasher.hash(key))
    assert not KeyHasher(b"b" * 32).matches(key, hasher.hash(key))
    assert not hasher.matches(key, "")
    assert key.text not in hasher.hash(key)


def test_a_key_does_not_show_its_secret() -> None:
    key = make_key(KeyKind.API)
    assert key.text not in repr(key)
    assert isinstance(key, Key)


def test_derived_keys_differ() -> None:
    assert derive_key(b"s" * 32, "api-key") != derive_key(b"s" * 32, "cursor")
    assert len(derive_key(b"s" * 32, "cursor")) == 32
