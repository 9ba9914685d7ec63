"""The ingestor: concurrent requests share commits, and each is answered only after its own.

What lives here: the bounded queue, the grouping into transactions of at most 500 rows, what follows when the store
refuses a group. What does not: what a transaction writes (`arrivals.py`), reading messages (`api/collect/`).

While one group commits, the next one gathers. A group that the store refuses for what it holds is halved until the
culprit stands alone: it becomes a dead letter and the rest is written. Faults that pass by themselves (the store busy,
restarting, out of reach) fail the requests concerned instead, so that their senders try again.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
"""Most messages of a transaction, rejections among them."""

LINGER: Final = 0.003
"""Seconds at most that a group waits for company."""

MOST_WAITING: Final = 20_000
"""Most rows that may wait. More are refused, so that senders slow down before memory runs out."""

STORE_REFUSED: Final = "store_refused"
"""The reason of a message that could be read but not written."""

_PASSING: Final = (StoreUnavailable, StoreTimeout, RateLimited, Conflict)
_REFUSALS: Final = (ConsentricError, UnicodeError, OverflowError, ValueError)

Payload = Callable[[int], str]
"""The text of a parcel's message by its place, asked for only if it becomes a dead letter."""


@dataclass(slots=True)
class Parcel:
    """Messages and rejections that arrived together and are answered together. `refused` are outcomes by place."""

    arrivals: Sequence[Arrival]
    letters: Sequence[DeadLetter]
    payload: Payload
    answer: asyncio.Future[list[MessageOutcome]]
    rows: int = 0
    outcomes: list[MessageOutcome] = field(default_factory=list)

    def settle(self, error: BaseException | None = None) -> None:
        """Answers whoever waits, if anybody still does."""
        if self.answer.done():
            return
        if error is None:
            self.answer.set_result(self.outcomes)
        else:
            self.answer.set_exception(error)


