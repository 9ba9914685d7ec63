"""How well it is known that an identifier belongs to a record, by who stated it and with what proof."""

from __future__ import annotations

from typing import Final

from algorithms.identity.blocking import ANONYMOUS_ID, EMAIL, PHONE, USER_ID
from graph.model.access import ALWAYS, Trust, Verified
from graph.model.identity import Grade, Proof
from graph.model.time import Millis

CONTACT_KINDS: Final = frozenset({EMAIL, PHONE})
"""Kinds of contact data. A server's are stated: people type them in, and not every back end checks them."""

_NAMING_KINDS: Final = frozenset({USER_ID, ANONYMOUS_ID})
"""The two IDs by which a message names its person."""


def covers(proof: Proof | None, kind: str) -> bool:
    """Whether a message's proof proves its identifiers of a kind: the names of its person and, after a confirmation,
    the contact data in it. A static hash knows no device."""
    if proof is Proof.STATIC:
        return kind == USER_ID
    return proof is not None and (kind in _NAMING_KINDS or (proof is Proof.CONFIRMATION and kind in CONTACT_KINDS))


def grade_identifier(
    kind: str, trust: Trust, verifies: Verified, received: Millis = ALWAYS, proof: Proof | None = None
) -> Grade:
    """Returns the grade of an identifier of a kind that was received at an instant. `verifies` is what contact data the
    source checks, and since when: what was received before that nobody has checked. `proof` is what proves this very
    identifier; a public source needs one for any, a server for contact data that it didn't check. O(1)."""
    if trust is Trust.RECORD or covers(proof, kind):
        return Grade.PROVEN
    if trust is Trust.SERVER:
        return Grade.PROVEN if kind not in CONTACT_KINDS or _checked(kind, verifies, received) else Grade.STATED
    return Grade.CLAIMED


def _checked(kind: str, verifies: Verified, received: Millis) -> bool:
    since = verifies.get(kind)
    return since is not None and received >= since


def stands(kind: str, trust: Trust, verifies: Verified, received: Millis, proof: Proof | None) -> bool:
    """Whether a holding that was proven when it was written still is, under what its source is trusted with now.
    O(1)."""
    return grade_identifier(kind, trust, verifies, received, proof) is Grade.PROVEN
