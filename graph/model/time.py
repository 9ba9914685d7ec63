"""Instants, in the unit that every layer uses, and the system's clock."""

from __future__ import annotations

import time
from typing import Final, NewType

Millis = NewType("Millis", int)

DAY: Final = 86_400_000
"""One day in milliseconds."""


def system_clock() -> Millis:
    """Returns the current time in epoch milliseconds, UTC. Code takes a clock as an argument, so that tests can set
    it."""
    return Millis(time.time_ns() // 1_000_000)
