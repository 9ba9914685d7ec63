"""The fold: its rules one by one, known failures of other systems, and properties of every history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.model.consent import UNPROVEN, Bar, ConsentEvent, ConsentState, ConsentStatement, Standing
from graph.model.identity import Proof, RecordId
from graph.model.time import Millis
from privacy.gate import SubjectPermits
from privacy.live_log import LiveLog
from privacy.policy import Policy
from privacy.purposes import Permit, Regime
from privacy.rules import (
    PermitReason,
    PermitState,
    fold,
    instant_of,
    objects_to_linking,
    rank_of,
)
from privacy.states import ends_of, grants_of, permits_of

POLICY = Policy.default()
NOW = Millis(100)
WEB, APP, CRM = RecordId("web"), RecordId("app"), RecordId("crm")
DENIALS = ("withdrawn", "refused", "objected", "revoked", "invalidated")
GRANTS = ("given", "renewed")
ANALYTICS = Permit("analytics")


def event(
    state: str, at: int, record: str = WEB, *, proof: Proof | None = None, seq: int = 0, **more: Any
) -> ConsentEvent:
    """Returns an event about analytics, received when it was stated unless `received` is given."""
    received = more.pop("received", at)
    purpose = more.pop("purpose", "analytics")
    statement = ConsentStatement(purpose, ConsentState(state), Millis(at), **more)
    return ConsentEvent(f"{record}-{state}-{at}-{seq}", seq, RecordId(record), Millis(received), statement, proof)


def judge(
    *events: ConsentEvent,
    at: int = NOW,
    permit: Permit = ANALYTICS,
    policy: Policy = POLICY,
    standings: Mapping[RecordId, Standing] | None = None,
    bars: Sequence[Bar] = (),
) -> PermitState:
    return fold(events, Millis(at), policy, standings, bars)[permit]


# no statements, and regimes


def test_a_person_without_statements_permits_only_service_and_linking() -> None:
    assert judge().reason is PermitReason.NOT_GIVEN
    assert judge().state is None


@pytest.mark.parametrize("state", ConsentState)
def test_service_rests_on_contract_whatever_is_stated(state: str) -> None:
    found = judge(event(state, 1, purpose="service"), permit=Permit("service"))
    assert found.permitted
    assert found.reason is PermitReason.CONTRACT


@pytest.mark.parametrize("state", DENIALS)
def test_linking_is_permitted_until_objected(state: str) -> None:
    linking = Permit("identity_linking")
    assert judge(permit=linking).reason is PermitReason.NOT_DENIED
    assert not judge(event(state, 1, purpose="identity_linking"), permit=linking).permitted
    assert judge(event("unknown", 1, purpose="identity_linking"), permit=linking).permitted


def test_a_policy_may_require_consent_to_linking() -> None:
    entry = {"title": "L", "description": "L", "lawful_basis": "consent", "regime": "opt_in"}
    strict = Policy.parse({"purposes": {"identity_linking": entry}})
    assert not judge(permit=Permit("identity_linking"), policy=strict).permitted


def test_sharing_is_permitted_in_california_until_an_opt_out() -> None:
    everyone, acme = Permit("partner_sharing", "*"), Permit("partner_sharing", "acme")
    there = event("unknown", 1, purpose="partner_sharing", jurisdiction="us-ca")
    assert judge(there, permit=everyone).permitted
    signal = event("objected", 2, purpose="partner_sharing", raw_signal="Sec-GPC: 1", mechanism="opt-out")
    assert not judge(there, signal, permit=everyone).permitted
    one = event("objected", 2, purpose="partner_sharing", recipient="acme")
    states = fold([there, one], NOW, POLICY)
    assert states[everyone].permitted
    assert not states[acme].permitted


def test_a_notice_in_california_states_a_jurisdiction_and_no_consent() -> None:
    shown = event("given", 1, purpose="partner_sharing", jurisdiction="US-CA", mechanism="notice-only")
    found = judge(shown, permit=Permit("partner_sharing", "*"))
    assert (found.permitted, found.reason, found.state) == (True, PermitReason.NOT_DENIED, None)
    assert not judge(replace(shown, statement=replace(shown.statement, purpose="analytics"))).permitted


def test_the_strictest_jurisdiction_of_the_records_decides() -> None:
    everyone = Permit("partner_sharing", "*")
    there = event("given", 1, jurisdiction="US-CA")
    assert judge(there, permit=everyone).permitted
    for other in (event("given", 2, APP, jurisdiction="DE"), event("given", 2, APP)):
        assert not judge(there, other, permit=everyone).permitted
    moved = event("given", 3, jurisdiction="DE")
    assert not judge(there, moved, permit=everyone).permitted


def test_a_silent_record_has_the_jurisdiction_of_its_source() -> None:
    everyone = Permit("partner_sharing", "*")
    there = event("unknown", 1, jurisdiction="US-CA")
    california, nowhere = Standing(jurisdiction="US-CA"), Standing()
    assert judge(permit=everyone, standings={WEB: california}).permitted
    assert judge(there, permit=everyone, standings={WEB: nowhere, APP: california}).permitted
    assert not judge(there, permit=everyone, standings={WEB: nowhere, APP: nowhere}).permitted


def test_nobody_states_a_jurisdiction_for_somebody_else() -> None:
    """A stranger with a public key can't move a person to where silence permits more."""
    everyone = Permit("partner_sharing", "*")
    there = event("unknown", 1, jurisdiction="US-CA")
    public = {WEB: Standing(public=True)}
    assert not judge(there, permit=everyone, standings=public).permitted
    assert judge(replace(there, proof=Proof.TOKEN), permit=everyone, standings=public).permitted
    assert not judge(there, permit=everyone, standings={WEB: Standing(device=True, public=True)}).permitted


