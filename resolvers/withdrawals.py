"""The watch: finds the current runs that used somebody who has since withdrawn, and has them computed again without.

Every serving process watches for itself, because each has to know what it must not serve; a claim in the store lets
only one of them compute a run. A look costs a few small reads: only people whose permits changed lately are considered,
and of these only those whom the run's manifest may hold.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from contextlib import aclosing
from typing import Final

from ulid import ULID

from algorithms.activity.manifest import find_members
from graph.access.terms import read_unsettled_sources
from graph.activity.scoped import Changes, read_leavers
from graph.errors import ConsentricError
from graph.model.recommendation import RunId
from graph.model.time import Millis
from graph.recommendation.runs import ModelRun, claim_refit, read_current_runs, read_members_of_run, write_staleness
from resolvers.activity.behaviour import open_scope
from resolvers.context import Services
from resolvers.recommendation.serve import WALK
from resolvers.refresh import VERSIONS, refit

OVERLAP: Final = 120_000
"""How many milliseconds before the last look the next one begins: a change is stamped before it is committed, and
clocks differ."""

GRACE: Final = 3_000
"""How many milliseconds after a withdrawal the run is computed again, so that one computation serves several."""

CLAIM: Final = 20_000
"""How many milliseconds a claim holds; each look renews it."""

RUNS_READ: Final = 100

log = logging.getLogger("consentric.withdrawals")


class Watch:
    """The watch of one process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._holder = str(ULID())
        self._members: dict[RunId, str] = {}
        self._looked: dict[RunId, Millis] = {}
        self._stale: dict[str, Millis] = {}
        self._refits: dict[RunId, asyncio.Task[None]] = {}

    async def look(self) -> None:
        """Looks once: reports which runs are stale, and begins to compute those again that no process does yet."""
        services, now = self._services, self._services.clock()
        current = [run for run in await read_current_runs(services.client, RUNS_READ) if run.name in VERSIONS]
        unsettled = await read_unsettled_sources(services.client)
        stale = [(run, since) for run in current if (since := await self._find_staleness(run, unsettled)) is not None]
        for run, since in stale:
            if run.stale_since is None:
                await write_staleness(services.client, run.id, since)
        await self._report(current, {run.name: since for run, since in stale}, now)
        known = {run.id for run in current}
        self._members = {run: members for run, members in self._members.items() if run in known}
        self._looked = {run: at for run, at in self._looked.items() if run in known}
        await self._replace([run for run, since in stale if now - since >= GRACE])

    async def close(self) -> None:
        """Stops the computations that have begun."""
        for task in self._refits.values():
            task.cancel()
        await self.settle()

    async def settle(self) -> None:
        """Waits until the computations that have begun are over."""
        await asyncio.gather(*self._refits.values(), return_exceptions=True)

    async def _report(self, current: Sequence[ModelRun], stale: dict[str, Millis], now: Millis) -> None:
        """Reports which runs are stale. A model that another process replaced is loaded first; until it is, the earlier
        one remains in use and remains as stale as it was."""
        services, before = self._services, self._stale
        if any(run.name == WALK and run.id != services.recommender.run for run in current):
            await services.recommender.load(services.client)
            if all(run.id != services.recommender.run for run in current if run.name == WALK):
                stale.setdefault(WALK, before.get(WALK, now))
        self._stale = stale
        services.freshness.report(stale, now)

    async def _find_staleness(self, run: ModelRun, unsettled: Collection[str]) -> Millis | None:
        """Returns since when a run uses somebody who withdrew; None if it uses nobody who did. A run that does not tell
        whom it used, or that other code computed, was never fit to be served. One that left out a source which is
        settled by now is stale, too, so that it is soon computed with that source.

        A change that is stamped earlier than the run's last check of consent was committed after it, or the run would
        not have used the person."""
        if run.stale_since is not None:
            return run.stale_since
        if run.version != VERSIONS[run.name] or not (members := await self._read_members(run)):
            return run.consent_at
        now = self._services.clock()
        since = Millis(self._looked.get(run.id, run.consent_at) - OVERLAP)
        changes, scope = Changes(since, Millis(run.consent_at + OVERLAP)), open_scope(self._services, run.purpose)
        async with aclosing(read_leavers(self._services.client, changes, scope)) as pages:
            async for leavers in pages:
                if used := find_members(members, run.id, leavers):
                    return max(run.consent_at, min(leavers[user] for user in used))
        if set(unsettled) != set(run.left_out):
            return now
        self._looked[run.id] = now
        return None

    async def _read_members(self, run: ModelRun) -> str:
        if run.id not in self._members:
            self._members[run.id] = await read_members_of_run(self._services.client, run.id)
        return self._members[run.id]

    async def _replace(self, stale: Sequence[ModelRun]) -> None:
        """Computes the stale runs again that no other process has claimed, side by side, so that a slow one delays no
        other; renews the claims on those that are being computed."""
        self._refits = {run: task for run, task in self._refits.items() if not task.done()}
        for run in self._refits:
            await self._claim(run)
        for one in stale:
            if one.id not in self._refits and await self._claim(one.id):
                self._refits[one.id] = asyncio.create_task(self._compute(one), name=f"refit {one.name}")

    async def _claim(self, run: RunId) -> bool:
        now = self._services.clock()
        return await claim_refit(self._services.client, run, self._holder, now, Millis(now + CLAIM))

    async def _compute(self, run: ModelRun) -> None:
        try:
            await refit(self._services, run)
        except ConsentricError as error:
            log.warning(
                "a stale run could not be computed again; it will be retried",
                extra={"fields": {"run": run.name, "code": error.code}},
            )
