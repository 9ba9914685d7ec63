"""A person as a viewer may see them.

A `Profile` wraps what the gate revealed. Its personal fields contain no rules: their categories and purposes are in
`privacy/fields.py` and appear in the SDL as `@personal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import strawberry

from api.graphql.types.activity import Interaction, InteractionFilterInput, Session
from api.graphql.types.consent import ConsentEvent, ConsentState, show_event
from api.graphql.types.item import ItemFilterInput
from api.graphql.types.personal import mark_personal
from api.graphql.types.recommendation import Recommendation
from api.graphql.types.relay import After, Connection, First, Node, given, global_id, show_page
from api.graphql.types.scalars import Date, DateTime, Json
from api.graphql.types.segment import SegmentMembership
from graph.model.recommendation import Strategy
from resolvers.profile.find import PersonView
from resolvers.profile.history import page_consents, page_interactions, page_sessions
from resolvers.profile.recommendations import recommend

IDENTIFIER_KINDS: Final = """Kind of the identifier, which decides how its value is normalised:
- `email`: lower case, Unicode NFC; dots and `+tag` are kept.
- `phone`: E.164, such as `+441632960961`; an extension follows as `;ext=12`.
- `user_id`, `anonymous_id`: surrounding white space removed, Unicode NFC, case kept; 1 to 512 characters.
- Any other kind is external and named by the source, such as `crm_id`; its values are normalised as `user_id`."""
"""The description of every `kind`: what `normalise_identifier` does."""


@strawberry.type(description="A postal address, in the parts that the source sends.")
class Address:
    formatted: str | None = strawberry.field(description="The whole address as one text. Null if unknown.")
    street: str | None = strawberry.field(description="Street and house number. Null if unknown.")
    city: str | None = strawberry.field(description="City or town. Null if unknown.")
    state: str | None = strawberry.field(description="State, province or region. Null if unknown.")
    postal_code: str | None = strawberry.field(description="Postal code. Null if unknown.")
    country: str | None = strawberry.field(
        description="Country, as the source writes it: a code or a name. Null if unknown."
    )


@strawberry.type(description="A value that identifies a person, such as an e-mail address or a customer number.")
class Identifier:
    """Its source is `graph.model.identity.IdentifierRef`."""

    kind: str = strawberry.field(description=IDENTIFIER_KINDS)
    value: str = strawberry.field(description="The value in its normalised form.")
    namespace: str = strawberry.field(
        description="Namespace within which the value is unique. Empty if it is unique everywhere."
    )


@strawberry.type(
    description="How recently, how often and for how much a person buys, with scores of 1 to 5 relative to all buyers."
)
class Rfm:
    """Its source is `graph.model.segments.RfmFacts`."""

    recency: float | None = strawberry.field(
        description="Days from the latest purchase to the computation, as a fraction. Null for partners."
    )
    frequency: float | None = strawberry.field(
        description="Number of purchases in the window (365 days unless configured otherwise); one order is one "
        "purchase. Null for partners."
    )
    monetary: float | None = strawberry.field(
        description="Value of those purchases less refunds, in the shop's own currency. Null for partners."
    )
    recency_score: int = strawberry.field(description="Recency from 1 to 5; 5 is the most recent.")
    frequency_score: int = strawberry.field(description="Frequency from 1 to 5; 5 is the most frequent.")
    monetary_score: int = strawberry.field(description="Monetary value from 1 to 5; 5 is the highest.")
    cell: str = strawberry.field(description="The three scores as digits, such as `545`.")
    computed_at: DateTime = strawberry.field(description="When the scores were computed; for partners, the day.")


@strawberry.type(description="A withheld field, and why it is withheld.")
class Withheld:
    """Its source is `privacy.gate.Withheld`."""

    field: str = strawberry.field(description="Name of the field.")
    reason: str = strawberry.field(
        description="Why it is withheld: `not_permitted` (no consent), `not_computed` (no consent to the computation "
        "it needs), `not_for_purpose` (the purpose may not see it), `no_purpose` (the request has no suitable "
        "purpose), `no_scope` (the auditor's client lacks the scope `values`) or `stale` (consent could not be "
        "determined)."
    )


@mark_personal
@strawberry.type(
    description="A person, derived from source records, as this viewer may see them for the purpose of the request. "
    "A withheld field is null, not an error."
)
class Profile(Node):
    """Its source is a `resolvers.profile.find.PersonView`."""

    id: strawberry.ID = strawberry.field(
        description="Global ID of the profile, which `node` accepts. It stays valid when profiles are merged: it then "
        "leads to the merged profile, whose `id` may differ. A partner gets a pseudonym: no other partner or purpose "
        "has the same one, and a new grant of the person, or a merge, replaces it."
    )
    created_at: DateTime | None = strawberry.field(description="When the profile was created. Null for a partner.")
    updated_at: DateTime | None = strawberry.field(
        description="When linkage last moved a source record to this profile; when it was created if that never "
        "happened. Newer traits do not change it. Null for a partner."
    )
    email: str | None = strawberry.field(
        description="The e-mail address that is known best, and of those the latest, in lower case if it is valid. "
        "Null if unknown or withheld."
    )
    phone: str | None = strawberry.field(
        description="The phone number that is known best, and of those the latest, in E.164 such as `+441632960961` if "
        "it has a country code. Null if unknown or withheld."
    )
    given_name: str | None = strawberry.field(
        description="Given name, as the source writes it. Null if unknown or withheld."
    )
    family_name: str | None = strawberry.field(
        description="Family name, as the source writes it. Null if unknown or withheld."
    )
    birth_date: Date | None = strawberry.field(description="Date of birth. Null if unknown or withheld.")
    age: int | None = strawberry.field(
        description="Age in completed years, 0 to 150: as stated by a source, otherwise computed from the date of "
        "birth. Null if unknown or withheld."
    )
    gender: str | None = strawberry.field(
        description="Gender, in the source's own words; there is no fixed set of values. Null if unknown or withheld."
    )
    language: str | None = strawberry.field(
        description="Language as a lower-case code such as `en`, or as the source writes it if it sends no code. Null "
        "if unknown or withheld."
    )
    country: str | None = strawberry.field(
        description="Country as an upper-case code such as `GB`, or as the source writes it if it sends no two-letter "
        "code. Null if unknown or withheld."
    )
    attributes: Json | None = strawberry.field(
        description="All traits without a field of their own, as a JSON object. Null if there are none or they are "
        "withheld."
    )
    preferences: Json | None = strawberry.field(
        description="Preferences that the person stated, as a JSON object. Null if there are none or they are withheld."
    )
    identifiers: list[Identifier] | None = strawberry.field(
        description="Identifiers of the person's records, sorted by kind and value. Null if withheld."
    )
    consents: list[ConsentState] | None = strawberry.field(
        description="Where each purpose stands: one entry per purpose and, for a purpose with recipients, per partner "
        "named. Null unless the viewer is the person or an auditor."
    )
    segments: list[SegmentMembership] | None = strawberry.field(
        description="Segments that the person is in, sorted by key, without those computed for a purpose that the "
        "person does not permit and, unless the viewer is an operator or an auditor, those that too few people are in. "
        "Null if withheld, or, for a person's own token, if the profile has records that the "
        "token does not reach."
    )
    rfm: Rfm | None = strawberry.field(
        description="Recency, frequency and monetary value, as of the last `refresh`. Null if withheld, if the person "
        "did not permit analytics or bought nothing in the window at that time, if too few people are in the cell "
        "(unless the viewer is an operator or an auditor), or, for a person's own token, if the profile has records "
        "that the token does not reach."
    )
    withheld: list[Withheld] | None = strawberry.field(
        description="The withheld fields of this profile, with reasons. Null unless the viewer is the person or an "
        "auditor."
    )

    def __init__(self, view: PersonView) -> None:
        self._view = view
        self.id = global_id("Profile", view.facts.id)
        self.withheld = view.withheld  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        """Returns a plain field, as the gate revealed it."""
        return getattr(self._view.facts, name)

    def __repr__(self) -> str:
        return "Profile(…)"

    @strawberry.field(
        description="The latest postal address of a system of record, or else of any source. Null if "
        "unknown or withheld."
    )
    def address(self) -> Address | None:
        known = self._view.facts.address
        return read_address(known) if known is not None else None

    @strawberry.field(
        description="The consent log, latest received first. Null unless the viewer is the person or an auditor."
    )
    async def consent_history(self, first: First, after: After = strawberry.UNSET) -> Connection[ConsentEvent] | None:
        page = await page_consents(self._view, first, given(after))
        return show_page(page, show_event) if page else None

    @strawberry.field(description="The person's sessions, latest first. Null if withheld.")
    async def sessions(self, first: First, after: After = strawberry.UNSET) -> Connection[Session] | None:
        page = await page_sessions(self._view, first, given(after))
        return show_page(page) if page else None

    @strawberry.field(description="The person's interactions, latest first. Null if withheld.")
    async def interactions(
        self,
        first: First,
        after: After = strawberry.UNSET,
        where: Annotated[
            InteractionFilterInput | None, strawberry.argument(description="Which interactions; left out or null: all.")
        ] = strawberry.UNSET,
    ) -> Connection[Interaction] | None:
        page = await page_interactions(self._view, first, given(after), where.to_filter() if where else None)
        return show_page(page) if page else None

    @strawberry.field(
        description="Recommended items, best first, without those that are not available or that the person recently "
        "interacted with. Null if withheld or if the person does not permit personalisation."
    )
    def recommendations(
        self,
        first: First = 10,
        strategy: Annotated[
            Strategy | None, strawberry.argument(description="How to recommend; null means AUTO.")
        ] = Strategy.AUTO,
        where: Annotated[
            ItemFilterInput | None,
            strawberry.argument(description="Which items may be recommended; left out or null: all."),
        ] = strawberry.UNSET,
    ) -> list[Recommendation] | None:
        criteria = where.to_filter() if where else None
        return recommend(self._view, first, strategy or Strategy.AUTO, criteria)  # type: ignore[return-value]


def read_address(known: Mapping[str, Any]) -> Address:
    """Returns an address from the parts that sources send, named as in Segment. Leaves out parts that are not text."""
    parts = {name: known.get(name) for name in ("formatted", "street", "city", "state", "country")}
    parts["postal_code"] = known.get("postalCode", known.get("postal_code"))
    return Address(**{name: part if isinstance(part, str) else None for name, part in parts.items()})
