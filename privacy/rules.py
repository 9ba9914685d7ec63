"""The fold: what a person's consent statements permit at an instant.

A person has one or more account records, or is one device; every statement belongs to a record. They combine as
follows:
- A grant counts if its record vouches for it (`Standing.grants`). It covers the person's other records only under the
  controller and the notice version that these have stated, if any, and only in the sources for which its issuer may
  speak. A record that no grant covers withholds.
- A denial (withdrawn, refused, objected, revoked, invalidated) on any record bars the whole person, until a live grant
  that was stated later, with at least the denial's assurance, overrides it. At the same instant the denial wins.
- A bar (`graph/consent/bars.py`) is a denial on somebody else's record that may be the same person. It bars likewise,
  and one that a stranger may have left yields to every live grant of an assurance above 0, and to one that was carried
  along again since. It adds nothing else.
- A lapse (expired, unknown) withholds from the whole person until a grant stated after the lapse overrides it.
- A statement about every recipient never overrides one about a single recipient; the reverse is possible.
Where there is no statement, the regime decides: the strictest of those of the jurisdictions of all records, including
silent ones; each has the one that it vouched for last, or else its source's.

A denial takes effect when it was received, whatever instant it names, so that neither a wrong clock nor a date in the
past or the future moves it. A grant counts as stated at its effective instant, or when it was received if that is
earlier, and takes effect at its effective instant. So allow(merged) ⊆ ⋂ allow(parts) unless there is a fresh grant, and
a grant that is older than a denial never revives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

from graph.model.consent import (
    OWN_STANDING,
    Bar,
    ConsentEvent,
    ConsentState,
    ConsentStatement,
    Standing,
)
from graph.model.identity import RecordId
from graph.model.time import Millis
from privacy.policy import Policy
from privacy.purposes import ANY_RECIPIENT, IDENTITY_LINKING, Mechanism, Permit, Regime


class PermitReason(StrEnum):
    """Why a purpose is permitted or not. The first three permit."""

    CONTRACT = "contract"
    GIVEN = "given"
    NOT_DENIED = "not_denied"
    DENIED = "denied"
    BARRED = "barred"
    LAPSED = "lapsed"
    NOT_GIVEN = "not_given"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class PermitState:
    """Whether one permit holds, and why. `state` is the state that the person's statements add up to (None: there are
    none), `event` the statement that decides, `until` the earliest instant at which the result may change without a new
    statement (None: never)."""

    permit: Permit
    permitted: bool
    reason: PermitReason
    state: ConsentState | None = None
    event: ConsentEvent | None = None
    until: Millis | None = None


_Notice = tuple[str | None, str | None]


class Rank(IntEnum):
    """The effect of a statement. At the same instant, the higher rank wins."""

    GRANT = 0
    LAPSE = 1
    DENIAL = 2


_RANKS: Final = {
    ConsentState.GIVEN: Rank.GRANT,
    ConsentState.RENEWED: Rank.GRANT,
    ConsentState.EXPIRED: Rank.LAPSE,
    ConsentState.UNKNOWN: Rank.LAPSE,
    ConsentState.REFUSED: Rank.DENIAL,
    ConsentState.WITHDRAWN: Rank.DENIAL,
    ConsentState.REVOKED: Rank.DENIAL,
    ConsentState.OBJECTED: Rank.DENIAL,
    ConsentState.INVALIDATED: Rank.DENIAL,
}

_STRICTNESS: Final = (Regime.CONTRACT, Regime.OPT_OUT, Regime.OPT_IN)


def rank_of(event: ConsentEvent) -> Rank:
    """Returns the effect of an event's statement."""
    return _RANKS[event.statement.state]


def _stated_at(event: ConsentEvent) -> int:
    if rank_of(event) is Rank.DENIAL:
        return event.received_at
    return min(event.statement.effective_at, event.received_at)


def last_stated_at(event: ConsentEvent) -> int:
    """Returns when an event was stated, or carried along again."""
    return max(_stated_at(event), event.repeated_at or 0)


def applies_from(event: ConsentEvent) -> int:
    """Returns the instant from which an event has an effect."""
    return _stated_at(event) if rank_of(event) is Rank.DENIAL else event.statement.effective_at


