from __future__ import annotations

from dataclasses import replace

import pytest

from graph.model.catalogue import ItemKey
from graph.model.recommendation import RunId
from graph.model.time import Millis
from graph.recommendation import runs as models
from graph.recommendation.runs import (
    ModelRow,
    ModelRun,
    read_current_run,
    read_model_rows,
    read_runs,
    remove_earlier_runs,
    write_current_run,
    write_model_rows,
)
from graph.store.client import GraphClient

pytestmark = pytest.mark.store

RUN = ModelRun(
    RunId("r1"), "walk", 1, "personalisation", Millis(1), Millis(5), Millis(4), 2, 7, "ab" * 32, 1, {"ndcg10": 0.3},
    {"beta": 0.5}, True,
)  # fmt: skip


def row(item: str, *neighbours: tuple[str, float]) -> ModelRow:
    return ModelRow(ItemKey(item), tuple(ItemKey(n) for n, _ in neighbours), tuple(w for _, w in neighbours), 3.0)


async def test_a_run_is_read_back_as_written(store: GraphClient) -> None:
    assert await read_current_run(store, "walk") is None
    await write_current_run(store, RUN)
    assert await read_current_run(store, "walk") == RUN
    assert await read_current_run(store, "rfm") is None


async def test_rows_are_read_back_in_pages_even_empty_ones(store: GraphClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "ROWS_READ", 2)
    monkeypatch.setattr(models, "ROWS_WRITTEN", 3)
    rows = [row("a", ("b", 0.5), ("é|ü", 0.25)), row("b"), row("c", ("a", 1.0)), row("é|ü", ("a", 1e-9))]
    await write_model_rows(store, RUN.id, rows)
    await write_model_rows(store, RunId("r2"), [row("z")])
    assert sorted(await read_model_rows(store, RUN.id), key=lambda r: r.item) == rows
    assert await read_model_rows(store, RunId("none")) == []


async def test_the_later_run_is_current_and_earlier_rows_are_removed(store: GraphClient) -> None:
    for number in range(1, 10):
        run = replace(RUN, id=RunId(f"r{number}"))
        await write_model_rows(store, run.id, [row("a"), row("b")])
        await write_current_run(store, run)
        await remove_earlier_runs(store, run)
        assert len(await read_model_rows(store, run.id)) == 2
    other = replace(RUN, id=RunId("r0"), name="rfm")
    await write_current_run(store, other)
    current = await read_current_run(store, "walk")
    assert current is not None
    assert current.id == "r9"
    counted = await store.read("MATCH (m:ModelRow) RETURN count(m) AS rows")
    assert counted == [{"rows": 2}]
    runs = await read_runs(store, 20)
    assert [(run.id, run.current) for run in runs] == [
        ("r9", True), ("r8", False), ("r7", False), ("r6", False), ("r5", False), ("r4", False), ("r0", True),
    ]  # fmt: skip
    assert [run.id for run in await read_runs(store, 2)] == ["r9", "r8"]
