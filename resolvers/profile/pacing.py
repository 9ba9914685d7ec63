"""The time at which a partner learns that a key leads to nobody.

A withheld person takes the store a few hundredths of a millisecond longer than one who doesn't exist, which a patient
partner can tell on a quiet machine. So a look-up that finds nobody ends on a beat: a multiple of `BEAT` after it began,
whatever it took. The two then differ only if a beat lies between them.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

BEAT: Final = 0.01
"""Seconds from beat to beat."""

COARSE: Final = 0.002
"""Seconds that a timer of the event loop may be wrong by: it counts whole milliseconds."""


def rest_of_beat(elapsed: float) -> float:
    """Returns the seconds from `elapsed` to the next beat: above 0, at most `BEAT`."""
    return BEAT - elapsed % BEAT


async def wait_for_beat(started: float) -> None:
    """Returns on the next beat, counted from `started` by `time.perf_counter`. The loop's timer would keep the part of
    a millisecond that is to be hidden, so a thread sleeps through the end."""
    end = time.perf_counter() + rest_of_beat(time.perf_counter() - started)
    await asyncio.sleep(max(0.0, end - time.perf_counter() - COARSE))
    await asyncio.to_thread(_sleep_until, end)


def _sleep_until(end: float) -> None:
    time.sleep(max(0.0, end - time.perf_counter()))