def order_of(event: ConsentEvent) -> tuple[int, int, int]:
    """Returns the place of an event among others: of two about the same subject, the later one is the latest."""
    return (applies_from(event), rank_of(event), event.seq)


@dataclass(slots=True)
class _Subject:
    """The statements of one record about one purpose, and about one recipient or every recipient, that have an effect:
    the latest, the latest of those by which the record may grant, the live grants, and the denials that no later one of
    at least the same assurance subsumes."""

    latest: ConsentEvent | None = None
    latest_granted: ConsentEvent | None = None
    grants: list[ConsentEvent] = field(default_factory=list)
    denials: list[ConsentEvent] = field(default_factory=list)

    def add(self, event: ConsentEvent, at: Millis, *, granted: bool) -> None:
        """Adds the next event in order."""
        self.latest = event
        if granted:
            self.latest_granted = event
        if _is_live(event, at):
            self.grants.append(event)
        if rank_of(event) is Rank.DENIAL:
            assurance = event.statement.assurance
            self.denials = [*(one for one in self.denials if one.statement.assurance > assurance), event]


@dataclass(frozen=True, slots=True)
class _RecordStatements:
    """The statements of one record that are in effect and have an effect, by purpose and recipient; what they are
    worth; the jurisdiction that applies to it; and the controllers and, per purpose, the notices with their versions
    under all of which a grant must be to cover the record.

    `controllers` and `notices` hold what the record vouched for last, and whatever was stated since without being
    vouched for. A grant must match all of them, so what a stranger may have stated only narrows."""

    subjects: Mapping[tuple[str, str | None], _Subject]
    standing: Standing
    jurisdiction: str | None
    controllers: frozenset[str]
    notices: Mapping[str, frozenset[_Notice]]

    def about(self, permit: Permit) -> list[_Subject]:
        """Returns the statements about the permit's recipient, if any, and those about every recipient."""
        recipients = (None,) if permit.recipient is None else (permit.recipient, None)
        return [found for recipient in recipients if (found := self.subjects.get((permit.purpose, recipient)))]

    def latest(self, permit: Permit) -> ConsentEvent | None:
        """Returns the latest statement on a permit: about the recipient itself, or else about every recipient."""
        return next((one.latest for one in self.about(permit) if one.latest), None)


def is_silent(event: ConsentEvent) -> bool:
    """Whether an event is a grant by silence or by a mere notice."""
    mechanism = (event.statement.mechanism or Mechanism.OPT_IN).lower().replace("-", "_")
    return rank_of(event) is Rank.GRANT and mechanism != Mechanism.OPT_IN


def _is_live(event: ConsentEvent, at: Millis) -> bool:
    """Whether a statement is a grant that has not expired."""
    expires = event.statement.expires_at
    return rank_of(event) is Rank.GRANT and (expires is None or expires > at)


def _counts(event: ConsentEvent, standing: Standing) -> bool:
    """Whether a statement has an effect: a grant by silence, by merely being shown a notice, or by a record that may
    not grant has none; nor has a lapse by such a record."""
    return rank_of(event) is Rank.DENIAL or (not is_silent(event) and standing.grants(event))


def _group_by_record(
    events: Iterable[ConsentEvent], at: Millis, policy: Policy, standings: Mapping[RecordId, Standing]
) -> dict[RecordId, _RecordStatements]:
    """Returns the person's records with their statements in effect at `at`. `events` are in order."""
    by_record: dict[RecordId, list[ConsentEvent]] = {record: [] for record in standings}
    for event in events:
        known = by_record.setdefault(event.record, [])
        if applies_from(event) <= at:
            known.append(event)
    return {record: _collect(own, standings.get(record, OWN_STANDING), at, policy) for record, own in by_record.items()}


