"""Shared commits, messages that the store refuses, transient faults and an orderly shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api.collection.payloads import TextPayload
from graph.collection.dead_letters import DeadLetter, read_letters
from graph.errors import RateLimited, StoreUnavailable
from graph.model.activity import Interaction
from graph.model.catalogue import ItemKey
from graph.model.identity import RecordKind, RecordRef
from graph.model.message import Message, Payload
from graph.store.client import GraphClient, Writer
from resolvers.collection.ingestor import STORE_REFUSED, Ingestor
from resolvers.collection.lanes import GROUP
from resolvers.collection.transaction import MessageOutcome
from tests.arrivals import NOW, POLICY, SHOP, count, register, track

pytestmark = pytest.mark.store

EVENTS = "MATCH (:Session)-[e]->() RETURN count(e) AS n"


@pytest.fixture(autouse=True)
async def shop(store: GraphClient) -> None:
    await register(store, SHOP)


def viewed(id_: str, user: str = "ada") -> Message:
    return track(id_, user, "Product Viewed", properties={"sku": "p"})


def poison(id_: str, payload: Payload | None = None) -> Message:
    """A message that no store can hold: half a surrogate pair in an item's key."""
    interaction = Interaction("VIEWED", ItemKey("half \ud83d"))
    record = RecordRef("shop", RecordKind.USER, "ada")
    return Message(f"shop|{id_}", "shop", record, NOW, NOW, interactions=(interaction,), payload=payload)


def open_ingestor(store: GraphClient, **options: Any) -> Ingestor:
    return Ingestor(store, POLICY, lambda: NOW, **options)


class Counted:
    """A client that counts its write transactions, and raises the given errors first."""

    def __init__(self, store: GraphClient, *errors: Exception) -> None:
        self.store = store
        self.errors = list(errors)
        self.writes = 0

    async def write(self, work: Callable[[Writer], Awaitable[Any]]) -> Any:
        self.writes += 1
        if self.errors:
            raise self.errors.pop(0)
        return await self.store.write(work)


async def test_simultaneous_submissions_share_a_commit(store: GraphClient) -> None:
    counted = Counted(store)
    async with open_ingestor(counted) as ingestor:  # type: ignore[arg-type]
        answers = await asyncio.gather(*(ingestor.submit([viewed(f"m{n}")]) for n in range(50)))
    assert answers == [[MessageOutcome.ACCEPTED]] * 50
    assert counted.writes == 1


async def test_a_group_has_a_bounded_size(store: GraphClient) -> None:
    counted = Counted(store)
    async with open_ingestor(counted) as ingestor:  # type: ignore[arg-type]
        answer = await ingestor.submit([viewed(f"m{n}", f"u{n % 9}") for n in range(2 * GROUP + 1)])
    assert (answer.count(MessageOutcome.ACCEPTED), counted.writes) == (2 * GROUP + 1, 3)
    assert await count(store, EVENTS) == 2 * GROUP + 1


async def test_closing_writes_what_is_waiting_and_then_refuses_submissions(store: GraphClient) -> None:
    ingestor = open_ingestor(store)
    waiting = [asyncio.ensure_future(ingestor.submit([viewed(f"m{n}")])) for n in range(5)]
    await asyncio.sleep(0)
    await ingestor.close()
    assert [await one for one in waiting] == [[MessageOutcome.ACCEPTED]] * 5
    with pytest.raises(StoreUnavailable):
        await ingestor.submit([viewed("late")])
    assert await count(store, EVENTS) == 5


async def test_messages_of_a_cancelled_submission_are_still_written(store: GraphClient) -> None:
    async with open_ingestor(store) as ingestor:
        leaving = asyncio.ensure_future(ingestor.submit([viewed("m")]))
        await asyncio.sleep(0)
        leaving.cancel()
    assert await count(store, EVENTS) == 1


