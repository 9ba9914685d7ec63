"""Recording runs of models and segments."""

from __future__ import annotations

from itertools import count

import pytest

from algorithms.activity.manifest import make_manifest
from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.time import Millis
from graph.recommendation.runs import read_current_run, read_runs
from graph.store.client import GraphClient
from resolvers.runs import RunInProgress, record_run
from tests.context import services_of
from tests.crowd import NOW

pytestmark = pytest.mark.store

A, B = UserId("a"), UserId("b")


async def test_a_recorded_run_becomes_the_current_one_of_its_name(store: GraphClient) -> None:
    ticks = count(int(NOW))
    services = services_of(store, lambda: Millis(next(ticks)))
    manifest = make_manifest(RunId("r2"), [A, B], {A: 3, B: 5})
    for id_ in ("r1", "r2"):
        run = RunInProgress("rfm", RunId(id_), 7, "analytics", Millis(1), Millis(2))
        await record_run(services, run, manifest, {"size": 2}, {"least": 4})
    found = await read_current_run(store, "rfm")
    assert found is not None
    assert (found.id, found.version, found.purpose, found.people, found.epoch) == ("r2", 7, "analytics", 2, 5)
    assert (found.started_at, found.consent_at, found.finished_at) == (1, 2, NOW + 1)
    assert (found.metrics, found.config, found.people_sha256) == ({"size": 2}, {"least": 4}, manifest.people_sha256)
    assert [(run.id, run.current) for run in await read_runs(store, 9)] == [("r2", True), ("r1", False)]
