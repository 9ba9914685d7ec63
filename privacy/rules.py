"""The fold: what a person's history of consent statements adds up to at an instant.

A person is several records. Every record speaks for itself; then
- a denial (withdrawn, refused, objected, revoked, invalidated) bars the whole person, over any link, until it is
  answered: by a live grant spoken later, of at least its assurance. At the same instant the denial wins.
- a lapse (expired, unknown) withholds from the whole person, until a grant spoken after the lapse answers it.
- a grant speaks for other records only if both hang on verified links, and only under the controller and notice version
  that the other record has stated, where it stated any. A record that it does not reach withholds.
- a statement about every recipient never answers one about a single recipient; the other way round it does.
What silence means is the regime's matter: the strictest of the jurisdictions that the records stated.

A statement is spoken at its effective instant, but never later than it was received. A denial is in effect from when it
was spoken, so that neither a wrong clock nor a date in the future delays it; a grant from its effective instant.
So allow(merged) ⊆ ⋂ allow(parts) unless a fresh grant exists, and a grant that is older than a denial never revives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import Final

from graph.model.consent import ConsentEvent, ConsentState, ConsentStateFacts, ConsentStatement
from graph.model.identity import RecordId
from graph.model.time import Millis
from privacy.policy import Policy
from privacy.purposes import ANY_RECIPIENT, IDENTITY_LINKING, Assurance, Mechanism, Permit, Regime


class PermitReason(StrEnum):
    """Why a purpose is permitted or not. The first three permit."""

    CONTRACT = "contract"
    GIVEN = "given"
    NOT_DENIED = "not_denied"
    DENIED = "denied"
    LAPSED = "lapsed"
    NOT_GIVEN = "not_given"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class PermitState:
    """The answer for one permit. `state` is what the person's statements add up to (None: nothing was said), `event`
    the one that decides, `until` the earliest instant at which the answer may change by itself (None: never)."""

    permit: Permit
    permitted: bool
    reason: PermitReason
    state: ConsentState | None = None
    event: ConsentEvent | None = None
    until: Millis | None = None


class _Rank(IntEnum):
    """What a statement does; the higher wins at the same instant."""

    GRANT = 0
    LAPSE = 1
    DENIAL = 2


_RANKS: Final = {
    ConsentState.GIVEN: _Rank.GRANT,
    ConsentState.RENEWED: _Rank.GRANT,
    ConsentState.EXPIRED: _Rank.LAPSE,
    ConsentState.UNKNOWN: _Rank.LAPSE,
    ConsentState.REFUSED: _Rank.DENIAL,
    ConsentState.WITHDRAWN: _Rank.DENIAL,
    ConsentState.REVOKED: _Rank.DENIAL,
    ConsentState.OBJECTED: _Rank.DENIAL,
    ConsentState.INVALIDATED: _Rank.DENIAL,
}

_STRICTNESS: Final = (Regime.CONTRACT, Regime.OPT_OUT, Regime.OPT_IN)


def _rank(event: ConsentEvent) -> _Rank:
    return _RANKS[event.statement.state]


def _spoken(event: ConsentEvent) -> int:
    return min(event.statement.effective_at, event.received_at)


def _last_spoken(event: ConsentEvent) -> int:
    return max(_spoken(event), event.repeated_at or 0)


def _begins(event: ConsentEvent) -> int:
    return _spoken(event) if _rank(event) is _Rank.DENIAL else event.statement.effective_at


def _order(event: ConsentEvent) -> tuple[int, int, int]:
    return (_begins(event), _rank(event), event.seq)


def _is_heard(event: ConsentEvent) -> bool:
    """Whether a statement counts: `given` by silence or by being shown a notice neither gives nor takes."""
    mechanism = (event.statement.mechanism or Mechanism.OPT_IN).lower().replace("-", "_")
    return _rank(event) is not _Rank.GRANT or mechanism == Mechanism.OPT_IN


@dataclass(frozen=True, slots=True)
class _Speaker:
    """One record: its statements in effect, in order, about whatever purpose; what it stated last of who and where."""

    events: tuple[ConsentEvent, ...]
    verified: bool
    controller: str | None
    jurisdiction: str | None

    def about(self, permit: Permit) -> list[ConsentEvent]:
        """Its statements about the permit's recipient and about every recipient, in order."""
        return [event for event in self.events if _is_about(event, permit)]

    def notice(self, purpose: str) -> tuple[str | None, str | None] | None:
        """The notice and version it stated last about a purpose."""
        words = (event.statement for event in reversed(self.events) if event.statement.purpose == purpose)
        return next(((word.notice, word.notice_version) for word in words if word.notice or word.notice_version), None)

    def standing(self, permit: Permit) -> ConsentEvent | None:
        """Its last word on a permit: about the recipient itself, or else about every recipient."""
        about = self.about(permit)
        exact = [event for event in about if event.statement.recipient is not None]
        return next(reversed(exact or about), None)


