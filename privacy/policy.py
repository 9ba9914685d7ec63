"""The policy: a company's decisions about purposes, as data. It holds the purposes, the categories that each may see,
regimes by jurisdiction and the translation of Segment's categories: a default, and a company's changes to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from json import dumps
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graph.errors import BadInput
from graph.model.consent import ConsentStatement
from privacy.fields import Category
from privacy.purposes import (
    ANALYTICS,
    DEFAULT_PURPOSES,
    DEFAULT_REGIMES,
    DEFAULT_SEGMENT_CATEGORIES,
    MARKETING,
    PARTNER_SHARING,
    PERSONALISATION,
    SERVICE,
    LawfulBasis,
    Mechanism,
    Permit,
    Purpose,
    Regime,
)

LATEST_INSTANT: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, and the latest instant in a statement."""

_RECIPIENT: Final = re.compile(r"[^\s*@!](?:[^*@\x00-\x1f\x7f]{0,198}[^\s*@])?")

DEFAULT_CATEGORIES: Final[Mapping[Category, frozenset[str]]] = {
    Category.CONTACT: frozenset({SERVICE, MARKETING}),
    Category.IDENTITY: frozenset({SERVICE, PERSONALISATION, MARKETING}),
    Category.DEMOGRAPHICS: frozenset({SERVICE, PERSONALISATION, ANALYTICS, MARKETING, PARTNER_SHARING}),
    Category.ATTRIBUTES: frozenset({SERVICE, PERSONALISATION}),
    Category.BEHAVIOUR: frozenset({PERSONALISATION, ANALYTICS}),
    Category.PREFERENCES: frozenset({PERSONALISATION, MARKETING, PARTNER_SHARING}),
    Category.SEGMENTS: frozenset({PERSONALISATION, ANALYTICS, MARKETING, PARTNER_SHARING}),
    Category.PREDICTIONS: frozenset({PERSONALISATION}),
}
"""Category → purposes that may see it. CONSENTS is missing: no purpose opens it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A company's decisions. Mappings are read-only; `controller` applies to statements that name none."""

    purposes: Mapping[str, Purpose]
    categories: Mapping[Category, frozenset[str]]
    regimes: Mapping[str, Mapping[str, Regime]]
    segment_categories: Mapping[str, str]
    controller: str | None = None

    @classmethod
    def default(cls) -> Policy:
        """Returns the policy of a company that changes nothing."""
        return cls.parse({})

    @classmethod
    def parse(cls, changes: Mapping[str, Any]) -> Policy:
        """Returns the default policy with a company's changes: each entry replaces the default's entry of the same
        name; all others stay. Raises BadInput, which names the entry and what is expected of it."""
        try:
            given = _PolicyFile.model_validate(dict(changes))
        except ValidationError as error:
            raise BadInput(_explain(error)) from None
        purposes = {purpose.key: purpose for purpose in DEFAULT_PURPOSES}
        purposes |= {key: Purpose(key=key, **entry.model_dump()) for key, entry in given.purposes.items()}
        regimes = {place: dict(entry) for place, entry in DEFAULT_REGIMES.items()}
        for place, entry in given.regimes.items():
            regimes[place.upper()] = regimes.get(place.upper(), {}) | entry
        policy = cls(
            purposes=MappingProxyType(purposes),
            categories=MappingProxyType({**DEFAULT_CATEGORIES, **given.categories}),
            regimes=MappingProxyType({place: MappingProxyType(entry) for place, entry in regimes.items()}),
            segment_categories=MappingProxyType({**DEFAULT_SEGMENT_CATEGORIES, **given.segment_categories}),
            controller=given.controller,
        )
        policy._check_references()
        return policy

    def _check_references(self) -> None:
        named = [("categories", purpose) for seen_by in self.categories.values() for purpose in seen_by]
        named += [("regimes", purpose) for entry in self.regimes.values() for purpose in entry]
        named += [("segment_categories", purpose) for purpose in self.segment_categories.values()]
        for section, purpose in named:
            if purpose not in self.purposes:
                raise BadInput(
                    f"policy.{section}: {purpose!r} is not a purpose; known purposes are {', '.join(self.purposes)}"
                )
        if Category.CONSENTS in self.categories:
            raise BadInput("policy.categories: consents are for the person and auditors; no purpose may see them")

    @property
    def version(self) -> str:
        """A digest of the whole policy, 16 hexadecimal digits: equal for equal decisions, in every process."""
        content = {
            "purposes": {key: asdict(purpose) for key, purpose in self.purposes.items()},
            "categories": {key: sorted(seen_by) for key, seen_by in self.categories.items()},
            "regimes": {place: dict(entry) for place, entry in self.regimes.items()},
            "segment_categories": dict(self.segment_categories),
            "controller": self.controller,
        }
        return sha256(dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def regime(self, purpose: str, jurisdiction: str | None) -> Regime:
        """Returns the regime of a purpose in a jurisdiction: of `US-CA`, else of `US`, else the purpose's own."""
        place = (jurisdiction or "").strip().upper().replace("_", "-")
        while place:
            found = self.regimes.get(place, {}).get(purpose)
            if found is not None:
                return found
            place = place.rpartition("-")[0]
        return self.purposes[purpose].regime

    def permit(self, purpose: str, recipient: str | None = None) -> Permit:
        """Returns the permit of a purpose for one recipient, or for the first party. Raises BadInput if the purpose is
        unknown or does not fit the recipient."""
        known = self.purposes.get(purpose)
        if known is None:
            raise BadInput(f"purpose: {purpose[:64]!r} is not one of {', '.join(self.purposes)}")
        if not known.per_recipient and recipient is not None:
            raise BadInput(f"recipient: {purpose} is for the first party; leave it out")
        if known.per_recipient and recipient is None:
            raise BadInput(f"recipient: {purpose} is permitted for one recipient at a time; name it")
        if recipient is not None and not _RECIPIENT.fullmatch(recipient):
            raise BadInput("recipient: expected a name of 1 to 200 characters without '*' or '@'")
        return Permit(purpose, recipient)

    def check_statement(self, statement: ConsentStatement) -> None:
        """Raises BadInput if a statement can't be folded. If the purpose has recipients, a statement without one is
        about every recipient."""
        known = self.purposes.get(statement.purpose)
        everyone = known is not None and known.per_recipient and statement.recipient is None
        if not everyone:
            self.permit(statement.purpose, statement.recipient)
        for name in ("effective_at", "expires_at"):
            at = getattr(statement, name)
            if at is not None and not 0 <= at <= LATEST_INSTANT:
                raise BadInput(f"{name}: expected an instant from 1970 to 9999")
        mechanism = statement.mechanism
        if mechanism is not None and mechanism.lower().replace("-", "_") not in set(Mechanism):
            raise BadInput(f"mechanism: expected one of {', '.join(Mechanism)}")
        if statement.lawful_basis is not None and statement.lawful_basis not in set(LawfulBasis):
            raise BadInput(f"lawfulBasis: expected one of {', '.join(LawfulBasis)}")
        if not 0 <= statement.assurance <= 9:
            raise BadInput("assurance: expected a level from 0 to 9")

    def purpose_of_category(self, category: str) -> str | None:
        """Returns the purpose that one of Segment's consent categories stands for; None if it stands for none."""
        return self.segment_categories.get(category)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _PurposeEntry(_Strict):
    title: str = Field(min_length=1, max_length=80)
    description: str = Field(min_length=1, max_length=500)
    lawful_basis: LawfulBasis
    regime: Regime
    per_recipient: bool = False


_Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
_Place = Annotated[str, Field(pattern=r"^[A-Za-z]{2}(-[A-Za-z0-9]{1,3})?$")]


class _PolicyFile(_Strict):
    purposes: dict[_Key, _PurposeEntry] = {}
    categories: dict[Category, frozenset[_Key]] = {}
    regimes: dict[_Place, dict[_Key, Regime]] = {}
    segment_categories: dict[str, _Key] = {}
    controller: str | None = Field(default=None, min_length=1, max_length=200)


def _explain(error: ValidationError) -> str:
    """Returns where the errors are and what they are, without quoting the values."""
    parts = [f"{'.'.join(str(step) for step in found['loc'])}: {found['msg']}" for found in error.errors()]
    return "policy." + "; policy.".join(parts)
