"""The gate: the only place where personal values are revealed, and the only one that mints scopes for computing.

It decides once what a viewer may see of a person, category by category (permitted, withheld or undecided, with a
reason), and turns the stored facts into those that may leave. What is undecided is withheld.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from graph.model.identity import RecordId, RecordRef
from graph.model.profile import REVEAL_MINT, RevealedFacts, StoredFacts
from graph.model.scope import SCOPE_MINT, PermittedScope
from graph.model.time import Millis
from privacy.fields import PERSONAL_FIELDS, Category, FieldRule, Withholding
from privacy.policy import Policy
from privacy.purposes import ANY_RECIPIENT, Permit

VALUES_SCOPE: Final = "values"
"""The scope that an auditor needs to see the values of fields."""


class Role(StrEnum):
    """The relation of a credential's client to the person."""

    SUBJECT = "subject"
    FRONTEND = "frontend"
    PARTNER = "partner"
    AUDITOR = "auditor"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who makes a request, and what for: the client, its role, one of its purposes, a partner's recipient, and the
    record that the credential is bound to (None: it is not bound to a person). `sources` are those that the
    credential's issuer may speak for (None: all)."""

    client: str
    role: Role
    purpose: str | None = None
    recipient: str | None = None
    subject: RecordRef | None = None
    scopes: frozenset[str] = frozenset()
    sources: frozenset[str] | None = None

    @property
    def credential(self) -> str:
        """What limits the viewer's requests: the client, or the person behind a subject token of the client."""
        return self.client if self.subject is None else f"{self.client} {self.subject.id}"


@dataclass(frozen=True, slots=True)
class SubjectPermits:
    """What the graph keeps of a person's consents: the permits, when they have to be folded again (None: never) and
    their epoch. `ends` and `grants` have the order of `permits`: until when each may be relied on (0: no end; without
    `ends`, all end at `permits_until`), and the grant that decides it. `records` are all of the person's live records:
    a viewer bound to a record sees the person only if it is among them."""

    permits: tuple[str, ...] = ()
    permits_until: Millis | None = None
    consent_epoch: int = 0
    records: frozenset[RecordId] = frozenset()
    ends: tuple[int, ...] = ()
    grants: tuple[str, ...] = ()

    def stale(self, now: Millis) -> bool:
        """Whether a refold is due, since some permit may have changed."""
        return self.permits_until is not None and now >= self.permits_until

    def deciding(self, permit: Permit) -> int | None:
        """Returns the place of the permit that permits a purpose (and recipient): that permit itself, or else the one
        for every recipient; None if there is none."""
        name, everyone = str(permit), str(Permit(permit.purpose, ANY_RECIPIENT))
        if name in self.permits:
            return self.permits.index(name)
        if permit.recipient is None or everyone not in self.permits or permit.barred in self.permits:
            return None
        return self.permits.index(everyone)

    def ended(self, place: int, now: Millis) -> bool:
        """Whether a permit is past its end, so that it can't be relied on."""
        end = self.ends[place] if len(self.ends) == len(self.permits) else self.permits_until or 0
        return end != 0 and now >= end


class Ruling(StrEnum):
    """What the gate decides about a category. Only PERMITTED reveals a value."""

    PERMITTED = "permitted"
    WITHHELD = "withheld"
    UNDECIDED = "undecided"