def _is_about(event: ConsentEvent, permit: Permit) -> bool:
    statement = event.statement
    return statement.purpose == permit.purpose and statement.recipient in (None, permit.recipient) and _is_heard(event)


def _speakers(
    events: Iterable[ConsentEvent], at: Millis, policy: Policy, probable: Collection[RecordId]
) -> dict[RecordId, _Speaker]:
    """The records that have spoken by `at`, and those tied by probable links even where they have not. `events` are in
    order. A person has at least one record on verified links: where none spoke, a silent one stands for them."""
    said: dict[RecordId, list[ConsentEvent]] = {record: [] for record in probable}
    for event in events:
        if _begins(event) <= at:
            said.setdefault(event.record, []).append(event)
    speakers = {record: _speaker(words, record in probable, policy) for record, words in said.items()}
    if speakers and not any(speaker.verified for speaker in speakers.values()):
        speakers[_SILENT] = _speaker([], False, policy)  # whom the probable links lead to
    return speakers


_SILENT: Final = RecordId("")


def _speaker(events: list[ConsentEvent], probable: bool, policy: Policy) -> _Speaker:
    words = [event.statement for event in reversed(events)]
    return _Speaker(
        events=tuple(events),
        verified=not probable and all(event.verified for event in events),
        controller=next((word.controller for word in words if word.controller), policy.controller if words else None),
        jurisdiction=next((word.jurisdiction for word in words if word.jurisdiction), None),
    )


@dataclass(frozen=True, slots=True)
class _Hearing:
    """All that is said about one permit at one instant."""

    permit: Permit
    at: Millis
    policy: Policy
    speakers: Mapping[RecordId, _Speaker]

    def grants(self) -> list[ConsentEvent]:
        """The live grants of all records."""
        about = (event for speaker in self.speakers.values() for event in speaker.about(self.permit))
        return [event for event in about if self.live(event)]

    def live(self, event: ConsentEvent) -> bool:
        expires = event.statement.expires_at
        return _rank(event) is _Rank.GRANT and (expires is None or expires > self.at)

    def denials(self) -> list[ConsentEvent]:
        """Per record and recipient the denials that no later one of at least the same assurance includes."""
        found: list[ConsentEvent] = []
        for speaker in self.speakers.values():
            highest: dict[str | None, int] = {}
            for event in reversed(speaker.about(self.permit)):
                statement = event.statement
                if _rank(event) is _Rank.DENIAL and statement.assurance > highest.get(statement.recipient, -1):
                    highest[statement.recipient] = statement.assurance
                    found.append(event)
        return found

    def lapses(self) -> list[tuple[ConsentEvent, int]]:
        """The records' last words that ran out, or say that nothing is known, each with the instant of that."""
        words = [word for speaker in self.speakers.values() if (word := speaker.standing(self.permit))]
        return [
            (word, max(_begins(word), word.statement.expires_at or 0) if _rank(word) is _Rank.GRANT else _begins(word))
            for word in words
            if _rank(word) is not _Rank.DENIAL and not self.live(word)
        ]

    def answers(self, grant: ConsentEvent, word: ConsentEvent, instant: int) -> bool:
        """Whether a live grant answers a denial or lapse of `instant`."""
        if _spoken(grant) <= instant or (word.statement.recipient and not grant.statement.recipient):
            return False
        if _rank(word) is _Rank.DENIAL and grant.statement.assurance < word.statement.assurance:
            return False
        return grant.record == word.record or self.reaches(grant, self.speakers[word.record])

    def reaches(self, grant: ConsentEvent, speaker: _Speaker) -> bool:
        """Whether a grant of one record speaks for another: verified links, the same controller and notice version."""
        if not (self.speakers[grant.record].verified and speaker.verified):
            return False
        statement = grant.statement
        if speaker.controller not in (None, statement.controller or self.policy.controller):
            return False
        return speaker.notice(statement.purpose) in (None, (statement.notice, statement.notice_version))

    def regime(self) -> Regime:
        """What silence means: the strictest regime of the records that spoke. A probable record can't loosen it."""
        own = self.policy.purposes[self.permit.purpose].regime
        found = [(self.policy.regime(self.permit.purpose, one.jurisdiction), one) for one in self.speakers.values()]
        return max(
            [own] if not found else [r if one.verified else max(r, own, key=_STRICTNESS.index) for r, one in found],
            key=_STRICTNESS.index,
        )


