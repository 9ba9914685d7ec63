"""Steps that all computed segments share: replacing their members, and recording the run with its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.segments import SegmentKey
from graph.model.time import Millis
from graph.recommendation.runs import ModelRun, remove_earlier_runs, write_current_run
from graph.segments.definitions import SegmentDefinition, read_keys_of_kind, write_segments
from graph.segments.memberships import (
    Departure,
    MembershipChanges,
    Placement,
    RunStamp,
    read_members,
    write_memberships,
)
from privacy.purposes import ANALYTICS
from resolvers.activity.behaviour import Manifest, open_scope
from resolvers.context import Services

VERSION: Final = 1
"""Version of the code that computes segments."""


async def replace_members(
    services: Services,
    kind: str,
    segments: Sequence[SegmentDefinition],
    members: Mapping[SegmentKey, Mapping[UserId, float | None]],
    run: RunId,
) -> int:
    """Writes the segments of a kind and replaces their members, given with their scores; all other segments of the kind
    lose theirs. Returns how many people were left out because they no longer permit analytics."""
    await write_segments(services.client, segments, run, services.clock())
    leaving: list[Departure] = []
    for key in await read_keys_of_kind(services.client, kind):
        wanted = members.get(key, {})
        leaving += [Departure(user, key) for user in await read_members(services.client, key) if user not in wanted]
    belonging = tuple(Placement(user, key, score) for key in members for user, score in sorted(members[key].items()))
    changes = MembershipChanges(tuple(leaving), belonging)
    stamp = RunStamp(run, services.clock())
    return await write_memberships(services.client, changes, stamp, open_scope(services, ANALYTICS))


@dataclass(frozen=True, slots=True)
class RunInProgress:
    """A computation that is not recorded yet: its name, its ID, when it started and when consent was last checked."""

    name: str
    id: RunId
    started_at: Millis
    consent_at: Millis


async def record_run(
    services: Services, run: RunInProgress, manifest: Manifest, metrics: dict[str, Any], config: dict[str, Any]
) -> None:
    """Records a finished run as the current one of its name and removes earlier ones."""
    finished = ModelRun(
        id=run.id,
        name=run.name,
        version=VERSION,
        purpose=ANALYTICS,
        started_at=run.started_at,
        finished_at=services.clock(),
        consent_at=run.consent_at,
        people=manifest.people,
        epoch=manifest.epoch,
        people_sha256=manifest.people_sha256,
        metrics=metrics,
        config=config,
    )
    await write_current_run(services.client, finished)
    await remove_earlier_runs(services.client, finished)
