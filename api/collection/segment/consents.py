"""Consent as it arrives: categories of a consent tool, and lines that state one purpose.

What lives here: both turned into `ConsentStatement`. What does not: what they add up to (`privacy/rules.py`), the table
of categories (`privacy/policy.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from algorithms.identity.normalise import normalise_id
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.times import bound_stated, read_time
from graph.errors import BadInput
from graph.model.consent import ConsentState, ConsentStatement
from graph.model.time import Millis
from privacy.policy import Policy
from privacy.purposes import Assurance, spell_recipient

PREFERENCE_EVENT: Final = "segment consent preference updated"
PREFERENCE_METHOD: Final = "segment_category_preferences"


def is_preference_event(event: str) -> bool:
    """Whether a track event is the one that says the person chose anew."""
    return event.strip().casefold() == PREFERENCE_EVENT


def find_preferences(message: Mapping[str, Any]) -> dict[str, bool] | None:
    """The category preferences of a checked message, where it has any."""
    context = message.get("context")
    consent = context.get("consent") if context else None
    return (consent.get("categoryPreferences") or None) if consent else None


def read_preferences(
    preferences: Mapping[str, bool], at: Millis, policy: Policy, assurance: Assurance
) -> tuple[ConsentStatement, ...]:
    """One statement a category that stands for a purpose; categories that stand for none are the tool's own
    business."""
    return tuple(
        ConsentStatement(
            purpose=purpose,
            state=ConsentState.GIVEN if permitted else ConsentState.REFUSED,
            effective_at=at,
            mechanism="opt_in",
            method=PREFERENCE_METHOD,
            assurance=int(assurance),
        )
        for category, permitted in preferences.items()
        if (purpose := policy.purpose_of_category(category)) is not None
    )


def digest_preferences(preferences: Mapping[str, bool]) -> str:
    """A short digest of preferences, whatever their order."""
    text = "\0".join(f"{category}={int(permitted)}" for category, permitted in sorted(preferences.items()))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


_PLAIN: Final[Mapping[str, str]] = {
    "recipient": "recipient",
    "lawfulBasis": "lawful_basis",
    "mechanism": "mechanism",
    "jurisdiction": "jurisdiction",
    "controller": "controller",
    "channel": "channel",
    "notice": "notice",
    "noticeVersion": "notice_version",
    "noticeSha256": "notice_sha256",
    "language": "language",
    "method": "method",
    "actor": "actor",
    "evidenceHash": "evidence_hash",
    "rawSignal": "raw_signal",
}


def read_statement(line: Mapping[str, Any], received_at: Millis, policy: Policy) -> ConsentStatement:
    """The statement of a checked consent line. Raises Rejected where it can't be folded."""
    stated = read_time(line.get("timestamp"), "timestamp")
    expires = read_time(line.get("expiresAt"), "expiresAt")
    assurance = line.get("assurance")
    known: dict[str, Any] = {slot: line[name] for name, slot in _PLAIN.items() if line.get(name)}
    if "recipient" in known:
        known["recipient"] = spell_recipient(known["recipient"])
    statement = ConsentStatement(
        purpose=line["purpose"],
        state=ConsentState(line["state"]),
        effective_at=received_at if stated is None else bound_stated(stated, "timestamp"),
        expires_at=None if expires is None else bound_stated(expires, "expiresAt"),
        assurance=int(Assurance.STATED if assurance is None else assurance),
        categories=tuple(line.get("categories") or ()),
        **known,
    )
    try:
        policy.check_statement(statement)
    except BadInput as error:
        field = str(error).partition(":")[0]
        raise Rejected(RejectionReason.BAD_VALUE, f"{field} does not fit the policy's purposes.", field) from None
    if statement.notice is not None and normalise_id(statement.notice).value is None:
        raise Rejected(
            RejectionReason.BAD_VALUE, "notice can't be a key: it is empty or has control characters.", "notice"
        )
    return statement