async def test_submissions_are_refused_when_too_much_is_waiting(store: GraphClient) -> None:
    async with open_ingestor(store, most_waiting=10) as ingestor:
        first = asyncio.ensure_future(ingestor.submit([viewed(f"m{n}") for n in range(8)]))
        await asyncio.sleep(0)
        assert ingestor.waiting == 8
        with pytest.raises(RateLimited):
            await ingestor.submit([viewed(f"n{n}") for n in range(8)])
        assert await first == [MessageOutcome.ACCEPTED] * 8
    assert await count(store, EVENTS) == 8


async def test_only_the_message_that_the_store_refuses_becomes_a_dead_letter(store: GraphClient) -> None:
    async with open_ingestor(store) as ingestor:
        answers = await asyncio.gather(
            ingestor.submit([viewed("a"), viewed("b")]),
            ingestor.submit([viewed("c"), poison("x", TextPayload("payload 1")), viewed("d")]),
            ingestor.submit([poison("y")]),
            ingestor.submit([], [DeadLetter("shop", "bad_value", "no", "{}", NOW)]),
        )
    good, bad = MessageOutcome.ACCEPTED, MessageOutcome.REFUSED
    assert answers == [[good, good], [good, bad, good], [bad], []]
    assert await count(store, EVENTS) == 4
    letters = {letter.payload: letter.reason for letter in await read_letters(store, 10)}
    assert letters == {"payload 1": STORE_REFUSED, "": STORE_REFUSED, "{}": "bad_value"}


async def test_a_transient_fault_fails_only_its_own_group(store: GraphClient) -> None:
    counted = Counted(store, StoreUnavailable("away"))
    async with open_ingestor(counted) as ingestor:  # type: ignore[arg-type]
        with pytest.raises(StoreUnavailable):
            await ingestor.submit([viewed("a")], [DeadLetter("shop", "bad_value", "no", "{}", NOW)])
        assert await ingestor.submit([viewed("a")]) == [MessageOutcome.ACCEPTED]
    assert await count(store, EVENTS) == 1
    assert await read_letters(store, 10) == []


async def test_a_bug_fails_only_its_own_group(store: GraphClient) -> None:
    counted = Counted(store, KeyError("bug"))
    async with open_ingestor(counted) as ingestor:  # type: ignore[arg-type]
        with pytest.raises(KeyError):
            await ingestor.submit([viewed("a")])
        assert await ingestor.submit([viewed("a")]) == [MessageOutcome.ACCEPTED]


async def test_a_repeated_dead_letter_is_kept_once_and_counted(store: GraphClient) -> None:
    letter = DeadLetter("shop", "bad_value", "no", "{}", NOW, "price")
    async with open_ingestor(store) as ingestor:
        for _ in range(3):
            await ingestor.submit([], [letter, letter])
    assert [(one.source, one.reason, one.times) for one in await read_letters(store, 10)] == [("shop", "bad_value", 6)]


async def test_outcomes_are_reported_to_observe(store: GraphClient) -> None:
    seen: list[tuple[str, int]] = []
    async with open_ingestor(store) as ingestor:
        ingestor.observe = lambda outcome, number: seen.append((outcome, number))
        await ingestor.submit(
            [viewed("a"), viewed("a"), viewed("b")], [DeadLetter("shop", "bad_value", "no", "{}", NOW)]
        )
    assert sorted(seen) == [("accepted", 2), ("duplicate", 1), ("rejected", 1)]


async def test_several_lanes_write_each_message_once(store: GraphClient) -> None:
    async with open_ingestor(store, lanes=4, linger=0) as ingestor:
        answers = await asyncio.gather(
            *(ingestor.submit([viewed(f"m{n % 60}", f"u{n % 5}"), viewed(f"k{n}", f"u{n % 3}")]) for n in range(120))
        )
    outcomes = [outcome for answer in answers for outcome in answer]
    assert outcomes.count(MessageOutcome.ACCEPTED) == 180
    assert await count(store, EVENTS) == 180
