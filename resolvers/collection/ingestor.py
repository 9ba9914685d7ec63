"""The ingestor: concurrent submissions share commits, and each returns once its own commit is done.

A bounded queue is grouped into transactions of at most 500 rows; while one group commits, the next one gathers. A group
that the store refuses because of its contents is halved until the cause stands alone: that message becomes a dead
letter and the rest is written. A message whose record has no room for its traits or consents becomes a dead letter,
too. Transient faults (the store is busy, restarting or unreachable) fail the submissions concerned instead, so that
their senders try again.
"""

from __future__ import annotations

from asyncio import gather
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Self

from graph.collection.dead_letters import LONGEST_PAYLOAD, DeadLetter, write_letters
from graph.errors import Conflict, ConsentricError, RateLimited, StoreTimeout, StoreUnavailable
from graph.identity.traits import MOST_BYTES, MOST_TRAITS
from graph.model.access import Trust
from graph.model.message import Message
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer
from privacy.policy import Policy
from resolvers.collection.arrival import Arrival
from resolvers.collection.lanes import OPERATOR, Lane
from resolvers.collection.transaction import MessageOutcome, NoRoom, write_arrivals
from resolvers.consent.recording import MOST_LIVE, MOST_OF_FRONTENDS, MOST_UNVOUCHED

LINGER: Final = 0.003
"""Maximum time that a group waits to grow, in seconds."""

MOST_WAITING: Final = 20_000
"""Maximum number of waiting rows. More are refused, so that senders slow down before memory runs out."""

STORE_REFUSED: Final = "store_refused"
"""The reason of a message that could be read but not written."""

NOT_STORABLE: Final = "The store can't hold a value of this message."

NO_ROOM: Final[Mapping[MessageOutcome, str]] = {
    MessageOutcome.TOO_MANY_TRAITS: f"The record has no room for these traits: it keeps at most {MOST_TRAITS}, in "
    f"{MOST_BYTES} bytes.",
    MessageOutcome.TOO_MANY_CONSENTS: "The record has too many different consent statements: it keeps at most "
    f"{MOST_LIVE}, besides {MOST_UNVOUCHED} without proof from a public source and {MOST_OF_FRONTENDS} of front-ends. "
    "A withdrawal for all recipients is always recorded.",
}
"""What senders are told of a message whose record has no room for it. The outcome is also the reason of its
rejection."""

_TRANSIENT: Final = (StoreUnavailable, StoreTimeout, RateLimited, Conflict)
_REFUSALS: Final = (ConsentricError, UnicodeError, OverflowError, ValueError)


