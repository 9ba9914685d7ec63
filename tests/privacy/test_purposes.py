"""The default tables agree with each other, and permits have one spelling."""

from __future__ import annotations

from typing import Final, Literal, get_args
from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from privacy.purposes import (
    ANY_RECIPIENT,
    DEFAULT_PURPOSES,
    DEFAULT_REGIMES,
    DEFAULT_SEGMENT_CATEGORIES,
    Assurance,
    Permit,
    Regime,
    spell_recipient,
)

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
FORMS: Final = get_args(Form)
PURPOSES = {purpose.key: purpose for purpose in DEFAULT_PURPOSES}


def test_the_tables_name_only_known_purposes() -> None:
    assert len(PURPOSES) == len(DEFAULT_PURPOSES)
    named = {purpose for regimes in DEFAULT_REGIMES.values() for purpose in regimes}
    assert named | set(DEFAULT_SEGMENT_CATEGORIES.values()) <= set(PURPOSES)


def test_a_jurisdiction_is_listed_only_where_its_regime_differs() -> None:
    for regimes in DEFAULT_REGIMES.values():
        for purpose, regime in regimes.items():
            assert regime is not PURPOSES[purpose].regime
            assert Regime.CONTRACT not in (regime, PURPOSES[purpose].regime)


@pytest.mark.parametrize("name", ["acme ltd", "Acme Ltd", " ACME LTD\n", "ＡＣＭＥ　Ltd", "acme\N{NO-BREAK SPACE}ltd"])
def test_a_recipient_has_one_spelling(name: str) -> None:
    assert spell_recipient(name) == "acme ltd"


@given(st.text(st.characters(categories=["L", "Nd", "Zs"], exclude_characters="ı")), st.sampled_from(FORMS))
@example("μαΐστρος", "NFC")
@example("Straße ᾳ", "NFD")
def test_a_spelling_stays_and_is_that_of_every_case_and_form(name: str, form: Form) -> None:
    spelled = spell_recipient(name)
    assert spell_recipient(spelled) == spelled
    assert {spell_recipient(normalize(form, one)) for one in (name, name.upper(), name.lower())} == {spelled}


def test_different_names_stay_different_recipients() -> None:
    assert spell_recipient("Straße") == spell_recipient("STRASSE") == "strasse"
    assert len({spell_recipient(name) for name in ("acme", "acme ltd", "acmé", "a-c-m-e", "ac me", "")}) == 6


def test_a_permit_is_spelled_with_its_recipient() -> None:
    assert str(Permit("analytics")) == "analytics"
    assert str(Permit("partner_sharing", "acme")) == "partner_sharing@acme"
    assert str(Permit("partner_sharing", ANY_RECIPIENT)) == "partner_sharing@*"
    assert Permit("partner_sharing", "acme").barred == "!partner_sharing@acme"


def test_assurance_grows_with_the_persons_own_involvement() -> None:
    assert Assurance.CARRIED < Assurance.STATED < Assurance.AUTHENTICATED
