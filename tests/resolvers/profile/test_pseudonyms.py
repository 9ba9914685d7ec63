"""Pseudonyms: the same for the same partner, purpose and grant, and for nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.model.identity import UserId
from resolvers.profile.pseudonyms import Pseudonyms, is_current

SECRET = b"k" * 32
ACME = Pseudonyms(SECRET, "acme", "partner_sharing")
ULIDS = st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=26, max_size=26).map(UserId)


@given(ULIDS, st.text(max_size=40))
def test_a_pseudonym_leads_back_to_its_user_and_grant(user: UserId, grant: str) -> None:
    name = ACME.of_person(user, grant)
    assert name == Pseudonyms(SECRET, "acme", "partner_sharing").of_person(user, grant)
    assert user not in name
    found = ACME.read_person(name)
    assert found is not None
    assert found[0] == user
    assert is_current(found[1], grant)
    assert not is_current(found[1], grant + "x")


def test_a_new_grant_another_partner_and_another_purpose_give_other_pseudonyms() -> None:
    user = UserId("01J00000000000000000000000")
    others = [
        ACME.of_person(user, "second"),
        Pseudonyms(SECRET, "globex", "partner_sharing").of_person(user, "first"),
        Pseudonyms(SECRET, "acme", "research").of_person(user, "first"),
        Pseudonyms(b"o" * 32, "acme", "partner_sharing").of_person(user, "first"),
        ACME.of_part("session", user, "first"),
        ACME.of_part("interaction", user, "first"),
    ]
    assert len({ACME.of_person(user, "first"), *others}) == 7
    assert [ACME.read_person(name) is None for name in others] == [False, True, True, True, True, True]


@pytest.mark.parametrize(
    "text", ["", "A", "AAAA", "01J00000000000000000000000", "é" * 40, "+/=" * 30, "\ud800", "A" * 900]
)
def test_other_texts_are_nobodys(text: str) -> None:
    assert ACME.read_person(text) is None


@given(st.integers(0, 300), st.sampled_from("Aa0_-+/=é"))
def test_an_altered_pseudonym_is_nobodys(place: int, letter: str) -> None:
    name = ACME.of_person(UserId("01J00000000000000000000000"), "first")
    place %= len(name)
    altered = name[:place] + letter + name[place + 1 :]
    assert (ACME.read_person(altered) is None) is (altered != name)
    assert ACME.read_person(name + letter) is None
