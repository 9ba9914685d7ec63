"""`/healthz` and `/readyz`: is the process alive, can it serve.

What lives here: the two checks. What does not: `consentric doctor`, which explains what is wrong (`api/cli/doctor.py`).
"""

from __future__ import annotations

import asyncio
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from graph.errors import ConsentricError, MigrationRefused
from graph.store.client import GraphClient
from migrations.runner import migrate
from migrations.step import MigrationState

PATIENCE_SECONDS: Final = 2.0


async def answer_alive(_: Request) -> Response:
    """The process answers; it says nothing of the store."""
    return answer(200, {"status": "alive"})


class Readiness:
    """Whether the store is reachable and the graph has the code's schema."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client

    async def answer_ready(self, _: Request) -> Response:
        """200 when requests can be served, else 503 with what is in the way."""
        found = await self.check()
        ready = found == {"store": "reachable", "migrations": "current"}
        return answer(200 if ready else 503, {"status": "ready" if ready else "unready"} | found)

    async def check(self) -> dict[str, str]:
        """The state of store and migrations, a word each."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                steps = await migrate(self._client, dry_run=True)
        except MigrationRefused:
            return {"store": "reachable", "migrations": "refused"}
        except (ConsentricError, TimeoutError):
            return {"store": "unreachable", "migrations": "unknown"}
        pending = any(step.state is MigrationState.PENDING for step in steps)
        return {"store": "reachable", "migrations": "pending" if pending else "current"}


def answer(status: int, body: dict[str, str]) -> Response:
    """A small JSON answer."""
    return Response(orjson.dumps(body), status, media_type="application/json")
