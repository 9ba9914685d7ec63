"""Turns at the store: one writer at a time, and a few reads at a time for each reader.

The embedded engine checks for conflicts at commit, where a large transaction loses against a stream of small ones.
Taking turns keeps large transactions from starving. Reads of one reader wait for each other, so that whoever asks for
much at once slows down only themselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
        self._busy: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, reader: str) -> AsyncIterator[None]:
        """Holds one of the reader's places for the block."""
        if self._busy.get(reader, 0) < self._at_once:
            self._busy[reader] = self._busy.get(reader, 0) + 1
        else:
            await self._wait(reader)
        try:
            yield
        finally:
            self._leave(reader)

    async def _wait(self, reader: str) -> None:
        """Waits until somebody hands over a place."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(reader, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave(reader)
            raise

    def _leave(self, reader: str) -> None:
        """Hands the place to the next that still waits, or gives it up."""
        waiting = self._waiting.get(reader)
        while waiting:
            place = waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._waiting.pop(reader, None)
        self._busy[reader] -= 1
        if not self._busy[reader]:
            del self._busy[reader]
