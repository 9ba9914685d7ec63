"""The gate: what each role sees for which purpose, and that only the gate reveals facts and mints scopes."""

from __future__ import annotations

import ast
import copy
import os
import pickle
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import BadInput
from graph.model.identity import RecordKind, RecordRef, UserId
from graph.model.profile import RevealedFacts, StoredFacts
from graph.model.scope import PermittedScope
from graph.model.segments import MembershipFacts, SegmentKey
from graph.model.time import Millis
from privacy.fields import PERSONAL_FIELDS, Category
from privacy.gate import (
    VALUES_SCOPE,
    Decision,
    Role,
    Ruling,
    SubjectPermits,
    VerdictReason,
    Viewer,
    decide,
    mint_scope,
    reveal,
)
from privacy.policy import Policy

ROOT = Path(__file__).parents[2]
POLICY = Policy.default()
NOW = Millis(1000)
ANNE, BEN = RecordRef("shop", RecordKind.USER, "anne"), RecordRef("shop", RecordKind.USER, "ben")
FIRST_PARTY = ("service", "identity_linking", "analytics", "personalisation", "marketing")
VALUES = set(PERSONAL_FIELDS) - {"consents", "consentHistory", "withheld"}


def subject(*permits: str, until: int | None = None) -> SubjectPermits:
    return SubjectPermits(permits, None if until is None else Millis(until), 3, frozenset({ANNE.id}))


def viewer(role: str, purpose: str | None = None, **more: Any) -> Viewer:
    return Viewer("client", Role(role), purpose, **more)


def seen(who: Viewer, whom: SubjectPermits) -> set[str]:
    decision = decide(who, whom, POLICY, NOW)
    return {name for name in PERSONAL_FIELDS if decision.permits(name)}


def fields_of(*purposes: str) -> set[str]:
    return {name for name in VALUES if set(purposes) & POLICY.categories[PERSONAL_FIELDS[name].category]}


FACTS = StoredFacts(
    id=UserId("u"),
    created_at=Millis(1),
    updated_at=Millis(2),
    **{
        field.name: ("x",)
        for field in fields(StoredFacts)
        if field.name not in ("id", "created_at", "updated_at", "segments")
    },
    segments=tuple(MembershipFacts(SegmentKey(p), p, Millis(1)) for p in ("analytics", "marketing", "partner_sharing")),
)


# front-ends and operators


@pytest.mark.parametrize("role", ["frontend", "operator"])
@pytest.mark.parametrize("purpose", FIRST_PARTY)
def test_a_purpose_opens_its_categories_while_it_is_permitted(role: str, purpose: str) -> None:
    everything = subject(*FIRST_PARTY)
    assert seen(viewer(role, purpose), everything) == fields_of(purpose)
    others = [p for p in FIRST_PARTY if p != purpose]
    assert seen(viewer(role, purpose), subject(*others)) == set()
    assert decide(viewer(role, purpose), subject(*others), POLICY, NOW).visible


@pytest.mark.parametrize("purpose", [None, "", "research", "partner_sharing", "*", "partner_sharing@acme"])
def test_without_a_first_party_purpose_no_field_is_seen(purpose: str | None) -> None:
    whom = subject(*FIRST_PARTY, "partner_sharing@*", "partner_sharing@acme", "research", "")
    assert seen(viewer("frontend", purpose), whom) == set()
    assert not decide(viewer("frontend", purpose), whom, POLICY, NOW).visible
    assert seen(viewer("operator", purpose), whom) == set()
    assert decide(viewer("operator", purpose), whom, POLICY, NOW).visible
    assert not decide(viewer("frontend", "service", recipient="acme"), whom, POLICY, NOW).visible


def test_a_computed_field_needs_its_own_purpose_as_well() -> None:
    own = Policy.parse({"categories": {"predictions": ["marketing"]}})
    with_both = decide(viewer("frontend", "marketing"), subject("marketing", "personalisation"), own, NOW)
    assert with_both.permits("recommendations")
    without = decide(viewer("frontend", "marketing"), subject("marketing"), own, NOW)
    assert not without.permits("recommendations")
    assert without.reason("recommendations") is VerdictReason.NOT_COMPUTED
    assert not decide(viewer("frontend", "marketing"), subject("marketing"), POLICY, NOW).permits("rfm")
    assert decide(viewer("frontend", "marketing"), subject("marketing"), POLICY, NOW).permits("segments")


