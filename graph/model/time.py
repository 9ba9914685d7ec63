"""Instants, in the unit that every layer uses, and the system's clock."""

from __future__ import annotations

import time
from typing import NewType

Millis = NewType("Millis", int)


def system_clock() -> Millis:
    """Returns the current time in epoch milliseconds, UTC. Code takes a clock as an argument, so that tests can set
    it."""
    return Millis(time.time_ns() // 1_000_000)
