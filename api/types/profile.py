"""A person as a viewer may see them.

What lives here: `Profile`. It holds what the gate let through, privately; each personal field is one line that names no
rule (its category and purposes are in `privacy/fields.py` and show as `@personal`). What does not: reading and deciding
(`resolvers/profiles.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import strawberry

from api.types.activity import Interaction, InteractionFilter, Session
from api.types.consent import ConsentEvent, ConsentState, show_event
from api.types.item import ItemFilter
from api.types.personal import mark_personal
from api.types.recommendation import Recommendation, Strategy
from api.types.relay import Connection, Node, given, global_id, show_page
from api.types.scalars import Date, DateTime, Json
from api.types.segment import SegmentMembership
from resolvers.activity import page_consents, page_interactions, page_sessions
from resolvers.profiles import PersonView, recommend


@strawberry.type(description="A postal address, as far as it is known.")
class Address:
    """An address, by the parts that sources send."""

    formatted: str | None
    street: str | None
    city: str | None
    state: str | None
    postal_code: str | None
    country: str | None


@strawberry.type(description="A value that names a person: an address, a number, an id of some system.")
class Identifier:
    """An identifier; its source is `graph.model.IdentifierRef`."""

    kind: str
    value: str
    namespace: str


@strawberry.type(description="Recency, frequency, monetary value, and their scores 1 to 5 among all people.")
class Rfm:
    """RFM; its source is `graph.model.RfmFacts`."""

    recency: float = strawberry.field(description="Days since the latest purchase.")
    frequency: float
    monetary: float
    recency_score: int
    frequency_score: int
    monetary_score: int
    cell: str
    computed_at: DateTime


@strawberry.type(description="A field that is withheld, and why.")
class Withheld:
    """A withheld field; its source is `privacy.gate.Withheld`."""

    field: str
    reason: str


@mark_personal
@strawberry.type(description="A person, derived from source records, as this viewer may see them for this purpose.")
class Profile(Node):
    """One person, seen by one viewer."""

    created_at: DateTime
    updated_at: DateTime
    email: str | None
    phone: str | None
    given_name: str | None
    family_name: str | None
    birth_date: Date | None
    age: int | None
    gender: str | None
    language: str | None
    country: str | None
    attributes: Json | None
    preferences: Json | None
    identifiers: list[Identifier] | None
    consents: list[ConsentState] | None
    segments: list[SegmentMembership] | None
    rfm: Rfm | None
    withheld: list[Withheld] | None

    def __init__(self, view: PersonView) -> None:
        self._view = view
        self.id = global_id("Profile", view.facts.id)
        self.withheld = view.withheld  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        """Every plain field: what the gate let through."""
        return getattr(self._view.facts, name)

    def __repr__(self) -> str:
        return "Profile(…)"

    @strawberry.field
    def address(self) -> Address | None:
        known = self._view.facts.address
        return read_address(known) if known is not None else None

    @strawberry.field
    def consent_history(self, first: int, after: str | None = strawberry.UNSET) -> Connection[ConsentEvent] | None:
        page = page_consents(self._view, first, given(after))
        return show_page(page, show_event) if page else None

    @strawberry.field
    async def sessions(self, first: int, after: str | None = strawberry.UNSET) -> Connection[Session] | None:
        page = await page_sessions(self._view, first, given(after))
        return show_page(page) if page else None

    @strawberry.field
    async def interactions(
        self, first: int, after: str | None = strawberry.UNSET, where: InteractionFilter | None = strawberry.UNSET
    ) -> Connection[Interaction] | None:
        page = await page_interactions(self._view, first, given(after), where.wish() if where else None)
        return show_page(page) if page else None

    @strawberry.field
    def recommendations(
        self, first: int = 10, strategy: Strategy | None = Strategy.AUTO, where: ItemFilter | None = strawberry.UNSET
    ) -> list[Recommendation] | None:
        kind = (strategy or Strategy.AUTO).value
        return recommend(self._view, first, kind, where.wish() if where else None)  # type: ignore[return-value]


def read_address(known: Mapping[str, Any]) -> Address:
    """An address from the parts that sources send, in Segment's spelling; parts of another kind are left out."""
    parts = {name: known.get(name) for name in ("formatted", "street", "city", "state", "country")}
    parts["postal_code"] = known.get("postalCode", known.get("postal_code"))
    return Address(**{name: part if isinstance(part, str) else None for name, part in parts.items()})
