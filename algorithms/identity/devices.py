"""Which account a device counts for.

A device counts for the first account that proved to use it, or else for the one whose user ID it claimed first. An
account has at most `MOST_DEVICES`: those that are proven come first, then those that came first. The order is that of
receipt, so the result does not depend on the order of processing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from graph.model.identity import Grade, RecordId
from graph.model.time import Millis

MOST_DEVICES: Final = 20
"""How many devices may count for one account."""


class DeviceTie(NamedTuple):
    """Evidence that a device belongs to an account: the account's record, the grade, and when it was received."""

    account: RecordId
    grade: Grade
    received: Millis


class CountedDevice(NamedTuple):
    """A device that counts, or may count, for a given account."""

    device: RecordId
    grade: Grade
    received: Millis


def choose_account(ties: Iterable[DeviceTie]) -> DeviceTie | None:
    """Returns the tie that decides, or None if there is none."""
    return min(ties, key=lambda tie: (-tie.grade.rank, tie.received, tie.account), default=None)


def choose_devices(devices: Iterable[CountedDevice]) -> list[CountedDevice]:
    """Returns the devices that count, best first."""
    ordered = sorted(devices, key=lambda one: (-one.grade.rank, one.received, one.device))
    return ordered[:MOST_DEVICES]
