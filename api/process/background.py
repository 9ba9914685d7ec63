"""Work of a server beside its requests: loading models, watching for withdrawals, refolding permits that time has
changed, all periodic; and once, at the start, settling sources.

A failed run is logged and repeated at the next interval. Reads do not depend on the refolding, because stale permits
are refolded when they are read; without the watch, nothing derived is served after a minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Final

from graph.errors import ConsentricError
from resolvers.consent.permits import refresh_stale
from resolvers.context import Services
from resolvers.identity.rederive import settle_sources
from resolvers.withdrawals import Watch

MODEL_SECONDS: Final = 5.0
CONSENT_SECONDS: Final = 5.0
WATCH_SECONDS: Final = 2.0
SETTLE_SECONDS: Final = 5.0

log = logging.getLogger("consentric.background")


@asynccontextmanager
async def background(services: Services) -> AsyncIterator[None]:
    """Repeats the work while the block runs. The current model is loaded, and the first look for withdrawals taken,
    before the block is entered."""
    watch = Watch(services)

    async def load_model() -> None:
        await services.recommender.load(services.client)

    async def refold() -> None:
        await refresh_stale(services.client, services.policy, services.clock())

    await load_model()
    await watch.look()
    tasks = [
        asyncio.create_task(repeat(load_model, MODEL_SECONDS), name="models"),
        asyncio.create_task(repeat(watch.look, WATCH_SECONDS), name="withdrawals"),
        asyncio.create_task(repeat(refold, CONSENT_SECONDS), name="consents"),
        asyncio.create_task(settle_beside(services), name="sources"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await watch.close()


async def settle_beside(services: Services) -> None:
    """Settles the sources of a graph from an earlier version, and those whose derivation was interrupted. Reads don't
    rely on unsettled sources, so requests are served meanwhile. A ConsentricError is logged, and it starts over."""
    while True:
        try:
            report = await settle_sources(services.client, services.policy, services.clock)
        except ConsentricError as error:
            log.warning("settling sources failed and will be retried", extra={"fields": _describe(error)})
            await asyncio.sleep(SETTLE_SECONDS)
        else:
            if report.sources:
                log.info("sources are settled", extra={"fields": asdict(report)})
            return


async def repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Waits `seconds`, does the work, and starts over. A ConsentricError is logged; any other error ends the loop."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except ConsentricError as error:
            log.warning("a periodic task failed and will be retried", extra={"fields": _describe(error)})


def _describe(error: ConsentricError) -> dict[str, str]:
    return {"code": error.code, "error": type(error).__qualname__}