def _judge(hearing: _Hearing, until: Millis | None) -> PermitState:
    """The answer for one permit."""
    permit, speakers = hearing.permit, hearing.speakers
    regime, grants = hearing.regime(), hearing.grants()
    denials = [d for d in hearing.denials() if not any(hearing.answers(g, d, _last_spoken(d)) for g in grants)]
    lapses = [word for word, at in hearing.lapses() if not any(hearing.answers(g, word, at) for g in grants)]
    givers = [w for one in speakers.values() if (w := one.standing(permit)) and hearing.live(w)]
    heard_by = {giver.record for giver in givers}
    reached = all(
        record in heard_by or any(hearing.reaches(giver, one) for giver in givers) for record, one in speakers.items()
    )
    event = max(denials or lapses or givers, key=_order, default=None)
    state = event.statement.state if event else None
    if event and not denials and lapses and _rank(event) is _Rank.GRANT:
        state = ConsentState.EXPIRED
    reason = PermitReason.GIVEN
    if denials:
        reason = PermitReason.DENIED
    elif lapses:
        reason = PermitReason.LAPSED
    elif not givers:
        reason = PermitReason.NOT_GIVEN
    elif not reached:
        reason = PermitReason.NOT_REACHED
    if regime is Regime.CONTRACT:
        reason = PermitReason.CONTRACT
    elif regime is Regime.OPT_OUT and reason not in (PermitReason.DENIED, PermitReason.GIVEN):
        reason = PermitReason.NOT_DENIED
    return PermitState(permit, reason in _PERMITTING, reason, state, event, until)


_PERMITTING: Final = frozenset({PermitReason.CONTRACT, PermitReason.GIVEN, PermitReason.NOT_DENIED})


def fold(
    events: Sequence[ConsentEvent],
    at: Millis,
    policy: Policy,
    probable: Collection[RecordId] = (),
) -> dict[Permit, PermitState]:
    """What a person's statements permit at `at`: one answer a purpose; for a purpose with recipients one for each that
    is named and one (`ANY_RECIPIENT`) for all others.

    `probable` are the person's records that are tied to it by probable links, also those that said nothing; events of
    theirs may say so themselves (`verified`). O(events · (permits + denials of different assurance)).
    """
    said = sorted(events, key=_order)
    speakers = _speakers(said, at, policy, probable)
    turns = [_begins(event) for event in said]
    answers = {}
    for permit in _permits(said, policy):
        ends: list[int] = [event.statement.expires_at or at for event in said if _is_about(event, permit)]
        until = min((turn for turn in turns + ends if turn > at), default=None)
        answers[permit] = _judge(_Hearing(permit, at, policy, speakers), None if until is None else Millis(until))
    return answers


