"""When a message happened: reading timestamps, correcting the sender's clock, refusing absurd dates.

As in Segment's specification, at = timestamp − (sentAt − receivedAt): what the sender's clock showed at sending is
compared with ours at receipt, so that a clock that is wrong by years is corrected by years. There is no bound on the
correction itself; there is one on its outcome, which must lie between 1990 and one day after receipt.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from api.collection.reasons import Rejected, RejectionReason
from graph.model.time import Millis

EARLIEST: Final = 631_152_000_000
"""1990-01-01: no system that sends these messages has older events; 0 and 1970 are clocks that were never set."""

AHEAD: Final = 86_400_000
"""One day: the farthest that an event may lie after its receipt."""

LATEST_STATED: Final = 4_102_444_800_000
"""2100-01-01: the farthest that a stated instant, such as the end of a consent, may lie."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def read_time(value: str | int | float | None, field: str) -> int | None:
    """An instant in epoch milliseconds, from ISO 8601 (UTC where no offset is given) or a number of milliseconds.

    None for an absent one. Raises Rejected for what is neither.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
            if at.tzinfo is None:
                at = at.replace(tzinfo=UTC)
            return (at - _EPOCH) // _MILLISECOND
        except (ValueError, OverflowError):
            raise Rejected(RejectionReason.BAD_TIMESTAMP, f"{field} is not an ISO 8601 date and time.", field) from None
    if abs(value) > LATEST_STATED:
        raise Rejected(
            RejectionReason.BAD_TIMESTAMP, f"{field} is out of range; numbers are epoch milliseconds.", field
        )
    return int(value)


def place_event(timestamp: int | None, sent_at: int | None, received_at: Millis) -> Millis:
    """When an event happened by our clock. Raises Rejected for an absurd date."""
    if timestamp is None:
        return received_at
    at = timestamp if sent_at is None else timestamp - (sent_at - received_at)
    if at < EARLIEST or at > received_at + AHEAD:
        raise Rejected(
            RejectionReason.BAD_TIMESTAMP,
            "timestamp must lie between 1990 and one day after receipt, corrected by the sender's clock.",
            "timestamp",
        )
    return Millis(at)


def read_stated(value: str | int | float | None, field: str) -> Millis | None:
    """An instant that may lie in the future, such as the end of a consent; None for an absent one. Raises Rejected for
    what is no instant, or not between 1990 and 2100."""
    at = read_time(value, field)
    return None if at is None else bound_stated(at, field)


def bound_stated(at: int, field: str) -> Millis:
    """An instant that may lie in the future. Raises Rejected outside 1990 to 2100."""
    if not EARLIEST <= at <= LATEST_STATED:
        raise Rejected(RejectionReason.BAD_TIMESTAMP, f"{field} must lie between 1990 and 2100.", field)
    return Millis(at)
