"""Brings a graph to the schema of the code: applies pending steps in order, one process at a time.

Each applied step is recorded as a Migration node {version, name, checksum, applied_at}. The lock is a node with a
lease, because the engines have no lock in common; if its holder dies, the lock is free when the lease ends. Statements
are safe to run twice, so an interrupted step is simply run again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from ulid import ULID

from graph.errors import MigrationRefused, StoreUnavailable
from graph.model.time import Millis, system_clock
from graph.store.client import GraphClient, Row, Writer
from migrations.step import MigrationState, MigrationStatus, Step, StepKind
from migrations.steps import STEPS

LEASE: Final = Millis(60_000)
PATIENCE: Final = 120.0
"""How many seconds a process waits for another process to finish migrating."""

Clock = Callable[[], Millis]


async def migrate(
    client: GraphClient, *, dry_run: bool = False, steps: Sequence[Step] = STEPS, clock: Clock = system_clock
) -> list[MigrationStatus]:
    """Applies pending steps and returns the state of each; with `dry_run`, changes nothing.

    Raises MigrationRefused, before anything is changed, if a recorded step is unknown to the code or differs from it.
    """
    recorded = await read_recorded(client)
    pending = find_pending(recorded, steps)
    if dry_run or not pending:
        return describe(recorded, steps, {})
    await define_bookkeeping(client)
    async with hold_lock(client, clock) as renew:
        recorded = await read_recorded(client)
        pending = find_pending(recorded, steps)
        changed: dict[int, int] = {}
        for step in pending:
            changed[step.version] = await apply_step(client, step, renew)
            await record_step(client, step, clock())
        recorded = await read_recorded(client)
    return describe(recorded, steps, changed)


READ_MIGRATIONS: Final = """
MATCH (m:Migration)
RETURN m.version AS version, m.name AS name, m.checksum AS checksum, m.applied_at AS applied_at
ORDER BY version
"""


async def read_recorded(client: GraphClient) -> dict[int, Row]:
    """Reads the recorded steps, by version."""
    return {row["version"]: row for row in await client.read(READ_MIGRATIONS)}


def find_pending(recorded: dict[int, Row], steps: Sequence[Step]) -> list[Step]:
    """Returns the steps still to run. Raises MigrationRefused if graph and code disagree about earlier ones."""
    known = {step.version: step for step in steps}
    for version, row in sorted(recorded.items()):
        if version not in known:
            raise MigrationRefused(
                f"The graph holds migration {version} ({row['name']}), which this version of Consentric doesn't know: "
                "it was written by a newer one. Run that version, or restore an earlier backup of the graph."
            )
        if row["checksum"] != known[version].checksum:
            raise MigrationRefused(
                f"Migration {version} ({row['name']}) was changed after it was applied to this graph. Restore the step "
                "as it was released and put the change into a new step."
            )
    pending = [step for step in steps if step.version not in recorded]
    if pending and recorded and pending[0].version < max(recorded):
        raise MigrationRefused(
            f"Migration {pending[0].version} ({pending[0].name}) is missing from the graph, which holds later ones. "
            "Give the step a number after the last one."
        )
    return pending


def describe(recorded: dict[int, Row], steps: Sequence[Step], applied: Mapping[int, int]) -> list[MigrationStatus]:
    """Returns the state of each step. `applied` tells how many rows each of those that this run applied has changed."""
    statuses = []
    for step in steps:
        row = recorded.get(step.version)
        state = MigrationState.PENDING
        if row is not None:
            state = MigrationState.APPLIED if step.version in applied else MigrationState.PRESENT
        at = Millis(row["applied_at"]) if row else None
        statuses.append(
            MigrationStatus(step.version, step.name, step.checksum, state, at, applied.get(step.version, 0))
        )
    return statuses


DEFINE_BOOKKEEPING: Final = (
    "CREATE CONSTRAINT migration_version IF NOT EXISTS FOR (n:Migration) REQUIRE n.version IS UNIQUE",
    "CREATE CONSTRAINT lock_name IF NOT EXISTS FOR (n:Lock) REQUIRE n.name IS UNIQUE",
)


async def define_bookkeeping(client: GraphClient) -> None:
    """Defines the unique keys of locks and migrations. Two processes may do so at the same time."""
    for statement in DEFINE_BOOKKEEPING:
        await client.define(statement)


WRITE_LOCK: Final = """
MERGE (l:Lock {name: 'migration'})
SET l._v = coalesce(l._v, 0) + 1
WITH l WHERE coalesce(l.until, 0) < $now OR l.holder = $holder
SET l.holder = $holder, l.until = $until
RETURN l.holder AS holder
"""

WRITE_UNLOCK: Final = """
MATCH (l:Lock {name: 'migration'}) WHERE l.holder = $holder
SET l.until = 0
"""


@asynccontextmanager
async def hold_lock(client: GraphClient, clock: Clock) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Holds the migration lock and yields a function that renews its lease. Raises StoreUnavailable after PATIENCE, or
    on renewal if another process has taken the lock."""
    holder = str(ULID())

    async def take(tx: Writer) -> bool:
        now = clock()
        return bool(await tx.run(WRITE_LOCK, holder=holder, now=now, until=now + LEASE))

    async def free(tx: Writer) -> None:
        await tx.run(WRITE_UNLOCK, holder=holder)

    async def renew() -> None:
        if not await client.write(take):
            raise StoreUnavailable("Another process took over the migration; run `consentric migrate` again.")

    deadline = time.monotonic() + PATIENCE
    while not await client.write(take):
        if time.monotonic() > deadline:
            raise StoreUnavailable("Another process has been migrating the graph for too long; try again later.")
        await asyncio.sleep(0.1)
    try:
        yield renew
    finally:
        await client.write(free)


async def apply_step(client: GraphClient, step: Step, renew: Callable[[], Awaitable[None]]) -> int:
    """Runs a step's statements: each definition once, each data statement until it changes nothing more, each statement
    in pages once a page. Returns how many rows changed."""
    total = 0
    for number in range(len(step.statements)):
        statement = step.statements[number]
        await renew()
        if step.kind is StepKind.DEFINITION:
            await client.define(statement)
        elif step.kind is StepKind.PAGES:
            async for after, until in read_pages(client, step.pages[number]):
                total += await change_data(client, statement, after=after, until=until)
                await renew()
        else:
            while changed := await change_data(client, statement):
                total += changed
                await renew()
    return total


async def read_pages(client: GraphClient, statement: str) -> AsyncIterator[tuple[str, str]]:
    """Yields pages, each as the key after which it begins and the one with which it ends."""
    after = ""
    while ends := (await client.read(statement, after=after))[0]["ends"]:
        for until in ends:
            yield after, until
            after = until


async def change_data(client: GraphClient, statement: str, **page: str) -> int:
    """Runs a data statement, once or for a page, in a transaction of its own. Returns how many rows it changed."""

    async def work(tx: Writer) -> int:
        return int((await tx.run(statement, **page))[0]["changed"])

    return await client.write(work)


WRITE_MIGRATION: Final = """
MERGE (m:Migration {version: $version})
ON CREATE SET m.name = $name, m.checksum = $checksum, m.applied_at = $now
"""


async def record_step(client: GraphClient, step: Step, now: Millis) -> None:
    """Records a step as applied."""

    async def work(tx: Writer) -> None:
        await tx.run(WRITE_MIGRATION, version=step.version, name=step.name, checksum=step.checksum, now=now)

    await client.write(work)
