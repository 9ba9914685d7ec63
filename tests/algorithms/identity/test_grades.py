"""The table of grades in decision 0008."""

from __future__ import annotations

import pytest

from algorithms.identity.grades import grade_identifier, stands
from graph.model.access import ALWAYS, Trust
from graph.model.identity import Grade, Proof
from graph.model.time import Millis

NOW = Millis(1_790_000_000_000)
KINDS = ("user_id", "anonymous_id", "crm_id", "email", "phone")


def grades(trust: Trust, *verifies: str, proof: Proof | None = None) -> str:
    """Returns the first letters of the grades of KINDS."""
    return "".join(grade_identifier(kind, trust, dict.fromkeys(verifies, ALWAYS), proof=proof)[0] for kind in KINDS)


def test_without_a_proof_everything_of_a_public_source_is_claimed() -> None:
    assert grades(Trust.PUBLIC) == "ccccc"


@pytest.mark.parametrize("proof", [Proof.TOKEN, Proof.HASH, Proof.CREDENTIAL])
def test_a_proof_covers_the_names_of_the_message_and_nothing_else(proof: Proof) -> None:
    assert grades(Trust.PUBLIC, "email", proof=proof) == "ppccc"


def test_a_static_hash_covers_the_user_id_and_no_device() -> None:
    assert grades(Trust.PUBLIC, proof=Proof.STATIC) == "pcccc"


@pytest.mark.parametrize("trust", Trust)
def test_a_confirmation_also_covers_the_contact_data_of_its_message(trust: Trust) -> None:
    assert grades(trust, proof=Proof.CONFIRMATION) == ("ppcpp" if trust is Trust.PUBLIC else "ppppp")


def test_contact_data_of_a_server_is_stated_unless_it_verifies_the_kind() -> None:
    assert grades(Trust.SERVER) == "pppss"
    assert grades(Trust.SERVER, "email") == "pppps"
    assert grades(Trust.SERVER, "email", "phone") == "ppppp"


def test_everything_of_a_system_of_record_is_proven() -> None:
    assert grades(Trust.RECORD) == "ppppp"


def test_grades_are_ordered() -> None:
    assert sorted(Grade, key=lambda grade: grade.rank) == [Grade.CLAIMED, Grade.STATED, Grade.PROVEN]


def test_a_holding_stands_while_its_source_or_its_proof_still_proves_it() -> None:
    assert stands("email", Trust.SERVER, {"email": ALWAYS}, NOW, None)
    assert not stands("email", Trust.SERVER, {}, NOW, None)
    assert not stands("user_id", Trust.PUBLIC, {}, NOW, None)
    assert stands("user_id", Trust.PUBLIC, {}, NOW, Proof.HASH)


def test_what_was_received_before_the_source_began_to_check_is_not_proven() -> None:
    verifies = {"email": NOW}
    assert grade_identifier("email", Trust.SERVER, verifies, NOW) is Grade.PROVEN
    assert grade_identifier("email", Trust.SERVER, verifies, Millis(NOW - 1)) is Grade.STATED
    assert grade_identifier("email", Trust.SERVER, verifies) is Grade.STATED
    assert grade_identifier("email", Trust.SERVER, verifies, ALWAYS, Proof.CONFIRMATION) is Grade.PROVEN
    assert not stands("email", Trust.SERVER, verifies, Millis(NOW - 1), None)