def _collect(events: list[ConsentEvent], standing: Standing, at: Millis, policy: Policy) -> _RecordStatements:
    jurisdiction = standing.jurisdiction
    vouched_controller = policy.controller if any(map(standing.vouches, events)) else None
    unvouched_controllers: set[str | None] = set()
    notices: dict[str, set[_Notice]] = {}
    subjects: dict[tuple[str, str | None], _Subject] = {}
    for event in events:
        statement, vouched = event.statement, standing.vouches(event)
        if _counts(event, standing):
            subject = subjects.setdefault((statement.purpose, statement.recipient), _Subject())
            subject.add(event, at, granted=standing.grants(event))
        if vouched:
            jurisdiction = statement.jurisdiction or jurisdiction
        if not vouched:
            unvouched_controllers.add(statement.controller or policy.controller)
        elif statement.controller:
            vouched_controller, unvouched_controllers = statement.controller, set()
        if statement.notice or statement.notice_version:
            stated_before = set() if vouched else notices.get(statement.purpose, set())
            notices[statement.purpose] = stated_before | {(statement.notice, statement.notice_version)}
    return _RecordStatements(
        subjects=subjects,
        standing=standing,
        jurisdiction=jurisdiction,
        controllers=frozenset(one for one in {vouched_controller, *unvouched_controllers} if one),
        notices={purpose: frozenset(stated) for purpose, stated in notices.items()},
    )


@dataclass(frozen=True, slots=True)
class _Weighed:
    """The live grants of one subject, the records by whose latest statement about it a lapse is judged, and the denials
    and lapses that the grants leave."""

    grants: list[ConsentEvent]
    latest: frozenset[RecordId]
    denials: list[ConsentEvent]
    lapses: list[ConsentEvent]


@dataclass(frozen=True, slots=True)
class _General:
    """What is stated about every recipient of a purpose, and the bars against it that are left. It is the same for all
    recipients, so it is weighed once, and only what is left of it against the statements about one of them."""

    weighed: _Weighed
    bars: list[Bar]

    @classmethod
    def of(cls, case: _Case) -> _General:
        weighed = case.weigh(None)
        return cls(weighed, case.hear(None, weighed.grants))


@dataclass(frozen=True, slots=True)
class _Case:
    """Everything stated about one permit at one instant."""

    permit: Permit
    at: Millis
    policy: Policy
    records: Mapping[RecordId, _RecordStatements]
    bars: Mapping[tuple[str, str | None], Sequence[Bar]]

    def weigh(self, recipient: str | None) -> _Weighed:
        """Weighs what is stated about one recipient, or about every recipient, by itself."""
        subject = self.permit.purpose, recipient
        subjects = [found for record in self.records.values() if (found := record.subjects.get(subject))]
        grants = [event for one in subjects for event in one.grants]
        denials = [event for one in subjects for event in one.denials]
        latest = [one.latest_granted for one in subjects if one.latest_granted]
        lapses = [event for event in latest if rank_of(event) is not Rank.DENIAL and not _is_live(event, self.at)]
        return _Weighed(
            grants,
            frozenset(event.record for event in latest),
            self.leave(denials, grants),
            self.leave(lapses, grants),
        )

    def leave(self, events: Iterable[ConsentEvent], grants: Collection[ConsentEvent]) -> list[ConsentEvent]:
        """Returns those denials and lapses that no grant overrides."""
        return [event for event in events if not self.is_overridden(event, grants)]

    def is_overridden(self, event: ConsentEvent, grants: Iterable[ConsentEvent]) -> bool:
        """Whether a grant overrides a denial or a lapse. A denial that is merely carried along again stays fresh for
        its own record only: an old device must not override what the person stated elsewhere since."""
        if rank_of(event) is not Rank.DENIAL:
            lapsed = event.statement.expires_at or 0 if rank_of(event) is Rank.GRANT else 0
            instant = max(applies_from(event), lapsed)
            return any(self.overrides(grant, event, instant) for grant in grants)
        return any(
            grant.statement.assurance >= event.statement.assurance
            and self.overrides(grant, event, (last_stated_at if grant.record == event.record else _stated_at)(event))
            for grant in grants
        )

    def overrides(self, grant: ConsentEvent, event: ConsentEvent, instant: int) -> bool:
        """Whether a live grant was stated after `instant` and reaches the record of a denial or lapse."""
        if _stated_at(grant) <= instant or (event.statement.recipient and not grant.statement.recipient):
            return False
        return grant.record == event.record or self.covers(grant, self.records[event.record])

    def covers(self, grant: ConsentEvent, record: _RecordStatements) -> bool:
        """Whether a grant covers another record: its issuer may speak for the record's source, and the controller and
        notice version are the same, as far as the record stated them."""
        statement = grant.statement
        if grant.reach is not None and record.standing.source not in grant.reach:
            return False
        notices = record.notices.get(statement.purpose, frozenset())
        return record.controllers <= {statement.controller or self.policy.controller} and notices <= {
            (statement.notice, statement.notice_version)
        }

    def hear(self, recipient: str | None, grants: Collection[ConsentEvent]) -> list[Bar]:
        """Returns the bars of others that name a recipient, or none, and that no grant lifts. None holds for identity
        linking, which a stranger could undo with it."""
        purpose = self.permit.purpose
        bars = () if purpose == IDENTITY_LINKING else self.bars.get((purpose, recipient), ())
        return [
            bar for bar in bars if bar.record not in self.records and not any(_lifts(grant, bar) for grant in grants)
        ]

    def regime(self) -> Regime:
        """Returns what applies without a statement: the strictest regime of the records."""
        found = [self.policy.regime(self.permit.purpose, one.jurisdiction) for one in self.records.values()]
        return max(found or [self.policy.purposes[self.permit.purpose].regime], key=_STRICTNESS.index)


