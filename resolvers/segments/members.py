"""Replacing the members of computed segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.segments import SegmentKey
from graph.segments.definitions import SegmentDefinition, read_keys_of_kind, show_segments, write_segments
from graph.segments.memberships import (
    Departure,
    MembershipChanges,
    Placement,
    RunStamp,
    read_members,
    write_memberships,
)
from privacy.purposes import ANALYTICS
from resolvers.activity.behaviour import open_scope
from resolvers.context import Services

VERSION: Final = 2
"""Version of the code that computes segments."""


async def replace_members(
    services: Services,
    kind: str,
    segments: Sequence[SegmentDefinition],
    members: Mapping[SegmentKey, Mapping[UserId, float | None]],
    run: RunId,
) -> int:
    """Writes the segments of a kind and replaces their members, given with their scores; all other segments of the kind
    lose theirs and are no longer shown. Returns how many people were left out because they no longer permit
    analytics."""
    await write_segments(services.client, segments, run, services.clock())
    leaving: list[Departure] = []
    for key in await read_keys_of_kind(services.client, kind):
        wanted = members.get(key, {})
        leaving += [Departure(user, key) for user in await read_members(services.client, key) if user not in wanted]
    belonging = tuple(Placement(user, key, score) for key in members for user, score in sorted(members[key].items()))
    changes = MembershipChanges(tuple(leaving), belonging)
    stamp = RunStamp(run, services.clock())
    left_out = await write_memberships(services.client, changes, stamp, open_scope(services, ANALYTICS))
    await show_segments(services.client, kind, [segment.key for segment in segments if segment.shown])
    return left_out
