"""The loops beside the server: a round that fails is followed by another."""

from __future__ import annotations

import asyncio

import pytest

from api.process.background import repeat
from graph.errors import StoreUnavailable


async def test_a_failed_round_is_followed_by_another(caplog: pytest.LogCaptureFixture) -> None:
    rounds: list[int] = []
    done = asyncio.Event()

    async def work() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 3:
            done.set()
        raise StoreUnavailable("gone")

    task = asyncio.create_task(repeat(work, 0))
    await done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "a round failed" in caplog.text
