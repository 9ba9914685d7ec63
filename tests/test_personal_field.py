"""A personal field is known at every station it passes: collection, survivorship, the read, the gate, the SDL.

README's "Where to add" relies on these tests: a field that is left out somewhere fails here instead of being null.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import pytest

from algorithms.identity.survivorship import RecordTraits, derive_facts
from api.collection.segment.traits import _NEVER_ATTRIBUTES, NAMES, read_traits
from api.graphql.schema import GRAPHQL_SCHEMA
from graph.model.identity import RecordId, Trait
from graph.model.profile import StoredFacts
from graph.model.time import Millis
from privacy.fields import PERSONAL_FIELDS, Category
from resolvers.profile.find import TRAITS

NOW = Millis(1_700_000_000_000)
NOT_FROM_TRAITS = {
    "identifiers", "sessions", "interactions", "segments", "rfm", "recent", "recommendations", "consents",
    "consentHistory", "withheld",
}  # fmt: skip
"""Personal fields that are read or computed elsewhere. Every other one arrives as a trait."""
SAMPLES: dict[str, object] = {
    "address": {"city": "Graz"},
    "preferences": {"size": "M"},
    "birthDate": "1980-05-17",
    "age": 44,
}
FROM_TRAITS = sorted(PERSONAL_FIELDS.keys() - NOT_FROM_TRAITS - {"attributes"})


def spellings(name: str) -> Iterator[str]:
    return (spelling for spelling, fact in NAMES.items() if fact == name)


def test_collection_knows_exactly_the_listed_facts() -> None:
    assert PERSONAL_FIELDS.keys() >= NOT_FROM_TRAITS
    assert set(NAMES.values()) == set(FROM_TRAITS), "api/collection: the table from traits to facts"


@pytest.mark.parametrize("name", FROM_TRAITS)
def test_a_trait_reaches_its_field(name: str) -> None:
    value = SAMPLES.get(name, "some text")
    for spelling in spellings(name):
        read = read_traits({spelling: value})
        assert read[name] is not None, "api/collection: the reader of this fact"
        facts = derive_facts({RecordId("r"): RecordTraits({name: Trait(read[name], NOW)})}, NOW)
        slot = PERSONAL_FIELDS[name].slot
        assert facts.pop(slot) is not None, "algorithms: survivorship"
        assert "attributes" not in facts


def test_a_profile_query_reads_the_traits_of_every_trait_field() -> None:
    assert set(FROM_TRAITS) | {"attributes"} == TRAITS, "resolvers/profile: TRAITS"


def test_every_trait_field_is_in_the_api() -> None:
    profile = GRAPHQL_SCHEMA.type_map["Profile"]
    slots = {field.name for field in fields(StoredFacts)}
    for name in FROM_TRAITS:
        assert name in profile.fields, "api/graphql/types: an attribute of Profile"  # type: ignore[attr-defined]
        assert PERSONAL_FIELDS[name].slot in slots


def test_contact_and_identity_facts_never_become_attributes() -> None:
    sent = set(NAMES.values())
    guarded = {rule.name for rule in PERSONAL_FIELDS.values() if rule.category in {Category.CONTACT, Category.IDENTITY}}
    assert guarded & sent - {"address"} == _NEVER_ATTRIBUTES, "an address of any form stays an address"
