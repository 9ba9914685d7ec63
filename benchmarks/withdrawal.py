"""How long a withdrawal takes to leave what is served: seconds from its commit until no process recommends by it.

Two services share one embedded store and this process, each with its own model, watch and other periodic work, as two
servers would. Besides the crowd's own interactions there are groups of people, each as many as the minimum support, who
alone chose two items; as long as all of them permit it, one item leads to the other. One person of a group withdraws at
a random instant; the clock runs from the commit of the new permits until neither service recommends the item any more.
Alongside run a writer of interactions and readers of recommendations, all as fast as they can.

    python benchmarks/withdrawal.py [--people 1000 5000] [--withdrawals 6]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from algorithms.recommendation.support import SupportConfig
from api.process.background import background
from benchmarks.report import publish
from graph.activity.sessions import write_interactions
from graph.consent.permits import StoredPermits, write_permits
from graph.embedded.process import EngineOptions
from graph.embedded.store import EmbeddedStore
from graph.identity.locks import lock_users
from graph.model.activity import Interaction, RecentInteraction, SessionId
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.identity import UserId
from graph.model.message import Message
from graph.model.recommendation import Strategy
from graph.model.time import Millis, system_clock
from graph.store.client import GraphClient, Writer
from migrations.runner import migrate
from privacy.policy import Policy
from resolvers.context import Services
from resolvers.freshness import STALE_MILLIS
from resolvers.recommendation.serve import WALK, WalkRecommender
from resolvers.refresh import RefreshReport, refresh_all
from tests.crowd import Event, Person, write_crowd

SEED: Final = 42
ITEMS: Final = 1000
EVENTS: Final = 30
BATCH: Final = 50
SERVICES: Final = 2
READERS: Final = 2
GROUP: Final = SupportConfig().accounts
LIMIT: Final = 10 * STALE_MILLIS / 1000
"""Seconds after which the benchmark gives up."""


@dataclass(slots=True)
class Load:
    """What ran alongside."""

    events: int = 0
    recommendations: int = 0
    seconds: float = 0.0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


def as_item(name: str, number: int) -> ItemKey:
    return ItemKey(f"{name}{number:04}")


def make_crowd(people: int, groups: int, rng: np.random.Generator) -> list[Person]:
    """Returns people with events on popular and less popular items; the first of them form the groups."""
    odds = 1 / np.arange(1, ITEMS + 1) ** 0.8
    chosen = rng.choice(ITEMS, (people, EVENTS), p=odds / odds.sum())
    crowd = []
    for number, row in enumerate(chosen):
        events = [Event(as_item("i", item), days_ago=float(place)) for place, item in enumerate(row)]
        if number < groups * GROUP:
            events += [Event(as_item(name, number // GROUP)) for name in ("x", "y")]
        crowd.append(Person(f"u{number:06}", [events]))
    return crowd


async def withdraw(tx: Writer, user: UserId, now: Millis) -> None:
    """Writes what folding a withdrawal of everything writes."""
    await lock_users(tx, [user])
    await write_permits(tx, [StoredPermits(user, (), None)], now)


def leads(services: Services, group: int) -> bool:
    """Whether one item of a group still leads to the other in what a service recommends."""
    now = services.clock()
    seen = [RecentInteraction(as_item("x", group), "PURCHASED", now, 5.0)]
    fresh = services.freshness.serves(WALK, now)
    found = services.recommender.recommend(seen, 50, now=now, strategy=Strategy.GRAPH_WALK, fresh=fresh)
    return any(ranked.item.key == as_item("y", group) for ranked in found)


async def write_load(client: GraphClient, people: int, load: Load) -> None:
    rng = np.random.default_rng(SEED + 1)
    while True:
        batch = []
        for person, item in zip(rng.integers(0, people, BATCH), rng.integers(0, ITEMS, BATCH), strict=True):
            now = system_clock()
            what = (Interaction("VIEWED", as_item("i", int(item))),)
            id_ = f"load {load.events + len(batch)}"
            batch.append((SessionId(f"u{person:06}/0"), Message(id_, "shop", None, now, now, interactions=what)))
        await client.write(partial(write_interactions, events=batch))
        load.events += BATCH


async def read_load(services: Services, load: Load) -> None:
    rng = np.random.default_rng(SEED + 2)
    while True:
        now = services.clock()
        recent = [RecentInteraction(as_item("i", int(item)), "VIEWED", now) for item in rng.integers(0, ITEMS, 50)]
        services.recommender.recommend(recent, 10, now=now, fresh=services.freshness.serves(WALK, now))
        load.recommendations += 1
        await asyncio.sleep(0.002)


@asynccontextmanager
async def under_load(served: list[Services], people: int) -> AsyncIterator[Load]:
    load = Load()
    start = time.perf_counter()
    load.tasks.append(asyncio.create_task(write_load(served[0].client, people, load)))
    load.tasks += [asyncio.create_task(read_load(served[n % len(served)], load)) for n in range(READERS)]
    try:
        yield load
    finally:
        load.seconds = time.perf_counter() - start
        for task in load.tasks:
            if not task.cancel():
                task.result()
        await asyncio.gather(*load.tasks, return_exceptions=True)


async def measure_one(served: list[Services], group: int) -> float:
    """Returns the seconds until one group's last supporter is out. Begins once all services serve a model."""
    await wait_until(lambda: all(leads(one, group) for one in served))
    user = UserId(f"u{group * GROUP:06}")
    await served[0].client.write(lambda tx: withdraw(tx, user, system_clock()))
    start = time.perf_counter()
    await wait_until(lambda: not any(leads(one, group) for one in served))
    return time.perf_counter() - start


