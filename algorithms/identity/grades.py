"""How well it is known that an identifier belongs to a record, by who stated it and with what proof."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from algorithms.identity.blocking import ANONYMOUS_ID, EMAIL, PHONE, USER_ID
from graph.model.access import Trust
from graph.model.identity import Grade, Proof

CONTACT_KINDS: Final = frozenset({EMAIL, PHONE})
"""Kinds of contact data. A server's are stated: people type them in, and not every back end checks them."""

_NAMING_KINDS: Final = frozenset({USER_ID, ANONYMOUS_ID})
"""The two IDs by which a message names its person."""


def covers(proof: Proof | None, kind: str) -> bool:
    """Whether a message's proof proves its identifiers of a kind: the names of its person and, after a confirmation,
    the contact data in it."""
    return proof is not None and (kind in _NAMING_KINDS or (proof is Proof.CONFIRMATION and kind in CONTACT_KINDS))


def grade_identifier(kind: str, trust: Trust, verifies: Collection[str] = (), proof: Proof | None = None) -> Grade:
    """Returns the grade of an identifier of a kind. `verifies` are the kinds of contact data that the source checks;
    `proof` is what proves this very identifier; a public source needs one for any, a server for contact data that it
    doesn't check. O(1)."""
    if trust is Trust.RECORD or covers(proof, kind):
        return Grade.PROVEN
    if trust is Trust.SERVER:
        return Grade.STATED if kind in CONTACT_KINDS and kind not in verifies else Grade.PROVEN
    return Grade.CLAIMED


def stands(kind: str, trust: Trust, verifies: Collection[str], proof: Proof | None) -> bool:
    """Whether a holding that was proven when it was written still is, under what its source is trusted with now.
    O(1)."""
    return grade_identifier(kind, trust, verifies, proof) is Grade.PROVEN