def _lifts(grant: ConsentEvent, bar: Bar) -> bool:
    """Whether a live grant lifts a bar."""
    statement = grant.statement
    if bar.unproven:
        return statement.assurance > 0 or last_stated_at(grant) > bar.at
    if bar.recipient and not statement.recipient:
        return False
    return _stated_at(grant) > bar.at and statement.assurance >= bar.assurance


def _judge(case: _Case, general: _General, until: Millis | None) -> PermitState:
    """Decides one permit."""
    permit, records, regime = case.permit, case.records, case.regime()
    denials, lapses, bars = general.weighed.denials, general.weighed.lapses, general.bars
    if permit.recipient is not None:
        own = case.weigh(permit.recipient)
        denials = [*own.denials, *case.leave(denials, own.grants)]
        lapses = [
            *own.lapses,
            *case.leave((one for one in lapses if one.record not in own.latest), own.grants),
        ]
        bars = [bar for bar in bars if not any(_lifts(grant, bar) for grant in own.grants)]
        bars += case.hear(permit.recipient, [*own.grants, *general.weighed.grants])
    given = [event for record in records.values() if (event := record.latest(permit)) and _is_live(event, case.at)]
    givers = {event.record for event in given}
    covered = all(
        id_ in givers or any(case.covers(event, record) for event in given) for id_, record in records.items()
    )
    barred = not denials and bool(bars)
    event = None if barred else max(denials or lapses or given, key=order_of, default=None)
    state = event.statement.state if event else None
    if event and not denials and lapses and rank_of(event) is Rank.GRANT:
        state = ConsentState.EXPIRED
    reason = PermitReason.GIVEN
    if denials:
        reason = PermitReason.DENIED
    elif barred:
        reason = PermitReason.BARRED
    elif lapses:
        reason = PermitReason.LAPSED
    elif not given:
        reason = PermitReason.NOT_GIVEN
    elif not covered:
        reason = PermitReason.NOT_REACHED
    if regime is Regime.CONTRACT:
        reason = PermitReason.CONTRACT
    elif regime is Regime.OPT_OUT and reason not in (PermitReason.DENIED, PermitReason.BARRED, PermitReason.GIVEN):
        reason = PermitReason.NOT_DENIED
    return PermitState(permit, reason in _PERMITTING, reason, state, event, until)


_PERMITTING: Final = frozenset({PermitReason.CONTRACT, PermitReason.GIVEN, PermitReason.NOT_DENIED})