class Ingestor:
    """Writes submissions in groups. Use it as an async context manager: on exit, it writes what is still waiting.

    `lanes` is the number of groups of ordinary messages that may be written at once: one on the embedded engine, whose
    writers take turns anyway. Statements of consent have lanes of their own, so that a withdrawal never waits behind
    other people's events. `observe` is called with an outcome, or `rejected`, and the number of messages that had it.
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
        self._events = Lane("ingest", self._write_group, workers=lanes, linger=linger, most_waiting=most_waiting)
        self._consents = Lane("consent", self._write_group, workers=1, linger=linger, most_waiting=most_waiting)
        self._banners = Lane("banner", self._write_group, workers=1, linger=linger, most_waiting=most_waiting)
        self._closing = False
        self.observe: Callable[[str, int], None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def waiting(self) -> int:
        """Number of rows that wait for their transaction."""
        return sum(lane.rows for lane in (self._events, self._consents, self._banners))

    async def submit(
        self, messages: Sequence[Message], letters: Sequence[DeadLetter] = (), sender: str = OPERATOR
    ) -> list[MessageOutcome]:
        """Writes messages and dead letters. Returns the outcome of each message once all are on disk. While they wait,
        senders take turns.

        A message that the store refuses becomes a dead letter with its payload. Raises RateLimited if too much is
        waiting, StoreUnavailable or StoreTimeout if the store can't be written to; then submit everything again.
        """
        if self._closing:
            raise StoreUnavailable("The service is stopping; send it again.")
        if not messages and not letters:
            return []
        arrivals = [Arrival.of(message) for message in messages]
        parts: dict[Lane, list[Arrival]] = {self._events: []} if letters else {}
        for one in arrivals:
            parts.setdefault(self._lane_of(one), []).append(one)
        own = {self._events: letters}
        for lane, part in parts.items():
            lane.check_room(sum(one.rows for one in part) + len(own.get(lane, ())), sender)
        batches = [batch for lane, part in parts.items() for batch in lane.enqueue(part, own.get(lane, ()), sender)]
        outcomes = [outcome for each in await gather(*(batch.outcomes for batch in batches)) for outcome in each]
        ordered = [one for part in parts.values() for one in part]
        settled = {id(one): outcome for one, outcome in zip(ordered, outcomes, strict=True)}
        return [settled[id(one)] for one in arrivals]

    def _lane_of(self, one: Arrival) -> Lane:
        """Returns the lane of a message. What anybody can send waits among its like, so that a flood of banners doesn't
        delay a withdrawal that somebody vouches for."""
        if not one.states_consent:
            return self._events
        stranger = one.message.trust is Trust.PUBLIC and one.message.proof is None
        return self._banners if stranger else self._consents

    async def close(self) -> None:
        """Stops accepting submissions, writes what is waiting, and ends."""
        self._closing = True
        await gather(self._consents.close(), self._banners.close(), self._events.close())

    async def _write_group(self, arrivals: Sequence[Arrival], letters: Sequence[DeadLetter]) -> list[MessageOutcome]:
        outcomes = await self._write(arrivals, letters)
        self._report(outcomes, letters)
        return outcomes

    def _report(self, outcomes: Sequence[MessageOutcome], letters: Sequence[DeadLetter]) -> None:
        """Reports the number of messages per outcome to `observe`; letters stand for messages rejected before."""
        if self.observe is not None:
            for outcome, number in Counter(outcomes).items():
                self.observe(str(outcome), number)
            if letters:
                self.observe("rejected", len(letters))

    async def _write(self, arrivals: Sequence[Arrival], letters: Sequence[DeadLetter]) -> list[MessageOutcome]:
        """Writes one transaction or, if the store refuses it because of its contents, one for each half."""

        async def work(tx: Writer) -> list[MessageOutcome]:
            outcomes = await write_arrivals(tx, arrivals, self._policy, self._clock())
            if letters:
                await write_letters(tx, letters)
            return outcomes

        try:
            return await self._client.write(work)
        except _TRANSIENT:
            raise
        except NoRoom as error:
            return await self._write_others(arrivals, letters, error)
        except _REFUSALS as error:
            if len(arrivals) == 1 and not letters:
                return await self._write_refused(arrivals[0].message, error)
            if not arrivals:
                raise
            half = len(arrivals) // 2
            await self._write_letters(letters)
            first = await self._write(arrivals[:half], ()) if half else []
            return first + await self._write(arrivals[half:], ())

    async def _write_others(
        self, arrivals: Sequence[Arrival], letters: Sequence[DeadLetter], full: NoRoom
    ) -> list[MessageOutcome]:
        """Writes a group without the messages whose records have no room, which become dead letters. What they state
        about consent is written all the same if there is room for it, as there always is for a denial of a whole
        purpose: no withdrawal is lost because a record is full."""
        refused = {order: arrivals[order] for order in sorted(full.outcomes)}
        others = [order for order in range(len(arrivals)) if order not in refused]
        kept = [message for one in refused.values() if (message := _keep_consents(one, full.statements)) is not None]
        more = [
            _write_refusal(one.message, full.outcomes[order], NO_ROOM[full.outcomes[order]])
            for order, one in refused.items()
            if one.message.payload is not None  # otherwise it is what was kept of a message that is a letter already
        ]
        written = await self._write([*(arrivals[order] for order in others), *map(Arrival.of, kept)], [*letters, *more])
        outcomes = {**full.outcomes, **dict(zip(others, written, strict=False))}
        return [outcomes[order] for order in range(len(arrivals))]

    async def _write_letters(self, letters: Sequence[DeadLetter]) -> None:
        if letters:
            await self._client.write(lambda tx: write_letters(tx, letters))

    async def _write_refused(self, message: Message, error: Exception) -> list[MessageOutcome]:
        """Writes a dead letter for the one message that the store refuses."""
        reason = str(error) if isinstance(error, ConsentricError) else NOT_STORABLE
        await self._write_letters([_write_refusal(message, STORE_REFUSED, reason)])
        return [MessageOutcome.REFUSED]


def _write_refusal(message: Message, reason: str, text: str) -> DeadLetter:
    """Returns the dead letter of a message that could be read."""
    payload = "" if message.payload is None else message.payload.write()
    return DeadLetter(
        source=message.source,
        reason=reason,
        message=text,
        payload=payload[:LONGEST_PAYLOAD],
        received_at=message.received_at,
        truncated=len(payload) > LONGEST_PAYLOAD,
        proof=message.proof,
        reach=message.reach,
    )


def _keep_consents(one: Arrival, refused: frozenset[str]) -> Message | None:
    """Returns a message with the consents of another for which there is room, under an ID of its own: the other may
    still be replayed. None if there are none. What was carried along only in part is not remembered as repeated."""
    message = one.message
    kept = tuple(statement for id_, statement in one.statements() if id_ not in refused)
    if not kept:
        return None
    if not one.states_consent:
        message = replace(message, traits=None, identifiers=(), also=None, interactions=(), session=None)
    carried = message.carried if kept == message.consents else None
    return replace(message, id=f"{message.id}|consents", consents=kept, carried=carried, payload=None)