# one record


@pytest.mark.parametrize("denial", DENIALS)
@pytest.mark.parametrize("grant", GRANTS)
def test_a_denial_ends_a_grant_until_a_later_grant(denial: str, grant: str) -> None:
    assert judge(event(grant, 1)).permitted
    found = judge(event(grant, 1), event(denial, 2))
    assert (found.permitted, found.reason, found.state) == (False, PermitReason.DENIED, denial)
    assert judge(event(grant, 1), event(denial, 2), event(grant, 3)).permitted


@pytest.mark.parametrize("denial", DENIALS)
def test_at_the_same_instant_the_denial_wins(denial: str) -> None:
    assert not judge(event(denial, 5, seq=1), event("given", 5, seq=2)).permitted
    assert not judge(event(denial, 5, seq=2), event("given", 5, seq=1)).permitted
    assert not judge(event(denial, 5), event("given", 5, APP)).permitted
    assert not judge(event("unknown", 5, seq=1), event("given", 5, seq=2)).permitted


def test_a_new_grant_needs_the_assurance_of_the_withdrawal() -> None:
    denied = [event("given", 1), event("withdrawn", 2, assurance=2)]
    weak = event("given", 3, assurance=1)
    assert not judge(*denied, weak).permitted
    assert judge(*denied, weak, event("given", 4, assurance=2)).permitted
    assert judge(*denied, event("given", 4, assurance=2), event("renewed", 5)).permitted
    hidden = event("withdrawn", 3, assurance=0)
    assert not judge(*denied, hidden, event("given", 4, assurance=1)).permitted


def test_a_grant_expires_at_its_instant() -> None:
    grant = event("given", 1, expires_at=50)
    assert judge(grant, at=49).permitted
    assert judge(grant, at=49).until == 50
    found = judge(grant, at=50)
    assert (found.permitted, found.reason, found.state, found.until) == (False, PermitReason.LAPSED, "expired", None)
    assert judge(grant, event("renewed", 40)).permitted
    assert not judge(event("given", 9, expires_at=3)).permitted


def test_only_a_live_grant_overrides_a_withdrawal() -> None:
    events = [event("withdrawn", 1, assurance=1), event("given", 2, assurance=1, expires_at=10), event("renewed", 3)]
    assert judge(*events, at=9).permitted
    assert not judge(*events, at=10).permitted


def test_a_withdrawal_does_not_expire() -> None:
    assert not judge(event("given", 1), event("withdrawn", 2, expires_at=5)).permitted


@pytest.mark.parametrize("mechanism", ["opt-out", "notice_only", "OPT_OUT"])
def test_silence_is_not_consent(mechanism: str) -> None:
    silent = event("given", 5, mechanism=mechanism)
    assert judge(silent).reason is PermitReason.NOT_GIVEN
    assert judge(event("given", 1, mechanism="opt-in"), silent).permitted
    assert not judge(event("withdrawn", 1), silent).permitted


# wrong clocks and far futures


def test_a_grant_dated_ahead_waits_for_its_instant() -> None:
    found = judge(event("given", 200, received=1))
    assert (found.permitted, found.until) == (False, 200)
    assert judge(event("given", 200, received=1), at=200).permitted


def test_a_denial_takes_effect_when_it_is_received_whatever_instant_it_names() -> None:
    for named in (0, 253_402_300_799_999):
        denial = event("withdrawn", named, received=20)
        assert judge(event("given", 1), denial, at=19).permitted
        assert judge(event("given", 1), denial, at=19).until == 20
        assert not judge(event("given", 1), denial, at=20).permitted
        assert not judge(event("given", 19), denial).permitted
        assert judge(event("given", 1), denial, event("given", 21)).permitted


def test_a_grant_dated_ahead_does_not_survive_a_later_withdrawal() -> None:
    ahead = event("given", 500, received=1)
    assert not judge(ahead, event("withdrawn", 50), at=600).permitted
    assert judge(ahead, event("withdrawn", 50), event("given", 60), at=600).permitted


