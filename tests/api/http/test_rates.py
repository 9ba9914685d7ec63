"""Counting in sliding windows, in bounded memory."""

from __future__ import annotations

import time

import pytest
from limits import parse
from limits.strategies import SlidingWindowCounterRateLimiter

from api.http.rates import WindowMemory

RATE = parse("5/10 seconds")


class Clock:
    """The time that the counters see."""

    def __init__(self) -> None:
        self.now = 1_000_003.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


def hits(limiter: SlidingWindowCounterRateLimiter, number: int, key: str = "a") -> int:
    return sum([limiter.hit(RATE, key) for _ in range(number)])


def test_no_more_than_the_rate_passes(clock: Clock) -> None:
    limiter = SlidingWindowCounterRateLimiter(WindowMemory())
    assert hits(limiter, 8) == 5
    assert hits(limiter, 8, "b") == 5


def test_room_comes_back_gradually_and_when_it_was_announced(clock: Clock) -> None:
    limiter = SlidingWindowCounterRateLimiter(WindowMemory())
    hits(limiter, 5)
    clock.now = (limiter.get_window_stats(RATE, "a")).reset_time + 0.01
    assert hits(limiter, 5) == 1
    clock.now += 5
    assert 1 <= hits(limiter, 5) <= 3
    clock.now += 30
    assert hits(limiter, 8) == 5


def test_refused_requests_do_not_count(clock: Clock) -> None:
    limiter = SlidingWindowCounterRateLimiter(WindowMemory())
    hits(limiter, 1000)
    clock.now += 20
    assert hits(limiter, 8) == 5


def test_memory_is_bounded_and_a_busy_key_is_not_forgotten(clock: Clock) -> None:
    memory = WindowMemory(most=100)
    limiter = SlidingWindowCounterRateLimiter(memory)
    passed = 0
    for number in range(1000):
        passed += limiter.hit(RATE, "busy") if number < 5 else 0
        limiter.hit(RATE, f"key {number}")
        if number % 50 == 0:
            assert (memory.get_sliding_window(RATE.key_for("busy"), 10))[2] <= 5
    assert len(memory) == 100
    assert passed == 5
    assert memory.reset() == 100


def test_the_counters_of_other_strategies_work(clock: Clock) -> None:
    memory = WindowMemory()
    assert memory.check()
    assert [memory.incr("k", 10) for _ in range(3)] == [1, 2, 3]
    assert memory.get("k") == 3
    assert memory.get_expiry("k") == clock.now
    memory.clear("k")
    assert memory.get("k") == 0