def test_each_reason_is_distinct() -> None:
    decision = decide(viewer("frontend", "marketing"), subject("marketing"), POLICY, NOW)
    assert decision.reason("email") is VerdictReason.PURPOSE_PERMITTED
    assert decision.reason("interactions") is VerdictReason.NOT_FOR_PURPOSE
    assert decision.reason("consents") is VerdictReason.NOT_FOR_ROLE
    assert decision.reason("shoeSize") is VerdictReason.UNKNOWN_FIELD
    assert not decision.permits("shoeSize")
    assert (
        decide(viewer("frontend", "marketing"), subject(), POLICY, NOW).reason("email") is VerdictReason.NOT_PERMITTED
    )
    assert decide(viewer("frontend"), subject(), POLICY, NOW).reason("email") is VerdictReason.INVISIBLE
    assert decision.consent_epoch == 3


# partners


def partner(recipient: str | None = "acme", purpose: str | None = "partner_sharing") -> Viewer:
    return viewer("partner", purpose, recipient=recipient)


def test_a_partner_sees_people_who_permit_sharing_with_it() -> None:
    assert seen(partner(), subject("partner_sharing@acme")) == fields_of("partner_sharing") - {"rfm"}
    assert seen(partner(), subject("partner_sharing@acme", "analytics")) == fields_of("partner_sharing")


@pytest.mark.parametrize(
    "whom",
    [
        subject(*FIRST_PARTY),
        subject("partner_sharing@bolt"),
        subject("partner_sharing"),
        subject("partner_sharing@*", "!partner_sharing@acme"),
        subject("partner_sharing@acme", until=1000),
    ],
)
def test_everyone_else_is_invisible_to_a_partner(whom: SubjectPermits) -> None:
    decision = decide(partner(), whom, POLICY, NOW)
    assert not decision.visible
    assert reveal(decision, FACTS) is None
    assert decision.withheld() is None


def test_a_permit_for_every_recipient_has_exceptions() -> None:
    whom = subject("partner_sharing@*", "!partner_sharing@bolt")
    assert decide(partner("acme"), whom, POLICY, NOW).visible
    assert not decide(partner("bolt"), whom, POLICY, NOW).visible
    assert decide(partner("bolt"), subject("partner_sharing@*", "partner_sharing@bolt"), POLICY, NOW).visible


@pytest.mark.parametrize("who", [partner(None), partner(purpose=None), partner(purpose="service")])
def test_a_partner_without_recipient_or_sharing_purpose_sees_nobody(who: Viewer) -> None:
    whom = subject(*FIRST_PARTY, "partner_sharing@*", "partner_sharing@acme", "service@acme")
    assert not decide(who, whom, POLICY, NOW).visible


# the person


def test_people_see_all_of_their_own_fields() -> None:
    me = viewer("subject", subject=ANNE)
    assert seen(me, subject(*FIRST_PARTY)) == set(PERSONAL_FIELDS)
    computed = {"rfm", "recent", "recommendations"}
    assert seen(me, subject()) == set(PERSONAL_FIELDS) - computed
    assert {(w.field, w.reason) for w in decide(me, subject(), POLICY, NOW).withheld() or ()} == {
        (name, VerdictReason.NOT_COMPUTED) for name in computed - {"recent"}
    }


@pytest.mark.parametrize("role", Role)
def test_a_credential_bound_to_a_person_sees_nobody_else(role: str) -> None:
    everything = subject(*FIRST_PARTY, "partner_sharing@acme")
    recipient = "acme" if role == "partner" else None
    purpose = "partner_sharing" if role == "partner" else "service"
    mine = viewer(role, purpose, recipient=recipient, subject=ANNE, scopes=frozenset({VALUES_SCOPE}))
    assert decide(mine, everything, POLICY, NOW).visible
    theirs = replace(mine, subject=BEN)
    assert not decide(theirs, everything, POLICY, NOW).visible
    assert seen(theirs, everything) == set()
    assert not decide(mine, replace(everything, records=frozenset()), POLICY, NOW).visible


def test_a_subject_without_a_record_sees_nobody() -> None:
    assert not decide(viewer("subject"), subject(*FIRST_PARTY), POLICY, NOW).visible


# auditors