class VerdictReason(StrEnum):
    """Why the gate decides as it does."""

    OWN = "own"
    PURPOSE_PERMITTED = "purpose_permitted"
    AUDIT = "audit"
    NO_PURPOSE = "no_purpose"
    NOT_FOR_PURPOSE = "not_for_purpose"
    NOT_PERMITTED = "not_permitted"
    NOT_COMPUTED = "not_computed"
    NOT_FOR_ROLE = "not_for_role"
    NO_SCOPE = "no_scope"
    STALE = "stale"
    UNKNOWN_FIELD = "unknown_field"
    INVISIBLE = "invisible"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ruling with its reason."""

    ruling: Ruling
    reason: VerdictReason


@dataclass(frozen=True, slots=True)
class Withheld:
    """A field that is withheld, and why; shown only to viewers who may know."""

    field: str
    reason: VerdictReason


@dataclass(frozen=True, slots=True)
class Decision:
    """What one viewer may see of one person at one instant, for one purpose. `held` are the first-party purposes that
    the person permits, `ended` those whose permit is past its end. `explains`: the viewer may know what is withheld,
    and why. `timeless`: the viewer sees no times of the profile itself."""

    visible: bool
    categories: Mapping[Category, Verdict]
    held: frozenset[str]
    ended: frozenset[str]
    explains: bool
    timeless: bool
    purpose: str | None
    consent_epoch: int

    def verdict(self, field: str) -> Verdict:
        """Returns the verdict on a field, by its name in the API."""
        rule = PERSONAL_FIELDS.get(field)
        if rule is None:
            return Verdict(Ruling.UNDECIDED, VerdictReason.UNKNOWN_FIELD)
        found = self.categories[rule.category]
        if found.ruling is not Ruling.PERMITTED or rule.computed_for is None or rule.computed_for in self.held:
            return found
        if rule.computed_for in self.ended:
            return Verdict(Ruling.UNDECIDED, VerdictReason.STALE)
        return Verdict(Ruling.WITHHELD, VerdictReason.NOT_COMPUTED)

    def permits(self, field: str) -> bool:
        """Whether the viewer may see a field."""
        return self.verdict(field).ruling is Ruling.PERMITTED

    def reason(self, field: str) -> VerdictReason:
        """Returns why the viewer may or may not see a field."""
        return self.verdict(field).reason

    def withheld(self) -> tuple[Withheld, ...] | None:
        """Returns the fields of the API that are withheld, with reasons; None for a viewer who may not know."""
        if not self.explains:
            return None
        names = (name for name, rule in PERSONAL_FIELDS.items() if not rule.internal)
        return tuple(Withheld(name, self.reason(name)) for name in names if not self.permits(name))


def decide(viewer: Viewer, subject: SubjectPermits, policy: Policy, now: Millis) -> Decision:
    """Decides what `viewer` may see of `subject`. What depends on a permit past its end stays undecided: refold first
    (`resolvers.consent.permits.fresh_permits`)."""
    given = {key: place for key in policy.purposes if (place := subject.deciding(Permit(key))) is not None}
    ended = frozenset(key for key, place in given.items() if subject.ended(place, now))
    held = frozenset(given) - ended
    purpose = _judge_purpose(viewer, subject, policy, now)
    own = viewer.subject is not None and viewer.subject.id in subject.records
    visible = (own or viewer.subject is None) and _sees(viewer, purpose, own)
    verdicts = {category: _judge(viewer, category, purpose, policy) if visible else _INVISIBLE for category in Category}
    explains = visible and viewer.role in (Role.SUBJECT, Role.AUDITOR)
    return Decision(
        visible=visible,
        categories=verdicts,
        held=held,
        ended=ended,
        explains=explains,
        timeless=viewer.role is Role.PARTNER,
        purpose=viewer.purpose,
        consent_epoch=subject.consent_epoch,
    )


_INVISIBLE: Final = Verdict(Ruling.WITHHELD, VerdictReason.INVISIBLE)


def _judge_purpose(viewer: Viewer, subject: SubjectPermits, policy: Policy, now: Millis) -> Verdict:
    """Returns the verdict on the viewer's purpose: whether the person permits it, for a partner with its recipient."""
    known = policy.purposes.get(viewer.purpose or "")
    partner = viewer.role is Role.PARTNER
    if known is None or known.per_recipient is not partner or (viewer.recipient is not None) is not partner:
        return Verdict(Ruling.WITHHELD, VerdictReason.NO_PURPOSE)
    place = subject.deciding(Permit(known.key, viewer.recipient))
    if place is None:
        return Verdict(Ruling.WITHHELD, VerdictReason.NOT_PERMITTED)
    if subject.ended(place, now):
        return Verdict(Ruling.UNDECIDED, VerdictReason.STALE)
    return Verdict(Ruling.PERMITTED, VerdictReason.PURPOSE_PERMITTED)


def _sees(viewer: Viewer, purpose: Verdict, own: bool) -> bool:
    """Whether the viewer may know that the person exists."""
    match viewer.role:
        case Role.SUBJECT:
            return own
        case Role.FRONTEND:
            return purpose.reason is not VerdictReason.NO_PURPOSE
        case Role.PARTNER:
            return purpose.ruling is Ruling.PERMITTED
        case Role.AUDITOR | Role.OPERATOR:
            return True


def _judge(viewer: Viewer, category: Category, purpose: Verdict, policy: Policy) -> Verdict:
    """Returns the verdict on one category of a visible person."""
    if viewer.role is Role.SUBJECT:
        return Verdict(Ruling.PERMITTED, VerdictReason.OWN)
    if category is Category.CONSENTS:
        if viewer.role is Role.AUDITOR:
            return Verdict(Ruling.PERMITTED, VerdictReason.AUDIT)
        return Verdict(Ruling.WITHHELD, VerdictReason.NOT_FOR_ROLE)
    if viewer.role is Role.AUDITOR and VALUES_SCOPE not in viewer.scopes:
        return Verdict(Ruling.WITHHELD, VerdictReason.NO_SCOPE)
    if purpose.reason is not VerdictReason.NO_PURPOSE and viewer.purpose not in policy.categories.get(
        category, frozenset()
    ):
        return Verdict(Ruling.WITHHELD, VerdictReason.NOT_FOR_PURPOSE)
    return purpose


_SLOTS: Final[tuple[tuple[str, FieldRule], ...]] = tuple(
    (rule.slot, rule) for rule in PERSONAL_FIELDS.values() if rule.slot
)


def reveal(decision: Decision, stored: StoredFacts) -> RevealedFacts | None:
    """Returns the facts that the viewer may see, with withheld ones as None; None if the person is invisible. A fact
    that `privacy/fields.py` does not list is never revealed."""
    if not decision.visible:
        return None
    revealed: dict[str, Any] = {}
    for slot, rule in _SLOTS:
        value = getattr(stored, slot)
        if value is None or not decision.permits(rule.name):
            continue
        if rule.withholding is Withholding.EACH:
            value = tuple(member for member in value if member.purpose in decision.held)
        revealed[slot] = value
    times = (None, None) if decision.timeless else (stored.created_at, stored.updated_at)
    return RevealedFacts(stored.id, *times, **revealed, mint=REVEAL_MINT)


def mint_scope(purpose: str, policy: Policy, now: Millis, recipient: str | None = None) -> PermittedScope:
    """Returns the right to read, for computing, the data of people who permit `purpose` (for `recipient`) at `now`.
    Raises BadInput if the purpose is unknown or does not fit the recipient."""
    permit = policy.permit(purpose, recipient)
    blanket, barred = ("", "") if recipient is None else (str(Permit(purpose, ANY_RECIPIENT)), permit.barred)
    return PermittedScope(str(permit), purpose, now, recipient, blanket, barred, mint=SCOPE_MINT)
