"""Periodic work of a server: loading new models, and refolding permits that time has changed.

A failed run is logged and repeated at the next interval. Reads do not depend on it, because stale permits are refolded
when they are read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from graph.errors import ConsentricError
from resolvers.consent.permits import refresh_stale
from resolvers.context import Services

MODEL_SECONDS: Final = 5.0
CONSENT_SECONDS: Final = 30.0

log = logging.getLogger("consentric.background")


@asynccontextmanager
async def background(services: Services) -> AsyncIterator[None]:
    """Repeats the work while the block runs. The current model is loaded before the block is entered."""

    async def load_model() -> None:
        await services.recommender.load(services.client)

    async def refold() -> None:
        await refresh_stale(services.client, services.policy, services.clock())

    await load_model()
    tasks = [
        asyncio.create_task(repeat(load_model, MODEL_SECONDS), name="models"),
        asyncio.create_task(repeat(refold, CONSENT_SECONDS), name="consents"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Waits `seconds`, does the work, and starts over. A ConsentricError is logged; any other error ends the loop."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except ConsentricError as error:
            log.warning(
                "a periodic task failed and will be retried",
                extra={"fields": {"code": error.code, "error": type(error).__qualname__}},
            )