def test_an_auditor_sees_consents_and_needs_purpose_and_scope_for_values() -> None:
    always = {"consents", "consentHistory", "withheld"}
    everything = subject(*FIRST_PARTY)
    scoped = frozenset({VALUES_SCOPE})
    assert seen(viewer("auditor"), everything) == always
    assert seen(viewer("auditor", "service"), everything) == always
    assert seen(viewer("auditor", scopes=scoped), everything) == always
    assert seen(viewer("auditor", "service", scopes=scoped), everything) == always | fields_of("service")
    assert seen(viewer("auditor", "marketing", scopes=scoped), subject("service")) == always
    reasons = {w.field: w.reason for w in decide(viewer("auditor"), everything, POLICY, NOW).withheld() or ()}
    assert reasons["email"] is VerdictReason.NO_SCOPE
    assert set(reasons) == VALUES - {"recent"}


# stale permits


def test_stale_permits_decide_nothing() -> None:
    whom = subject(*FIRST_PARTY, "partner_sharing@acme", until=1000)
    for purpose in FIRST_PARTY:
        decision = decide(viewer("frontend", purpose), whom, POLICY, NOW)
        assert {decision.verdict(name).ruling for name in fields_of(purpose)} <= {Ruling.UNDECIDED}
        assert seen(viewer("frontend", purpose), whom) == set()
    me = decide(viewer("subject", subject=ANNE), whom, POLICY, NOW)
    assert me.permits("email")
    assert me.verdict("recommendations").ruling is Ruling.UNDECIDED
    assert seen(viewer("frontend", "service"), replace(whom, permits_until=Millis(1001))) == fields_of("service")


def test_a_permit_past_its_end_hides_nothing_else() -> None:
    whom = replace(
        subject("analytics", "marketing", "partner_sharing@*", "partner_sharing@acme", until=900), ends=(0, 900, 0, 900)
    )
    assert decide(viewer("frontend", "analytics"), whom, POLICY, NOW).permits("interactions")
    marketing = decide(viewer("frontend", "marketing"), whom, POLICY, NOW)
    assert marketing.reason("email") is VerdictReason.STALE
    assert (marketing.held, marketing.ended) == ({"analytics"}, {"marketing"})
    assert not decide(viewer("partner", "partner_sharing", recipient="acme"), whom, POLICY, NOW).visible
    assert decide(viewer("partner", "partner_sharing", recipient="beta"), whom, POLICY, NOW).visible


# the mask


def revealed(decision: Decision) -> RevealedFacts:
    facts = reveal(decision, FACTS)
    assert facts is not None
    return facts


def test_a_withheld_field_is_none() -> None:
    facts = revealed(decide(viewer("frontend", "service"), subject("service"), POLICY, NOW))
    assert facts.email == ("x",)
    for field in fields(facts):
        name = next((rule.name for rule in PERSONAL_FIELDS.values() if rule.slot == field.name), None)
        assert (getattr(facts, field.name) is None) is (name is not None and name not in fields_of("service"))


def test_a_membership_is_shown_while_its_own_purpose_is_permitted() -> None:
    facts = revealed(decide(viewer("frontend", "marketing"), subject("marketing"), POLICY, NOW))
    assert [membership.segment for membership in facts.segments or ()] == ["marketing"]
    facts = revealed(decide(viewer("subject", subject=ANNE), subject("analytics"), POLICY, NOW))
    assert [membership.segment for membership in facts.segments or ()] == ["analytics"]
    assert revealed(decide(viewer("frontend", "service"), subject("service"), POLICY, NOW)).segments is None


permit_sets = st.lists(
    st.sampled_from([*FIRST_PARTY, "partner_sharing@acme", "partner_sharing@*", "!partner_sharing@acme"]), unique=True
)
viewers = st.builds(
    Viewer,
    client=st.just("c"),
    role=st.sampled_from(Role),
    purpose=st.sampled_from([None, "research", "partner_sharing", *FIRST_PARTY]),
    recipient=st.sampled_from([None, "acme"]),
    subject=st.sampled_from([None, ANNE, BEN]),
    scopes=st.sampled_from([frozenset(), frozenset({VALUES_SCOPE})]),
)


