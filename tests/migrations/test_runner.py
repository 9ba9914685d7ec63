"""Migrations on whichever engine is under test: once, in order, one starter at a time, refused where history differs.

A fresh history is made by removing the record of migrations; the definitions of step 1 stay, and are safe to repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from graph.errors import Conflict, ConsentricError, MigrationRefused
from graph.model.time import Millis
from graph.schema import UNIQUE_KEYS, InteractionType, Label
from graph.store.client import GraphClient, StoreLimits, StoreTarget, Writer
from migrations import runner
from migrations.runner import migrate
from migrations.step import MigrationState, Step, StepKind

pytestmark = pytest.mark.store

DEFINE_TITLE = "CREATE INDEX purpose_title IF NOT EXISTS FOR (n:Purpose) ON (n.title)"
DEFINE = Step(1, "define", StepKind.DEFINITION, (DEFINE_TITLE,))
FILL = Step(
    2,
    "fill",
    StepKind.DATA,
    ("MATCH (t:Topic) WHERE t.filled IS NULL WITH t LIMIT 5 SET t.filled = 1 RETURN count(t) AS changed",),
)
TURN = Step(
    2,
    "turn pages",
    StepKind.PAGES,
    (
        "MATCH (t:Topic) WHERE t.key > $after AND t.key <= $until "
        "SET t.filled = coalesce(t.filled, 0) + 1 RETURN count(t) AS changed",
    ),
    (
        "MATCH (t:Topic) WHERE t.key > $after WITH t.key AS key ORDER BY key LIMIT 7 WITH collect(key) AS keys "
        "RETURN [i IN range(0, size(keys) - 1) WHERE i % 2 = 1 OR i = size(keys) - 1 | keys[i]] AS ends",
    ),
)
COUNT_ONCE = "MATCH (t:Topic {key: 'runs'}) WHERE t.n < 1 SET t.n = t.n + 1 RETURN count(t) AS changed"
COUNT = Step(3, "count", StepKind.DATA, (COUNT_ONCE,))


async def forget_migrations(client: GraphClient) -> None:
    async def work(tx: Writer) -> None:
        await tx.run("MATCH (n) WHERE n:Migration OR n:Lock DELETE n")

    await client.write(work)


@pytest.fixture
async def bare(store: GraphClient) -> AsyncIterator[GraphClient]:
    """A store that records no migration; afterwards it records those of the code again."""
    await forget_migrations(store)
    yield store
    await forget_migrations(store)
    await migrate(store)


async def create_topics(client: GraphClient, number: int) -> None:
    async def work(tx: Writer) -> None:
        await tx.run("UNWIND range(1, $n) AS x CREATE (:Topic {key: 't' + toString(x)})", n=number)

    await client.write(work)


async def test_steps_are_applied_in_order_and_recorded(bare: GraphClient) -> None:
    await create_topics(bare, 12)
    first = await migrate(bare, steps=[DEFINE, FILL], clock=lambda: Millis(1000))
    assert [(status.version, status.state, status.applied_at) for status in first] == [
        (1, MigrationState.APPLIED, 1000),
        (2, MigrationState.APPLIED, 1000),
    ]
    assert await bare.read("MATCH (t:Topic) RETURN sum(t.filled) AS n") == [{"n": 12}]
    rows = await bare.read("MATCH (m:Migration) RETURN m.version AS version, m.checksum AS checksum ORDER BY version")
    assert rows == [{"version": 1, "checksum": DEFINE.checksum}, {"version": 2, "checksum": FILL.checksum}]


async def test_a_step_in_pages_visits_each_node_once_and_counts_what_it_changed(bare: GraphClient) -> None:
    await create_topics(bare, 12)
    statuses = await migrate(bare, steps=[DEFINE, TURN])
    assert [status.changed for status in statuses] == [0, 12]
    assert await bare.read("MATCH (t:Topic) RETURN DISTINCT t.filled AS filled") == [{"filled": 1}]
    assert [status.changed for status in await migrate(bare, steps=[DEFINE, TURN])] == [0, 0]


async def test_a_second_run_changes_nothing(bare: GraphClient) -> None:
    await migrate(bare, steps=[DEFINE, FILL], clock=lambda: Millis(1000))
    again = await migrate(bare, steps=[DEFINE, FILL], clock=lambda: Millis(2000))
    assert {(status.state, status.applied_at) for status in again} == {(MigrationState.PRESENT, 1000)}


async def test_a_dry_run_lists_pending_steps_and_writes_nothing(bare: GraphClient) -> None:
    await migrate(bare, steps=[DEFINE])
    statuses = await migrate(bare, steps=[DEFINE, FILL], dry_run=True)
    assert [status.state for status in statuses] == [MigrationState.PRESENT, MigrationState.PENDING]
    assert statuses[1].applied_at is None
    assert await bare.read("MATCH (m:Migration) RETURN count(m) AS n") == [{"n": 1}]


async def test_a_dry_run_on_an_empty_graph_writes_nothing(bare: GraphClient) -> None:
    assert {status.state for status in await migrate(bare, dry_run=True)} == {MigrationState.PENDING}
    assert await bare.read("MATCH (n) RETURN count(n) AS n") == [{"n": 0}]


async def test_a_changed_step_is_refused_before_anything_runs(bare: GraphClient) -> None:
    await create_topics(bare, 1)
    await migrate(bare, steps=[DEFINE])
    changed = Step(1, "define", StepKind.DEFINITION, ("CREATE INDEX other IF NOT EXISTS FOR (n:Purpose) ON (n.other)",))
    for dry_run in (True, False):
        with pytest.raises(MigrationRefused, match=r"Migration 1 \(define\) was changed"):
            await migrate(bare, steps=[changed, FILL], dry_run=dry_run)
    assert await bare.read("MATCH (t:Topic) RETURN t.filled AS filled") == [{"filled": None}]


async def test_an_unknown_step_is_refused(bare: GraphClient) -> None:
    await migrate(bare, steps=[DEFINE, FILL])
    with pytest.raises(MigrationRefused, match=r"holds migration 2 \(fill\)"):
        await migrate(bare, steps=[DEFINE])


async def test_an_inserted_step_is_refused(bare: GraphClient) -> None:
    await migrate(bare, steps=[DEFINE, COUNT])
    with pytest.raises(MigrationRefused, match=r"Migration 2 \(fill\) is missing"):
        await migrate(bare, steps=[DEFINE, FILL, COUNT])


async def test_a_failed_step_is_not_recorded_and_runs_again(bare: GraphClient) -> None:
    broken = Step(2, "broken", StepKind.DATA, ("RETURN 1 / 0 AS changed",))
    with pytest.raises(ConsentricError):
        await migrate(bare, steps=[DEFINE, broken])
    assert await bare.read("MATCH (m:Migration) RETURN m.version AS version") == [{"version": 1}]
    statuses = await migrate(bare, steps=[DEFINE, FILL])
    assert [status.state for status in statuses] == [MigrationState.PRESENT, MigrationState.APPLIED]


async def test_only_one_of_many_starting_processes_migrates(bare: GraphClient, store_target: StoreTarget) -> None:
    async def prepare(tx: Writer) -> None:
        await tx.run("CREATE (:Topic {key: 'runs', n: 0})")

    await bare.write(prepare)
    clients = [await GraphClient.connect(store_target) for _ in range(5)]
    results = await asyncio.gather(*(migrate(client, steps=[DEFINE, FILL, COUNT]) for client in clients))
    for client in clients:
        await client.close()
    applied = [status for statuses in results for status in statuses if status.state is MigrationState.APPLIED]
    assert [status.version for status in applied] == [1, 2, 3]
    assert await bare.read("MATCH (m:Migration) RETURN count(m) AS n") == [{"n": 3}]


async def test_the_lock_of_a_dead_process_is_taken_over_after_its_lease(bare: GraphClient) -> None:
    await runner.define_bookkeeping(bare)

    async def leave_behind(tx: Writer) -> None:
        assert await tx.run(runner.WRITE_LOCK, holder="dead", now=1, until=5000) == [{"holder": "dead"}]

    await bare.write(leave_behind)
    instants = iter(range(4000, 10_000, 500))
    statuses = await migrate(bare, steps=[DEFINE], clock=lambda: Millis(next(instants)))
    assert statuses[0].applied_at is not None
    assert statuses[0].applied_at > 5000
    assert await bare.read("MATCH (l:Lock) RETURN l.until AS until") == [{"until": 0}]


async def test_every_key_of_the_schema_is_a_constraint(store: GraphClient) -> None:
    rows = await store.read("SHOW CONSTRAINTS")
    nodes = {(row["labelsOrTypes"][0], row["properties"][0]) for row in rows if row["entityType"] == "NODE"}
    types = {(row["labelsOrTypes"][0], row["properties"][0]) for row in rows if row["entityType"] == "RELATIONSHIP"}
    assert {(label.value, key) for label, key in UNIQUE_KEYS.items()} <= nodes, "add a step for the new label"
    assert {(kind.value, "message_id") for kind in InteractionType} <= types, "add a step for the new type"
    assert set(UNIQUE_KEYS) == set(Label)


@pytest.mark.parametrize("label", list(UNIQUE_KEYS))
async def test_a_second_node_with_one_key_is_refused(
    store_target: StoreTarget, store: GraphClient, label: Label
) -> None:
    value = 99 if label is Label.MIGRATION else "x"

    async def create(tx: Writer) -> None:
        await tx.run(f"CREATE (n:{label}) SET n.{UNIQUE_KEYS[label]} = $value", value=value)

    async with await GraphClient.connect(store_target, StoreLimits(persist=0.05)) as client:
        await client.write(create)
        with pytest.raises(Conflict):
            await client.write(create)
        count = f"MATCH (n:{label}) WHERE n.{UNIQUE_KEYS[label]} = $value RETURN count(n) AS n"
        assert await client.read(count, value=value) == [{"n": 1}]

        async def delete(tx: Writer) -> None:
            await tx.run(f"MATCH (n:{label}) WHERE n.{UNIQUE_KEYS[label]} = $value DELETE n", value=value)

        await client.write(delete)
