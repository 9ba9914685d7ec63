"""Contact and identity facts keep their category whatever form they have."""

from __future__ import annotations

from typing import Any

import pytest

from api.collection.segment.traits import find_identifiers, read_traits


@pytest.mark.parametrize("trait", ["email", "phone", "firstName", "lastName", "birthday", "address", "preferences"])
@pytest.mark.parametrize("value", [["hidden-1"], {"work": "hidden-1"}, [{"value": "hidden-1"}], [17.5, "hidden-1"]])
def test_no_form_of_contact_or_identity_becomes_an_attribute(trait: str, value: Any) -> None:
    facts = read_traits({trait: value, "plan": "gold"})
    assert facts["attributes"] == {"plan": "gold"}
    assert "hidden-1" in str(facts)
    assert find_identifiers(facts) == []


@pytest.mark.parametrize("trait", ["Email", "EMAIL", "email_address", "emailAddress", "E-Mail Address"])
def test_a_contact_is_recognised_in_any_spelling_of_its_name(trait: str) -> None:
    assert read_traits({trait: "ada@example.com"}) == {"email": "ada@example.com"}
