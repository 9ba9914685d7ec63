"""A first-in, first-out queue of writers, with a limit on its length and on the time spent waiting.

The embedded engine checks for conflicts at commit, where a large transaction loses against a stream of small ones.
Taking turns keeps large transactions from starving.
"""

from __future__ import annotations

import asyncio
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
