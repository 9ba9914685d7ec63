"""The connection to the graph: reads in one round trip, managed writes, retries, time limits.

Rules for callers: values are passed as parameters; times are integers; a statement writes at most `MAX_ROWS` rows (use
`chunk_rows`); a statement returns plain values and maps, never nodes. The work of a write may run more than once, so it
may change nothing but the graph, and only through its writer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self, TypeVar

from neo4j import (
    READ_ACCESS,
    AsyncDriver,
    AsyncGraphDatabase,
    AsyncManagedTransaction,
    AsyncResult,
    NotificationMinimumSeverity,
    Query,
    unit_of_work,
)
from neo4j.exceptions import DriverError, Neo4jError

from graph.errors import ConsentricError, PayloadTooLarge, StoreTimeout, StoreUnavailable
from graph.store.faults import is_worth_retrying, pauses, translate
from graph.store.guard import refuse_writes
from graph.store.turns import ReadTurns, WriteTurns

T = TypeVar("T")
Row = dict[str, Any]
Observer = Callable[[str, str, float], None]
"""Called after every read and write with its kind (`read`, `write`), outcome (`done`, `failed`) and duration in
seconds."""

MAX_ROWS: Final = 500
"""The most rows (maps or lists in a list parameter) that one statement may write."""

EARLY: Final = 0.8
"""A time-out before this fraction of a statement's limit has a cause other than the statement."""

SCHEMES: Final = tuple(f"{name}{security}://" for name in ("bolt", "neo4j") for security in ("", "+s", "+ssc"))
"""The URL schemes of a single server and of a cluster: plain, encrypted, or encrypted without verification."""


class Engine(StrEnum):
    """The two engines the graph runs on."""

    EMBEDDED = "embedded"
    NEO4J = "neo4j"


READS_AT_ONCE: Final = {Engine.EMBEDDED: 2, Engine.NEO4J: 8}
"""How many reads of one reader run at once. The embedded engine shares its machine with this process."""


