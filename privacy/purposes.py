"""The purposes that data may be used for, before a company changes them, and the spelling of permits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final
from unicodedata import normalize

SERVICE: Final = "service"
IDENTITY_LINKING: Final = "identity_linking"
ANALYTICS: Final = "analytics"
PERSONALISATION: Final = "personalisation"
MARKETING: Final = "marketing"
PARTNER_SHARING: Final = "partner_sharing"

ANY_RECIPIENT: Final = "*"
"""Stands for every recipient in a permit. On a purpose that has recipients, a statement without a recipient is about
every recipient: a default that a statement about one recipient refines, or a denial that bars all of them."""


class LawfulBasis(StrEnum):
    """The lawful bases of GDPR Art. 6(1), a to f."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class Regime(StrEnum):
    """What applies without a statement. CONTRACT: permitted, whatever is stated. OPT_OUT: permitted until denied.
    OPT_IN: withheld until given."""

    CONTRACT = "contract"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"


class Mechanism(StrEnum):
    """How a statement came about. Only `opt_in`, or no stated mechanism, can give consent."""

    OPT_IN = "opt_in"
    OPT_OUT = "opt_out"
    NOTICE_ONLY = "notice_only"


class Assurance(IntEnum):
    """How certain it is that the person made the statement. A grant overrides a denial only at its level or above."""

    CARRIED = 0  # repeated along with a message about something else, such as `context.consent`
    STATED = 1  # the subject of its message
    AUTHENTICATED = 2  # by the person's own credential


@dataclass(frozen=True, slots=True)
class Purpose:
    """One reason to use data. `per_recipient`: permitted for one recipient at a time."""

    key: str
    title: str
    description: str
    lawful_basis: LawfulBasis
    regime: Regime
    per_recipient: bool = False


DEFAULT_PURPOSES: Final = (
    Purpose(
        SERVICE,
        "Service",
        "Deliver what the person asked for: orders, accounts, support.",
        LawfulBasis.CONTRACT,
        Regime.CONTRACT,
    ),
    Purpose(
        IDENTITY_LINKING,
        "Identity linking",
        "Recognise that records of several systems are about the same person.",
        LawfulBasis.LEGITIMATE_INTERESTS,
        Regime.OPT_OUT,
    ),
    Purpose(
        ANALYTICS,
        "Analytics",
        "Understand how the service is used: segments, communities, RFM.",
        LawfulBasis.CONSENT,
        Regime.OPT_IN,
    ),
    Purpose(
        PERSONALISATION,
        "Personalisation",
        "Fit what is shown to the person: recommendations, preferences.",
        LawfulBasis.CONSENT,
        Regime.OPT_IN,
    ),
    Purpose(
        MARKETING,
        "Marketing",
        "Address the person with offers, by mail, message or advertisement.",
        LawfulBasis.CONSENT,
        Regime.OPT_IN,
    ),
    Purpose(
        PARTNER_SHARING,
        "Partner sharing",
        "Let a named partner see the person's profile.",
        LawfulBasis.CONSENT,
        Regime.OPT_IN,
        per_recipient=True,
    ),
)

DEFAULT_SEGMENT_CATEGORIES: Final[Mapping[str, str]] = {
    "Analytics": ANALYTICS,
    "Functional": PERSONALISATION,
    "Advertising": MARKETING,
    "DataSharing": PARTNER_SHARING,
}
"""Segment's consent categories → purposes. A category names no recipient: DataSharing is about every recipient."""

DEFAULT_REGIMES: Final[Mapping[str, Mapping[str, Regime]]] = {
    "US-CA": {PARTNER_SHARING: Regime.OPT_OUT},
}
"""Jurisdiction → purpose → regime, where it differs from the purpose's own. Under the CCPA, selling and sharing data is
permitted until an opt-out."""


def spell_recipient(name: str) -> str:
    """Returns a recipient's name as permits spell it: `ACME ` and `acme` are one partner, so that a withdrawal for
    either spelling bars both. Folding case may take accented letters apart (`ΐ`), and capitals are stated in parts of
    other kinds, so the name is put together and folded once more."""
    return _fold(_fold(name))


def _fold(name: str) -> str:
    return normalize("NFKC", name).strip().casefold()


@dataclass(frozen=True, slots=True)
class Permit:
    """A purpose, with a recipient (or `ANY_RECIPIENT`) where the purpose has recipients."""

    purpose: str
    recipient: str | None = None

    def __str__(self) -> str:
        """Returns the permit as it is stored on the person: `personalisation`, `partner_sharing@acme`,
        `partner_sharing@*`."""
        return self.purpose if self.recipient is None else f"{self.purpose}@{self.recipient}"

    @property
    def barred(self) -> str:
        """The permit as it is stored where every recipient but this one is permitted: `!partner_sharing@acme`."""
        return f"!{self}"