def test_the_present_is_never_before_the_latest_receipt() -> None:
    assert instant_of([event("withdrawn", 150)], NOW) == 150
    assert instant_of([event("withdrawn", 50)], NOW) == NOW
    assert instant_of([], NOW) == NOW


# a merged person


@pytest.mark.parametrize("denial", DENIALS)
def test_an_older_grant_of_another_record_never_beats_a_denial(denial: str) -> None:
    """Unomi stores a revocation as a deletion, so that a merge revives an older grant."""
    found = judge(event("given", 1, APP), event(denial, 2))
    assert (found.permitted, found.state) == (False, denial)
    assert not judge(event("given", 1, APP, assurance=9), event("given", 0), event(denial, 2)).permitted


def test_an_expired_grant_yields_to_a_later_statement_of_another_record() -> None:
    """Unomi drops an expired entry without adopting the other one."""
    expired = event("given", 1, expires_at=10)
    assert judge(expired, event("withdrawn", 5, APP)).state == "withdrawn"
    assert judge(expired, event("given", 11, APP)).permitted
    for at in (0, 5, 10):  # stated before the expiry, so the lapse stands
        assert judge(expired, event("given", at, APP)).state == "expired"


def test_a_withdrawal_needs_no_expiry_or_notice() -> None:
    """Unomi raises an error on a null revocation date."""
    bare = event("withdrawn", 2, notice=None, expires_at=None, controller=None, jurisdiction=None, mechanism=None)
    assert not judge(event("given", 1, expires_at=None), bare).permitted


def test_a_merge_loses_no_suppression() -> None:
    """margince orphans suppressions in a merge. Here they belong to records, so the merged person has them all."""
    suppressed = [event("objected", 5, purpose=p, record=CRM) for p in ("marketing", "personalisation")]
    grants = [event("given", 1, purpose=p, record=r) for p in ("marketing", "personalisation") for r in (WEB, APP)]
    states = fold([*suppressed, *grants], NOW, POLICY)
    assert not states[Permit("marketing")].permitted
    assert not states[Permit("personalisation")].permitted


def test_an_unknown_state_ends_a_valid_consent_and_silence_does_not() -> None:
    """AMY lets null conflict with a valid consent."""
    given_web = event("given", 5)
    assert judge(given_web, event("given", 1, APP, purpose="marketing")).permitted
    assert judge(given_web, event("unknown", 9, APP)).state == "unknown"
    assert not judge(given_web, event("unknown", 9, APP)).permitted
    assert judge(given_web, event("unknown", 4, APP)).permitted


def test_a_fresh_grant_needs_the_assurance_of_another_records_denial() -> None:
    denied = event("withdrawn", 2, assurance=1)
    assert judge(denied, event("given", 3, APP, assurance=1)).permitted
    assert not judge(denied, event("given", 3, APP, assurance=0)).permitted
    assert not judge(denied, event("given", 2, APP, assurance=1)).permitted


@pytest.mark.parametrize(
    ("standing", "proof", "grants"),
    [
        (Standing(), None, True),
        (Standing(public=True), None, False),
        (Standing(public=True), Proof.TOKEN, True),
        (Standing(public=True, secret=False), Proof.HASH, True),
        (Standing(public=True), Proof.STATIC, False),
        (Standing(device=True, public=True), None, True),
        (Standing(device=True, public=True, secret=False), None, False),
        (Standing(device=True, secret=False), None, True),
    ],
)
def test_a_grant_counts_if_its_record_vouches_for_it_or_is_a_device_with_a_secret_name(
    standing: Standing, proof: Proof | None, grants: bool
) -> None:
    given = event("given", 5, proof=proof)
    assert judge(given, standings={WEB: standing}).permitted is grants
    assert judge(event("withdrawn", 2, APP), given, standings={WEB: standing}).permitted is grants


@pytest.mark.parametrize("standing", [Standing(public=True), Standing(device=True, public=True, secret=False)])
def test_a_record_that_may_not_grant_may_still_deny(standing: Standing) -> None:
    denial = event("withdrawn", 2)
    assert judge(event("given", 1, APP), denial, standings={WEB: standing}).reason is PermitReason.DENIED


# bars: denials of others who may be the same person

STRANGER = RecordId("stranger")


def bar(
    at: int, assurance: int = 1, *, purpose: str = "analytics", recipient: str | None = None, record: str = STRANGER
) -> Bar:
    return Bar(purpose, recipient, assurance, Millis(at), RecordId(record), f"bar-{at}")


def test_a_bar_denies_until_a_later_grant_of_its_assurance() -> None:
    given = event("given", 5, assurance=1)
    found = judge(given, bars=[bar(5)])
    assert (found.permitted, found.reason, found.event, found.state) == (False, PermitReason.BARRED, None, None)
    assert not judge(given, bars=[bar(9)]).permitted
    assert judge(given, bars=[bar(4)]).permitted
    assert not judge(given, bars=[bar(4, 2)]).permitted
    assert judge(given, event("given", 6, APP, assurance=2), bars=[bar(4, 2)]).permitted
    assert not judge(given, bars=[bar(1), bar(9)]).permitted


