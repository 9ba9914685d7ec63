"""Use case: show one person to one viewer, with one read of the store and one decision of the gate.

A person who is absent and one who is invisible give the same result, None, in the same way: candidates that the viewer
may not know of are removed before they are counted, ordered or distinguished.

Linkage trusts the identifiers that records claim; a person's own credential does not. It opens only what its own record
leads to, so that no one can read another person's data by claiming their e-mail address.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from algorithms.identity.normalise import normalise_identifier
from algorithms.identity.survivorship import derive_facts
from graph.errors import BadInput, Forbidden
from graph.identity.users import find_live_user
from graph.model.activity import InteractionFacts, SessionFacts
from graph.model.identity import IdentifierRef, RecordId, RecordKind, RecordRef, UserId
from graph.model.profile import RevealedFacts, StoredFacts
from graph.model.recommendation import RankedItem
from graph.profile import (
    ProfileParts,
    Sharing,
    StoredProfile,
    read_profile_of_own,
    read_profile_of_user,
    read_profiles_of_identifier,
    read_profiles_of_records,
)
from privacy.gate import Decision, Role, SubjectPermits, Withheld, decide, reveal
from privacy.purposes import ANALYTICS
from privacy.rules import describe_states, fold, instant_of
from resolvers.consent.permits import fresh_permits
from resolvers.context import RequestContext
from resolvers.segments.reading import choose_memberships, choose_rfm

TRAITS: Final = frozenset(
    ("email", "phone", "givenName", "familyName", "birthDate", "address", "age", "gender", "language", "country",
     "attributes", "preferences")
)  # fmt: skip
"""Fields that come from the traits of records."""

LONGEST_KEY: Final = 512

RECENT: Final = 200
"""Maximum number of latest interactions that recommendations start from."""


@dataclass(frozen=True, slots=True)
class ById:
    """A person by the ID that the API issued for them."""

    user: UserId


@dataclass(frozen=True, slots=True)
class ByIdentifier:
    """A person by an identifier, which is normalised in the same way as on arrival."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class ByRecord:
    """A person by a source's own key for them: a user ID, or else an anonymous ID."""

    source: str
    key: str


ProfileKey = ById | ByIdentifier | ByRecord


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a query selects of a profile: names of fields in the API, and how many entries of each list's first,
    unfiltered page to include in the one read."""

    fields: frozenset[str]
    interactions: int = 0
    sessions: int = 0

    def parts(self) -> ProfileParts:
        """Returns the parts of the read that these fields need."""
        fields = self.fields
        return ProfileParts(
            default_purpose=ANALYTICS,
            traits=bool(TRAITS & fields),
            identifiers="identifiers" in fields,
            consents=bool({"consents", "consentHistory"} & fields),
            segments="segments" in fields,
            rfm="rfm" in fields,
            recent=RECENT if "recommendations" in fields else 0,
            interactions=self.interactions + 1 if self.interactions else 0,
            sessions=self.sessions + 1 if self.sessions else 0,
        )


@dataclass(frozen=True, slots=True)
class PersonView:
    """One person as one viewer may see them: the decision, the facts it reveals, and the records they are from."""

    request: RequestContext
    decision: Decision
    facts: RevealedFacts
    wanted: Wanted
    records: frozenset[RecordId]

    @property
    def withheld(self) -> tuple[Withheld, ...] | None:
        """The fields that are withheld, with reasons; None for a viewer who may not know."""
        return self.decision.withheld()

    def permits(self, name: str) -> bool:
        """Whether a field of the API may be shown."""
        return self.decision.permits(name)

    def reveal(
        self,
        *,
        interactions: Sequence[InteractionFacts] | None = None,
        sessions: Sequence[SessionFacts] | None = None,
        recommendations: Sequence[RankedItem] | None = None,
    ) -> RevealedFacts:
        """Returns what the same decision reveals of facts that were read or computed after the profile."""
        later = StoredFacts(
            self.facts.id,
            self.facts.created_at,
            self.facts.updated_at,
            interactions=None if interactions is None else tuple(interactions),
            sessions=None if sessions is None else tuple(sessions),
            recommendations=None if recommendations is None else tuple(recommendations),
        )
        return _reveal_visible(self.decision, later)


def _reveal_visible(decision: Decision, stored: StoredFacts) -> RevealedFacts:
    facts = reveal(decision, stored)
    assert facts is not None  # noqa: S101 - narrows the type: views are of visible people only
    return facts


async def find_profile(request: RequestContext, key: ProfileKey, wanted: Wanted) -> PersonView | None:
    """Returns the person that a key refers to, as far as the viewer may see them; None if there is none, if the viewer
    may not know of them, or if several match."""
    if request.viewer.subject is not None:
        return await _find_bound(request, request.viewer.subject, key, wanted)
    stored = await _read_candidates(request, key, wanted.parts())
    seen: list[tuple[StoredProfile, Decision]] = []
    for one in stored:
        decision = await _decide(request, one)
        if decision.visible:
            seen.append((one, decision))
    if isinstance(key, ByIdentifier):
        linking = [entry for entry in seen if not entry[0].linking_objected]
        seen = linking or seen
        if len(seen) > 1:
            return None
    return _view(request, *seen[0], wanted) if seen else None


async def find_own(request: RequestContext, wanted: Wanted) -> PersonView | None:
    """Returns the person behind the viewer's own credential. Raises Forbidden if it belongs to no person."""
    subject = request.viewer.subject
    if subject is None:
        raise Forbidden("me: this credential is not a person's; use profile(by: …).")
    return await _find_bound(request, subject, None, wanted)


