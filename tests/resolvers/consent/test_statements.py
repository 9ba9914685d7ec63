"""Who may make a statement for whom, and which statements can be kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graph.errors import BadInput, Forbidden
from graph.model.consent import ConsentState, ConsentStatement
from graph.model.identity import RecordKind, RecordRef
from graph.model.message import Message
from graph.model.time import Millis
from privacy.gate import Role, Viewer
from privacy.policy import Policy
from privacy.purposes import Assurance
from resolvers.consent.statements import (
    LONGEST_SIGNAL,
    LONGEST_TEXT,
    RECORDABLE_STATES,
    STATEMENT_TEXTS,
    InvalidStatement,
    NamedRecord,
    Speaker,
    admit_recording,
    admit_withdrawal,
    check_statement,
    state_consent,
)

NOW = Millis(1_790_000_000_000)
POLICY = Policy.default()
ADA = RecordRef("shop", RecordKind.USER, "ada")
DEVICE = RecordRef("shop", RecordKind.ANONYMOUS, "a-1")
NAMED = NamedRecord("shop", user_id="ada")
GIVEN = ConsentStatement("analytics", ConsentState.GIVEN, NOW)


def viewer(role: Role, subject: RecordRef | None = None) -> Viewer:
    return Viewer("web", role, subject=subject)


@pytest.mark.parametrize("role", [Role.FRONTEND, Role.PARTNER, Role.AUDITOR])
def test_other_roles_may_not_record_a_consent(role: Role) -> None:
    with pytest.raises(Forbidden, match="recordConsent"):
        admit_recording(viewer(role), ConsentState.GIVEN, NAMED)


@pytest.mark.parametrize("role", [Role.PARTNER, Role.AUDITOR])
def test_other_roles_may_not_withdraw_a_consent(role: Role) -> None:
    with pytest.raises(Forbidden, match="withdrawConsent"):
        admit_withdrawal(viewer(role), "marketing", None, NAMED)


def test_only_states_that_a_person_can_state_are_recorded() -> None:
    for state in ConsentState:
        if state in RECORDABLE_STATES:
            assert admit_recording(viewer(Role.OPERATOR), state, NAMED).record == NAMED
        else:
            with pytest.raises(BadInput, match="withdrawConsent"):
                admit_recording(viewer(Role.OPERATOR), state, NAMED)


def test_a_front_end_may_not_state_a_jurisdiction() -> None:
    with pytest.raises(Forbidden, match="jurisdiction"):
        admit_withdrawal(viewer(Role.FRONTEND), "marketing", "US-CA", NAMED)
    assert admit_withdrawal(viewer(Role.FRONTEND), "marketing", None, NAMED) == Speaker(NAMED, "web")
    assert admit_withdrawal(viewer(Role.OPERATOR), "identity_linking", "US-CA", NAMED) == Speaker(NAMED, "web")


def test_a_client_must_name_whose_statement_it_is() -> None:
    with pytest.raises(BadInput, match="record"):
        admit_recording(viewer(Role.OPERATOR), ConsentState.GIVEN, None)
    with pytest.raises(Forbidden, match="not a person's"):
        admit_recording(viewer(Role.SUBJECT), ConsentState.GIVEN, NAMED)


@pytest.mark.parametrize(
    ("subject", "own"), [(ADA, NAMED), (DEVICE, NamedRecord("shop", anonymous_id="a-1"))], ids=["user", "anonymous"]
)
def test_a_person_speaks_only_for_their_own_record(subject: RecordRef, own: NamedRecord) -> None:
    me = viewer(Role.SUBJECT, subject)
    for record in (None, own):
        speaker = admit_recording(me, ConsentState.GIVEN, record)
        assert speaker == Speaker(own, "web", subject)
        assert speaker.assurance is Assurance.AUTHENTICATED
    others = [
        replace(own, source="app"),
        replace(own, user_id="eve"),
        replace(own, anonymous_id="b-2"),
        replace(own, user_id="", anonymous_id=""),
        NamedRecord("shop"),
    ]
    for record in others:
        with pytest.raises(Forbidden, match="own record"):
            admit_withdrawal(me, "marketing", None, record)


def test_message_ids_of_a_person_are_kept_apart_from_all_others() -> None:
    client, ada = Speaker(NAMED, "web"), Speaker(NAMED, "web", ADA)
    eve = Speaker(NAMED, "web", replace(ADA, key="eve"))
    assert client.scope_message_id("m") != "m"  # the source itself may use this ID
    assert client.scope_message_id("m") != replace(client, client="app").scope_message_id("m")
    assert len({client.scope_message_id("m"), ada.scope_message_id("m"), eve.scope_message_id("m")}) == 3
    assert ada.scope_message_id("m") == ada.scope_message_id("m")
    assert ada.scope_message_id(None) is None
    assert ada.scope_message_id("") == ""


@pytest.mark.parametrize(
    ("subject", "assurance"), [(None, Assurance.STATED), (ADA, Assurance.AUTHENTICATED)], ids=["client", "person"]
)
def test_the_message_names_who_vouches_for_the_statement(subject: RecordRef | None, assurance: Assurance) -> None:
    head = Message("shop|m", "shop", ADA, NOW, NOW)
    forged = replace(GIVEN, actor="somebody", assurance=9)
    message = state_consent(head, forged, Speaker(NAMED, "web", subject), POLICY)
    assert message == replace(head, consents=(replace(GIVEN, actor="web", assurance=int(assurance)),))


def test_every_text_of_a_statement_has_a_maximum_length() -> None:
    texts = {name for name, hint in ConsentStatement.__annotations__.items() if hint == "str | None"}
    assert set(STATEMENT_TEXTS) == texts
    for slot, name in STATEMENT_TEXTS.items():
        longest = LONGEST_SIGNAL if slot == "raw_signal" else LONGEST_TEXT
        with pytest.raises(InvalidStatement, match=f"^{name} is not an allowed") as caught:
            check_statement(replace(GIVEN, **{slot: "x" * (longest + 1)}), POLICY)
        assert caught.value.field == name
    assert check_statement(replace(GIVEN, raw_signal="x" * LONGEST_SIGNAL), POLICY)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"purpose": ""}, "purpose"),
        ({"purpose": "x" * (LONGEST_TEXT + 1)}, "purpose"),
        ({"purpose": "fun"}, "purpose"),
        ({"categories": ("a", "x" * (LONGEST_TEXT + 1))}, "categories"),
        ({"recipient": "acme"}, "recipient"),
        ({"purpose": "partner_sharing", "recipient": "*"}, "recipient"),
        ({"mechanism": "shout"}, "mechanism"),
        ({"lawful_basis": "whim"}, "lawfulBasis"),
        ({"notice": " "}, "notice"),
        ({"notice": "a\nb"}, "notice"),
    ],
)
def test_an_invalid_statement_is_refused_with_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidStatement, match=f"^{field}") as caught:
        check_statement(replace(GIVEN, **change), POLICY)
    assert caught.value.field == field


def test_a_recipient_is_spelled_as_in_permits() -> None:
    stated = replace(GIVEN, purpose="partner_sharing", recipient=" ACME ")
    assert check_statement(stated, POLICY).recipient == "acme"