def test_a_bar_of_a_stranger_yields_to_a_grant_that_was_stated_or_is_carried_along_again() -> None:
    """Nobody is shut up for good by somebody who merely claims the address."""
    unproven = bar(50, UNPROVEN)
    assert not judge(event("given", 5), bars=[unproven]).permitted
    assert judge(event("given", 60), bars=[unproven]).permitted
    assert judge(replace(event("given", 5), repeated_at=Millis(60)), bars=[unproven]).permitted
    assert not judge(replace(event("given", 5), repeated_at=Millis(50)), bars=[unproven]).permitted
    for at in (5, 60):
        assert judge(event("given", at, assurance=1), bars=[unproven]).permitted
    assert not judge(event("given", 5, assurance=1, expires_at=90), bars=[unproven]).permitted
    assert not judge(event("given", 5, assurance=1), bars=[unproven, bar(50)]).permitted


def test_a_bar_concerns_its_purpose_and_recipient_only() -> None:
    given, shared = event("given", 1, assurance=1), share("given", 1, None, assurance=1)
    for each in (bar(9, purpose="marketing"), bar(9, purpose="partner_sharing")):
        assert judge(given, bars=[each]).permitted
    assert fold([shared], NOW, POLICY, bars=[bar(9, purpose="partner_sharing")])[EVERYONE].permitted is False
    states = fold([shared], NOW, POLICY, bars=[bar(9, purpose="partner_sharing", recipient="acme")])
    assert (states[EVERYONE].permitted, states[ACME].permitted) == (True, False)
    assert "!partner_sharing@acme" in permits_of(states)
    late = share("given", 20, None, assurance=1)
    assert not judge(late, permit=ACME, bars=[bar(9, purpose="partner_sharing", recipient="acme")]).permitted
    assert judge(late, permit=EVERYONE, bars=[bar(9, purpose="partner_sharing", recipient="acme")]).permitted


def test_a_bar_stops_neither_a_contract_nor_linking() -> None:
    for purpose in ("service", "identity_linking"):
        assert judge(permit=Permit(purpose), bars=[bar(9, 2, purpose=purpose)]).permitted


def test_a_bar_ends_what_silence_permits() -> None:
    everyone = Permit("partner_sharing", "*")
    silent = {WEB: Standing(jurisdiction="US-CA")}
    for assurance in (UNPROVEN, 1):
        barred = bar(9, assurance, purpose="partner_sharing")
        assert judge(permit=everyone, standings=silent, bars=[barred]).reason is PermitReason.BARRED


def test_the_persons_own_denials_are_judged_by_the_log_and_not_by_their_bars() -> None:
    denial, given = event("withdrawn", 2), event("given", 3, APP)
    own = bar(2, record=WEB)
    assert judge(denial, given, bars=[own]).permitted
    assert not judge(denial, given, bars=[bar(2)]).permitted
    assert judge(denial, bars=[bar(2)]).reason is PermitReason.DENIED


@pytest.mark.parametrize(
    ("theirs", "ours", "reaches"),
    [
        ({"controller": "A"}, {"controller": "A"}, True),
        ({"controller": "A"}, {"controller": "B"}, False),
        ({"controller": "A"}, {}, False),
        ({}, {"controller": "A"}, True),
        ({"notice": "n", "notice_version": "1"}, {"notice": "n", "notice_version": "1"}, True),
        ({"notice": "n", "notice_version": "1"}, {"notice": "n", "notice_version": "2"}, False),
        ({"notice": "n", "notice_version": "1"}, {}, False),
        ({}, {"notice": "n", "notice_version": "2"}, True),
    ],
)
def test_a_grant_crosses_only_under_the_same_controller_and_notice(
    theirs: dict[str, Any], ours: dict[str, Any], reaches: bool
) -> None:
    """The other record withdrew under `theirs`, or made a statement about another purpose only."""
    fresh = event("given", 5, APP, **ours)
    assert judge(event("withdrawn", 2, **theirs), fresh).permitted is reaches
    if "notice" not in theirs:
        assert judge(event("refused", 2, purpose="marketing", **theirs), fresh).permitted is reaches


def test_a_statement_without_a_controller_has_that_of_the_policy() -> None:
    policy = Policy.parse({"controller": "A"})
    fresh = event("given", 5, APP)
    assert judge(event("withdrawn", 2, controller="A"), fresh, policy=policy).permitted
    assert not judge(event("withdrawn", 2, controller="B"), fresh, policy=policy).permitted
    assert not judge(event("withdrawn", 2), event("given", 5, APP, controller="B"), policy=policy).permitted


