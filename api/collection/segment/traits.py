"""Segment's traits as facts of a profile, and the identifiers among them.

A trait without a profile field of its own, or with a value that does not fit the field, goes to `attributes`, so that
nothing is lost. A contact or identity fact without a canonical form stays in its field as written, because `attributes`
belong to another category, which other purposes may see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from orjson import JSONEncodeError, dumps

from algorithms.identity.blocking import EMAIL, PHONE
from algorithms.identity.normalise import (
    LONGEST_CACHED,
    normalise_birth_date,
    normalise_email,
    normalise_identifier,
    normalise_phone,
)
from algorithms.identity.survivorship import OLDEST
from api.collection.reasons import Rejected, RejectionReason
from graph.model.identity import IdentifierRef

NAMES: Final[Mapping[str, str]] = {
    "email": "email",
    "emailaddress": "email",
    "phone": "phone",
    "phonenumber": "phone",
    "mobile": "phone",
    "address": "address",
    "firstname": "givenName",
    "givenname": "givenName",
    "lastname": "familyName",
    "familyname": "familyName",
    "surname": "familyName",
    "birthday": "birthDate",
    "birthdate": "birthDate",
    "dateofbirth": "birthDate",
    "age": "age",
    "gender": "gender",
    "language": "language",
    "locale": "language",
    "country": "country",
    "preferences": "preferences",
}
"""The profile fact of each trait. Case, `_`, `-` and spaces are ignored, so that a contact with an unusual spelling
does not end up among attributes. `name` is read separately: it is split unless its parts are stated."""


def find_fact(trait: str) -> str | None:
    """Returns the profile fact that a trait stands for, or None if it is an attribute."""
    return _find_fact(trait) if len(trait) <= LONGEST_CACHED else None


@lru_cache(maxsize=4096)
def _find_fact(trait: str) -> str | None:
    return NAMES.get(trait.translate(_SEPARATORS).casefold())


_SEPARATORS: Final = str.maketrans("", "", "_- ")

_NEVER_ATTRIBUTES: Final = frozenset({"email", "phone", "givenName", "familyName", "birthDate"})
"""Facts that, like address and preferences, keep their category whatever form they have, because other purposes may see
attributes."""

LONGEST_NAME: Final = 256
MOST_TRAITS: Final = 256


def read_traits(traits: Mapping[str, Any], locale: str | None = None) -> dict[str, Any]:
    """Returns profile facts, with unknown traits under `attributes`. None or an empty text removes a fact. Raises
    Rejected."""
    if len(traits) > MOST_TRAITS:
        message = f"A message has at most {MOST_TRAITS} traits."
        raise Rejected(RejectionReason.TOO_MANY_TRAITS, message, "traits")
    facts: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for name, value in traits.items():
        known = find_fact(name)
        if known is None:
            if name != "name":
                attributes[name] = value
        elif value is None or value == "":
            facts[known] = None
        else:
            read = _READERS[known](value)
            if read is not None:
                facts[known] = read
            elif known in _NEVER_ATTRIBUTES:
                facts[known] = _write(value, f"traits.{name}")
            else:
                attributes[name] = value
    _split_name(traits.get("name"), facts)
    _complete(facts, locale)
    if attributes:
        facts["attributes"] = check_attributes(attributes)
    return facts


def find_identifiers(facts: Mapping[str, Any]) -> list[IdentifierRef]:
    """Returns the identifiers among profile facts: e-mail address and phone number, if usable."""
    found = []
    if email := facts.get("email"):
        value = normalise_identifier(EMAIL, email)
        if value is not None:
            found.append(IdentifierRef(EMAIL, value))
    if phone := facts.get("phone"):
        country = facts.get("country")
        value = normalise_identifier(PHONE, phone, region=country if is_region(country) else None)
        if value is not None:
            found.append(IdentifierRef(PHONE, value))
    return found


def is_region(value: object) -> bool:
    """Whether a value has the form of a two-letter country code."""
    return isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha()


def _text(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value.strip() or None if isinstance(value, str) else None


def _email(value: Any) -> str | None:
    text = _text(value)
    return (normalise_email(text).value or text) if text else None


def _phone(value: Any) -> str | None:
    text = _text(value)
    return (normalise_phone(text).value or text) if text else None


def _birth_date(value: Any) -> str | None:
    text = _text(value)
    return (normalise_birth_date(text).value or text) if text else None


def _age(value: Any) -> int | None:
    text = _text(value if not isinstance(value, float) else int(value) if value.is_integer() else None)
    age = int(text) if text and text.isdecimal() and len(text) <= 3 else None
    return age if age is not None and age <= OLDEST else None


def _address(value: Any) -> dict[str, Any] | None:
    if isinstance(value, dict):
        _check_json(value, "traits.address")
        return value or None
    return {"formatted": _text(value) or _write(value, "traits.address")}


def _preferences(value: Any) -> dict[str, Any] | None:
    _check_json(value, "traits.preferences")
    return (value or None) if isinstance(value, dict) else {"value": value}


def _language(value: Any) -> str | None:
    """Returns the language of a tag such as `pt-BR`. The name of a language is kept as it is."""
    text = _text(value)
    if text is None:
        return None
    head = text.replace("_", "-").split("-")[0]
    return head.lower() if head.isascii() and head.isalpha() and len(head) in (2, 3) else text


def _country(value: Any) -> str | None:
    text = _text(value)
    return text.upper() if text and is_region(text) else text


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "email": _email,
    "phone": _phone,
    "address": _address,
    "givenName": _text,
    "familyName": _text,
    "birthDate": _birth_date,
    "age": _age,
    "gender": _text,
    "language": _language,
    "country": _country,
    "preferences": _preferences,
}


def _split_name(name: Any, facts: dict[str, Any]) -> None:
    """Fills names that are not stated separately from `name`, taking its last word as the family name."""
    text = _text(name)
    if text is None:
        return
    given, _, family = text.rpartition(" ")
    if family and given:
        facts.setdefault("familyName", family)
    facts.setdefault("givenName", given.strip() or text)


def _complete(facts: dict[str, Any], locale: str | None) -> None:
    """Fills the country from the address and the language from the context's locale, unless they are stated."""
    address = facts.get("address")
    if "country" not in facts and isinstance(address, dict) and (country := _country(address.get("country"))):
        facts["country"] = country
    if "language" not in facts and locale and (language := _language(locale)):
        facts["language"] = language


def check_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Returns the attributes unchanged. Raises Rejected if they can't be stored as JSON."""
    for name in attributes:
        if not 0 < len(name) <= LONGEST_NAME:
            raise Rejected(
                RejectionReason.BAD_VALUE, f"The name of a trait must have 1 to {LONGEST_NAME} characters.", "traits"
            )
    _check_json(attributes, "traits")
    return attributes


def _write(value: Any, field: str) -> str:
    """Returns a value that is not text as JSON text. Raises Rejected."""
    _check_json(value, field)
    return dumps(value).decode()


def _check_json(value: Any, field: str) -> None:
    try:
        dumps(value)
    except JSONEncodeError as error:
        reason = RejectionReason.TOO_DEEP if "ecursion" in str(error) else RejectionReason.BAD_VALUE
        raise Rejected(reason, f"{field} can't be stored: it is nested too deep or not plain JSON.", field) from None
