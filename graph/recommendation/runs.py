"""Runs of models and of segment computations, each with its manifest, and the rows of the model that is served.

A run's rows are written first, then the run becomes current in one transaction, then the rows of earlier runs are
removed. A reader that finds fewer rows than the run states has been overtaken by a newer run and reads again.

A current run also keeps whom it used, as a filter, until it is replaced: a withdrawal makes it stale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from orjson import dumps, loads

from graph.model.catalogue import ItemKey
from graph.model.recommendation import RunId
from graph.model.time import Millis
from graph.store.client import GraphClient, Row, Writer, chunk_rows

ROWS_WRITTEN: Final = 250
ROWS_READ: Final = 500
RUNS_KEPT: Final = 5


@dataclass(frozen=True, slots=True)
class ModelRun:
    """One fit of a model or one computation of segments. The manifest is `purpose`, `consent_at`, `people`, `epoch` and
    `people_sha256`: whose data was used, and the instant as of which consent was checked. `rows` is how many model rows
    it wrote; `left_out` are the unsettled sources whose people it left out; `stale_since` is when the first of its
    people withdrew. `members` (`algorithms.activity.manifest`) is written, and read only by `read_members`."""

    id: RunId
    name: str
    version: int
    purpose: str
    started_at: Millis
    finished_at: Millis
    consent_at: Millis
    people: int
    epoch: int
    people_sha256: str
    rows: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    current: bool = False
    left_out: tuple[str, ...] = ()
    stale_since: Millis | None = None
    members: str = ""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One item of a model: the seeds that lead to it, each with a weight, and how many people interacted with it."""

    item: ItemKey
    neighbours: tuple[ItemKey, ...]
    weights: tuple[float, ...]
    popularity: float


WRITE_MODEL_ROWS: Final = """
UNWIND $rows AS row
MERGE (m:ModelRow {id: row.id})
SET m.run = $run, m.item = row.item, m.neighbours = row.neighbours, m.weights = row.weights,
    m.popularity = row.popularity
"""


async def write_model_rows(client: GraphClient, run: RunId, rows: Sequence[ModelRow]) -> None:
    """Writes the rows of a run, in several transactions. They are not read until the run is current."""
    for chunk in chunk_rows(rows, ROWS_WRITTEN):
        entries = [
            {
                "id": f"{run}|{row.item}",
                "item": row.item,
                "neighbours": list(row.neighbours),
                "weights": list(row.weights),
                "popularity": row.popularity,
            }
            for row in chunk
        ]

        async def work(tx: Writer, entries: list[dict[str, Any]] = entries) -> None:
            await tx.run(WRITE_MODEL_ROWS, rows=entries, run=run)

        await client.write(work)


WRITE_RUN: Final = """
MERGE (m:ModelRun {id: $id})
SET m.name = $name, m.version = $version, m.purpose = $purpose, m.started_at = $started_at,
    m.finished_at = $finished_at, m.consent_at = $consent_at, m.people = $people, m.epoch = $epoch,
    m.people_sha256 = $people_sha256, m.rows = $rows, m.metrics = $metrics, m.config = $config, m.current = true,
    m.members = $members, m.left_out = $left_out
"""

WRITE_EARLIER_RUNS: Final = """
MATCH (m:ModelRun {name: $name})
WHERE m.id <> $id AND m.current
SET m.current = false
REMOVE m.members
"""


async def write_current_run(client: GraphClient, run: ModelRun) -> None:
    """Writes a run and makes it the current one of its name."""

    async def work(tx: Writer) -> None:
        await tx.run(
            WRITE_RUN,
            id=run.id,
            name=run.name,
            version=run.version,
            purpose=run.purpose,
            started_at=run.started_at,
            finished_at=run.finished_at,
            consent_at=run.consent_at,
            people=run.people,
            epoch=run.epoch,
            people_sha256=run.people_sha256,
            rows=run.rows,
            metrics=dumps(dict(run.metrics)).decode(),
            config=dumps(dict(run.config)).decode(),
            members=run.members,
            left_out=list(run.left_out),
        )
        await tx.run(WRITE_EARLIER_RUNS, name=run.name, id=run.id)

    await client.write(work)


_RUN: Final = """
RETURN m.id AS id, m.name AS name, m.version AS version, m.purpose AS purpose, m.started_at AS started_at,
       m.finished_at AS finished_at, m.consent_at AS consent_at, m.people AS people, m.epoch AS epoch,
       m.people_sha256 AS people_sha256, m.rows AS rows, m.metrics AS metrics, m.config AS config, m.current AS current,
       coalesce(m.left_out, []) AS left_out, m.stale_since AS stale_since
ORDER BY id DESC LIMIT $limit
"""

READ_CURRENT_RUN: Final = "MATCH (m:ModelRun {name: $name}) WHERE m.current" + _RUN
READ_RUNS: Final = "MATCH (m:ModelRun)" + _RUN


