"""Which saying of a fact survives."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from algorithms.identity.survivorship import RecordTraits, derive_age, derive_facts
from graph.model.access import Trust
from graph.model.identity import Grade, RecordId, Trait
from graph.model.profile import StoredFacts
from graph.model.time import Millis

NOW = Millis(1_800_000_000_000)  # 2027-01-15
WEB, APP = RecordId("a"), RecordId("b")

values = st.none() | st.text(max_size=5) | st.integers(0, 200) | st.dictionaries(st.text(max_size=3), st.integers())
names = st.sampled_from(["email", "age", "birthDate", "address", "preferences", "colour", "attributes.colour"])
traits = st.dictionaries(names, st.builds(Trait, values, st.integers(0, 3)))


def facts_of(records: dict[RecordId, dict[str, Any]], now: Millis) -> dict[str, Any]:
    """The facts of records whose sources and contacts are all known equally well."""
    every = {("email", address): Grade.STATED for address in ("a@x.org", "old@x.org", "new@x.org")}
    return derive_facts({id_: RecordTraits(traits, contacts=every) for id_, traits in records.items()}, now)


def test_the_grade_of_a_contact_comes_before_its_time() -> None:
    def email_of(**graded: tuple[str | None, int, Trust, Grade | None]) -> str | None:
        records = {
            RecordId(id_): RecordTraits(
                {"email": Trait(value, Millis(at))}, trust, {("email", (value or "").lower()): grade} if grade else {}
            )
            for id_, (value, at, trust, grade) in graded.items()
        }
        return derive_facts(records, NOW).get("email")

    crm = ("crm@x.org", 1, Trust.RECORD, Grade.PROVEN)
    shop = ("Shop@x.org", 2, Trust.SERVER, Grade.STATED)
    page = ("page@x.org", 3, Trust.PUBLIC, None)
    assert email_of(crm=crm, shop=shop, page=page) == "crm@x.org"
    assert email_of(shop=shop, page=page) == "Shop@x.org"
    assert email_of(page=page) == "page@x.org"
    assert email_of(shop=shop, page=(None, 3, Trust.PUBLIC, None)) == "Shop@x.org"
    assert email_of(shop=shop, crm=(None, 3, Trust.RECORD, None)) is None
    assert email_of(shop=shop, crm=(None, 1, Trust.RECORD, None)) == "Shop@x.org"
    assert email_of(crm=crm, shop=(None, 3, Trust.SERVER, None)) == "crm@x.org"


def test_other_traits_of_a_system_of_record_come_first() -> None:
    def name_of(shop: Trust) -> Any:
        crm = RecordTraits({"givenName": Trait("Ann", 1)}, Trust.RECORD)
        other = RecordTraits({"givenName": Trait("Anne", 2)}, shop)
        return derive_facts({WEB: crm, APP: other}, NOW)["given_name"]

    assert [name_of(trust) for trust in (Trust.PUBLIC, Trust.SERVER, Trust.RECORD)] == ["Ann", "Ann", "Anne"]


def test_the_latest_statement_across_all_records_wins() -> None:
    web = {"email": Trait("old@x.org", 1), "givenName": Trait("Ann", 9)}
    app = {"email": Trait("new@x.org", 2), "givenName": Trait("Anne", 3)}
    assert facts_of({WEB: web, APP: app}, NOW) == {"email": "new@x.org", "given_name": "Ann"}


def test_a_fact_removed_later_is_gone() -> None:
    assert facts_of({WEB: {"email": Trait("a@x.org", 1)}, APP: {"email": Trait(None, 2)}}, NOW) == {}
    assert facts_of({WEB: {"email": Trait("a@x.org", 3)}, APP: {"email": Trait(None, 2)}}, NOW) == {"email": "a@x.org"}


def test_unknown_traits_survive_one_by_one() -> None:
    web = {"attributes.colour": Trait("red", 5), "attributes.size": Trait(4, 5), "tier": Trait("gold", 1)}
    app = {"attributes.size": Trait(None, 6), "colour": Trait("blue", 4)}
    assert facts_of({WEB: web, APP: app}, NOW) == {"attributes": {"colour": "red", "tier": "gold"}}


def test_an_address_and_preferences_survive_as_a_whole() -> None:
    web = {"address": Trait({"city": "Ulm", "street": "1"}, 1), "preferences": Trait({"news": True}, 1)}
    app = {"address": Trait({"city": "Bonn"}, 2)}
    facts = facts_of({WEB: web, APP: app}, NOW)
    assert facts == {"address": {"city": "Bonn"}, "preferences": {"news": True}}


def test_a_value_of_the_wrong_type_is_skipped() -> None:
    web: dict[str, Trait] = {"age": Trait(40, 1), "birthDate": Trait("1980-05-17", 1), "email": Trait("a@x.org", 1)}
    app: dict[str, Trait] = {
        "age": Trait("old", 2),
        "birthDate": Trait("17.5.1980", 2),
        "email": Trait(7, 2),
        "phone": Trait("  ", 2),
    }
    assert facts_of({WEB: web, APP: app}, NOW) == {"age": 40, "birth_date": "1980-05-17", "email": "a@x.org"}


def test_age_is_derived_from_the_birth_date_unless_stated() -> None:
    assert facts_of({WEB: {"birthDate": Trait("1980-01-15", 1)}}, NOW)["age"] == 47
    assert facts_of({WEB: {"birthDate": Trait("1980-01-16", 1)}}, NOW)["age"] == 46
    assert facts_of({WEB: {"birthDate": Trait("1980-01-16", 1), "age": Trait(30, 0)}}, NOW)["age"] == 30
    assert derive_age(date(1800, 1, 1), NOW) is None
    assert derive_age(date(2030, 1, 1), NOW) is None
    assert derive_age(date(2000, 2, 29), Millis(951_782_400_000)) == 0


@given(traits, traits, traits)
def test_the_order_of_records_does_not_matter(one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]) -> None:
    records = {RecordId("a"): one, RecordId("b"): two, RecordId("c"): three}
    facts = facts_of(records, NOW)
    assert facts_of(dict(reversed(records.items())), NOW) == facts
    assert set(facts) <= {field.name for field in fields(StoredFacts)}


@given(traits, traits)
def test_every_fact_is_stated_by_a_record(one: dict[str, Any], two: dict[str, Any]) -> None:
    facts = facts_of({WEB: one, APP: two}, NOW)
    said = [value for traits in (one, two) for value, _ in traits.values()]
    for slot in ("email", "address", "preferences"):
        if slot in facts:
            assert facts[slot] in [v.strip() if isinstance(v, str) else v for v in said]
