"""Every personal field of a profile, including derived ones, in one table: its category, the purpose it is computed
for, and how it is withheld. The policy (`privacy/policy.py`) decides which purposes may see a category.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from privacy.purposes import ANALYTICS, PERSONALISATION


class Category(StrEnum):
    """Groups of fields that are treated alike. No purpose opens CONSENTS: it is for the person and auditors only."""

    CONTACT = "contact"
    IDENTITY = "identity"
    DEMOGRAPHICS = "demographics"
    ATTRIBUTES = "attributes"
    BEHAVIOUR = "behaviour"
    PREFERENCES = "preferences"
    SEGMENTS = "segments"
    PREDICTIONS = "predictions"
    CONSENTS = "consents"


class Withholding(StrEnum):
    """How a field is withheld, always before it is filtered, sorted or counted. WHOLE: the field is null. EACH: the
    same, and where the field may be seen, members computed for a purpose that the person does not permit are left
    out."""

    WHOLE = "whole"
    EACH = "each"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One personal field: its name in the API, its slot in `StoredFacts` (None: it has none), its category.

    `computed_for` is the purpose that its computation serves: unless the person permits it, no viewer sees the field.
    `internal`: the API has no such field; other fields are computed from it and withheld with it.
    """

    name: str
    slot: str | None
    category: Category
    computed_for: str | None = None
    withholding: Withholding = Withholding.WHOLE
    internal: bool = False


_TABLE: Final = (
    FieldRule("email", "email", Category.CONTACT),
    FieldRule("phone", "phone", Category.CONTACT),
    FieldRule("address", "address", Category.CONTACT),
    FieldRule("identifiers", "identifiers", Category.CONTACT),
    FieldRule("givenName", "given_name", Category.IDENTITY),
    FieldRule("familyName", "family_name", Category.IDENTITY),
    FieldRule("birthDate", "birth_date", Category.IDENTITY),
    FieldRule("age", "age", Category.DEMOGRAPHICS),
    FieldRule("gender", "gender", Category.DEMOGRAPHICS),
    FieldRule("language", "language", Category.DEMOGRAPHICS),
    FieldRule("country", "country", Category.DEMOGRAPHICS),
    FieldRule("attributes", "attributes", Category.ATTRIBUTES),
    FieldRule("sessions", "sessions", Category.BEHAVIOUR),
    FieldRule("interactions", "interactions", Category.BEHAVIOUR),
    FieldRule("preferences", "preferences", Category.PREFERENCES),
    FieldRule("segments", "segments", Category.SEGMENTS, withholding=Withholding.EACH),
    FieldRule("rfm", "rfm", Category.SEGMENTS, computed_for=ANALYTICS),
    FieldRule("recent", "recent", Category.PREDICTIONS, computed_for=PERSONALISATION, internal=True),
    FieldRule("recommendations", "recommendations", Category.PREDICTIONS, computed_for=PERSONALISATION),
    FieldRule("consents", "consents", Category.CONSENTS),
    FieldRule("consentHistory", "consent_history", Category.CONSENTS),
    FieldRule("withheld", None, Category.CONSENTS),
)

PERSONAL_FIELDS: Final[Mapping[str, FieldRule]] = {rule.name: rule for rule in _TABLE}
"""Personal fields by their name in the API, plus `recent`, the interactions that recommendations start from."""
