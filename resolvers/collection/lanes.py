"""Lanes: queues of submissions whose batches are grouped into transactions.

While one group commits, the next one gathers, so concurrent submissions share commits. Senders take turns, so that a
flood from one of them delays the others by no more than a group.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from graph.collection.dead_letters import DeadLetter
from graph.errors import RateLimited
from resolvers.collection.arrival import Arrival
from resolvers.collection.transaction import MessageOutcome

GROUP: Final = 500
"""Maximum number of rows in a transaction, including dead letters."""

SHARES: Final = 4
"""A sender may fill one of this many equal parts of a lane, so that no single one closes it to others."""

OPERATOR: Final = ""
"""The sender of what operators load and replay."""

WriteGroup = Callable[[Sequence[Arrival], Sequence[DeadLetter]], Awaitable[list[MessageOutcome]]]
"""Writes messages and dead letters, and returns the outcome of each message once all are on disk."""


@dataclass(frozen=True, slots=True)
class WaitingBatch:
    """Messages and dead letters of a submission that wait for their transaction, and the future of the outcomes."""

    arrivals: Sequence[Arrival]
    letters: Sequence[DeadLetter]
    rows: int
    outcomes: asyncio.Future[list[MessageOutcome]]

    def settle(self, outcomes: list[MessageOutcome]) -> None:
        """Returns the outcomes to the sender, if it is still waiting."""
        if not self.outcomes.done():
            self.outcomes.set_result(outcomes)

    def fail(self, error: BaseException) -> None:
        """Raises the error in the sender's task, if it is still waiting."""
        if not self.outcomes.done():
            self.outcomes.set_exception(error)


@dataclass(slots=True)
class _Queue:
    """What one sender waits for."""

    batches: deque[WaitingBatch] = field(default_factory=deque)
    rows: int = 0


class Lane:
    """Queues of senders with their workers. At most `most_waiting` rows wait, a quarter of them from one sender. A lone
    sender never waits to share a commit, others at most `linger` seconds."""

    def __init__(self, name: str, write: WriteGroup, *, workers: int, linger: float, most_waiting: int) -> None:
        self._name = name
        self._write = write
        self._number = workers
        self._linger = linger
        self._most_waiting = most_waiting
        self._queues: OrderedDict[str, _Queue] = OrderedDict()
        self._waiting = 0
        self._wake = asyncio.Event()
        self._complete = asyncio.Event()
        self._previous_size = 1
        self._closing = False
        self._workers: list[asyncio.Task[None]] = []
        self.rows = 0

    def check_room(self, rows: int, sender: str = OPERATOR) -> None:
        """Raises RateLimited if too much is waiting, of everybody or of this sender, to add this many rows. An empty
        lane and an empty share take any number; operators have no share."""
        if self.rows and self.rows + rows > self._most_waiting:
            raise RateLimited("Too much is waiting to be written; try again after a pause.")
        own = self._queues.get(sender)
        if own is not None and sender != OPERATOR and own.rows + rows > self._most_waiting // SHARES:
            raise RateLimited("Too much of what you sent is waiting to be written; try again after a pause.")

    def enqueue(
        self, arrivals: Sequence[Arrival], letters: Sequence[DeadLetter] = (), sender: str = OPERATOR
    ) -> list[WaitingBatch]:
        """Queues batches of a sender, each no larger than a group."""
        loop = asyncio.get_running_loop()
        batches = [WaitingBatch(part, (), rows, loop.create_future()) for part, rows in _split(arrivals)]
        for start in range(0, len(letters), GROUP):
            part = letters[start : start + GROUP]
            batches.append(WaitingBatch((), part, len(part), loop.create_future()))
        if not batches:
            return batches
        rows = sum(batch.rows for batch in batches)
        queue = self._queues.setdefault(sender, _Queue())
        queue.batches.extend(batches)
        queue.rows += rows
        self._waiting += len(batches)
        self.rows += rows
        if not self._workers:
            self._workers = [loop.create_task(self._work(), name=f"{self._name}-{n}") for n in range(self._number)]
        self._wake.set()
        if self._is_group_ready():
            self._complete.set()
        return batches

    async def close(self) -> None:
        """Writes what is waiting, and ends."""
        self._closing = True
        self._wake.set()
        self._complete.set()
        await asyncio.gather(*self._workers)

    async def _work(self) -> None:
        """Writes one group after another."""
        while True:
            if not self._waiting:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
            await self._gather()
            if group := self._take():
                self._previous_size = len(group)
                await self._write_group(group)

    async def _gather(self) -> None:
        """Waits briefly until the group is as large as the previous one, whose senders are about to send the next. A
        lone sender never waits."""
        if self._is_group_ready() or self._closing:
            return
        self._complete.clear()
        timeout = asyncio.get_running_loop().call_later(self._linger, self._complete.set)
        await self._complete.wait()
        timeout.cancel()

    def _is_group_ready(self) -> bool:
        return self._waiting >= self._previous_size or self.rows >= GROUP

    def _take(self) -> list[WaitingBatch]:
        group: list[WaitingBatch] = []
        rows = 0
        while self._queues:
            sender, queue = next(iter(self._queues.items()))
            if group and rows + queue.batches[0].rows > GROUP:
                break
            batch = queue.batches.popleft()
            queue.rows -= batch.rows
            rows += batch.rows
            group.append(batch)
            if queue.batches:
                self._queues.move_to_end(sender)
            else:
                del self._queues[sender]
        self.rows -= rows
        self._waiting -= len(group)
        return group

    async def _write_group(self, group: Sequence[WaitingBatch]) -> None:
        """Writes batches in one transaction and settles them."""
        arrivals = [one for batch in group for one in batch.arrivals]
        letters = [letter for batch in group for letter in batch.letters]
        try:
            outcomes = await self._write(arrivals, letters)
        except Exception as error:
            for batch in group:
                batch.fail(error)
            return
        done = 0
        for batch in group:
            batch.settle(outcomes[done : done + len(batch.arrivals)])
            done += len(batch.arrivals)


def _split(arrivals: Sequence[Arrival]) -> Iterator[tuple[list[Arrival], int]]:
    """Yields the messages in parts of at most GROUP rows, each with its number of rows. A message with more is a
    part of its own."""
    part: list[Arrival] = []
    rows = 0
    for one in arrivals:
        if part and rows + one.rows > GROUP:
            yield part, rows
            part, rows = [], 0
        part.append(one)
        rows += one.rows
    if part:
        yield part, rows