@pytest.mark.parametrize(
    ("reach", "crosses"),
    [(None, True), (frozenset({"web", "app"}), True), (frozenset({"app"}), False), (frozenset[str](), False)],
)
def test_a_grant_crosses_only_to_sources_for_which_its_issuer_may_speak(
    reach: frozenset[str] | None, crosses: bool
) -> None:
    """The other record withdrew, or never stated anything."""
    standings = {RecordId(WEB): Standing(source="web"), RecordId(APP): Standing(source="app")}
    fresh = replace(event("given", 5, APP, proof=Proof.TOKEN), reach=reach)
    assert judge(event("withdrawn", 2), fresh, standings=standings).permitted is crosses
    assert judge(fresh, standings=standings).permitted is crosses


def test_the_latest_of_what_nobody_vouches_for_narrows_like_what_was_vouched_for_before() -> None:
    """The trust of the other record's source was lowered, or somebody stated it without a proof."""
    unproven = event("given", 2, controller="B", notice="n", notice_version="1")
    standings = {RecordId(WEB): Standing(public=True), RecordId(APP): Standing()}
    same = event("given", 5, APP, controller="B", notice="n", notice_version="1")
    other = event("given", 5, APP, controller="A")
    assert judge(unproven, same, standings=standings).permitted
    assert not judge(unproven, other, standings=standings).permitted
    again = event("unknown", 3, controller="A", seq=1)
    assert not judge(unproven, again, other, standings=standings).permitted
    proven = event("given", 4, controller="A", notice="n", notice_version="1", proof=Proof.TOKEN, seq=2)
    assert judge(unproven, again, proven, other, standings=standings).permitted


# recipients

ACME, BOLT, EVERYONE = (Permit("partner_sharing", name) for name in ("acme", "bolt", "*"))


def share(state: str, at: int, recipient: str | None, record: str = WEB, **more: Any) -> ConsentEvent:
    return event(state, at, record, purpose="partner_sharing", recipient=recipient, **more)


def test_a_grant_for_one_recipient_permits_no_other() -> None:
    states = fold([share("given", 1, "acme")], NOW, POLICY)
    assert states[ACME].permitted
    assert not states[EVERYONE].permitted
    assert "partner_sharing@acme" in permits_of(states)


def test_a_statement_about_every_recipient_is_a_default() -> None:
    states = fold([share("given", 1, None), share("refused", 0, "acme"), share("given", 2, "bolt")], NOW, POLICY)
    assert states[EVERYONE].permitted
    assert states[BOLT].permitted
    assert not states[ACME].permitted


def test_a_withdrawal_for_every_recipient_bars_each() -> None:
    states = fold([share("given", 1, "acme"), share("withdrawn", 2, None)], NOW, POLICY)
    assert not states[ACME].permitted
    states = fold([share("given", 3, "acme"), share("withdrawn", 2, None)], NOW, POLICY)
    assert states[ACME].permitted
    assert not states[EVERYONE].permitted


def test_a_grant_for_every_recipient_never_overrides_a_withdrawal_for_one() -> None:
    assert not judge(share("withdrawn", 2, "acme"), share("given", 3, None), permit=ACME).permitted
    assert not judge(share("withdrawn", 2, "acme"), share("given", 3, None, APP), permit=ACME).permitted
    assert judge(share("withdrawn", 2, "acme"), share("given", 3, "acme", APP), permit=ACME).permitted


def test_a_lapse_of_the_default_keeps_the_records_statement_about_one_recipient() -> None:
    default = share("given", 5, None, expires_at=10)
    assert judge(default, share("given", 1, "acme"), permit=ACME).permitted
    assert not judge(default, share("given", 1, "acme", APP), permit=ACME).permitted


# one record's own statements


def test_an_objection_to_linking_applies_until_a_later_grant() -> None:
    objected = event("objected", 2, purpose="identity_linking")
    assert objects_to_linking([objected], NOW)
    assert not objects_to_linking([objected, event("given", 3, purpose="identity_linking")], NOW)
    assert not objects_to_linking([event("unknown", 3, purpose="identity_linking"), event("refused", 3)], NOW)


def test_a_carried_repeat_refreshes_a_denial_against_grants_of_its_own_record_only() -> None:
    """An old device that repeats its banner must not override what the person stated elsewhere since."""
    refused = event("refused", 2)
    again = replace(refused, repeated_at=Millis(5))
    for record, overridden in ((WEB, False), (APP, True)):
        assert judge(refused, event("given", 4, record)).permitted
        assert judge(again, event("given", 4, record)).permitted is overridden
        assert judge(again, event("given", 6, record)).permitted
    assert not judge(replace(event("refused", 2, record=WEB), repeated_at=Millis(5)), event("given", 5)).permitted


# properties of every history

STANDINGS = {WEB: Standing(public=True), APP: Standing(), CRM: Standing(jurisdiction="US-CA")}
"""The accounts of a person: in a browser, of a back end, and of a system of record."""