async def read_current_run(client: GraphClient, name: str) -> ModelRun | None:
    """Returns the current run of a name, or None if there is none."""
    rows = await client.read(READ_CURRENT_RUN, name=name, limit=1)
    return _parse_run(rows[0]) if rows else None


READ_CURRENT_RUNS: Final = "MATCH (m:ModelRun) WHERE m.current" + _RUN


async def read_current_runs(client: GraphClient, limit: int) -> list[ModelRun]:
    """Returns up to `limit` current runs, one of each name."""
    return [_parse_run(row) for row in await client.read(READ_CURRENT_RUNS, limit=limit)]


async def read_runs(client: GraphClient, limit: int) -> list[ModelRun]:
    """Returns up to `limit` runs of all names, latest first."""
    return [_parse_run(row) for row in await client.read(READ_RUNS, limit=limit)]


def _parse_run(row: Row) -> ModelRun:
    parsed = {"metrics": loads(row["metrics"]), "config": loads(row["config"]), "left_out": tuple(row["left_out"])}
    return ModelRun(**row | parsed)


READ_MEMBERS_OF_RUN: Final = "MATCH (m:ModelRun {id: $id}) RETURN coalesce(m.members, '') AS members"


async def read_members_of_run(client: GraphClient, run: RunId) -> str:
    """Returns the filter of whom a run used; empty once the run is no longer current."""
    rows = await client.read(READ_MEMBERS_OF_RUN, id=run)
    return str(rows[0]["members"]) if rows else ""


WRITE_STALENESS: Final = """
MATCH (m:ModelRun {id: $id})
SET m.stale_since = CASE WHEN m.stale_since IS NULL OR m.stale_since > $since THEN $since ELSE m.stale_since END
"""


async def write_staleness(client: GraphClient, run: RunId, since: Millis) -> None:
    """Marks a run as stale since an instant, unless it has been for longer."""

    async def work(tx: Writer) -> None:
        await tx.run(WRITE_STALENESS, id=run, since=since)

    await client.write(work)


WRITE_REFIT_CLAIM: Final = """
MATCH (m:ModelRun {id: $id})
SET m._v = coalesce(m._v, 0) + 1
WITH m WHERE m.current AND (coalesce(m.refit_until, 0) < $now OR m.refit_by = $holder)
SET m.refit_by = $holder, m.refit_until = $until
RETURN m.id AS id
"""


async def claim_refit(client: GraphClient, run: RunId, holder: str, now: Millis, until: Millis) -> bool:
    """Claims, until an instant, that this process computes the successor of a stale run. Whether it may; the holder of
    a claim renews it in the same way."""

    async def work(tx: Writer) -> bool:
        return bool(await tx.run(WRITE_REFIT_CLAIM, id=run, holder=holder, now=now, until=until))

    return await client.write(work)


READ_MODEL_ROWS: Final = """
MATCH (m:ModelRow)
WHERE m.run = $run AND m.id > $after
RETURN m.id AS id, m.item AS item, m.neighbours AS neighbours, m.weights AS weights, m.popularity AS popularity
ORDER BY id
LIMIT $limit
"""


async def read_model_rows(client: GraphClient, run: RunId) -> list[ModelRow]:
    """Returns all rows of a run, sorted by ID, read in pages."""
    found: list[ModelRow] = []
    after = ""
    while True:
        rows = await client.read(READ_MODEL_ROWS, run=run, after=after, limit=ROWS_READ)
        found.extend(
            ModelRow(ItemKey(row["item"]), tuple(row["neighbours"]), tuple(row["weights"]), row["popularity"])
            for row in rows
        )
        if len(rows) < ROWS_READ:
            return found
        after = rows[-1]["id"]


WRITE_ROW_REMOVAL: Final = """
MATCH (n:ModelRow)
WHERE n.run IN $runs
WITH n LIMIT $limit
DELETE n
RETURN count(*) AS removed
"""

READ_EARLIER_RUNS: Final = """
MATCH (m:ModelRun {name: $name})
WHERE NOT m.current AND m.id < $id
RETURN m.id AS id
ORDER BY id DESC
"""

WRITE_RUN_REMOVAL: Final = """
MATCH (m:ModelRun)
WHERE m.id IN $runs
DELETE m
"""


async def remove_earlier_runs(client: GraphClient, run: ModelRun) -> None:
    """Removes the rows of earlier runs of the same name, and these runs themselves except for the last RUNS_KEPT."""
    earlier = [row["id"] for row in await client.read(READ_EARLIER_RUNS, name=run.name, id=run.id)]

    async def remove_rows(tx: Writer) -> int:
        return int((await tx.run(WRITE_ROW_REMOVAL, runs=earlier, limit=ROWS_READ))[0]["removed"])

    async def remove_runs(tx: Writer) -> None:
        await tx.run(WRITE_RUN_REMOVAL, runs=earlier[RUNS_KEPT:])

    removed = len(earlier)
    while removed:
        removed = await client.write(remove_rows)
    if earlier[RUNS_KEPT:]:
        await client.write(remove_runs)
