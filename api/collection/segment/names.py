"""Whom a message is about: the record that it is written to, and the identifiers that it states, each with its grade.

A public source can't vouch for a user ID. Without a proof, its messages are written to the record of the anonymous ID,
and the user ID is a claim of that record. A static hash proves which account a message's behaviour belongs to, and
nothing else in the message is attached to the account, not even the device. Otherwise anyone with the hash could attach
an identifier and learn what the account denies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from algorithms.identity.blocking import ANONYMOUS_ID, EMAIL, PHONE, USER_ID, BlockReason
from algorithms.identity.grades import grade_identifier
from algorithms.identity.normalise import LONGEST_CACHED, examine_identifier, normalise_identifier
from api.collection.reasons import Rejected, RejectionReason
from graph.model.access import ALWAYS, Source, Trust
from graph.model.identity import IdentifierRef, Proof, RecordKind, RecordRef, StatedIdentifier
from graph.model.time import Millis

_NAMES: Final = 65_536
RESERVED_KINDS: Final = frozenset({"alias", "external", "former_person"})
"""Kinds that linkage has a meaning of its own for."""

MOST_EXTERNAL_IDS: Final = 64
"""How many a message may state. Each is kept, and looked at whenever the record is linked."""


@dataclass(frozen=True, slots=True)
class Name:
    """A usable name of a person in a source: the record that it names, and that record's identifier."""

    record: RecordRef
    identifier: IdentifierRef


@dataclass(slots=True)
class Named:
    """Whom a message is about: its record, the second record if its source vouches for both names, and the identifiers
    of the first. `proof` is what proves the names. Every message makes one, so it is not frozen."""

    record: RecordRef
    also: RecordRef | None
    identifiers: tuple[StatedIdentifier, ...]
    proof: Proof | None = None


def read_names(
    source: Source, user_id: str | int | None, anonymous_id: str | int | None, proof: Proof | None = None
) -> Named:
    """Returns whom a message is about. Raises Rejected if it names nobody, or only a user ID that nothing proves."""
    user = find_name(source.name, source.user_namespace, RecordKind.USER, user_id)
    anonymous = find_name(source.name, "", RecordKind.ANONYMOUS, anonymous_id)
    if proof is Proof.STATIC:
        anonymous, proof = (None, proof) if isinstance(user, Name) else (anonymous, None)
    if isinstance(user, Name):
        known = proof is not None or source.trust is not Trust.PUBLIC
        if known and user.identifier.value != str(user_id):
            raise _refuse_spelling()
        if isinstance(anonymous, Name):
            stated = (_grade_name(user, source, proof), _grade_name(anonymous, source, proof))
            if known:
                return Named(user.record, anonymous.record, stated, proof)
            return Named(anonymous.record, None, stated[::-1])
        if not known:
            raise _refuse_unproven()
        return Named(user.record, None, (_grade_name(user, source, proof),), proof)
    if isinstance(anonymous, Name):
        return Named(anonymous.record, None, (_grade_name(anonymous, source, proof),), proof)
    raise _refuse_names(user, anonymous)


def grade(identifier: IdentifierRef, source: Source, received: Millis, proof: Proof | None = None) -> StatedIdentifier:
    """Returns an identifier as the source stated it in what was received at an instant; `proof` is what proves this
    very identifier."""
    known = grade_identifier(identifier.kind, source.trust, source.verifies, received, proof)
    return StatedIdentifier(identifier, known)


def _grade_name(name: Name, source: Source, proof: Proof | None) -> StatedIdentifier:
    """Names are proven or not whenever they are received."""
    return grade(name.identifier, source, ALWAYS, proof)


def find_name(source: str, namespace: str, kind: RecordKind, key: str | int | None) -> Name | RejectionReason | None:
    """Returns the name, None if there is none, or the reason why it can't be used."""
    if key is None or key == "":
        return None
    text = str(key)
    find = _find_name if len(text) <= LONGEST_CACHED else _find_name.__wrapped__
    return find(source, namespace, kind, text)


@lru_cache(maxsize=_NAMES)
def _find_name(source: str, namespace: str, kind: RecordKind, key: str) -> Name | RejectionReason | None:
    identifier_kind = USER_ID if kind is RecordKind.USER else ANONYMOUS_ID
    found = examine_identifier(identifier_kind, key)
    if found.value is not None:
        return Name(RecordRef(source, kind, key), IdentifierRef(identifier_kind, found.value, namespace))
    return RejectionReason.BLOCKED_ID if isinstance(found.reason, BlockReason) else RejectionReason.BAD_ID


def _refuse_spelling() -> Rejected:
    """Two spellings of one ID may be proven to two people."""
    return Rejected(
        RejectionReason.BAD_ID,
        "userId must be in Unicode normal form C (NFC), without leading or trailing white space.",
        "userId",
    )


def _refuse_unproven() -> Rejected:
    return Rejected(
        RejectionReason.UNPROVEN_USER,
        "A public source can't vouch for a userId: send the anonymousId too, or a proof in context.userHash or "
        "context.userToken. A static hash proves behaviour only, in messages without consents.",
        "userId",
    )


def _refuse_names(user: Name | RejectionReason | None, anonymous: Name | RejectionReason | None) -> Rejected:
    reason = next((name for name in (user, anonymous) if isinstance(name, RejectionReason)), RejectionReason.MISSING_ID)
    if reason is RejectionReason.MISSING_ID:
        return Rejected(reason, "userId or anonymousId is required and must not be null or empty.", "userId")
    field = "userId" if user is reason else "anonymousId"
    if reason is RejectionReason.BLOCKED_ID:
        return Rejected(reason, f"{field} is a placeholder that identifies no one.", field)
    return Rejected(reason, f"{field} must have 1 to 512 characters and no control characters.", field)


def read_external(external: list[dict[str, Any]], source: Source, received: Millis) -> tuple[StatedIdentifier, ...]:
    """Returns the identifiers in `context.externalIds`, without unusable and blocked ones, which identify no one. The
    message's proof doesn't cover them. Raises Rejected."""
    if len(external) > MOST_EXTERNAL_IDS:
        raise Rejected(
            RejectionReason.BAD_VALUE,
            f"context.externalIds has more than {MOST_EXTERNAL_IDS} entries.",
            "context.externalIds",
        )
    found = []
    for entry in external:
        kind = entry.get("type")
        if not kind or len(kind) > 64 or kind in RESERVED_KINDS:
            continue
        if entry.get("collection", "users") not in ("users", None):
            continue
        value = normalise_identifier(kind, entry.get("id"))
        if value is None:
            continue
        own = source.user_namespace if kind == USER_ID else ""
        namespace = own if kind in (USER_ID, ANONYMOUS_ID, EMAIL, PHONE) else (entry.get("namespace") or "")[:64]
        found.append(grade(IdentifierRef(kind, value, namespace), source, received))
    return tuple(found)
