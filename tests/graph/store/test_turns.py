"""Turns of writers and readers: first come, first served, and whoever gives up makes room."""

from __future__ import annotations

import asyncio

import pytest

from graph.errors import RateLimited, StoreUnavailable
from graph.store.turns import ReadTurns, WriteTurns


async def let_others_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Bench:
    """Writers that hold their turn until told to end it, and a record of who had it."""

    def __init__(self, turns: WriteTurns) -> None:
        self.turns = turns
        self.began: list[str] = []
        self.inside = 0
        self.done = {name: asyncio.Event() for name in "abcd"}

    async def write(self, name: str) -> None:
        async with self.turns.turn():
            self.inside += 1
            assert self.inside == 1
            self.began.append(name)
            try:
                await self.done[name].wait()
            finally:
                self.inside -= 1

    async def queue(self, names: str) -> list[asyncio.Task[None]]:
        """Starts writers, each after the one before has its place."""
        tasks = []
        for name in names:
            tasks.append(asyncio.create_task(self.write(name)))
            await let_others_run()
        return tasks


async def test_writers_take_turns_in_order_of_arrival() -> None:
    bench = Bench(WriteTurns(10, 10))
    tasks = await bench.queue("abcd")
    assert (bench.began, bench.turns.waiting) == (["a"], 3)
    for name in "dcba":
        bench.done[name].set()
    await asyncio.gather(*tasks)
    assert (bench.began, bench.turns.waiting) == (list("abcd"), 0)


async def test_a_writer_too_many_is_refused_and_later_ones_are_admitted_again() -> None:
    bench = Bench(WriteTurns(2, 10))
    tasks = await bench.queue("abc")
    with pytest.raises(RateLimited, match="2 writes are waiting"):
        await bench.write("d")
    bench.done["a"].set()
    await tasks[0]
    tasks += await bench.queue("d")
    for name in "bcd":
        bench.done[name].set()
    await asyncio.gather(*tasks)
    assert bench.began == list("abcd")


async def test_a_wait_that_takes_too_long_ends_and_frees_its_place() -> None:
    bench = Bench(WriteTurns(10, 0.05))
    (first,) = await bench.queue("a")
    with pytest.raises(StoreUnavailable, match="busy with earlier writes"):
        await bench.write("b")
    assert bench.turns.waiting == 0
    bench.done["a"].set()
    await first
    bench.done["c"].set()
    await bench.write("c")
    assert bench.began == ["a", "c"]


async def test_the_time_inside_a_turn_is_not_limited_by_the_longest_wait() -> None:
    turns = WriteTurns(10, 0.01)
    async with turns.turn():
        await asyncio.sleep(0.05)


async def test_a_cancelled_writer_leaves_the_queue_to_the_others() -> None:
    bench = Bench(WriteTurns(10, 10))
    tasks = await bench.queue("abc")
    tasks[1].cancel()
    await let_others_run()
    assert bench.turns.waiting == 1
    tasks[0].cancel()
    await let_others_run()
    assert bench.began == ["a", "c"]
    bench.done["c"].set()
    await tasks[2]
    assert all(task.cancelled() for task in tasks[:2])


async def test_an_error_inside_a_turn_ends_it() -> None:
    turns = WriteTurns(1, 0.05)
    for _ in range(2):
        with pytest.raises(LookupError):
            async with turns.turn():
                raise LookupError


class Room:
    """Readers who hold their turn until told to end it."""

    def __init__(self, at_once: int) -> None:
        self.turns = ReadTurns(at_once)
        self.inside: list[str] = []
        self.done: dict[str, asyncio.Event] = {}

    async def read(self, name: str) -> None:
        self.done[name] = asyncio.Event()
        async with self.turns.turn(name[0]):
            self.inside.append(name)
            try:
                await self.done[name].wait()
            finally:
                self.inside.remove(name)

    async def queue(self, *names: str) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self.read(name)) for name in names]
        await let_others_run()
        return tasks

    async def end(self, name: str) -> None:
        self.done[name].set()
        await let_others_run()


async def test_reads_of_one_reader_wait_for_each_other_only() -> None:
    room = Room(2)
    tasks = await room.queue("a1", "a2", "a3", "a4", "b1")
    assert room.inside == ["a1", "a2", "b1"]
    await room.end("a2")
    assert room.inside == ["a1", "b1", "a3"]
    for name in ("a1", "a3", "a4", "b1"):
        await room.end(name)
    await asyncio.gather(*tasks)
    again = await room.queue("a1", "a2", "a3")
    assert room.inside == ["a1", "a2"]
    for name in ("a1", "a2", "a3"):
        await room.end(name)
    await asyncio.gather(*again)


async def test_a_reader_that_gives_up_takes_no_place() -> None:
    room = Room(1)
    first, waiting, handed, last = await room.queue("a1", "a2", "a3", "a4")
    waiting.cancel()
    await let_others_run()
    room.done["a1"].set()
    await asyncio.wait([first])
    handed.cancel()  # it has its place, or is about to get it
    await let_others_run()
    assert room.inside == ["a4"]
    await room.end("a4")
    await last
    assert waiting.cancelled()
    assert handed.cancelled()
    (one,) = await room.queue("a1")
    assert room.inside == ["a1"]
    await room.end("a1")
    await one
