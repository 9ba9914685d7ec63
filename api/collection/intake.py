"""From a request's messages to the ingestor and back: what was accepted, known already, or rejected and why.

What lives here: judging each message by itself, dead letters for those rejected, the count of outcomes. What does not:
HTTP (`http.py`), files (`load.py`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from api.collection.bodies import MAX_EVENT, Piece, write_payload
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.mapping import Origin, read_message
from graph.collection.dead_letters import LONGEST_PAYLOAD, DeadLetter
from graph.model.message import Message
from resolvers.collection.ingestor import STORE_REFUSED, Ingestor
from resolvers.collection.transaction import MessageOutcome

BREATH: Final = 16
"""Messages read before other requests get their turn."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """A rejected message: its place among those sent, and why."""

    index: int
    reason: str
    message: str
    field: str | None = None


@dataclass(slots=True)
class Judged:
    """Messages that could be read, and those that couldn't. `places` are where the former stood; `origin` is given
    where a message's own text does not say all that it was judged by."""

    messages: list[Message] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    origin: Origin | None = None

    def complain(self, index: int, letter: DeadLetter, error: Rejected) -> None:
        """Takes note of a message that can't be taken."""
        self.complaints.append(Complaint(index, str(error.reason), error.message, error.field))
        self.letters.append(letter)


@dataclass(slots=True)
class Receipt:
    """What became of everything that was sent."""

    accepted: int = 0
    duplicate: int = 0
    complaints: list[Complaint] = field(default_factory=list)

    @property
    def rejected(self) -> dict[str, int]:
        """How many were rejected, by reason."""
        return dict(Counter(complaint.reason for complaint in self.complaints))


async def judge(
    pieces: Sequence[Piece], origin: Origin, *, sized: bool = False, context: Mapping[str, Any] | None = None
) -> Judged:
    """Reads each message by itself. `sized`: all are known to be within the limit. `context` is merged under theirs."""
    judged = Judged(origin=origin)
    for index, piece in enumerate(pieces):
        if index % BREATH == BREATH - 1:
            await asyncio.sleep(0)
        value = piece.value
        try:
            if piece.error is not None:
                raise piece.error
            if not sized:
                bound_size(value)
            if context is not None and isinstance(value, dict):
                value = _merge_context(value, context)
            judged.messages.append(read_message(value, origin))
            judged.places.append(index)
        except Rejected as error:
            text = piece.text or write_payload(_put_times(value, origin))
            judged.complain(index, write_letter(text, error, origin), error)
    return judged


def bound_size(value: Any) -> None:
    """Raises Rejected where the value's compact JSON is over the limit of an event."""
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        raise Rejected(RejectionReason.TOO_DEEP, "The message is nested too deep.") from None
    if size > MAX_EVENT:
        raise Rejected(RejectionReason.TOO_LARGE, f"A message has at most {MAX_EVENT} bytes.")


def _put_times(value: Any, origin: Origin, *, received: bool = False) -> Any:
    """The message with the times that its clock is corrected by, so that it can be judged alone later."""
    if not isinstance(value, dict):
        return value
    sent_at = origin.sent_at if value.get("sentAt") is None else value["sentAt"]
    if sent_at is None:
        return value
    return {**value, "sentAt": sent_at} | ({"receivedAt": origin.received_at} if received else {})


def _merge_context(value: dict[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    own = value.get("context")
    if own is not None and not isinstance(own, dict):
        return value
    return {**value, "context": {**context, **(own or {})}}


def write_letter(text: str, error: Rejected, origin: Origin) -> DeadLetter:
    """A rejection as a dead letter."""
    return DeadLetter(
        source=origin.source.name,
        reason=str(error.reason),
        message=error.message,
        payload=text[:LONGEST_PAYLOAD],
        received_at=origin.received_at,
        field=error.field,
        truncated=len(text) > LONGEST_PAYLOAD,
        from_file=origin.from_file,
    )


async def take_in(ingestor: Ingestor, judged: Judged, pieces: Sequence[Piece]) -> Receipt:
    """Writes what could be read and the letters of what couldn't; returns once all of it is on disk."""

    def payload(place: int) -> str:
        value = pieces[judged.places[place]].value
        return write_payload(value if judged.origin is None else _put_times(value, judged.origin, received=True))

    outcomes = await ingestor.submit(judged.messages, judged.letters, payload)
    receipt = Receipt(complaints=list(judged.complaints))
    for place, outcome in enumerate(outcomes):
        if outcome is MessageOutcome.ACCEPTED:
            receipt.accepted += 1
        elif outcome is MessageOutcome.DUPLICATE:
            receipt.duplicate += 1
        else:
            text = "The store can't hold a value of this message."
            receipt.complaints.append(Complaint(judged.places[place], STORE_REFUSED, text))
    receipt.complaints.sort(key=lambda complaint: complaint.index)
    return receipt
