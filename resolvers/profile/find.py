"""Use case: show one person to one viewer. First the person is found and the gate decides, then the parts that it
allows are read.

A person who is absent and one who is invisible give the same result, None, in the same way: people whom the viewer
may not know of are removed before they are counted, ordered or distinguished.

A person's own credential opens the account records that it proves and the devices that it was used on. While evidence
of a source is being derived again, its people are shown record by record, and not at all to partners.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from algorithms.identity.blocking import ANONYMOUS_ID
from algorithms.identity.normalise import normalise_identifier
from algorithms.identity.survivorship import RecordTraits, derive_facts
from graph.errors import BadInput, Forbidden, StoreTimeout
from graph.identity.users import find_live_user
from graph.model.access import Trust
from graph.model.activity import InteractionFacts, SessionFacts
from graph.model.consent import ConsentEvent, ConsentStateFacts
from graph.model.identity import Grade, IdentifierRef, RecordId, RecordKind, RecordRef, UserId
from graph.model.profile import RevealedFacts, StoredFacts
from graph.model.recommendation import RankedItem
from graph.profile import (
    FoundPerson,
    ProfileParts,
    Reach,
    Sharing,
    StoredProfile,
    find_own_person,
    find_people_of_identifier,
    find_person_of_record,
    find_user,
    read_profile,
)
from privacy.fields import PERSONAL_FIELDS
from privacy.gate import Decision, Role, Withheld, decide, reveal
from privacy.purposes import ANALYTICS
from privacy.states import describe_states
from resolvers.consent.permits import fresh_permits
from resolvers.context import RequestContext
from resolvers.profile.pacing import wait_for_beat
from resolvers.profile.pseudonyms import Pseudonyms, is_current
from resolvers.profile.reach import judge_settled, kept_permits, reach_of, settled_permits
from resolvers.segments.reading import choose_memberships, choose_rfm

TRAITS: Final = frozenset(
    ("email", "phone", "givenName", "familyName", "birthDate", "address", "age", "gender", "language", "country",
     "attributes", "preferences")
)  # fmt: skip
"""Fields that come from the traits of records."""

LONGEST_KEY: Final = 512

RECENT: Final = 200
"""Maximum number of latest interactions that recommendations start from."""

ATTEMPTS: Final = 5
"""How often a read starts again because the person's permits changed between its two steps."""

NOBODY: Final = UserId("")
"""Stands for the user of a text that is no pseudonym, so that it is looked up like any other."""


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
    """A person by a source's own key for them. Its kind is part of the key: whoever sends with a public key can name a
    device after an account's user ID, and must not answer for the account."""

    source: str
    key: str
    kind: RecordKind = RecordKind.USER

    @property
    def record(self) -> RecordRef:
        """The record that the key names. Raises BadInput."""
        if max(len(self.source), len(self.key)) > LONGEST_KEY:
            raise BadInput(f"by: a source and a key have at most {LONGEST_KEY} characters.")
        return RecordRef(self.source, self.kind, self.key)


ProfileKey = ById | ByIdentifier | ByRecord


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a query selects of a profile: names of fields in the API, and how many entries of each list's first,
    unfiltered page to include in the read."""

    fields: frozenset[str]
    interactions: int = 0
    sessions: int = 0

    @property
    def behaviour(self) -> bool:
        """Whether anything is read from the person's devices, too."""
        return bool({"interactions", "sessions", "recommendations"} & self.fields)

    def parts(self, decision: Decision) -> ProfileParts:
        """Returns the parts that these fields need and the decision allows."""
        fields = {name for name in self.fields if name in PERSONAL_FIELDS and decision.permits(name)}
        contacts = bool({"email", "phone"} & fields)
        return ProfileParts(
            default_purpose=ANALYTICS,
            traits=bool(TRAITS & fields),
            identifiers=contacts or "identifiers" in fields,
            segments="segments" in fields,
            rfm="rfm" in fields,
            recent=RECENT if "recommendations" in fields else 0,
            interactions=self.interactions + 1 if self.interactions and "interactions" in fields else 0,
            sessions=self.sessions + 1 if self.sessions and "sessions" in fields else 0,
        )


@dataclass(frozen=True, slots=True)
class PersonView:
    """One person as one viewer may see them: the decision, the facts it reveals, the records that the log of consents
    is from, and those that sessions and interactions are from. `pseudonyms` (None: the viewer sees real IDs) name what
    a partner sees, as long as `grant` decides."""

    request: RequestContext
    decision: Decision
    facts: RevealedFacts
    wanted: Wanted
    records: Collection[RecordId]
    behaviour: Mapping[RecordId, Grade]
    pseudonyms: Pseudonyms | None = None
    grant: str = ""

    @property
    def withheld(self) -> tuple[Withheld, ...] | None:
        """The fields that are withheld, with reasons; None for a viewer who may not know."""
        return self.decision.withheld()

    def permits(self, name: str) -> bool:
        """Whether a field of the API may be shown."""
        return self.decision.permits(name)

    def name_part(self, kind: str, key: str) -> str:
        """Returns the ID of a session, an interaction or an order (`kind`) as the viewer may see it."""
        return key if self.pseudonyms is None else self.pseudonyms.of_part(kind, key, self.grant)

    def reveal(
        self,
        *,
        consent_history: Sequence[ConsentEvent] | None = None,
        interactions: Sequence[InteractionFacts] | None = None,
        sessions: Sequence[SessionFacts] | None = None,
        recommendations: Sequence[RankedItem] | None = None,
    ) -> RevealedFacts:
        """Returns what the same decision reveals of facts that were read or computed after the profile."""
        later = StoredFacts(
            self.facts.id,
            self.facts.created_at,
            self.facts.updated_at,
            consent_history=None if consent_history is None else tuple(consent_history),
            interactions=None if interactions is None else tuple(interactions),
            sessions=None if sessions is None else tuple(sessions),
            recommendations=None if recommendations is None else tuple(recommendations),
        )
        return _reveal_visible(self.decision, later)


