"""One person as a viewer may get to see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graph.model.activity import InteractionFacts, RecentInteraction, SessionFacts
from graph.model.consent import ConsentEvent, ConsentStateFacts
from graph.model.identity import IdentifierRef, UserId
from graph.model.recommendation import RankedItem
from graph.model.segments import MembershipFacts, RfmFacts
from graph.model.time import Millis


@dataclass(frozen=True, slots=True)
class ProfileFacts:
    """What a profile query found out about a person. It leaves only through `privacy.gate.reveal`, which sets to None
    what is withheld; so None means withheld, absent, or not asked for. Every field but the first three is listed in
    `privacy/fields.py`. `recent` is what recommendations start from and is withheld with them."""

    id: UserId
    created_at: Millis
    updated_at: Millis
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
