"""The ingestor: concurrent submissions share commits, and each returns once its own commit is done.

A bounded queue is grouped into transactions of at most 500 rows; while one group commits, the next one gathers. A group
that the store refuses because of its contents is halved until the cause stands alone: that message becomes a dead
letter and the rest is written. Transient faults (the store is busy, restarting or unreachable) fail the submissions
concerned instead, so that their senders try again.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from graph.collection.dead_letters import LONGEST_PAYLOAD, DeadLetter, write_letters
from graph.errors import Conflict, ConsentricError, RateLimited, StoreTimeout, StoreUnavailable
from graph.model.message import Message
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer
from privacy.policy import Policy
from resolvers.collection.arrival import Arrival
from resolvers.collection.items import ItemMemory
from resolvers.collection.transaction import MessageOutcome, Written, write_arrivals

GROUP: Final = 500
"""Maximum number of rows in a transaction, including dead letters."""

LINGER: Final = 0.003
"""Maximum time that a group waits to grow, in seconds."""

MOST_WAITING: Final = 20_000
"""Maximum number of waiting rows. More are refused, so that senders slow down before memory runs out."""

STORE_REFUSED: Final = "store_refused"
"""The reason of a message that could be read but not written."""

NOT_STORABLE: Final = "The store can't hold a value of this message."

_TRANSIENT: Final = (StoreUnavailable, StoreTimeout, RateLimited, Conflict)
_REFUSALS: Final = (ConsentricError, UnicodeError, OverflowError, ValueError)


@dataclass(frozen=True, slots=True)
class WaitingBatch:
    """Messages and dead letters of a submission that wait for their transaction, and the future of the outcomes."""

    arrivals: Sequence[Arrival]
    letters: Sequence[DeadLetter]
    outcomes: asyncio.Future[list[MessageOutcome]]

    @property
    def rows(self) -> int:
        """Number of rows in the batch."""
        return len(self.arrivals) + len(self.letters)

    def settle(self, outcomes: list[MessageOutcome]) -> None:
        """Returns the outcomes to the sender, if it is still waiting."""
        if not self.outcomes.done():
            self.outcomes.set_result(outcomes)

    def fail(self, error: BaseException) -> None:
        """Raises the error in the sender's task, if it is still waiting."""
        if not self.outcomes.done():
            self.outcomes.set_exception(error)


