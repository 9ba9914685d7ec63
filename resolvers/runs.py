"""Recording a finished computation, of a model or of segments, with its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from algorithms.activity.manifest import Manifest
from graph.model.recommendation import RunId
from graph.model.time import Millis
from graph.recommendation.runs import ModelRun, remove_earlier_runs, write_current_run
from resolvers.context import Services


@dataclass(frozen=True, slots=True)
class RunInProgress:
    """A computation that is not recorded yet: its name, its ID, the version of its code, the purpose it serves, when it
    started and when consent was last checked, and the unsettled sources that it left out."""

    name: str
    id: RunId
    version: int
    purpose: str
    started_at: Millis
    consent_at: Millis
    left_out: tuple[str, ...] = ()


async def record_run(
    services: Services,
    run: RunInProgress,
    manifest: Manifest,
    metrics: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    rows: int = 0,
) -> None:
    """Records a finished run, with the number of model rows it wrote, as the current one of its name. Removes earlier
    runs of that name."""
    finished = ModelRun(
        id=run.id,
        name=run.name,
        version=run.version,
        purpose=run.purpose,
        started_at=run.started_at,
        finished_at=services.clock(),
        consent_at=run.consent_at,
        people=manifest.people,
        epoch=manifest.epoch,
        people_sha256=manifest.people_sha256,
        members=manifest.members,
        left_out=run.left_out,
        rows=rows,
        metrics=metrics,
        config=config,
    )
    await write_current_run(services.client, finished)
    await remove_earlier_runs(services.client, finished)