def _reveal_visible(decision: Decision, stored: StoredFacts) -> RevealedFacts:
    facts = reveal(decision, stored)
    assert facts is not None  # noqa: S101 - narrows the type: views are of visible people only
    return facts


@dataclass(frozen=True, slots=True)
class _Seen:
    """A person whom the viewer may know of, with the gate's decision and the records that may be read."""

    person: FoundPerson
    decision: Decision
    reach: Reach


class _PermitsChanged(Exception):
    """The person's permits changed between the two steps of a read. Handled by starting again."""


async def find_profile(request: RequestContext, key: ProfileKey, wanted: Wanted) -> PersonView | None:
    """Returns the person that a key refers to, as far as the viewer may see them; None if there is none, if the viewer
    may not know of them, or if several match. To a partner, each None comes on a beat (see `pacing`). Raises BadInput,
    StoreTimeout."""
    started, subject = time.perf_counter(), request.viewer.subject
    if subject is None:
        found = await _read_steadily(lambda: _find_any(request, key, wanted))
    else:
        found = await _read_steadily(lambda: _find_bound(request, subject, key, wanted))
    if found is None and request.viewer.role is Role.PARTNER:
        await wait_for_beat(started)
    return found


async def find_own(request: RequestContext, wanted: Wanted) -> PersonView | None:
    """Returns the person behind the viewer's own credential. Raises Forbidden if it belongs to no person, and
    StoreTimeout."""
    subject = request.viewer.subject
    if subject is None:
        raise Forbidden("me: this credential is not a person's; use profile(by: …).")
    return await _read_steadily(lambda: _find_bound(request, subject, None, wanted))


async def _read_steadily(read: Callable[[], Awaitable[PersonView | None]]) -> PersonView | None:
    """Returns what a read returns that no change of permits interrupted. Raises StoreTimeout."""
    for _ in range(ATTEMPTS):
        try:
            return await read()
        except _PermitsChanged:
            continue
    raise StoreTimeout(BUSY)


BUSY: Final = "The person's consents change faster than they can be read; try again."


async def _find_any(request: RequestContext, key: ProfileKey, wanted: Wanted) -> PersonView | None:
    people = await _find_people(request, key, wanted.behaviour)
    seen = [one for person in people if (one := await _see(request, person))]
    if isinstance(key, ByIdentifier):
        seen = [one for one in seen if one.person.grade is seen[0].person.grade]
        if len(seen) > 1:
            return None
    return await _view(request, seen[0], await _read(request, seen[0], wanted), wanted) if seen else None


async def _find_bound(
    request: RequestContext, subject: RecordRef, key: ProfileKey | None, wanted: Wanted
) -> PersonView | None:
    """Returns the person of a record, limited to what the credential proves; None if a key is given that does not match
    them by that data."""
    client, sources = request.services.client, request.viewer.sources
    for person in await find_own_person(client, subject.id, sources, behaviour=wanted.behaviour):
        one = await _see(request, person)
        if one is None:
            continue
        stored = await _read(request, one, wanted, identifiers=isinstance(key, ByIdentifier))
        if key is None or await _means(request, key, one, stored):
            return await _view(request, one, stored, wanted)
    return None


async def _means(request: RequestContext, key: ProfileKey, seen: _Seen, stored: StoredProfile) -> bool:
    """Whether a key means this person, judging by what the credential proves."""
    match key:
        case ById(user):
            return await find_live_user(request.services.client, user) == seen.person.id
        case ByRecord():
            return key.record.id in seen.reach.records
        case ByIdentifier(kind, value):
            normal = normalise_identifier(kind, value)
            return normal is not None and IdentifierRef(kind, normal) in stored.identifiers


async def _find_people(request: RequestContext, key: ProfileKey, behaviour: bool) -> Sequence[FoundPerson]:
    client, sharing = request.services.client, _sharing(request)
    match key:
        case ById(user):
            pseudonyms = _pseudonyms(request)
            if pseudonyms is None:
                return await find_user(client, user, sharing, behaviour=behaviour)
            meant, grant = pseudonyms.read_person(user) or (NOBODY, b"")
            found = await find_user(client, meant, sharing, behaviour=behaviour)
            return [one for one in found if is_current(grant, _grant(request, one))]
        case ByRecord():
            return await find_person_of_record(client, key.record.id, sharing, behaviour=behaviour)
        case ByIdentifier(kind, value):
            normal = normalise_identifier(kind, value)
            if normal is None:
                return ()
            return await find_people_of_identifier(client, IdentifierRef(kind, normal), sharing, behaviour=behaviour)