class Ingestor:
    """Writes what arrives, in groups. Use as an async context manager: leaving it writes what still waits.

    `lanes` is how many groups may be written at once: one on the embedded engine, whose writers take turns anyway.
    `observe` is told what became of messages: an outcome, or `rejected`, and how many.
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
        self._queue: deque[Parcel] = deque()
        self._rows = 0
        self._wake = asyncio.Event()
        self._complete = asyncio.Event()
        self._company = 1
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
        """Rows that wait for their transaction."""
        return self._rows

    @property
    def policy(self) -> Policy:
        """The policy that consent is read and folded by."""
        return self._policy

    async def submit(
        self, messages: Sequence[Message], letters: Sequence[DeadLetter] = (), payload: Payload | None = None
    ) -> list[MessageOutcome]:
        """Writes messages, and rejections as dead letters; returns what became of each message once all are on disk.

        `payload` gives the text of a message by its place, should the store refuse it. Raises RateLimited when too much
        waits, StoreUnavailable or StoreTimeout when the store can't be written: then send all of it again.
        """
        if self._closing:
            raise StoreUnavailable("The service is stopping; send it again.")
        if not messages and not letters:
            return []
        rows = len(messages) + len(letters)
        if self._rows and self._rows + rows > self._most_waiting:
            raise RateLimited("Too much is waiting to be written; try again after a pause.")
        parcels = self._pack(messages, letters, payload or _without_payload)
        answers = await asyncio.gather(*(parcel.answer for parcel in parcels))
        return [outcome for answer in answers for outcome in answer]

    def _pack(self, messages: Sequence[Message], letters: Sequence[DeadLetter], payload: Payload) -> list[Parcel]:
        """Queues parcels of at most a group each."""
        loop = asyncio.get_running_loop()
        parcels: list[Parcel] = []
        for start in range(0, max(len(messages), 1), GROUP):
            arrivals = [Arrival.of(message) for message in messages[start : start + GROUP]]
            rows = len(arrivals) + len(letters)
            parcels.append(Parcel(arrivals, letters, _shift(payload, start), loop.create_future(), rows))
            letters = ()
        self._queue.extend(parcels)
        self._rows += sum(parcel.rows for parcel in parcels)
        self._start()
        self._wake.set()
        if self._is_company():
            self._complete.set()
        return parcels

    def _start(self) -> None:
        if not self._workers:
            self._workers = [asyncio.create_task(self._work(), name=f"ingest-{n}") for n in range(self._lanes)]

    async def close(self) -> None:
        """Takes nothing more, writes what waits, and stops."""
        self._closing = True
        self._wake.set()
        self._complete.set()
        await asyncio.gather(*self._workers)

    async def _work(self) -> None:
        """Takes group after group."""
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
            await self._gather()
            if group := self._take():
                self._company = len(group)
                await self._write_group(group)

    async def _gather(self) -> None:
        """Waits a moment for as much company as the last group had: whoever was answered with it is about to send the
        next. A lone sender never waits."""
        if self._is_company() or self._closing:
            return
        self._complete.clear()
        patience = asyncio.get_running_loop().call_later(self._linger, self._complete.set)
        await self._complete.wait()
        patience.cancel()

    def _is_company(self) -> bool:
        return len(self._queue) >= self._company or self._rows >= GROUP

    def _take(self) -> list[Parcel]:
        group: list[Parcel] = []
        rows = 0
        while self._queue and (not group or rows + self._queue[0].rows <= GROUP):
            parcel = self._queue.popleft()
            rows += parcel.rows
            group.append(parcel)
        self._rows -= rows
        return group

    async def _write_group(self, group: Sequence[Parcel]) -> None:
        """Writes parcels in one transaction and answers them."""
        arrivals = [one for parcel in group for one in parcel.arrivals]
        letters = [letter for parcel in group for letter in parcel.letters]
        places = [(parcel, place) for parcel in group for place in range(len(parcel.arrivals))]
        try:
            outcomes = await self._write(arrivals, letters, places)
            self._report(outcomes, letters)
        except Exception as error:
            for parcel in group:
                parcel.settle(error)
            return
        done = 0
        for parcel in group:
            parcel.outcomes = outcomes[done : done + len(parcel.arrivals)]
            done += len(parcel.arrivals)
            parcel.settle()

    def _report(self, outcomes: Sequence[MessageOutcome], letters: Sequence[DeadLetter]) -> None:
        """Tells `observe` how many there are of each outcome; letters are of messages rejected before."""
        if self.observe is not None:
            for outcome, number in Counter(outcomes).items():
                self.observe(str(outcome), number)
            if letters:
                self.observe("rejected", len(letters))

    async def _write(
        self, arrivals: Sequence[Arrival], letters: Sequence[DeadLetter], places: Sequence[tuple[Parcel, int]]
    ) -> list[MessageOutcome]:
        """One transaction; where the store refuses it for what it holds, one for each half."""

        async def work(tx: Writer) -> Written:
            written = await write_arrivals(tx, arrivals, self._policy, self._clock(), self._memory)
            if letters:
                await write_letters(tx, letters)
            return written

        try:
            written = await self._client.write(work)
        except _PASSING:
            raise
        except _REFUSALS as error:
            if len(arrivals) == 1 and not letters:
                return await self._bury(arrivals[0].message, error, *places[0])
            if not arrivals:
                raise
            half = len(arrivals) // 2
            await self._write_letters(letters)
            first = await self._write(arrivals[:half], (), places[:half]) if half else []
            return first + await self._write(arrivals[half:], (), places[half:])
        self._memory.remember(written.items)
        return written.outcomes

    async def _write_letters(self, letters: Sequence[DeadLetter]) -> None:
        if letters:
            await self._client.write(lambda tx: write_letters(tx, letters))

    async def _bury(self, message: Message, error: Exception, parcel: Parcel, place: int) -> list[MessageOutcome]:
        """Makes a dead letter of the one message that the store refuses."""
        payload = parcel.payload(place)
        reason = str(error) if isinstance(error, ConsentricError) else "The store can't hold a value of this message."
        letter = DeadLetter(
            source=message.id.partition("|")[0],
            reason=STORE_REFUSED,
            message=reason,
            payload=payload[:LONGEST_PAYLOAD],
            received_at=message.received_at,
            truncated=len(payload) > LONGEST_PAYLOAD,
        )
        await self._write_letters([letter])
        return [MessageOutcome.REFUSED]


def _shift(payload: Payload, start: int) -> Payload:
    return payload if start == 0 else lambda place: payload(start + place)


def _without_payload(_: int) -> str:
    return ""