async def _find_bound(
    request: RequestContext, subject: RecordRef, key: ProfileKey | None, wanted: Wanted
) -> PersonView | None:
    """Returns the person of a record, limited to what the record itself leads to; None if a key is given that does not
    match them by that data."""
    parts = wanted.parts()
    if isinstance(key, ByIdentifier):
        parts = replace(parts, identifiers=True)
    for one in await read_profile_of_own(request.services.client, subject.id, parts):
        decision = await _decide(request, one)
        if decision.visible and (key is None or await _means(request, key, one)):
            return _view(request, one, decision, wanted)
    return None


async def _means(request: RequestContext, key: ProfileKey, stored: StoredProfile) -> bool:
    """Whether a key means this person, judging by what was read of them."""
    match key:
        case ById(user):
            return await find_live_user(request.services.client, user) == stored.id
        case ByRecord():
            return any(ref.id in stored.read for ref in _refs(key))
        case ByIdentifier(kind, value):
            normal = normalise_identifier(kind, value)
            return normal is not None and IdentifierRef(kind, normal) in stored.identifiers


def _refs(key: ByRecord) -> list[RecordRef]:
    """Returns the records that a source's own key may mean. Raises BadInput."""
    if max(len(key.source), len(key.key)) > LONGEST_KEY:
        raise BadInput(f"by: a source and a key have at most {LONGEST_KEY} characters.")
    return [RecordRef(key.source, kind, key.key) for kind in (RecordKind.USER, RecordKind.ANONYMOUS)]


async def _read_candidates(request: RequestContext, key: ProfileKey, parts: ProfileParts) -> Sequence[StoredProfile]:
    client = request.services.client
    match key:
        case ById(user):
            return await read_profile_of_user(client, user, parts)
        case ByRecord():
            return await read_profiles_of_records(client, [ref.id for ref in _refs(key)], parts)
        case ByIdentifier(kind, value):
            normal = normalise_identifier(kind, value)
            if normal is None:
                return ()
            identifier = IdentifierRef(kind, normal)
            return await read_profiles_of_identifier(client, identifier, _sharing(request), request.now, parts)


def _sharing(request: RequestContext) -> Sharing:
    """Returns what a person must permit to be a candidate at all."""
    viewer = request.viewer
    if viewer.role is not Role.PARTNER:
        return Sharing()
    permit = request.services.policy.permit(viewer.purpose or "", viewer.recipient)
    return Sharing(str(permit), str(replace(permit, recipient="*")), permit.barred)


async def _decide(request: RequestContext, stored: StoredProfile) -> Decision:
    """Returns the gate's decision, on permits that hold now. For a partner, nothing is refolded."""
    services = request.services
    subject = SubjectPermits(
        permits=stored.permits,
        permits_until=stored.permits_until,
        consent_epoch=stored.consent_epoch,
        ends=stored.permit_ends,
        grants=stored.permit_grants,
        records=frozenset(record.id for record in stored.records),
    )
    if request.viewer.role is not Role.PARTNER:
        subject = await fresh_permits(services.client, stored.id, subject, services.policy, request.now)
    return decide(request.viewer, subject, services.policy, request.now)


def _view(request: RequestContext, stored: StoredProfile, decision: Decision, wanted: Wanted) -> PersonView:
    facts = _reveal_visible(decision, _gather(request, stored, wanted.fields))
    return PersonView(request, decision, facts, wanted, stored.read)


def _gather(request: RequestContext, stored: StoredProfile, fields: Collection[str]) -> StoredFacts:
    """Returns everything that was read as the facts of a profile."""
    consents = None
    if "consents" in fields:
        consents = describe_states(fold(stored.events, instant_of(stored.events, request.now), request.services.policy))
    return StoredFacts(
        id=stored.id,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
        identifiers=stored.identifiers,
        consents=consents,
        consent_history=stored.events,
        sessions=stored.sessions,
        interactions=stored.interactions,
        # Both are computed from all records, so they are not shown for some of them.
        segments=choose_memberships(request, stored.segments) if stored.whole else None,
        rfm=choose_rfm(request, stored.rfm) if stored.whole else None,
        recent=stored.recent,
        **derive_facts(stored.traits, request.now),
    )