def fold(
    events: Sequence[ConsentEvent],
    at: Millis,
    policy: Policy,
    standings: Mapping[RecordId, Standing] | None = None,
    bars: Sequence[Bar] = (),
) -> dict[Permit, PermitState]:
    """Returns what a person's statements permit at `at`: one state per purpose; for a purpose with recipients, one for
    each recipient that a statement names or a bar excepts, and one (`ANY_RECIPIENT`) for all others.

    `standings` are those of all of the person's records, including silent ones; a record that is missing is one of the
    company's own. `bars` are those on the person's identifiers. O(events + bars + permits · records), and for each
    subject, and once for all recipients, O(grants · (denials + bars)).
    """
    ordered = sorted(events, key=order_of)
    records = _group_by_record(ordered, at, policy, standings or {})
    start = min((instant for event in ordered if (instant := applies_from(event)) > at), default=None)
    ends = _find_ends(ordered, at)
    states: dict[Permit, PermitState] = {}
    general: dict[str, _General] = {}
    heard: dict[tuple[str, str | None], list[Bar]] = {}
    for bar in bars:
        heard.setdefault((bar.purpose, bar.recipient), []).append(bar)
    stated = dict.fromkeys(_permits(ordered, policy))
    for permit in [*stated, *_barred_permits(bars, policy)]:
        if permit in states or (permit not in stated and not states[Permit(permit.purpose, ANY_RECIPIENT)].permitted):
            continue
        own = (ends.get((permit.purpose, recipient)) for recipient in {None, permit.recipient})
        until = min((instant for instant in (start, *own) if instant is not None), default=None)
        case = _Case(permit, at, policy, records, heard)
        if permit.purpose not in general:
            general[permit.purpose] = _General.of(case)
        state = _judge(case, general[permit.purpose], None if until is None else Millis(until))
        if permit in stated or not state.permitted:
            states[permit] = state
    return states


def _find_ends(events: Iterable[ConsentEvent], at: Millis) -> dict[tuple[str, str | None], Millis]:
    """Returns the earliest instant after `at` at which a statement expires, by purpose and recipient."""
    ends: dict[tuple[str, str | None], Millis] = {}
    for event in events:
        subject, expires = (event.statement.purpose, event.statement.recipient), event.statement.expires_at
        if expires is not None and expires > at:
            ends[subject] = min(expires, ends.get(subject, expires))
    return ends


def _barred_permits(bars: Iterable[Bar], policy: Policy) -> list[Permit]:
    """Returns the permits of recipients that bars name. They are exceptions from what is permitted for every recipient:
    where that is withheld, whoever left a bar adds nothing to what the person is told."""
    named = {(bar.purpose, bar.recipient) for bar in bars if bar.recipient}
    return [
        Permit(key, name)
        for key, name in sorted(named, key=str)
        if key in policy.purposes and policy.purposes[key].per_recipient
    ]


def _permits(events: Iterable[ConsentEvent], policy: Policy) -> list[Permit]:
    """Returns the permits that every person has, and those of recipients that statements name."""
    named = {(e.statement.purpose, e.statement.recipient) for e in events if e.statement.recipient}
    permits = [Permit(key, ANY_RECIPIENT if known.per_recipient else None) for key, known in policy.purposes.items()]
    return permits + [
        Permit(key, name)
        for key, name in sorted(named, key=str)
        if key in policy.purposes and Permit(key, ANY_RECIPIENT) in permits
    ]


def instant_of(events: Iterable[ConsentEvent], now: Millis) -> Millis:
    """Returns the instant to fold at for the present: `now`, or when the latest event was received if this clock is
    behind the one that received it. So a withdrawal that is in the log is in effect on every server."""
    return max([now, *(event.received_at for event in events)])


_DEFAULT_POLICY: Final = Policy.default()


def objects_to_linking(events: Sequence[ConsentEvent], at: Millis, standing: Standing = OWN_STANDING) -> bool:
    """Whether one record's own statements bar it from linkage. Only statements matter here, not what applies without
    them, so it needs no company's policy."""
    about = [event for event in events if event.statement.purpose == IDENTITY_LINKING]
    standings = {event.record: standing for event in about}
    return fold(about, at, _DEFAULT_POLICY, standings)[Permit(IDENTITY_LINKING)].reason is PermitReason.DENIED


def is_denial(statement: ConsentStatement) -> bool:
    """Whether a statement is a denial."""
    return _RANKS[statement.state] is Rank.DENIAL
