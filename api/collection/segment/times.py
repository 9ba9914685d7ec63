"""When an event happened: reading timestamps, correcting for the sender's clock, rejecting absurd dates.

As in Segment's specification, at = timestamp − (sentAt − receivedAt): the sender's clock at sending is compared with
ours at receipt, so a clock that is years wrong is corrected by years. The correction itself has no limit, but its
result must lie between 1990 and one day after receipt.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from api.collection.reasons import Rejected, RejectionReason
from graph.model.time import DAY, Millis

EARLIEST: Final = 631_152_000_000
"""1990-01-01. No system that sends these messages has older events; 0 and 1970 come from clocks that were never set."""

AHEAD: Final = DAY
"""One day: how long after its receipt an event may lie at most."""

LATEST_STATED: Final = 4_102_444_800_000
"""2100-01-01: the latest instant that may be stated, such as the end of a consent."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def read_time(value: str | int | float | None, field: str) -> int | None:
    """Returns an instant in epoch milliseconds, from ISO 8601 (UTC unless an offset is given) or from such a number.

    Returns None if it is absent. Raises Rejected if it is neither.
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
    """Returns when an event happened, by our clock. Raises Rejected for an absurd date."""
    if timestamp is None:
        return received_at
    at = timestamp if sent_at is None else timestamp - (sent_at - received_at)
    if at < EARLIEST or at > received_at + AHEAD:
        raise Rejected(
            RejectionReason.BAD_TIMESTAMP,
            "timestamp must lie between 1990 and one day after receipt, corrected for the sender's clock.",
            "timestamp",
        )
    return Millis(at)


def read_stated(value: str | int | float | None, field: str) -> Millis | None:
    """Returns an instant that may lie in the future, such as the end of a consent; None if it is absent. Raises
    Rejected if it can't be read, or is not between 1990 and 2100."""
    at = read_time(value, field)
    return None if at is None else bound_stated(at, field)


def bound_stated(at: int, field: str) -> Millis:
    """Returns an instant that may lie in the future. Raises Rejected if it is not between 1990 and 2100."""
    if not EARLIEST <= at <= LATEST_STATED:
        raise Rejected(RejectionReason.BAD_TIMESTAMP, f"{field} must lie between 1990 and 2100.", field)
    return Millis(at)
