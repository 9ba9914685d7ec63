"""Everything derived from behaviour, computed anew: the model that recommends, RFM, communities.

What lives here: the order, the settings and the report of `consentric refresh`. What does not: each computation
(`walk.py`, `segmentation.py`). Permits that changed by the clock are refolded first, so that the scopes are of now.
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
    """Settings of all computations. `as_of` is the end of the RFM window; None is now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: WalkFitConfig = WalkFitConfig()
    rfm: RfmConfig = RfmConfig()
    communities: CommunityConfig = CommunityConfig()
    as_of: Millis | None = None


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What a refresh came to, and the seconds that each part took."""

    walk: WalkReport
    rfm: RfmReport
    communities: CommunitiesReport
    seconds: dict[str, float]


async def refresh(services: Services, config: RefreshConfig | None = None) -> RefreshReport:
    """Computes everything anew and publishes it. Each part is published by itself, as soon as it is there."""
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
