"""The policy: the default as documented, a company's changes, and refusals that name what is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graph.errors import BadInput
from graph.model.consent import ConsentState, ConsentStatement
from graph.model.time import Millis
from privacy.fields import PERSONAL_FIELDS, Category
from privacy.policy import LATEST_INSTANT, Policy
from privacy.purposes import DEFAULT_PURPOSES, LawfulBasis, Permit, Regime

POLICY = Policy.default()
GIVEN = ConsentStatement("analytics", ConsentState.GIVEN, Millis(1))

DOCUMENTED = {
    "contact": ("email phone address identifiers", "service marketing"),
    "identity": ("givenName familyName birthDate", "service personalisation marketing"),
    "demographics": ("age gender language country", "service personalisation analytics marketing partner_sharing"),
    "attributes": ("attributes", "service personalisation"),
    "behaviour": ("sessions interactions", "personalisation analytics"),
    "preferences": ("preferences", "personalisation marketing partner_sharing"),
    "segments": ("segments rfm", "personalisation analytics marketing partner_sharing"),
    "predictions": ("recommendations recent", "personalisation"),
}


@pytest.mark.parametrize("category", DOCUMENTED)
def test_the_default_equals_the_documented_table(category: str) -> None:
    fields, purposes = (set(text.split()) for text in DOCUMENTED[category])
    assert {rule.name for rule in PERSONAL_FIELDS.values() if rule.category == category} == fields
    assert POLICY.categories[Category(category)] == purposes


def test_the_default_purposes_and_their_bases() -> None:
    bases = {purpose.key: (purpose.lawful_basis, purpose.regime) for purpose in DEFAULT_PURPOSES}
    consent = (LawfulBasis.CONSENT, Regime.OPT_IN)
    assert bases == {
        "service": (LawfulBasis.CONTRACT, Regime.CONTRACT),
        "identity_linking": (LawfulBasis.LEGITIMATE_INTERESTS, Regime.OPT_OUT),
        **dict.fromkeys(("analytics", "personalisation", "marketing", "partner_sharing"), consent),
    }
    assert [key for key, purpose in POLICY.purposes.items() if purpose.per_recipient] == ["partner_sharing"]
    assert all(purpose.title and purpose.description for purpose in DEFAULT_PURPOSES)


def test_a_company_may_add_to_segments_categories() -> None:
    named = ("Analytics", "Functional", "Advertising", "DataSharing")
    found = [POLICY.purpose_of_category(name) for name in named]
    assert found == ["analytics", "personalisation", "marketing", "partner_sharing"]
    assert POLICY.purpose_of_category("analytics") is None
    own = Policy.parse({"segment_categories": {"C0002": "analytics"}})
    assert own.purpose_of_category("C0002") == "analytics"
    assert own.purpose_of_category("Functional") == "personalisation"


def test_changes_replace_only_what_they_name() -> None:
    research = {"title": "Research", "description": "Studies.", "lawful_basis": "public_task", "regime": "opt_out"}
    own = Policy.parse(
        {
            "purposes": {"research": research},
            "categories": {"demographics": ["research"], "behaviour": []},
            "regimes": {"us-ca": {"marketing": "opt_out"}, "DE": {"identity_linking": "opt_in"}},
            "controller": "Shop GmbH",
        }
    )
    assert own.purposes["research"].lawful_basis is LawfulBasis.PUBLIC_TASK
    assert own.categories[Category.DEMOGRAPHICS] == {"research"}
    assert own.categories[Category.BEHAVIOUR] == frozenset()
    assert own.categories[Category.CONTACT] == POLICY.categories[Category.CONTACT]
    assert own.regime("marketing", "US-CA") is Regime.OPT_OUT
    assert own.regime("partner_sharing", "US-CA") is Regime.OPT_OUT
    assert own.regime("identity_linking", "de-BY") is Regime.OPT_IN
    assert own.regime("identity_linking", None) is Regime.OPT_OUT
    assert own.version != POLICY.version == Policy.parse({}).version


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"purpose": {}}, "policy.purpose"),
        ({"purposes": {"Research": {}}}, "policy.purposes"),
        ({"purposes": {"research": {"title": "R"}}}, "policy.purposes.research.description"),
        ({"categories": {"contact": ["research"]}}, "policy.categories"),
        ({"categories": {"secret": ["service"]}}, "policy.categories"),
        ({"categories": {"consents": ["service"]}}, "policy.categories"),
        ({"categories": {"linkage": []}}, "policy.categories"),
        ({"regimes": {"US-CA": {"analytics": "never"}}}, "policy.regimes.US-CA"),
        ({"regimes": {"California": {}}}, "policy.regimes"),
        ({"segment_categories": {"Analytics": "research"}}, "policy.segment_categories"),
        ({"controller": ""}, "policy.controller"),
    ],
)
def test_an_invalid_change_is_refused_with_its_place(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(BadInput) as refused:
        Policy.parse(changes)
    assert place in str(refused.value)


def test_a_policy_is_read_only() -> None:
    with pytest.raises(TypeError):
        POLICY.purposes["service"] = POLICY.purposes["marketing"]  # type: ignore[index]


def test_a_permit_must_fit_its_purpose() -> None:
    assert POLICY.permit("analytics") == Permit("analytics")
    assert str(POLICY.permit("partner_sharing", "acme")) == "partner_sharing@acme"
    for purpose, recipient in [
        ("research", None),
        ("analytics", "acme"),
        ("partner_sharing", None),
        ("partner_sharing", ""),
        ("partner_sharing", "*"),
        ("partner_sharing", "a@b"),
        ("partner_sharing", " acme"),
        ("partner_sharing", "acme\n"),
        ("partner_sharing", "a" * 201),
    ]:
        with pytest.raises(BadInput):
            POLICY.permit(purpose, recipient)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("purpose", "research"),
        ("recipient", "acme"),
        ("effective_at", -1),
        ("effective_at", LATEST_INSTANT + 1),
        ("expires_at", 2**70),
        ("mechanism", "maybe"),
        ("lawful_basis", "because"),
        ("assurance", -1),
        ("assurance", 10),
    ],
)
def test_an_unusable_statement_is_refused_with_its_field(field: str, value: Any) -> None:
    POLICY.check_statement(GIVEN)
    with pytest.raises(BadInput) as refused:
        POLICY.check_statement(replace(GIVEN, **{field: value}))
    assert str(refused.value).startswith(field.replace("lawful_basis", "lawfulBasis"))


def test_sharing_may_be_stated_for_every_recipient() -> None:
    POLICY.check_statement(replace(GIVEN, purpose="partner_sharing"))
    POLICY.check_statement(replace(GIVEN, purpose="partner_sharing", recipient="acme"))
    POLICY.check_statement(
        replace(GIVEN, mechanism="opt-in", lawful_basis="consent", expires_at=Millis(LATEST_INSTANT))
    )