times = st.integers(0, 12)


@st.composite
def statements(draw: st.DrawFn) -> ConsentStatement:
    purpose = draw(st.sampled_from(["analytics", "analytics", "partner_sharing", "identity_linking", "service"]))
    return ConsentStatement(
        purpose=purpose,
        state=draw(st.sampled_from([*ConsentState, ConsentState.GIVEN, ConsentState.GIVEN])),
        effective_at=Millis(draw(times)),
        recipient=draw(st.sampled_from([None, "acme", "bolt"])) if purpose == "partner_sharing" else None,
        expires_at=draw(st.none() | st.integers(0, 20).map(Millis)),
        assurance=draw(st.integers(0, 2)),
        controller=draw(st.sampled_from([None, None, "A", "B"])),
        notice=draw(st.sampled_from([None, None, "n"])),
        notice_version=draw(st.sampled_from([None, "1"])),
        jurisdiction=draw(st.sampled_from([None, "US-CA", "DE"])),
        mechanism=draw(st.sampled_from([None, None, "opt_in", "notice_only"])),
    )


@st.composite
def histories(draw: st.DrawFn, most: int = 8) -> list[ConsentEvent]:
    one = st.tuples(st.sampled_from([*STANDINGS]), statements(), times, st.sampled_from([None, Proof.TOKEN]))
    return [
        ConsentEvent(f"e{n}", n, record, Millis(received), statement, proof if STANDINGS[record].public else None)
        for n, (record, statement, received, proof) in enumerate(draw(st.lists(one, max_size=most)))
    ]


BARS = st.lists(
    st.builds(
        lambda purpose, recipient, *rest: Bar(
            purpose, recipient if purpose == "partner_sharing" else None, *rest, STRANGER, "bar"
        ),
        st.sampled_from(["analytics", "partner_sharing", "identity_linking", "service"]),
        st.sampled_from([None, "acme", "bolt"]),
        st.sampled_from([UNPROVEN, 0, 1, 2]),
        times.map(Millis),
    ),
    max_size=4,
)

instants = st.integers(0, 21).map(Millis)


def stated_at(event: ConsentEvent) -> int:
    if event.statement.state in DENIALS:
        return event.received_at
    return min(event.statement.effective_at, event.received_at)


def about(event: ConsentEvent, permit: Permit) -> bool:
    return event.statement.purpose == permit.purpose and event.statement.recipient in (None, permit.recipient)


def live_grants(events: Sequence[ConsentEvent], permit: Permit, at: int) -> list[ConsentEvent]:
    return [
        e
        for e in events
        if about(e, permit)
        and e.statement.state in GRANTS
        and e.statement.mechanism != "notice_only"
        and STANDINGS[e.record].grants(e)
        and e.statement.effective_at <= at
        and (e.statement.expires_at is None or e.statement.expires_at > at)
    ]


def denials(events: Sequence[ConsentEvent], permit: Permit, at: int) -> list[ConsentEvent]:
    return [e for e in events if about(e, permit) and e.statement.state in DENIALS and stated_at(e) <= at]


def overrides(grant: ConsentEvent, denial: ConsentEvent) -> bool:
    return stated_at(grant) > stated_at(denial) and grant.statement.assurance >= denial.statement.assurance


def permitted(states: Mapping[Permit, PermitState], permit: Permit) -> bool:
    """Whether a permit holds, of a recipient that may not be named."""
    return (states.get(permit) or states[Permit(permit.purpose, "*")]).permitted


@st.composite
def repetitive_histories(draw: st.DrawFn) -> list[ConsentEvent]:
    """Histories of two records about one purpose: statements often repeat an earlier one, with one difference."""
    found: list[ConsentEvent] = []
    for number in range(draw(st.integers(2, 8))):
        differing = draw(
            st.sampled_from(["state", "assurance", "controller", "notice", "jurisdiction", "expires_at", "mechanism"])
        )
        values: dict[str, list[Any]] = {
            "state": [ConsentState.GIVEN, ConsentState.WITHDRAWN, ConsentState.UNKNOWN],
            "assurance": [0, 1, 2],
            "controller": [None, "A", "B"],
            "notice": [None, "n", "m"],
            "jurisdiction": [None, "US-CA", "DE"],
            "expires_at": [None, Millis(9), Millis(30)],
            "mechanism": [None, "notice_only"],
        }
        like = draw(st.sampled_from(found)) if found else event("given", 1, draw(st.sampled_from([WEB, APP])))
        received = Millis(draw(st.integers(number, number + 2)))
        statement = replace(
            like.statement,
            effective_at=Millis(draw(st.sampled_from([received, received, 0, received + 1]))),
            **{differing: draw(st.sampled_from(values[differing]))},
        )
        record = draw(st.sampled_from([like.record, like.record, WEB, APP]))
        proof = draw(st.sampled_from([like.proof, None, Proof.TOKEN])) if STANDINGS[record].public else None
        again = draw(st.sampled_from([None, None, Millis(received + 2)]))
        found.append(ConsentEvent(f"e{number}", number, record, received, statement, proof, again))
    return found


