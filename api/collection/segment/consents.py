"""Consent in messages: category preferences of a consent tool, and lines that state consent to one purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from api.collection.payloads import write_payload
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.messages import RawMessage
from api.collection.segment.times import bound_stated, read_stated, read_time
from graph.model.consent import ConsentState, ConsentStatement
from graph.model.identity import RecordKind
from graph.model.message import Message
from graph.model.time import Millis
from privacy.policy import Policy
from privacy.purposes import Assurance
from resolvers.consent.statements import STATEMENT_TEXTS, InvalidStatement, check_statement

PREFERENCE_EVENT: Final = "segment consent preference updated"
PREFERENCE_METHOD: Final = "segment_category_preferences"


def is_preference_event(event: str) -> bool:
    """Whether a track event reports that the person changed their preferences."""
    return event.strip().casefold() == PREFERENCE_EVENT


def find_preferences(message: Mapping[str, Any]) -> dict[str, bool] | None:
    """Returns the category preferences of a validated message, or None if it has none."""
    context = message.get("context")
    consent = context.get("consent") if context else None
    return (consent.get("categoryPreferences") or None) if consent else None


def read_preferences(
    preferences: Mapping[str, bool], at: Millis, policy: Policy, assurance: Assurance
) -> tuple[ConsentStatement, ...]:
    """Returns one statement for each category that stands for a purpose. Other categories concern the consent tool
    only."""
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
    """Returns a short digest of preferences that does not depend on their order."""
    text = "\0".join(f"{category}={int(permitted)}" for category, permitted in sorted(preferences.items()))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def read_statement(line: Mapping[str, Any], received_at: Millis, policy: Policy) -> ConsentStatement:
    """Returns the statement of a validated consent line. Raises Rejected if it can't be kept."""
    stated = read_time(line.get("timestamp"), "timestamp")
    expires = read_stated(line.get("expiresAt"), "expiresAt")
    assurance = line.get("assurance")
    texts: dict[str, Any] = {slot: line[name] for slot, name in STATEMENT_TEXTS.items() if line.get(name)}
    statement = ConsentStatement(
        purpose=line["purpose"],
        state=ConsentState(line["state"]),
        effective_at=received_at if stated is None else bound_stated(stated, "timestamp"),
        expires_at=expires,
        assurance=int(Assurance.STATED if assurance is None else assurance),
        categories=tuple(line.get("categories") or ()),
        **texts,
    )
    try:
        return check_statement(statement, policy)
    except InvalidStatement as error:
        raise Rejected(RejectionReason.BAD_VALUE, str(error), error.field) from None


@dataclass(frozen=True, slots=True)
class StatementPayload:
    """A message with one consent statement. It is serialised, as a consent line, only if it becomes a dead letter.

    `generated` names the fields that the sender left out: they are left out again, so that the same statement sent
    twice is the same dead letter.
    """

    message: Message
    generated: frozenset[str] = frozenset()

    def write(self) -> str:
        """Returns the line from which the same message can be read."""
        line = write_line(self.message)
        return write_payload({name: value for name, value in line.items() if name not in self.generated})


def write_line(message: Message) -> RawMessage:
    """Returns the consent line equivalent to a message with one statement."""
    (statement,) = message.consents
    line: RawMessage = {
        "type": "consent",
        "messageId": message.own_id,
        "purpose": statement.purpose,
        "state": statement.state.value,
        "timestamp": statement.effective_at,
        "expiresAt": statement.expires_at,
        "assurance": statement.assurance,
        "categories": list(statement.categories) or None,
    }
    line |= {name: getattr(statement, slot) for slot, name in STATEMENT_TEXTS.items()}
    for ref in (message.record, message.also):
        if ref is not None:
            line["userId" if ref.kind is RecordKind.USER else "anonymousId"] = ref.key
    return {name: value for name, value in line.items() if value is not None}