@dataclass(frozen=True, slots=True)
class StoreTarget:
    """Address and credentials of a store."""

    url: str
    user: str = field(repr=False)
    password: str = field(repr=False)
    database: str
    engine: Engine


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Limits of one client. Times in seconds.

    The server stops a statement after `statement`; if the server does not respond, the client gives up `grace` later.
    After a lost race or a transient fault, the same work is retried for up to `persist`.
    """

    statement: float = 30.0
    grace: float = 2.0
    persist: float = 15.0
    connections: int = 64
    connect: float = 10.0
    most_waiting: int = 2048
    longest_wait: float = 60.0


class Writer:
    """Runs statements inside one write transaction."""

    def __init__(self, transaction: AsyncManagedTransaction, limits: StoreLimits) -> None:
        self._transaction = transaction
        self._seconds = limits.statement + limits.grace

    async def run(self, statement: str, **parameters: Any) -> list[Row]:
        """Runs one statement and returns all its rows. Raises PayloadTooLarge if a parameter holds more than MAX_ROWS
        rows, StoreTimeout if the store does not respond in time."""
        refuse_long(parameters)
        try:
            async with asyncio.timeout(self._seconds):
                return await fetch_rows(await self._transaction.run(statement, parameters))
        except TimeoutError:
            raise StoreTimeout("The store did not answer a write within its time limit; it was abandoned.") from None


class GraphClient:
    """A pool of connections to one database of one store. Safe for any number of tasks on one event loop."""

    def __init__(self, driver: AsyncDriver, target: StoreTarget, limits: StoreLimits, *, explain: bool) -> None:
        self.engine = target.engine
        self.limits = limits
        self.observe: Observer | None = None
        self._explain = explain
        self._starting = True
        self._driver = driver
        self._session: dict[str, Any] = {"database": target.database, "fetch_size": 5000}
        self._reader: str | None = None
        self._reads = ReadTurns(READS_AT_ONCE[target.engine])
        self._turns: WriteTurns | None = None
        if target.engine is Engine.EMBEDDED:
            self._turns = WriteTurns(limits.most_waiting, limits.longest_wait)
        else:
            self._session["bookmark_manager"] = AsyncGraphDatabase.bookmark_manager()

    @classmethod
    async def connect(cls, target: StoreTarget, limits: StoreLimits | None = None, *, explain: bool = False) -> Self:
        """Opens a client and checks it with one statement. Raises StoreUnavailable if the store does not respond.

        With `explain`, errors carry the server's message as their cause. It quotes values, so use it in tests only.
        """
        limits = limits or StoreLimits()
        driver = open_driver(target, limits)
        client = cls(driver, target, limits, explain=explain)
        try:
            await client.read("RETURN 1 AS one")
        except ConsentricError as error:
            await driver.close()
            raise error if isinstance(error, StoreUnavailable) else StoreUnavailable(str(error)) from None
        except BaseException:
            await driver.close()
            raise
        client._starting = False
        return client

    async def close(self) -> None:
        """Closes all connections."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def on_behalf_of(self, reader: str) -> Self:
        """Returns a view of this client for one reader, whose reads wait for each other once too many run at once. It
        uses the same connections and queues; close the original, not the view."""
        shared = copy(self)
        shared._reader = reader
        return shared

    @property
    def waiting_writes(self) -> int:
        """How many writes are waiting for their turn; always 0 on Neo4j."""
        return self._turns.waiting if self._turns else 0

    async def read(self, statement: str, **parameters: Any) -> list[Row]:
        """Runs one reading statement in one round trip, retrying after transient faults, and returns all its rows.

        Raises WriteInRead if the statement could write, StoreTimeout and StoreUnavailable.
        """
        refuse_writes(statement)
        query = Query(statement, timeout=self.limits.statement)
        async with self._reads.turn(self._reader) if self._reader is not None else nullcontext():
            with self._observed("read"):
                return await self._persist(
                    lambda: self._auto_commit(query, parameters, default_access_mode=READ_ACCESS)
                )

    async def write(self, work: Callable[[Writer], Awaitable[T]]) -> T:
        """Runs `work` in one transaction and commits it, retrying after a lost race or a transient fault.

        On the embedded engine, writers take turns in order of arrival. Raises Conflict or StoreUnavailable when retries
        run out of time, StoreTimeout and RateLimited. Anything that `work` raises rolls the transaction back.
        """
        bounded = unit_of_work(timeout=self.limits.statement)

        @bounded
        async def run(transaction: AsyncManagedTransaction) -> T:
            return await work(Writer(transaction, self.limits))

        async def attempt() -> T:
            async with self._driver.session(**self._session) as session:
                return await session.execute_write(run)

        with self._observed("write"):
            async with self._turns.turn() if self._turns else nullcontext():
                return await self._persist(attempt)

    async def define(self, statement: str) -> None:
        """Runs one statement that defines a constraint or an index. Definitions are never rolled back."""
        await self._persist(lambda: self._auto_commit(Query(statement), {}))

    @contextmanager
    def _observed(self, kind: str) -> Iterator[None]:
        started, outcome = time.perf_counter(), "failed"
        try:
            yield
            outcome = "done"
        finally:
            if self.observe is not None:
                self.observe(kind, outcome, time.perf_counter() - started)

    async def _auto_commit(self, query: Query, parameters: dict[str, Any], **session: Any) -> list[Row]:
        async with (
            self._limit("The store did not answer within its time limit; ask for less at once."),
            self._driver.session(**self._session, **session) as opened,
        ):
            return await fetch_rows(await opened.run(query, parameters))

    async def _persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Retries until the attempt succeeds, the fault is permanent, or the time for retries is up."""
        waits = pauses(self.limits.persist)
        while True:
            started = time.monotonic()
            try:
                return await attempt()
            except (Neo4jError, DriverError) as error:
                early = time.monotonic() - started < self.limits.statement * EARLY
                wait = next(waits, None) if is_worth_retrying(error, early=early) else None
                if wait is None:
                    raise translate(error, starting=self._starting) from (error if self._explain else None)
            await asyncio.sleep(wait)

    @asynccontextmanager
    async def _limit(self, message: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.limits.statement + self.limits.grace):
                yield
        except TimeoutError:
            raise StoreTimeout(message) from None


def open_driver(target: StoreTarget, limits: StoreLimits) -> AsyncDriver:
    """Returns a driver that connects on first use. Raises StoreUnavailable if the address is malformed."""
    if not target.url.startswith(SCHEMES):
        raise StoreUnavailable("The store's address can't be used; expected bolt://HOST:PORT or neo4j://HOST:PORT.")
    # The driver logs server messages, which quote values. What matters is raised as one of our own errors.
    logging.getLogger("neo4j").setLevel(logging.CRITICAL)
    try:
        return AsyncGraphDatabase.driver(
            target.url,
            auth=(target.user, target.password),
            max_connection_pool_size=limits.connections,
            connection_acquisition_timeout=limits.statement,
            connection_timeout=limits.connect,
            initial_retry_delay=0.02,
            max_transaction_retry_time=limits.persist / 3,
            telemetry_disabled=True,
            notifications_min_severity=NotificationMinimumSeverity.OFF,
        )
    except (DriverError, ValueError):
        raise StoreUnavailable("The store's address can't be used; is its port a number?") from None


async def fetch_rows(result: AsyncResult) -> list[Row]:
    """Returns all rows of a result as maps. Values arrive as plain Python values."""
    keys = result.keys()
    return [dict(zip(keys, record.values(), strict=True)) async for record in result]


def chunk_rows(rows: Sequence[T], size: int = MAX_ROWS) -> Iterator[Sequence[T]]:
    """Yields the rows in order, in slices small enough for one writing statement."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def refuse_long(parameters: dict[str, Any]) -> None:
    """Raises PayloadTooLarge if a list of maps or lists has over MAX_ROWS entries. Plain values are not limited."""
    for name, value in parameters.items():
        if isinstance(value, list | tuple) and len(value) > MAX_ROWS and isinstance(value[0], dict | list | tuple):
            raise PayloadTooLarge(
                f"${name} holds {len(value)} rows; a statement writes at most {MAX_ROWS} (chunk_rows)."
            )
