"""One person: the facts that were read about them, and those that may leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any, Final

from graph.model.activity import InteractionFacts, RecentInteraction, SessionFacts
from graph.model.consent import ConsentEvent, ConsentStateFacts
from graph.model.identity import IdentifierRef
from graph.model.recommendation import RankedItem
from graph.model.segments import MembershipFacts, RfmFacts
from graph.model.time import Millis

REVEAL_MINT: Final = object()
"""The token needed to make `RevealedFacts`. Only `privacy/gate.py` may name it; a test searches the code for others."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """The fields of both types. All but the first three are listed in `privacy/fields.py`. `id` is the one that the
    viewer may see: for a partner a pseudonym. `recent` is what recommendations start from, and is withheld with
    them."""

    id: str
    created_at: Millis | None
    updated_at: Millis | None
    email: str | None = None
    phone: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    birth_date: str | None = None
    address: Mapping[str, Any] | None = None
    age: int | None = None
    gender: str | None = None
    language: str | None = None
    country: str | None = None
    attributes: Mapping[str, Any] | None = None
    identifiers: tuple[IdentifierRef, ...] | None = None
    consents: tuple[ConsentStateFacts, ...] | None = None
    consent_history: tuple[ConsentEvent, ...] | None = None
    sessions: tuple[SessionFacts, ...] | None = None
    interactions: tuple[InteractionFacts, ...] | None = None
    preferences: Mapping[str, Any] | None = None
    segments: tuple[MembershipFacts, ...] | None = None
    rfm: RfmFacts | None = None
    recent: tuple[RecentInteraction, ...] | None = None
    recommendations: tuple[RankedItem, ...] | None = None


@dataclass(frozen=True, slots=True)
class StoredFacts(_Facts):
    """What was read or computed about a person; None where unknown or not asked for. `privacy.gate.reveal` turns it
    into `RevealedFacts`."""


@dataclass(frozen=True, slots=True)
class RevealedFacts(_Facts):
    """What one viewer may see of a person; None where withheld, unknown or not asked for. Only the gate makes it, and
    everything that shows a person takes it."""

    mint: InitVar[object] = None

    def __post_init__(self, mint: object) -> None:
        if mint is not REVEAL_MINT:
            raise TypeError("RevealedFacts are made by privacy.gate.reveal only")
