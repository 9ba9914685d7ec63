"""Recomputation of everything derived from behaviour: the recommendation model, RFM and communities.

Stale permits are refolded first, so that every scope is up to date.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from algorithms.segments.communities import CommunityConfig
from algorithms.segments.rfm import RfmConfig
from graph.model.time import Millis
from resolvers.consent.permits import refresh_stale
from resolvers.context import Services
from resolvers.recommendation.fit import WalkFitConfig, WalkReport, refresh_walk
from resolvers.segments.communities import CommunitiesReport, refresh_communities
from resolvers.segments.rfm import RfmReport, refresh_rfm


class RefreshConfig(BaseModel):
    """Settings of all computations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: WalkFitConfig = WalkFitConfig()
    """How the recommendation model is fitted."""

    rfm: RfmConfig = RfmConfig()
    """How people are scored by RFM."""

    communities: CommunityConfig = CommunityConfig()
    """How communities are found."""

    as_of: Millis | None = None
    """End of the RFM window; None: now."""


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """The result of a refresh, and the seconds that each part took."""

    walk: WalkReport
    rfm: RfmReport
    communities: CommunitiesReport
    seconds: dict[str, float]


async def refresh_all(services: Services, config: RefreshConfig | None = None) -> RefreshReport:
    """Recomputes everything. Each part is published as soon as it is done, independently of the others."""
    config = config or RefreshConfig()
    marks = [time.perf_counter()]
    await refresh_stale(services.client, services.policy, services.clock())
    walk = await refresh_walk(services, config.model)
    marks.append(time.perf_counter())
    rfm = await refresh_rfm(services, config.rfm, config.as_of)
    marks.append(time.perf_counter())
    communities = await refresh_communities(services, config.communities, config.model.strengths)
    marks.append(time.perf_counter())
    names = ("walk", "rfm", "communities")
    seconds = {name: round(marks[place + 1] - marks[place], 3) for place, name in enumerate(names)}
    return RefreshReport(walk, rfm, communities, seconds)
