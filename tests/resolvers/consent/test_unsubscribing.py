"""Tokens of unsubscribe links: sealed for one record and purpose, and nothing else."""

from __future__ import annotations

import pytest

from graph.errors import BadInput
from graph.model.consent import ConsentState
from graph.model.time import Millis
from privacy.policy import Policy
from resolvers.consent.statements import NamedRecord
from resolvers.consent.unsubscribing import Unsubscription, open_unsubscription, seal_unsubscription

SECRET = b"s" * 32
POLICY = Policy.default()
ADA = Unsubscription(NamedRecord("shop", "ada"), "marketing", None, "desk")


def test_a_token_opens_to_what_was_sealed() -> None:
    assert open_unsubscription(SECRET, seal_unsubscription(SECRET, ADA, POLICY)) == ADA


def test_a_link_always_denies() -> None:
    assert ADA.statement(Millis(5)).state is ConsentState.WITHDRAWN


def test_a_token_shows_nobodys_name() -> None:
    token = seal_unsubscription(SECRET, ADA, POLICY)
    assert "ada" not in token
    assert seal_unsubscription(SECRET, ADA, POLICY) == token


@pytest.mark.parametrize("position", [0, 10, -1])
def test_a_changed_token_opens_nothing(position: int) -> None:
    token = seal_unsubscription(SECRET, ADA, POLICY)
    other = "A" if token[position] != "A" else "B"
    changed = token[:position] + other + (token[position + 1 :] if position != -1 else "")
    assert open_unsubscription(SECRET, changed) is None
    assert open_unsubscription(b"t" * 32, token) is None


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 9000, "=" * 8, "\0"])
def test_what_is_no_token_opens_nothing(token: str) -> None:
    assert open_unsubscription(SECRET, token) is None


@pytest.mark.parametrize(
    ("record", "purpose"),
    [
        (NamedRecord("shop", "ada"), "world_peace"),
        (NamedRecord("shop"), "marketing"),
        (NamedRecord("shop", "ada", "a1"), "marketing"),
    ],
)
def test_what_cannot_be_taken_back_is_refused(record: NamedRecord, purpose: str) -> None:
    with pytest.raises(BadInput):
        seal_unsubscription(SECRET, Unsubscription(record, purpose, None, "desk"), POLICY)