def _permits(events: Iterable[ConsentEvent], policy: Policy) -> list[Permit]:
    """Every permit there is an answer for."""
    named = sorted({(e.statement.purpose, e.statement.recipient) for e in events if e.statement.recipient})
    permits = [Permit(key, ANY_RECIPIENT if known.per_recipient else None) for key, known in policy.purposes.items()]
    return permits + [
        Permit(key, name) for key, name in named if key in policy.purposes and Permit(key, ANY_RECIPIENT) in permits
    ]


def instant_of(events: Iterable[ConsentEvent], now: Millis) -> Millis:
    """The instant to fold at where the present is asked for: now, or when the last event was received, should our clock
    be behind the one that received it. So a withdrawal that is in the log is in effect on every server."""
    return max([now, *(event.received_at for event in events)])


def permits_of(answers: Mapping[Permit, PermitState]) -> tuple[str, ...]:
    """The permits as the graph keeps them on the person, sorted. Where every recipient is permitted, those who are not
    are listed as barred."""
    kept = set()
    for permit, answer in answers.items():
        everyone = answers.get(Permit(permit.purpose, ANY_RECIPIENT))
        if answer.permitted:
            kept.add(str(permit))
        elif everyone is not None and everyone.permitted:
            kept.add(permit.barred)
    return tuple(sorted(kept))


def until_of(answers: Mapping[Permit, PermitState]) -> Millis | None:
    """The earliest instant at which any answer may change by itself."""
    return min((answer.until for answer in answers.values() if answer.until is not None), default=None)


def initial_permits(policy: Policy) -> tuple[str, ...]:
    """The permits of a person who has said nothing."""
    return permits_of(fold((), Millis(0), policy))


_DEFAULT_POLICY: Final = Policy.default()


def objects_to_linking(events: Sequence[ConsentEvent], at: Millis) -> bool:
    """Whether one record's own statements deny it to linkage. What silence means is not asked, so no policy either."""
    about = [event for event in events if event.statement.purpose == IDENTITY_LINKING]
    return fold(about, at, _DEFAULT_POLICY)[Permit(IDENTITY_LINKING)].reason is PermitReason.DENIED


def last_word(events: Iterable[ConsentEvent], purpose: str, recipient: str | None) -> ConsentEvent | None:
    """One record's last statement about a purpose and recipient, also one that is not in effect yet."""
    about = (e for e in events if e.statement.purpose == purpose and e.statement.recipient == recipient)
    return max(about, key=_order, default=None)


def is_repeat(statement: ConsentStatement, last: ConsentEvent) -> bool:
    """Whether a statement that was only carried along says again what the record's last word on it says. A repeated
    grant adds nothing; a repeated denial makes the last word fresher (`ConsentEvent.repeated_at`)."""
    said = last.statement
    same = replace(
        statement, effective_at=said.effective_at, assurance=said.assurance, evidence_hash=said.evidence_hash
    )
    return statement.assurance == Assurance.CARRIED and said.effective_at <= statement.effective_at and same == said


def is_denial(statement: ConsentStatement) -> bool:
    """Whether a statement denies."""
    return _RANKS[statement.state] is _Rank.DENIAL


def describe_states(answers: Mapping[Permit, PermitState]) -> tuple[ConsentStateFacts, ...]:
    """The answers as they are told to the person and auditors; `ANY_RECIPIENT` is told as no recipient."""
    return tuple(
        ConsentStateFacts(
            purpose=permit.purpose,
            permitted=answer.permitted,
            reason=answer.reason,
            state=answer.state,
            recipient=None if permit.recipient == ANY_RECIPIENT else permit.recipient,
            event=answer.event.id if answer.event else None,
            effective_at=answer.event.statement.effective_at if answer.event else None,
            expires_at=answer.event.statement.expires_at if answer.event else None,
        )
        for permit, answer in answers.items()
    )
