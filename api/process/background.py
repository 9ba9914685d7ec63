"""What a server does beside answering: it takes up newer models, and refolds consents that changed by the clock.

What lives here: the two loops and their pace. What does not: the work (`resolvers/recommendation/serve.py`,
`resolvers/consent/permits.py`). A round that fails is logged and tried again at the next; readers do not depend on it,
since stale permits are refolded when they are read.
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
    """Runs the loops while the block runs; the first model is there when it begins."""

    async def load_model() -> None:
        await services.shelf.load(services.client)

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
    """Does the work again and again, with a pause after each time."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except ConsentricError as error:
            log.warning(
                "a round failed and will be repeated",
                extra={"fields": {"code": error.code, "error": type(error).__qualname__}},
            )
