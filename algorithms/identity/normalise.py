"""Canonical forms of values that identify or describe a person: addresses, phone numbers, IDs, dates of birth.

Each function is pure and returns one spelling, or a typed reason if there is none. No function guesses at a provider's
rules: dots and `+tags` in an address are kept, since only the provider knows whether they matter. Every function is
idempotent: a canonical value is its own canonical form.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Final

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from algorithms.identity.blocking import DEFAULT_BLOCKING, EMAIL, PHONE, BlockReason

ID_LIMIT: Final = 512
EARLIEST_BIRTH: Final = date(1850, 1, 1)
_CACHED: Final = 65_536
LONGEST_CACHED: Final = 64
"""Characters of the longest value that is cached: senders choose values, and memory must not follow them."""


class Unusable(StrEnum):
    """Why a value has no canonical form."""

    EMPTY = "empty"
    NOT_TEXT = "not_text"
    NOT_UNICODE = "not_unicode"
    CONTROL_CHARACTER = "control_character"
    TOO_LONG = "too_long"
    NOT_AN_EMAIL = "not_an_email"
    NOT_A_PHONE = "not_a_phone"
    REGION_MISSING = "region_missing"
    NOT_A_DATE = "not_a_date"
    AMBIGUOUS_DATE = "ambiguous_date"
    DATE_OUT_OF_RANGE = "date_out_of_range"


@dataclass(frozen=True, slots=True)
class Normalised:
    """A canonical value, or the reason why there is none. Exactly one of them is set."""

    value: str | None
    reason: Unusable | BlockReason | None = None


def normalise_identifier(kind: str, value: object, *, region: str | None = None) -> str | None:
    """Returns the canonical form of an identifier of this kind, or None if it is unusable or blocked
    (`examine_identifier` tells why).

    `region` is the two-letter code of the country assumed for a phone number without a country code.
    """
    return examine_identifier(kind, value, region=region).value


def examine_identifier(kind: str, value: object, *, region: str | None = None) -> Normalised:
    """Returns the same as `normalise_identifier`, with the reason. The last 65,536 addresses and as many phone numbers
    are cached."""
    if kind == EMAIL:
        found = normalise_email(value)
    elif kind == PHONE:
        found = normalise_phone(value, region=region)
    else:
        found = normalise_id(value)
    if found.value is None:
        return found
    blocked = DEFAULT_BLOCKING.reason(kind, found.value)
    return found if blocked is None else Normalised(None, blocked)


def normalise_id(value: object) -> Normalised:
    """Normalises an opaque ID, a string or an integer: NFC, trimmed, 1 to 512 characters, no control characters. Case
    is kept."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if value.bit_length() < ID_LIMIT else "9" * (ID_LIMIT + 1)
    if not isinstance(value, str):
        return Normalised(None, Unusable.NOT_TEXT)
    if len(value) > 8 * ID_LIMIT:
        return Normalised(None, Unusable.TOO_LONG)
    text = value.strip()
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).strip()
        if any(unicodedata.category(character) == "Cs" for character in text):
            return Normalised(None, Unusable.NOT_UNICODE)
    if not text:
        return Normalised(None, Unusable.EMPTY)
    if len(text) > ID_LIMIT:
        return Normalised(None, Unusable.TOO_LONG)
    if not text.isprintable() and any(unicodedata.category(character) == "Cc" for character in text):
        return Normalised(None, Unusable.CONTROL_CHARACTER)
    return Normalised(text)


def normalise_email(value: object) -> Normalised:
    """Normalises an e-mail address: lower case, NFC, its domain in Unicode. The syntax is checked by email-validator,
    without a DNS query."""
    if not isinstance(value, str):
        return Normalised(None, Unusable.NOT_TEXT)
    if len(value) > ID_LIMIT:
        return Normalised(None, Unusable.TOO_LONG)
    read = _email if len(value) <= LONGEST_CACHED else _email.__wrapped__
    return read(value)


