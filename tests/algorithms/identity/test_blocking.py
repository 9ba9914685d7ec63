"""Blocked values: which rule finds which, for which kinds, and that every listed value can be met."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from algorithms.identity.blocking import DEFAULT_BLOCKING, BlockingRules, BlockReason

KINDS = ("user_id", "anonymous_id", "email", "phone", "loyalty_card")


def test_a_company_can_change_the_rules_as_data() -> None:
    rules = BlockingRules(placeholders=frozenset({"walk-in"}), frequency_caps={"anonymous_id": 3})
    assert rules.reason("user_id", "Walk-In") is BlockReason.PLACEHOLDER
    assert rules.reason("user_id", "guest") is None
    assert (rules.cap("anonymous_id"), rules.cap("email")) == (3, DEFAULT_BLOCKING.frequency_cap)


@pytest.mark.parametrize("value", sorted(DEFAULT_BLOCKING.placeholders))
def test_a_placeholder_is_blocked_for_every_kind_in_any_case(value: str) -> None:
    for kind in KINDS:
        for written in (value, value.upper(), value.title()):
            assert DEFAULT_BLOCKING.reason(kind, written) is BlockReason.PLACEHOLDER


@pytest.mark.parametrize("value", ["0", "000", "0-0", "-", "00000000-0000-0000-0000-000000000000"])
def test_zeros_identify_no_one(value: str) -> None:
    assert DEFAULT_BLOCKING.reason("user_id", value) is BlockReason.ZEROS
    assert DEFAULT_BLOCKING.reason("user_id", f"{value}7") is None


@pytest.mark.parametrize("value", ["{{ user.id }}", "${id}", "{id}", "%USER_ID%", "<user id>", "[id]"])
def test_an_unfilled_template_identifies_no_one(value: str) -> None:
    assert DEFAULT_BLOCKING.reason("user_id", value) is BlockReason.TEMPLATE
    assert DEFAULT_BLOCKING.reason("user_id", f"x{value}") is None


@pytest.mark.parametrize("local", sorted(DEFAULT_BLOCKING.role_locals))
def test_a_role_address_identifies_no_one_in_any_domain(local: str) -> None:
    for address in (f"{local}@shop.example", f"{local.upper()}@x.org", f"{local}+42@x.org"):
        assert DEFAULT_BLOCKING.reason("email", address) is BlockReason.ROLE_ADDRESS
    assert DEFAULT_BLOCKING.reason("email", f"my-{local}@x.org") is None
    assert DEFAULT_BLOCKING.reason("user_id", f"{local}@x.org") is None


@pytest.mark.parametrize("local", sorted(DEFAULT_BLOCKING.test_locals))
def test_a_test_address_is_recognised_by_its_local_part(local: str) -> None:
    assert DEFAULT_BLOCKING.reason("email", f"{local}+1@x.org") is BlockReason.TEST_ADDRESS
    assert DEFAULT_BLOCKING.reason("email", f"{local}x@x.org") is None


@pytest.mark.parametrize("address", sorted(DEFAULT_BLOCKING.test_addresses))
def test_some_test_addresses_are_recognised_only_as_a_whole(address: str) -> None:
    assert DEFAULT_BLOCKING.reason("email", address.upper()) is BlockReason.TEST_ADDRESS
    assert DEFAULT_BLOCKING.reason("email", f"{address}.au") is None
    assert DEFAULT_BLOCKING.reason("user_id", address) is None


@pytest.mark.parametrize(
    ("phone", "reason"),
    [
        ("+49300000000", BlockReason.REPEATED_DIGIT),
        ("+491711111111", BlockReason.REPEATED_DIGIT),
        ("+491711111112", None),
        ("+491701111112", None),
    ],
)
def test_a_phone_number_that_ends_in_one_repeated_digit_is_blocked(phone: str, reason: BlockReason | None) -> None:
    assert DEFAULT_BLOCKING.reason("phone", phone) is reason
    assert DEFAULT_BLOCKING.reason("user_id", phone) is None


def test_rules_are_validated_and_immutable() -> None:
    for wrong in ({"surprise": 1}, {"frequency_cap": 1}, {"frequency_caps": {"email": "many"}}):
        with pytest.raises(ValidationError):
            BlockingRules.model_validate(wrong)
    with pytest.raises(ValidationError):
        DEFAULT_BLOCKING.frequency_cap = 3
