"""Canonical forms: examples of every reason, and the properties that hold for any input."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from algorithms.identity.blocking import BlockReason
from algorithms.identity.normalise import (
    Unusable,
    examine_identifier,
    normalise_birth_date,
    normalise_email,
    normalise_id,
    normalise_identifier,
    normalise_phone,
)

KINDS = ["email", "phone", "user_id", "anonymous_id", "loyalty_card"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" Ada.Lovelace@Example.COM ", "ada.lovelace@example.com"),
        ("ada+news@example.com", "ada+news@example.com"),
        ("a.d.a@gmail.com", "a.d.a@gmail.com"),
        ("Ada@Shop.test", "ada@shop.test"),
        ("ADA@BÜCHER.example", "ada@bücher.example"),
        ("ada@xn--bcher-kva.example", "ada@bücher.example"),
        ("J\u0301ose@example.com", "\u006a\u0301ose@example.com"),
        ("e\u0301va@example.com", "\u00e9va@example.com"),
    ],
)
def test_addresses_have_one_spelling(value: str, expected: str) -> None:
    assert normalise_email(value).value == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", Unusable.EMPTY),
        ("  ", Unusable.EMPTY),
        ("ada", Unusable.NOT_AN_EMAIL),
        ("ada@", Unusable.NOT_AN_EMAIL),
        ("ada@localhost", Unusable.NOT_AN_EMAIL),
        ("ada@two@example.com", Unusable.NOT_AN_EMAIL),
        ("ada@-example.com", Unusable.NOT_AN_EMAIL),
        ("ada\ud800@example.com", Unusable.NOT_AN_EMAIL),
        ("x" * 600 + "@example.com", Unusable.TOO_LONG),
        (17, Unusable.NOT_TEXT),
        (None, Unusable.NOT_TEXT),
    ],
)
def test_unusable_addresses_have_a_reason(value: object, reason: Unusable) -> None:
    found = normalise_email(value)
    assert (found.value, found.reason) == (None, reason)


@pytest.mark.parametrize(
    ("value", "region", "expected"),
    [
        ("+49 30 901820", None, "+4930901820"),
        ("030 901820", "de", "+4930901820"),
        ("0049 30 901820", None, "+4930901820"),
        ("(202) 555-0123", "US", "+12025550123"),
        (12025550123, "US", "+12025550123"),
        ("+1 202 555 0123 ext. 44", None, "+12025550123;ext=44"),
        ("\uff0b4930901820", None, "+4930901820"),
    ],
)
def test_phone_numbers_become_e164(value: object, region: str | None, expected: str) -> None:
    assert normalise_phone(value, region=region).value == expected


@pytest.mark.parametrize(
    ("value", "region", "reason"),
    [
        ("030 901820", None, Unusable.REGION_MISSING),
        ("call me", "DE", Unusable.NOT_A_PHONE),
        ("+49 1", None, Unusable.NOT_A_PHONE),
        ("+999 123456789", None, Unusable.NOT_A_PHONE),
        ("", "DE", Unusable.EMPTY),
        (True, "DE", Unusable.NOT_TEXT),
        (10**400, "US", Unusable.EMPTY),
        ("1" * 600, "US", Unusable.TOO_LONG),
    ],
)
def test_unusable_phone_numbers_have_a_reason(value: object, region: str | None, reason: Unusable) -> None:
    found = normalise_phone(value, region=region)
    assert (found.value, found.reason) == (None, reason)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("  u-17 ", "u-17"), (17, "17"), ("e\u0301", "\u00e9"), ("Ümlaut", "Ümlaut"), ("a b", "a b"), ("👩‍🚀", "👩‍🚀")],
)
def test_ids_are_trimmed_and_composed_but_keep_their_case(value: object, expected: str) -> None:
    assert normalise_id(value).value == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (" \t", Unusable.EMPTY),
        (None, Unusable.NOT_TEXT),
        (True, Unusable.NOT_TEXT),
        (1.5, Unusable.NOT_TEXT),
        (["a"], Unusable.NOT_TEXT),
        ("a\x00b", Unusable.CONTROL_CHARACTER),
        ("a\ud800", Unusable.NOT_UNICODE),
        ("x" * 513, Unusable.TOO_LONG),
        ("x" * 100_000, Unusable.TOO_LONG),
    ],
)
def test_unusable_ids_have_a_reason(value: object, reason: Unusable) -> None:
    found = normalise_id(value)
    assert (found.value, found.reason) == (None, reason)


def test_huge_numbers_are_too_long_rather_than_an_error() -> None:
    assert normalise_id(10**5000).reason is Unusable.TOO_LONG
    assert normalise_phone(10**5000, region="US").value is None
    assert normalise_birth_date(10**5000).value is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1985-04-12", "1985-04-12"),
        ("1985-04-12T00:00:00.000Z", "1985-04-12"),
        ("1985/4/2", "1985-04-02"),
        ("19850412", "1985-04-12"),
        (19850412, "1985-04-12"),
        ("12.04.1985", "1985-04-12"),
        ("25/12/1985", "1985-12-25"),
        ("12/25/1985", "1985-12-25"),
        ("03-03-1985", "1985-03-03"),
    ],
)
def test_dates_of_birth_become_iso(value: object, expected: str) -> None:
    assert normalise_birth_date(value).value == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("03/04/1985", Unusable.AMBIGUOUS_DATE),
        ("1985-02-30", Unusable.NOT_A_DATE),
        ("1985412", Unusable.NOT_A_DATE),
        ("tomorrow", Unusable.NOT_A_DATE),
        ("1492-10-12", Unusable.DATE_OUT_OF_RANGE),
        ("2030-01-01", Unusable.DATE_OUT_OF_RANGE),
        ("", Unusable.EMPTY),
        (None, Unusable.NOT_TEXT),
    ],
)
def test_unusable_dates_have_a_reason(value: object, reason: Unusable) -> None:
    found = normalise_birth_date(value, today=date(2026, 11, 23))
    assert (found.value, found.reason) == (None, reason)


def test_the_order_of_day_and_month_is_known_only_from_the_hint() -> None:
    assert normalise_birth_date("03/04/1985", day_first=True).value == "1985-04-03"
    assert normalise_birth_date("03/04/1985", day_first=False).value == "1985-03-04"


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("user_id", "0", BlockReason.ZEROS),
        ("anonymous_id", "00000000-0000-0000-0000-000000000000", BlockReason.ZEROS),
        ("user_id", "NULL", BlockReason.PLACEHOLDER),
        ("user_id", "undefined", BlockReason.PLACEHOLDER),
        ("user_id", "N/A", BlockReason.PLACEHOLDER),
        ("anonymous_id", "Anonymous", BlockReason.PLACEHOLDER),
        ("loyalty_card", "none", BlockReason.PLACEHOLDER),
        ("user_id", "{{ user.id }}", BlockReason.TEMPLATE),
        ("email", "NoReply@shop.example.com", BlockReason.ROLE_ADDRESS),
        ("email", "no-reply+42@example.com", BlockReason.ROLE_ADDRESS),
        ("email", "test@test.com", BlockReason.TEST_ADDRESS),
        ("email", "foo@bar.com", BlockReason.TEST_ADDRESS),
        ("phone", "+49 30 0000000", BlockReason.REPEATED_DIGIT),
    ],
)
def test_blocked_values_identify_no_one(kind: str, value: str, reason: BlockReason) -> None:
    assert examine_identifier(kind, value).reason is reason
    assert normalise_identifier(kind, value) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [("email", "ada@example.com"), ("email", "info@example.com"), ("user_id", "10"), ("phone", "+12025550123")],
)
def test_ordinary_values_are_not_blocked(kind: str, value: str) -> None:
    assert normalise_identifier(kind, value) == value


ANYTHING: Any = st.one_of(
    st.text(), st.integers(), st.none(), st.booleans(), st.floats(), st.lists(st.text(), max_size=2)
)


@given(st.sampled_from(KINDS), ANYTHING)
def test_any_input_gives_a_value_or_a_reason_and_values_are_stable(kind: str, value: object) -> None:
    found = examine_identifier(kind, value, region="US")
    assert (found.value is None) != (found.reason is None)
    if found.value is not None:
        assert examine_identifier(kind, found.value) == found
        found.value.encode("utf-8")


@given(st.emails())
def test_addresses_are_stable(value: str) -> None:
    found = normalise_email(value).value
    if found is not None:
        assert normalise_email(found).value == found
        assert normalise_email(found.upper() if found.isascii() else found).value == found


@given(
    st.one_of(
        st.emails(),
        st.from_regex(
            r"[A-Za-z0-9]{1,5}[._+-]{0,2}[A-Za-z0-9]{0,70}@([a-z0-9-]{1,35}\.){1,8}[a-z]{1,31}", fullmatch=True
        ),
        st.from_regex(r"[a-z0-9]+([._+-][a-z0-9]+)*@([a-z0-9]{1,31}(-[a-z0-9]{1,31})?\.)+[a-z]{1,31}", fullmatch=True),
        st.from_regex(r"a@(xn|ab|x)--?[a-z0-9]{1,4}\.(com|test|local|invalid|arpa|onion|localhost)", fullmatch=True),
    )
)
def test_the_fast_path_for_plain_addresses_agrees_with_the_validator(value: str) -> None:
    try:
        expected = validate_email(value.lower(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        expected = None
    assert normalise_email(value).value == expected


@given(st.dates(min_value=date(1850, 1, 1), max_value=date(2026, 1, 1)))
def test_every_spelling_of_a_date_gives_the_same_date(day: date) -> None:
    spellings = [
        day.isoformat(),
        day.strftime("%Y%m%d"),
        f"{day.day}.{day.month}.{day.year}",
        f"{day.year}/{day.month}/{day.day}",
    ]
    assert {normalise_birth_date(text).value for text in spellings} == {day.isoformat()}
    assert normalise_birth_date(day.strftime("%d/%m/%Y"), day_first=True).value == day.isoformat()
    assert normalise_birth_date(day.strftime("%m/%d/%Y"), day_first=False).value == day.isoformat()