def normalise_phone(value: object, *, region: str | None = None) -> Normalised:
    """Normalises a phone number to E.164. An extension is kept as `;ext=`, so that colleagues who share a switchboard
    stay apart.

    A number is accepted if its length is possible for its country: which numbers are assigned changes faster than
    tables do.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if value.bit_length() < ID_LIMIT else ""
    if not isinstance(value, str):
        return Normalised(None, Unusable.NOT_TEXT)
    if len(value) > ID_LIMIT:
        return Normalised(None, Unusable.TOO_LONG)
    read = _phone if len(value) <= LONGEST_CACHED else _phone.__wrapped__
    return read(value, region.upper() if region else None)


def normalise_birth_date(value: object, *, day_first: bool | None = None, today: date | None = None) -> Normalised:
    """Normalises a date of birth to ISO `YYYY-MM-DD`, from ISO dates and times, `YYYYMMDD`, `DD.MM.YYYY`, `D/M/Y` or
    `M/D/Y`.

    With slashes or dashes and both numbers up to 12, only `day_first` tells the order; without it, the date is
    ambiguous. Dates before 1850, or after `today` if given, are out of range.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if 0 <= value < 10**8 else ""
    if not isinstance(value, str):
        return Normalised(None, Unusable.NOT_TEXT)
    text = unicodedata.normalize("NFKC", value[:64]).strip()
    if not text:
        return Normalised(None, Unusable.EMPTY)
    found = _read_date(text, day_first)
    if isinstance(found, Unusable):
        return Normalised(None, found)
    if found < EARLIEST_BIRTH or (today is not None and found > today):
        return Normalised(None, Unusable.DATE_OUT_OF_RANGE)
    return Normalised(found.isoformat())


_PLAIN_EMAIL: Final = re.compile(
    r"[a-z0-9]+(?:[._+-][a-z0-9]+)*@(?=[a-z0-9.-]{4,180}\Z)(?:[a-z0-9]{1,30}(?:-[a-z0-9]{1,30})?\.)+([a-z]{2,30})",
    re.ASCII,
)
"""Addresses that email-validator returns unchanged (a property test checks this): the common case, and much faster."""


@lru_cache(maxsize=_CACHED)
def _email(value: str) -> Normalised:
    text = value.strip()
    if not text:
        return Normalised(None, Unusable.EMPTY)
    lowered = text.lower() if text.isascii() else text
    plain = _PLAIN_EMAIL.fullmatch(lowered)
    if plain and lowered.index("@") <= 64 and plain[1] not in SPECIAL_USE_DOMAIN_NAMES and "xn-" not in lowered:
        return Normalised(lowered)
    try:
        lowered = unicodedata.normalize("NFC", text.lower())
        found = validate_email(lowered, check_deliverability=False, test_environment=True)  # allows `.test` domains
        return Normalised(found.normalized)
    except (EmailNotValidError, UnicodeError, ValueError):
        return Normalised(None, Unusable.NOT_AN_EMAIL)


@lru_cache(maxsize=_CACHED)
def _phone(value: str, region: str | None) -> Normalised:
    text = unicodedata.normalize("NFKC", value).strip()
    if not text:
        return Normalised(None, Unusable.EMPTY)
    if text.startswith("00") and region is None:
        text = "+" + text[2:]
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        missing = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and "+" not in text
        return Normalised(None, Unusable.REGION_MISSING if missing else Unusable.NOT_A_PHONE)
    if not phonenumbers.is_possible_number(number):
        return Normalised(None, Unusable.NOT_A_PHONE)
    digits = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return Normalised(f"{digits};ext={number.extension}" if number.extension else digits)


_YEAR_FIRST: Final = re.compile(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})(?:[T ].*)?", re.ASCII)
_YEAR_LAST: Final = re.compile(r"(\d{1,2})([-/. ])(\d{1,2})\2(\d{4})", re.ASCII)


def _read_date(text: str, day_first: bool | None) -> date | Unusable:
    if found := _YEAR_FIRST.fullmatch(text):
        if not found[2] and len(found[3] + found[4]) != 4:
            return Unusable.NOT_A_DATE
        return _date(int(found[1]), int(found[3]), int(found[4]))
    found = _YEAR_LAST.fullmatch(text)
    if found is None:
        return Unusable.NOT_A_DATE
    first, second, year = int(found[1]), int(found[3]), int(found[4])
    if found[2] in ". " or first > 12:
        day_first = True
    elif second > 12:
        day_first = False
    elif first != second and day_first is None:
        return Unusable.AMBIGUOUS_DATE
    return _date(year, second, first) if day_first else _date(year, first, second)


def _date(year: int, month: int, day: int) -> date | Unusable:
    try:
        return date(year, month, day)
    except ValueError:
        return Unusable.NOT_A_DATE
