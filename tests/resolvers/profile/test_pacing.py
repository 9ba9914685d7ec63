"""Beats: what a look-up took can't be told from when it ends."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from resolvers.profile.pacing import BEAT, rest_of_beat, wait_for_beat


@given(st.floats(0, 100))
def test_every_look_up_ends_on_a_beat(elapsed: float) -> None:
    rest = rest_of_beat(elapsed)
    assert 0 < rest <= BEAT
    beats = (elapsed + rest) / BEAT
    assert abs(beats - round(beats)) < 1e-6


async def test_waiting_never_ends_before_the_beat() -> None:
    for took in (0.0, 0.0031, 0.0099):
        started = time.perf_counter() - took
        await wait_for_beat(started)
        assert time.perf_counter() - started >= BEAT
