"""Survivorship: one profile from the traits of all of a person's records.

Across all records, the trait of the highest grade survives, then the latest; at the same instant, the one from the
record with the larger ID, so that every server decides alike. An e-mail address or phone number has the grade of the
record's holding of it; other traits of a system of record outrank those of other sources. A trait of None counts as
well: the fact was removed. A value that doesn't fit the type in the profile is skipped. Attributes survive one by one,
an address as a whole. Facts that follow from others are derived here, too: the age, from the birth date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

from algorithms.identity.blocking import EMAIL, PHONE
from algorithms.identity.normalise import normalise_identifier
from graph.model.access import Trust
from graph.model.identity import ATTRIBUTE_PREFIX, Grade, RecordId, Traits
from graph.model.time import Millis

OLDEST: Final = 150
"""The highest age accepted, in years."""


@dataclass(frozen=True, slots=True)
class RecordTraits:
    """One record's traits, the trust of its source, and the grades of the e-mail addresses and phone numbers that it
    holds, by kind and normalised value."""

    traits: Traits
    trust: Trust = Trust.SERVER
    contacts: Mapping[tuple[str, str], Grade] = field(default_factory=dict)

    def rank(self, name: str, value: Any) -> int:
        """Returns how well a trait is known; more is better. A contact that the record doesn't hold is only claimed;
        the removal of one is stated, so that it removes nothing that is proven."""
        if name not in (EMAIL, PHONE):
            return int(self.trust is Trust.RECORD)
        if value is None:
            return (Grade.CLAIMED if self.trust is Trust.PUBLIC else Grade.STATED).rank
        return self.contacts.get((name, normalise_identifier(name, value) or ""), Grade.CLAIMED).rank


def derive_facts(records: Mapping[RecordId, RecordTraits], now: Millis) -> dict[str, Any]:
    """Returns the facts of a person from the traits of all their live records, by field of `StoredFacts`. Unknown ones
    are left out. O(traits)."""
    best: dict[tuple[str, ...], tuple[tuple[int, int, str, str], Any]] = {}
    for record, one in records.items():
        for name, (value, at) in one.traits.items():
            path, read = _read(name, value)
            if read is None and value is not None:
                continue
            rank = (one.rank(name, value), at, record, name)
            if path not in best or rank > best[path][0]:
                best[path] = (rank, read)
    known = {path: value for path, (_, value) in best.items() if value is not None}
    facts = {slot: known[(name,)] for name, (slot, _) in _FACTS.items() if (name,) in known}
    attributes = {path[1]: value for path, value in sorted(known.items()) if len(path) == 2}
    if attributes:
        facts["attributes"] = attributes
    if "age" not in facts and "birth_date" in facts:
        age = derive_age(date.fromisoformat(facts["birth_date"]), now)
        if age is not None:
            facts["age"] = age
    return facts


def derive_age(birth_date: date, now: Millis) -> int | None:
    """Returns the completed years at `now` (UTC), or None if outside 0–150."""
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    years = today.year - birth_date.year - ((today.month, today.day) < (birth_date.month, birth_date.day))
    return years if 0 <= years <= OLDEST else None


def _read(name: str, value: Any) -> tuple[tuple[str, ...], Any]:
    """Returns which fact a trait is about, (name,) or ("attributes", name), and its value: None if it was removed or
    does not fit."""
    if name not in _FACTS:
        return ("attributes", name.removeprefix(ATTRIBUTE_PREFIX)), value
    return (name,), None if value is None else _FACTS[name][1](value)


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _years(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if 0 <= value <= OLDEST else None


def _day(value: Any) -> str | None:
    try:
        return date.fromisoformat(value[:10]).isoformat() if isinstance(value, str) else None
    except ValueError:
        return None


def _object(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, Mapping) else None


_FACTS: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "email": ("email", _text),
    "phone": ("phone", _text),
    "givenName": ("given_name", _text),
    "familyName": ("family_name", _text),
    "birthDate": ("birth_date", _day),
    "address": ("address", _object),
    "age": ("age", _years),
    "gender": ("gender", _text),
    "language": ("language", _text),
    "country": ("country", _text),
    "preferences": ("preferences", _object),
}
"""Trait → field of `StoredFacts`, and the function that reads its value."""
