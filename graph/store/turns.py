"""Turns at the store: one writer at a time, and a few reads at a time for each reader.

The embedded engine checks for conflicts at commit, where a large transaction loses against a stream of small ones.
Taking turns keeps large transactions from starving. Reads of one reader wait for each other, so that whoever asks for
much at once slows down only themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from graph.errors import RateLimited, StoreUnavailable


class WriteTurns:
    """Lets one writer at a time through, in order of arrival."""

    def __init__(self, most_waiting: int, longest_wait: float) -> None:
        self._lock = asyncio.Lock()  # wakes waiters in order of arrival
        self._waiting = 0
        self._most_waiting = most_waiting
        self._longest_wait = longest_wait

    @property
    def waiting(self) -> int:
        """How many writers are waiting for their turn."""
        return self._waiting

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Holds the turn for the block. Raises RateLimited if too many are waiting, StoreUnavailable after too long."""
        if self._waiting >= self._most_waiting:
            raise RateLimited(f"{self._waiting} writes are waiting for the store; try again after a pause.")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._longest_wait):
                await self._lock.acquire()
        except TimeoutError:
            raise StoreUnavailable("The store was busy with earlier writes for too long; try again.") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._lock.release()


class ReadTurns:
    """Lets each reader have `at_once` reads in progress; further ones wait in order of arrival."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, reader: str) -> AsyncIterator[None]:
        """Holds one of the reader's places for the block."""
        places = self._places.get(reader)
        if places is None:
            places = self._places[reader] = asyncio.Semaphore(self._at_once)
        async with places:
            yield
