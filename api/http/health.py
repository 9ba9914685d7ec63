"""`/healthz` and `/readyz`: whether the process is alive, and whether it can serve.

`consentric doctor` explains what is wrong in more detail (`api/cli/doctor.py`).
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

CHECK_SECONDS: Final = 2.0


async def report_alive(_: Request) -> Response:
    """Responds with 200 whenever the process can respond, whatever the state of the store."""
    return respond(200, {"status": "alive"})


class Readiness:
    """Checks whether the store is reachable and its graph has the schema of this version. Anybody may ask, so whoever
    asks during a check waits for its answer."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._checking: asyncio.Task[dict[str, str]] | None = None

    async def report_ready(self, _: Request) -> Response:
        """Responds with 200 if requests can be served, or else with 503 and the reason."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self.check())
        found = await asyncio.shield(self._checking)
        ready = found == {"store": "reachable", "migrations": "current"}
        return respond(200 if ready else 503, {"status": "ready" if ready else "unready"} | found)

    async def check(self) -> dict[str, str]:
        """Returns the state of the store and of the migrations, one word each. Takes at most `CHECK_SECONDS`."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                steps = await migrate(self._client, dry_run=True)
        except MigrationRefused:
            return {"store": "reachable", "migrations": "refused"}
        except (ConsentricError, TimeoutError):
            return {"store": "unreachable", "migrations": "unknown"}
        pending = any(step.state is MigrationState.PENDING for step in steps)
        return {"store": "reachable", "migrations": "pending" if pending else "current"}


def respond(status: int, body: dict[str, str]) -> Response:
    """Returns a JSON response."""
    return Response(orjson.dumps(body), status, media_type="application/json")
