"""Lanes: batches that wait share a transaction, and one lane never waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from graph.collection.dead_letters import DeadLetter
from graph.errors import RateLimited, StoreUnavailable
from resolvers.collection.arrival import Arrival
from resolvers.collection.lanes import GROUP, Lane
from resolvers.collection.transaction import MessageOutcome
from tests.arrivals import track


class Desk:
    """Stands in for the transaction: records the sizes of groups, and waits while `shut` is set."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None

    async def write(self, arrivals: Sequence[Arrival], letters: Sequence[DeadLetter]) -> list[MessageOutcome]:
        await self.open.wait()
        self.groups.append(len(arrivals) + len(letters))
        if self.error is not None:
            raise self.error
        return [MessageOutcome.ACCEPTED] * len(arrivals)


def arrivals(number: int) -> list[Arrival]:
    return [Arrival.of(track(f"m{place}", "ada", "Seen")) for place in range(number)]


def lane(desk: Desk, most_waiting: int = 10_000) -> Lane:
    return Lane("test", desk.write, workers=1, linger=0.0, most_waiting=most_waiting)


async def test_a_batch_is_no_larger_than_a_group() -> None:
    desk = Desk()
    one = lane(desk)
    batches = one.enqueue(arrivals(GROUP + 1))
    outcomes = await asyncio.gather(*(batch.outcomes for batch in batches))
    assert [len(part) for part in outcomes] == [GROUP, 1]
    await one.close()
    assert one.rows == 0


async def test_batches_that_wait_share_a_group() -> None:
    desk = Desk()
    desk.open.clear()
    one = lane(desk)
    first = one.enqueue(arrivals(1))
    await asyncio.sleep(0.01)
    rest = [batch for _ in range(5) for batch in one.enqueue(arrivals(2))]
    desk.open.set()
    await asyncio.gather(*(batch.outcomes for batch in first + rest))
    assert desk.groups[0] == 1
    assert sum(desk.groups) == 11
    assert len(desk.groups) < 6
    await one.close()


async def test_a_full_lane_refuses_and_an_empty_one_never() -> None:
    desk = Desk()
    desk.open.clear()
    one = lane(desk, most_waiting=3)
    one.check_room(10)
    one.enqueue(arrivals(1))
    await asyncio.sleep(0.01)
    one.enqueue(arrivals(3))
    with pytest.raises(RateLimited):
        one.check_room(1)
    desk.open.set()
    await one.close()


async def test_one_sender_fills_a_quarter_of_a_lane_and_operators_all_of_it() -> None:
    desk = Desk()
    desk.open.clear()
    one = lane(desk, most_waiting=40)
    one.enqueue(arrivals(1))
    await asyncio.sleep(0.01)
    one.check_room(20, "flood")
    one.enqueue(arrivals(10), sender="flood")
    with pytest.raises(RateLimited, match="of what you sent"):
        one.check_room(1, "flood")
    one.check_room(10, "other")
    one.enqueue(arrivals(20))
    one.check_room(5)
    with pytest.raises(RateLimited, match="Too much is waiting"):
        one.check_room(11, "other")
    desk.open.set()
    await one.close()
    one.check_room(20, "flood")


async def test_an_error_reaches_every_sender_of_the_group() -> None:
    desk = Desk()
    desk.error = StoreUnavailable("down")
    one = lane(desk)
    (batch,) = one.enqueue(arrivals(1))
    with pytest.raises(StoreUnavailable):
        await batch.outcomes
    await one.close()


async def test_a_flood_of_one_sender_delays_the_others_by_a_group() -> None:
    desk = Desk()
    desk.open.clear()
    one = lane(desk)
    flood = one.enqueue(arrivals(5 * GROUP), sender="flood")
    await asyncio.sleep(0.01)
    other = one.enqueue(arrivals(1), sender="other")
    desk.open.set()
    await asyncio.gather(*(batch.outcomes for batch in flood + other))
    assert desk.groups == [GROUP, GROUP, 1, GROUP, GROUP, GROUP]
    assert one.rows == 0
    await one.close()
