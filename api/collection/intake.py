"""Reading the entries of a request, submitting their messages to the ingestor, and the receipt: how many were accepted,
duplicate or rejected, and why."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from api.collection.bodies import MAX_EVENT, Entry
from api.collection.origin import Origin
from api.collection.payloads import add_times, write_payload
from api.collection.proofs import remove_proof, verify_proof
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.mapping import read_message
from api.process.redaction import redact
from graph.collection.dead_letters import LONGEST_PAYLOAD, DeadLetter
from graph.model.message import Message
from resolvers.collection.ingestor import NO_ROOM, NOT_STORABLE, STORE_REFUSED, Ingestor
from resolvers.collection.transaction import MessageOutcome

YIELD_EVERY: Final = 16
"""Number of entries read before other tasks get a turn."""


@dataclass(frozen=True, slots=True)
class RejectedEntry:
    """An entry that can't be accepted: its position in the request, counted from 0, and the reason."""

    index: int
    reason: str
    message: str
    field: str | None = None


@dataclass(slots=True)
class Submission:
    """The entries of a request once they are read: messages by their position, rejections, and the dead letters to
    keep."""

    messages: dict[int, Message] = field(default_factory=dict)
    rejections: list[RejectedEntry] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)

    def reject(self, index: int, error: Rejected, letter: DeadLetter | None = None) -> None:
        """Adds an entry that can't be accepted, with its dead letter if there is one."""
        self.rejections.append(RejectedEntry(index, str(error.reason), error.message, error.field))
        if letter is not None:
            self.letters.append(letter)


@dataclass(slots=True)
class Receipt:
    """What became of a submission."""

    accepted: int = 0
    duplicate: int = 0
    rejections: list[RejectedEntry] = field(default_factory=list)

    @property
    def rejected(self) -> dict[str, int]:
        """Numbers of rejected entries, by reason."""
        return dict(Counter(rejection.reason for rejection in self.rejections))


async def read_entries(
    entries: Sequence[Entry], origin: Origin, *, sized: bool = False, context: Mapping[str, Any] | None = None
) -> Submission:
    """Reads each entry on its own. `sized`: all are known to be within the size limit. `context` provides defaults for
    the messages' own contexts."""
    submission = Submission()
    for index, entry in enumerate(entries):
        if index % YIELD_EVERY == YIELD_EVERY - 1:
            await asyncio.sleep(0)
        value, own = entry.value, origin
        if context is not None and isinstance(value, dict):
            value = _merge_context(value, context)
        value, given = remove_proof(value)
        try:
            if entry.error is not None:
                raise entry.error
            if not sized:
                bound_size(entry.value)
            own = await verify_proof(value, given, origin)
            submission.messages[index] = read_message(value, own)
        except Rejected as error:
            text = entry.text or write_payload(add_times(value, own))
            submission.reject(index, error, write_letter(text, error, own))
    return submission


def bound_size(value: Any) -> None:
    """Raises Rejected if the value's compact JSON is over the size limit of a message."""
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        raise Rejected(RejectionReason.TOO_DEEP, "The message is nested too deep.") from None
    if size > MAX_EVENT:
        raise Rejected(RejectionReason.TOO_LARGE, f"A message has at most {MAX_EVENT} bytes.")


def _merge_context(value: dict[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    own = value.get("context")
    if own is not None and not isinstance(own, dict):
        return value
    return {**value, "context": {**context, **(own or {})}}


def write_letter(text: str, error: Rejected, origin: Origin, *, from_file: bool = False) -> DeadLetter:
    """Returns a rejection as a dead letter, without credentials. `from_file`: an operator loaded it."""
    kept = redact(text[: LONGEST_PAYLOAD + 4096])[:LONGEST_PAYLOAD]
    return DeadLetter(
        source=origin.source.name,
        reason=str(error.reason),
        message=redact(error.message),
        payload=kept,
        received_at=origin.received_at,
        field=redact(error.field) if error.field else None,
        truncated=len(text) > LONGEST_PAYLOAD,
        from_file=from_file,
        imported=origin.imported,
        proof=origin.proof,
        reach=origin.reach,
    )


async def submit(ingestor: Ingestor, submission: Submission, sender: str = "") -> Receipt:
    """Writes the messages and the dead letters of what was rejected. Returns once all of it is on disk."""
    outcomes = await ingestor.submit(list(submission.messages.values()), submission.letters, sender)
    receipt = Receipt(rejections=list(submission.rejections))
    for index, outcome in zip(submission.messages, outcomes, strict=True):
        if outcome is MessageOutcome.ACCEPTED:
            receipt.accepted += 1
        elif outcome is MessageOutcome.DUPLICATE:
            receipt.duplicate += 1
        elif outcome in NO_ROOM:
            place = "traits" if outcome is MessageOutcome.TOO_MANY_TRAITS else None
            receipt.rejections.append(RejectedEntry(index, str(outcome), NO_ROOM[outcome], place))
        else:
            receipt.rejections.append(RejectedEntry(index, STORE_REFUSED, NOT_STORABLE))
    receipt.rejections.sort(key=lambda rejection: rejection.index)
    return receipt