async def wait_until(true: Callable[[], bool]) -> None:
    start = time.perf_counter()
    while not true():
        if time.perf_counter() - start > LIMIT:
            raise SystemExit(f"nothing has changed for {LIMIT:.0f} s")
        await asyncio.sleep(0.02)


async def measure(client: GraphClient, people: int, withdrawals: int) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    items = [ItemFacts(as_item("i", number)) for number in range(ITEMS)]
    items += [ItemFacts(as_item(name, number)) for name in ("x", "y") for number in range(withdrawals)]
    await write_crowd(client, make_crowd(people, withdrawals, rng), items)
    served = [Services(client, Policy.default(), WalkRecommender(), b"s" * 32, system_clock) for _ in range(SERVICES)]
    report: RefreshReport = await refresh_all(served[0])
    seconds: list[float] = []
    async with AsyncExitStack() as stack:
        for one in served:
            await stack.enter_async_context(background(one))
        async with under_load(served, people) as load:
            for group in range(withdrawals):
                await asyncio.sleep(float(rng.uniform(0, 5)))
                taken = await measure_one(served, group)
                seconds.append(taken)
                print(f"{people} people: withdrawal {group + 1} of {withdrawals} took {taken:.1f} s", file=sys.stderr)
    return {
        "people": people,
        "interactions": report.walk.interactions,
        "first_refresh_seconds": report.seconds,
        "seconds": [round(one, 2) for one in seconds],
        "median_seconds": round(statistics.median(seconds), 2),
        "most_seconds": round(max(seconds), 2),
        "events_per_second": round(load.events / load.seconds),
        "recommendations_per_second": round(load.recommendations / load.seconds),
    }


async def measure_size(people: int, withdrawals: int) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedStore.start(Path(folder), EngineOptions()) as store,
    ):
        async with await GraphClient.connect(store.target) as client:
            await migrate(client)
            return await measure(client, people, withdrawals)


def as_table(rows: list[dict[str, Any]], withdrawals: int) -> Table:
    table = Table(title=f"{withdrawals} withdrawals, {SERVICES} services, load beside them (seed {SEED})")
    names = ("people", "interactions", "median s", "most s", "events/s", "recommendations/s")
    for name in names:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            f"{row['people']:,}",
            f"{row['interactions']:,}",
            f"{row['median_seconds']:.1f}",
            f"{row['most_seconds']:.1f}",
            f"{row['events_per_second']:,}",
            f"{row['recommendations_per_second']:,}",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[1_000, 5_000], help="the sizes to measure")
    parser.add_argument("--withdrawals", type=int, default=6, help="how many people withdraw, one after the other")
    given = parser.parse_args()
    rows = [asyncio.run(measure_size(people, given.withdrawals)) for people in given.people]
    results = {
        "seed": SEED,
        "sizes": given.people,
        "withdrawals": given.withdrawals,
        "services": SERVICES,
        "limit_seconds": STALE_MILLIS / 1000,
        "rows": rows,
    }
    publish("withdrawal", results, as_table(rows, given.withdrawals), packages=("numpy", "scipy", "neo4j"))


if __name__ == "__main__":
    main()