class Ingestor:
    """Writes submissions in groups. Use it as an async context manager: on exit, it writes what is still waiting.

    `lanes` is the number of groups that may be written at once: one on the embedded engine, whose writers take turns
    anyway. `observe` is called with an outcome, or `rejected`, and the number of messages that had it.
    """

    def __init__(
        self,
        client: GraphClient,
        policy: Policy,
        clock: Callable[[], Millis],
        *,
        lanes: int = 1,
        linger: float = LINGER,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._client = client
        self._policy = policy
        self._clock = clock
        self._linger = linger
        self._most_waiting = most_waiting
        self._lanes = lanes
        self._queue: deque[WaitingBatch] = deque()
        self._rows = 0
        self._wake = asyncio.Event()
        self._complete = asyncio.Event()
        self._previous_size = 1
        self._closing = False
        self._workers: list[asyncio.Task[None]] = []
        self._memory = ItemMemory()
        self.observe: Callable[[str, int], None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def waiting(self) -> int:
        """Number of rows that wait for their transaction."""
        return self._rows

    async def submit(self, messages: Sequence[Message], letters: Sequence[DeadLetter] = ()) -> list[MessageOutcome]:
        """Writes messages and dead letters. Returns the outcome of each message once all are on disk.

        A message that the store refuses becomes a dead letter with its payload. Raises RateLimited if too much is
        waiting, StoreUnavailable or StoreTimeout if the store can't be written to; then submit everything again.
        """
        if self._closing:
            raise StoreUnavailable("The service is stopping; send it again.")
        if not messages and not letters:
            return []
        rows = len(messages) + len(letters)
        if self._rows and self._rows + rows > self._most_waiting:
            raise RateLimited("Too much is waiting to be written; try again after a pause.")
        batches = self._enqueue(messages, letters)
        outcomes = await asyncio.gather(*(batch.outcomes for batch in batches))
        return [outcome for part in outcomes for outcome in part]

    def _enqueue(self, messages: Sequence[Message], letters: Sequence[DeadLetter]) -> list[WaitingBatch]:
        """Queues batches, each no larger than a group."""
        loop = asyncio.get_running_loop()
        batches: list[WaitingBatch] = []
        for start in range(0, max(len(messages), 1), GROUP):
            arrivals = [Arrival.of(message) for message in messages[start : start + GROUP]]
            batches.append(WaitingBatch(arrivals, letters, loop.create_future()))
            letters = ()
        self._queue.extend(batches)
        self._rows += sum(batch.rows for batch in batches)
        self._start()
        self._wake.set()
        if self._is_group_ready():
            self._complete.set()
        return batches

    def _start(self) -> None:
        if not self._workers:
            self._workers = [asyncio.create_task(self._work(), name=f"ingest-{n}") for n in range(self._lanes)]

    async def close(self) -> None:
        """Stops accepting submissions, writes what is waiting, and ends."""
        self._closing = True
        self._wake.set()
        self._complete.set()
        await asyncio.gather(*self._workers)

    async def _work(self) -> None:
        """Writes one group after another."""
        while True:
            if not self._queue:
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
        return len(self._queue) >= self._previous_size or self._rows >= GROUP

    def _take(self) -> list[WaitingBatch]:
        group: list[WaitingBatch] = []
        rows = 0
        while self._queue and (not group or rows + self._queue[0].rows <= GROUP):
            batch = self._queue.popleft()
            rows += batch.rows
            group.append(batch)
        self._rows -= rows
        return group

    async def _write_group(self, group: Sequence[WaitingBatch]) -> None:
        """Writes batches in one transaction and settles them."""
        arrivals = [one for batch in group for one in batch.arrivals]
        letters = [letter for batch in group for letter in batch.letters]
        try:
            outcomes = await self._write(arrivals, letters)
            self._report(outcomes, letters)
        except Exception as error:
            for batch in group:
                batch.fail(error)
            return
        done = 0
        for batch in group:
            batch.settle(outcomes[done : done + len(batch.arrivals)])
            done += len(batch.arrivals)

    def _report(self, outcomes: Sequence[MessageOutcome], letters: Sequence[DeadLetter]) -> None:
        """Reports the number of messages per outcome to `observe`; letters stand for messages rejected before."""
        if self.observe is not None:
            for outcome, number in Counter(outcomes).items():
                self.observe(str(outcome), number)
            if letters:
                self.observe("rejected", len(letters))

    async def _write(self, arrivals: Sequence[Arrival], letters: Sequence[DeadLetter]) -> list[MessageOutcome]:
        """Writes one transaction or, if the store refuses it because of its contents, one for each half."""

        async def work(tx: Writer) -> Written:
            written = await write_arrivals(tx, arrivals, self._policy, self._clock(), self._memory)
            if letters:
                await write_letters(tx, letters)
            return written

        try:
            written = await self._client.write(work)
        except _TRANSIENT:
            raise
        except _REFUSALS as error:
            if len(arrivals) == 1 and not letters:
                return await self._write_refused(arrivals[0].message, error)
            if not arrivals:
                raise
            half = len(arrivals) // 2
            await self._write_letters(letters)
            first = await self._write(arrivals[:half], ()) if half else []
            return first + await self._write(arrivals[half:], ())
        self._memory.remember(written.items)
        return written.outcomes

    async def _write_letters(self, letters: Sequence[DeadLetter]) -> None:
        if letters:
            await self._client.write(lambda tx: write_letters(tx, letters))

    async def _write_refused(self, message: Message, error: Exception) -> list[MessageOutcome]:
        """Writes a dead letter for the one message that the store refuses."""
        payload = "" if message.payload is None else message.payload.write()
        reason = str(error) if isinstance(error, ConsentricError) else NOT_STORABLE
        letter = DeadLetter(
            source=message.source,
            reason=STORE_REFUSED,
            message=reason,
            payload=payload[:LONGEST_PAYLOAD],
            received_at=message.received_at,
            truncated=len(payload) > LONGEST_PAYLOAD,
            proof=message.proof,
        )
        await self._write_letters([letter])
        return [MessageOutcome.REFUSED]
