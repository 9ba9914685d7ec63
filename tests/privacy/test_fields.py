"""The table of personal fields is complete: it lists everything that a profile query can reveal about a person."""

from __future__ import annotations

from dataclasses import fields

from graph.model.profile import StoredFacts
from privacy.fields import PERSONAL_FIELDS, Category
from privacy.policy import Policy

OPEN = {"id", "created_at", "updated_at"}


def test_every_fact_but_the_id_and_its_dates_is_listed() -> None:
    slots = [rule.slot for rule in PERSONAL_FIELDS.values() if rule.slot]
    assert len(slots) == len(set(slots))
    assert set(slots) == {field.name for field in fields(StoredFacts)} - OPEN


def test_every_listed_fact_may_be_none() -> None:
    for field in fields(StoredFacts):
        if field.name not in OPEN:
            assert field.default is None
            assert "None" in str(field.type)


def test_slots_are_the_names_in_snake_case() -> None:
    for name, rule in PERSONAL_FIELDS.items():
        assert name == rule.name
        words = (rule.slot or name).split("_")
        assert name == words[0] + "".join(word.capitalize() for word in words[1:])


def test_every_category_but_consents_has_purposes() -> None:
    assert set(Policy.default().categories) == set(Category) - {Category.CONSENTS}
    assert {rule.category for rule in PERSONAL_FIELDS.values()} == set(Category)


def test_every_computed_field_names_a_known_purpose() -> None:
    known = set(Policy.default().purposes)
    assert {rule.computed_for for rule in PERSONAL_FIELDS.values() if rule.computed_for} <= known