@given(viewers, permit_sets, st.none() | st.integers(990, 1010))
def test_only_the_person_sees_a_value_that_is_not_permitted(who: Viewer, permits: list[str], until: int | None) -> None:
    whom = subject(*permits, until=until)
    decision = decide(who, whom, POLICY, NOW)
    facts = reveal(decision, FACTS)
    assert (facts is None) is not decision.visible
    if facts is None or who.role is Role.SUBJECT:
        return
    held = whom.permits if until is None or until > NOW else ()
    for name in VALUES:
        rule = PERSONAL_FIELDS[name]
        assert rule.slot is not None
        if getattr(facts, rule.slot) is not None:
            assert who.purpose in POLICY.categories[rule.category]
            permit = who.purpose if who.recipient is None else f"{who.purpose}@{who.recipient}"
            assert permit in held or "partner_sharing@*" in held
            assert rule.computed_for is None or rule.computed_for in held


@given(viewers, permit_sets, permit_sets)
def test_fewer_permits_never_show_more(who: Viewer, some: list[str], more: list[str]) -> None:
    more = [permit for permit in more if not permit.startswith("!")]
    before, after = subject(*some), subject(*some, *more)
    assert seen(who, before) <= seen(who, after)


# the mint


def test_scopes_are_minted_for_known_purposes() -> None:
    scope = mint_scope("analytics", POLICY, NOW)
    assert (scope.permit, scope.purpose, scope.now, scope.blanket, scope.barred) == (
        "analytics",
        "analytics",
        NOW,
        "",
        "",
    )
    scope = mint_scope("partner_sharing", POLICY, NOW, "acme")
    assert (scope.permit, scope.blanket) == ("partner_sharing@acme", "partner_sharing@*")
    assert scope.barred == "!partner_sharing@acme"
    for purpose, recipient in [("research", None), ("partner_sharing", None), ("analytics", "acme"), ("", None)]:
        with pytest.raises(BadInput):
            mint_scope(purpose, POLICY, NOW, recipient)


def test_only_the_gate_can_make_or_change_a_scope() -> None:
    scope = mint_scope("analytics", POLICY, NOW)
    with pytest.raises(TypeError):
        PermittedScope("marketing", "marketing", NOW)
    with pytest.raises(TypeError):
        PermittedScope("marketing", "marketing", NOW, mint=object())
    with pytest.raises(TypeError):
        replace(scope, permit="marketing")
    with pytest.raises(AttributeError):
        scope.permit = "marketing"  # type: ignore[misc]
    assert copy.copy(scope) == pickle.loads(pickle.dumps(scope)) == scope


def test_only_the_gate_can_make_or_change_revealed_facts() -> None:
    facts = revealed(decide(viewer("frontend", "service"), subject("service"), POLICY, NOW))
    with pytest.raises(TypeError):
        RevealedFacts(facts.id, facts.created_at, facts.updated_at, email="x")
    with pytest.raises(TypeError):
        RevealedFacts(facts.id, facts.created_at, facts.updated_at, email="x", mint=object())
    with pytest.raises(TypeError):
        replace(facts, rfm=FACTS.rfm)
    with pytest.raises(AttributeError):
        facts.rfm = FACTS.rfm  # type: ignore[misc]
    assert copy.copy(facts) == copy.deepcopy(facts) == pickle.loads(pickle.dumps(facts)) == facts
    assert facts != FACTS


GUARDED = {"Decision", "PermittedScope", "RevealedFacts"}
DECIDED = {"categories", "held", "visible", "facts"}
"""Fields of decisions and views that `replace` may not change outside the gate."""
INNER = {"SCOPE_MINT", "REVEAL_MINT", "_Facts"}
BYPASSES = {"__new__", "__setattr__", "__setstate__", "__post_init__"}


def mints(source: str) -> list[int]:
    """Returns the lines that make a guarded value or may help to: uses of its type outside imports and annotations, the
    token or the base class, either name as a string, and ways around the constructor."""
    nodes = list(ast.walk(ast.parse(source)))
    notes = [note for node in nodes for kind in ("annotation", "returns") if (note := getattr(node, kind, None))]
    annotated = {inner for note in notes for inner in ast.walk(note)}
    found = []
    for node in nodes:
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                bad = name in INNER | BYPASSES or (name in GUARDED and node not in annotated)
            case ast.alias(name=name, asname=renamed):
                bad = name in INNER or (name in GUARDED and renamed is not None)
            case ast.Call(func=ast.Name(id="replace") | ast.Attribute(attr="replace"), keywords=changes):
                bad = any(change.arg in DECIDED for change in changes)
            case ast.Constant(value=str(name)):
                bad = name in GUARDED | INNER | BYPASSES
            case _:
                bad = False
        if bad:
            found.append(getattr(node, "lineno", 0))
    return found