def _sharing(request: RequestContext) -> Sharing:
    """Returns what a person must permit to be found at all."""
    viewer = request.viewer
    if viewer.role is not Role.PARTNER:
        return Sharing(now=request.now)
    permit = request.services.policy.permit(viewer.purpose or "", viewer.recipient)
    return Sharing(str(permit), str(replace(permit, recipient="*")), permit.barred, request.now)


def _pseudonyms(request: RequestContext) -> Pseudonyms | None:
    """Returns the pseudonyms that a partner sees; None for viewers who see real IDs."""
    viewer = request.viewer
    if viewer.role is not Role.PARTNER:
        return None
    return Pseudonyms(request.services.secret, viewer.recipient or "", viewer.purpose or "")


def _grant(request: RequestContext, person: FoundPerson) -> str:
    """Returns the grant that opens a person to a partner; empty if none does, as under an opt-out regime."""
    viewer = request.viewer
    permit = request.services.policy.permit(viewer.purpose or "", viewer.recipient)
    place = kept_permits(person).deciding(permit)
    return person.permit_grants[place] if place is not None and place < len(person.permit_grants) else ""


async def _see(request: RequestContext, person: FoundPerson) -> _Seen | None:
    """Returns the person with the gate's decision, on permits that hold now, and the records that may be read; None if
    the viewer may not know of them. For a partner, nothing is refolded."""
    services, subject = request.services, kept_permits(person)
    if request.viewer.role is not Role.PARTNER:
        subject = await fresh_permits(services.client, person.id, subject, services.policy, request.now)
    subject = await settled_permits(request, person, subject)
    decision = decide(request.viewer, subject, services.policy, request.now)
    return _Seen(person, decision, reach_of(request, person)) if decision.visible else None


async def _read(request: RequestContext, seen: _Seen, wanted: Wanted, *, identifiers: bool = False) -> StoredProfile:
    """Reads the parts that the decision allows. Raises _PermitsChanged if it no longer holds."""
    parts = wanted.parts(seen.decision)
    parts = replace(parts, identifiers=parts.identifiers or identifiers)
    epoch = seen.decision.consent_epoch
    stored = await read_profile(request.services.client, seen.person.id, epoch, seen.reach, parts)
    if stored is None:
        raise _PermitsChanged
    return stored


async def _judge(request: RequestContext, seen: _Seen) -> tuple[ConsentStateFacts, ...]:
    """Returns the permits in force, from the same log and the same fold as those that the gate decides by. What
    happened on records that the viewer can't read is only told in effect."""
    return describe_states(await judge_settled(request, seen.person), seen.reach.records)


async def _view(request: RequestContext, seen: _Seen, stored: StoredProfile, wanted: Wanted) -> PersonView:
    pseudonyms, person = _pseudonyms(request), seen.person
    grant = "" if pseudonyms is None else _grant(request, person)
    shown = person.id if pseudonyms is None else pseudonyms.of_person(person.id, grant)
    consents = None
    if "consents" in wanted.fields and seen.decision.permits("consents"):
        consents = await _judge(request, seen)
    whole = len(seen.reach.records) == len(person.records)
    facts = StoredFacts(
        id=shown,
        created_at=person.created_at,
        updated_at=person.updated_at,
        identifiers=_hide_secrets(request, stored.identifiers),
        consents=consents,
        sessions=stored.sessions,
        interactions=stored.interactions,
        # Both are computed from all records, so they are not shown for some of them.
        segments=choose_memberships(request, stored.segments) if whole else None,
        rfm=choose_rfm(request, stored.rfm) if whole else None,
        recent=stored.recent,
        **derive_facts(_traits_of(stored), request.now),
    )
    revealed = _reveal_visible(seen.decision, facts)
    return PersonView(
        request, seen.decision, revealed, wanted, seen.reach.records, seen.reach.behaviour, pseudonyms, grant
    )


def _hide_secrets(request: RequestContext, identifiers: Sequence[IdentifierRef]) -> tuple[IdentifierRef, ...]:
    """Leaves out anonymous IDs, except for operators and auditors: whoever has one may grant for the device."""
    shown = request.viewer.role in (Role.OPERATOR, Role.AUDITOR)
    return tuple(one for one in identifiers if shown or one.kind != ANONYMOUS_ID)


def _traits_of(stored: StoredProfile) -> dict[RecordId, RecordTraits]:
    contacts: dict[RecordId, dict[tuple[str, str], Grade]] = {}
    for held in stored.holdings:
        contacts.setdefault(held.record, {})[held.ref.kind, held.ref.value] = held.grade
    return {
        record: RecordTraits(traits, stored.trusts.get(record, Trust.SERVER), contacts.get(record, {}))
        for record, traits in stored.traits.items()
    }