@settings(max_examples=1500, deadline=None)
@given(repetitive_histories(), st.integers(2, 8), BARS, instants)
def test_what_is_superseded_can_never_matter_again(
    events: list[ConsentEvent], place: int, bars: list[Bar], at: Millis
) -> None:
    early, further = events[:place], events[place:]
    live = [
        one
        for record in STANDINGS
        for one in LiveLog((each for each in early if each.record == record), rank_of).events
    ]
    now = instant_of(early, at)
    for standings in (STANDINGS, {record: replace(one, public=True) for record, one in STANDINGS.items()}):
        every = fold([*early, *further], now, POLICY, standings, bars)
        without = fold([*live, *further], now, POLICY, standings, bars)
        assert {permit: replace(state, until=None) for permit, state in every.items()} == {
            permit: replace(state, until=None) for permit, state in without.items()
        }


@given(histories(), instants)
def test_a_merged_person_permits_no_more_than_each_part_without_a_fresh_grant(
    events: list[ConsentEvent], at: Millis
) -> None:
    merged = fold(events, at, POLICY, STANDINGS)
    for record, standing in STANDINGS.items():
        part = [e for e in events if e.record == record]
        alone = fold(part, at, POLICY, {record: standing})
        for permit, found in merged.items():
            if not found.permitted or permitted(alone, permit):
                continue
            others = [g for g in live_grants(events, permit, at) if g.record != record]
            assert others, "permitted without any grant of another record"
            for denial in denials(part, permit, at):
                assert any(overrides(grant, denial) for grant in live_grants(events, permit, at))


@given(histories(), BARS, instants)
def test_a_bar_never_adds_a_permit(events: list[ConsentEvent], bars: list[Bar], at: Millis) -> None:
    without, barred = fold(events, at, POLICY, STANDINGS), fold(events, at, POLICY, STANDINGS, bars)
    for permit, found in barred.items():
        if found.permitted:
            assert permitted(without, permit)
        elif permitted(without, permit):
            assert found.reason is PermitReason.BARRED
            assert permit.purpose not in ("identity_linking", "service")
            assert any(each.purpose == permit.purpose and each.recipient in (None, permit.recipient) for each in bars)
    assert barred.keys() >= without.keys()


@given(histories(), BARS, instants)
def test_a_recipient_that_only_bars_name_is_an_exception_from_what_everyone_may(
    events: list[ConsentEvent], bars: list[Bar], at: Millis
) -> None:
    without, barred = fold(events, at, POLICY, STANDINGS), fold(events, at, POLICY, STANDINGS, bars)
    for permit in barred.keys() - without.keys():
        assert not barred[permit].permitted
        assert barred[Permit(permit.purpose, "*")].permitted
    for each in bars:
        if barred[EVERYONE].permitted and each.purpose == "partner_sharing" and each.recipient and not each.unproven:
            assert Permit("partner_sharing", each.recipient) in barred


@given(histories(), BARS, instants)
def test_a_bar_of_a_stranger_stops_no_live_grant_that_was_more_than_carried_along(
    events: list[ConsentEvent], bars: list[Bar], at: Millis
) -> None:
    unproven = [each._replace(assurance=UNPROVEN) for each in bars]
    without, barred = fold(events, at, POLICY, STANDINGS), fold(events, at, POLICY, STANDINGS, unproven)
    for permit, found in barred.items():
        named = {each.recipient for each in unproven if each.purpose == permit.purpose}
        if any(
            grant.statement.assurance > 0 and (named == {None} or grant.statement.recipient == permit.recipient)
            for grant in live_grants(events, permit, at)
        ):
            assert found.permitted is permitted(without, permit)


@given(histories(most=5), BARS, instants)
def test_a_later_grant_of_the_bars_assurance_lifts_it(events: list[ConsentEvent], bars: list[Bar], at: Millis) -> None:
    statement = ConsentStatement("analytics", ConsentState.GIVEN, Millis(13), assurance=2)
    fresh = ConsentEvent("fresh", 99, APP, Millis(13), statement)
    later = Millis(max(at, 13))
    found = fold([*events, fresh], later, POLICY, STANDINGS, bars)[ANALYTICS]
    assert found.reason is not PermitReason.BARRED


@given(histories(), instants)
def test_a_permitted_purpose_has_a_grant_that_overrides_each_denial(events: list[ConsentEvent], at: Millis) -> None:
    for permit, found in fold(events, at, POLICY, STANDINGS).items():
        if found.permitted and found.reason is not PermitReason.CONTRACT:
            grants = live_grants(events, permit, at)
            for denial in denials(events, permit, at):
                assert any(overrides(grant, denial) for grant in grants)