def test_only_the_gate_mints() -> None:
    places = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in ("api", "graph", "resolvers", "algorithms", "privacy", "migrations", "benchmarks")
        for path in sorted((ROOT / package).rglob("*.py"))
        for line in mints(path.read_text(encoding="utf-8"))
    ]
    allowed = ("privacy/gate.py:", "graph/model/scope.py:", "graph/model/profile.py:")
    assert [place for place in places if not place.startswith(allowed)] == []
    assert len([place for place in places if place.startswith("privacy/gate.py:")]) >= 4, "the check finds both mints"


@pytest.mark.parametrize(
    "leak",
    [
        "replace(decision, categories=everything, held=all_purposes, visible=True)",
        "dataclasses.replace(view, facts=stored)",
        "from graph.model.scope import PermittedScope\nPermittedScope('a', 'a', 1)",
        "from graph.model import scope\nscope.PermittedScope('a', 'a', 1)",
        "from graph.model.scope import SCOPE_MINT",
        "from graph.model import scope\nx = scope.SCOPE_MINT",
        "from graph.model.scope import PermittedScope as P",
        "from graph.model import scope\ngetattr(scope, 'SCOPE_MINT')",
        "from graph.model.profile import RevealedFacts\nRevealedFacts('u', 1, 2)",
        "from graph.model import profile\nprofile.RevealedFacts('u', 1, 2)",
        "from graph.model.profile import REVEAL_MINT",
        "from graph.model import profile\nreplace(facts, email='x', mint=profile.REVEAL_MINT)",
        "from graph.model.profile import RevealedFacts as R",
        "from graph.model import profile\ngetattr(profile, 'RevealedFacts')",
        "from graph.model.profile import RevealedFacts\nmake = RevealedFacts",
        "from graph.model.profile import RevealedFacts\nobject.__new__(RevealedFacts)",
        "from graph.model.profile import RevealedFacts\nx = cast(RevealedFacts, stored)",
        "from graph.model.profile import RevealedFacts\nclass Own(RevealedFacts): pass",
        "from graph.model.profile import _Facts",
        "object.__new__(type(view.facts))",
        "object.__setattr__(copy(view.facts), 'email', 'x')",
        "copy(view.facts).__setstate__(values)",
        "setattr(type(view.facts), '__post_init__', print)",
    ],
)
def test_the_check_finds_every_leak(leak: str) -> None:
    assert mints(leak)


@pytest.mark.parametrize(
    "use",
    [
        "from graph.model.profile import RevealedFacts\ndef show(facts: RevealedFacts | None) -> RevealedFacts: ...",
        "from graph.model.scope import PermittedScope\nclass Reader:\n    scopes: dict[str, PermittedScope]",
    ],
)
def test_the_check_allows_annotations(use: str) -> None:
    assert mints(use) == []


SHOW = """
from graph.model.profile import StoredFacts
from privacy.gate import Decision, reveal
from resolvers.context import RequestContext
from resolvers.profile.find import PersonView, Wanted


def show(request: RequestContext, decision: Decision, stored: StoredFacts) -> PersonView | None:
    facts = {facts}
    if facts is None:
        return None
    return PersonView(request, decision, facts, Wanted(frozenset()), (), {})
"""


def test_mypy_rejects_showing_stored_facts(tmp_path: Path) -> None:
    for name, facts in (("leak", "stored"), ("decided", "reveal(decision, stored)")):
        (tmp_path / f"{name}.py").write_text(SHOW.replace("{facts}", facts), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--no-error-summary", *sorted(tmp_path.iterdir())],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    (error,) = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert "leak.py" in error
    assert "[arg-type]" in error
    assert '"StoredFacts"; expected "RevealedFacts"' in error


def test_the_api_never_handles_undecided_facts() -> None:
    undecided = re.compile(r"\b(StoredFacts|StoredProfile|graph\.profile)\b")
    doors = sorted((ROOT / "api").rglob("*.py"))
    assert doors
    assert [path.name for path in doors if undecided.search(path.read_text(encoding="utf-8"))] == []


def test_every_category_has_a_verdict() -> None:
    for role in Role:
        decision = decide(viewer(role), subject(), POLICY, NOW)
        assert set(decision.categories) == set(Category)
