"""Work beside requests: a failed periodic run is logged and repeated; sources are settled once."""

from __future__ import annotations

import asyncio
import logging

import pytest

from api.process.background import repeat, settle_beside
from graph.errors import StoreUnavailable
from graph.store.client import GraphClient, StoreLimits, StoreTarget
from tests.context import services_of
from tests.crowd import run


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


@pytest.mark.store
async def test_unsettled_sources_are_settled_and_what_changed_is_logged(
    store: GraphClient, store_target: StoreTarget, caplog: pytest.LogCaptureFixture
) -> None:
    await run(store, "CREATE (:Source {name: 'web', trust: 'server', trust_epoch: 1, settled_epoch: 0})")
    caplog.set_level(logging.INFO, "consentric.background")
    async with await GraphClient.connect(store_target, StoreLimits(statement=4.0, grace=0.0)) as client:
        await settle_beside(services_of(client))
        assert "sources are settled" in caplog.text
        caplog.clear()
        await settle_beside(services_of(client))
        assert caplog.text == ""
    assert await store.read("MATCH (s:Source) RETURN s.settled_epoch AS epoch") == [{"epoch": 1}]