@given(histories(), instants)
def test_only_a_live_grant_permits_an_opt_in_purpose(events: list[ConsentEvent], at: Millis) -> None:
    found = fold(events, at, POLICY, STANDINGS)[ANALYTICS]
    assert found.permitted is (found.reason is PermitReason.GIVEN)
    if found.permitted:
        assert found.event in live_grants(events, ANALYTICS, at)


@given(histories(), statements(), st.sampled_from([*STANDINGS]), st.sampled_from(DENIALS))
def test_a_denial_stated_last_bars_the_purpose(
    events: list[ConsentEvent], statement: ConsentStatement, record: RecordId, state: str
) -> None:
    last = replace(statement, state=ConsentState(state), effective_at=Millis(12), mechanism=None)
    states = fold([*events, ConsentEvent("last", 99, record, Millis(12), last)], Millis(12), POLICY, STANDINGS)
    for permit, found in states.items():
        everyone = last.recipient is None and permit.purpose == last.purpose
        if everyone or (permit.purpose, permit.recipient) == (last.purpose, last.recipient):
            assert found.permitted is (found.reason is PermitReason.CONTRACT)


@given(histories(), histories(most=3), st.sampled_from([*STANDINGS.values()]), instants)
def test_a_record_without_grants_never_adds_a_permission(
    events: list[ConsentEvent], more: list[ConsentEvent], standing: Standing, at: Millis
) -> None:
    """Whatever jurisdiction it states, or its source has."""
    other = RecordId("other")
    added = [replace(e, id=f"o{e.id}", record=other) for e in more if e.statement.state not in GRANTS]
    before = fold(events, at, POLICY, STANDINGS)
    for permit, found in fold(events + added, at, POLICY, STANDINGS | {other: standing}).items():
        assert not found.permitted or permitted(before, permit)


@given(histories(), histories(most=3), instants)
def test_what_strangers_state_opens_nothing(events: list[ConsentEvent], more: list[ConsentEvent], at: Millis) -> None:
    """Statements with a public key on the person's own record, without a proof."""
    added = [replace(e, id=f"o{e.id}", seq=90 + e.seq, record=WEB, proof=None) for e in more]
    before = fold(events, at, POLICY, STANDINGS)
    for permit, found in fold(events + added, at, POLICY, STANDINGS).items():
        assert not found.permitted or permitted(before, permit)


@given(histories(), BARS, instants, st.randoms(use_true_random=False))
def test_the_order_of_events_and_bars_does_not_matter(
    events: list[ConsentEvent], bars: list[Bar], at: Millis, rng: Any
) -> None:
    expected = fold(events, at, POLICY, STANDINGS, bars)
    rng.shuffle(events)
    rng.shuffle(bars)
    assert fold(events, at, POLICY, STANDINGS, bars) == expected


@given(histories(), BARS, instants)
def test_nothing_changes_before_until(events: list[ConsentEvent], bars: list[Bar], at: Millis) -> None:
    for permit, found in fold(events, at, POLICY, STANDINGS, bars).items():
        end = 25 if found.until is None else found.until
        assert end > at
        for later in range(at, end):
            then = fold(events, Millis(later), POLICY, STANDINGS, bars)[permit]
            assert (then.permitted, then.state, then.event) == (found.permitted, found.state, found.event)


@given(histories(), BARS, instants)
def test_stored_permits_equal_the_fold(events: list[ConsentEvent], bars: list[Bar], at: Millis) -> None:
    states = fold(events, at, POLICY, STANDINGS, bars)
    subject = SubjectPermits(permits_of(states), ends=ends_of(states), grants=grants_of(states))
    assert len(subject.permits) == len(subject.ends) == len(subject.grants)
    unnamed = Permit("partner_sharing", "somebody else")
    for permit in {unnamed} | {permit for permit in states if permit.recipient != "*"}:
        found = states.get(permit) or states[Permit("partner_sharing", "*")]
        place = subject.deciding(permit)
        assert (place is not None) is found.permitted
        if place is None:
            continue
        assert subject.ended(place, found.until or Millis(25)) is (found.until is not None)
        assert not subject.ended(place, at)
        if permit.recipient:
            assert subject.grants[place] == (found.event.id if found.event else "")


@given(histories(), instants)
def test_a_looser_regime_leaves_denials_in_force(events: list[ConsentEvent], at: Millis) -> None:
    entry = {"title": "A", "description": "A", "lawful_basis": "consent", "regime": "opt_out"}
    loose = Policy.parse({"purposes": {"analytics": entry}})
    strict, free = (fold(events, at, policy, STANDINGS)[ANALYTICS] for policy in (POLICY, loose))
    assert loose.purposes["analytics"].regime is Regime.OPT_OUT
    assert free.permitted is (strict.reason is not PermitReason.DENIED)
