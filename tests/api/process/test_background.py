"""Periodic work: a failed run is logged and repeated."""

from __future__ import annotations

import asyncio

import pytest

from api.process.background import repeat
from graph.errors import StoreUnavailable


async def test_a_failed_run_is_logged_and_repeated(caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []
    done = asyncio.Event()

    async def work() -> None:
        runs.append(len(runs))
        if len(runs) == 3:
            done.set()
        raise StoreUnavailable("gone")

    task = asyncio.create_task(repeat(work, 0))
    await done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "a periodic task failed" in caplog.text
