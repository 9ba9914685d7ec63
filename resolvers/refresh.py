"""Recomputation of everything derived from behaviour: the recommendation model, RFM and communities.

Stale permits are refolded first, so that every scope is up to date. A single run is computed again when somebody whose
data it used withdraws.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from algorithms.recommendation.ranking import StrengthConfig
from algorithms.segments.communities import CommunityConfig
from algorithms.segments.rfm import RfmConfig
from graph.model.time import Millis
from graph.recommendation.runs import ModelRun
from resolvers.consent.permits import refresh_stale
from resolvers.context import Services
from resolvers.recommendation.fit import MODEL_VERSION, WalkFitConfig, WalkReport, refresh_walk
from resolvers.recommendation.serve import WALK
from resolvers.segments.communities import CommunitiesReport, refresh_communities
from resolvers.segments.members import VERSION
from resolvers.segments.rfm import RfmReport, refresh_rfm

VERSIONS: Final[Mapping[str, int]] = {WALK: MODEL_VERSION, "rfm": VERSION, "communities": VERSION}
"""The runs that are computed, by name, each with the version of its code."""

Config = TypeVar("Config", bound=BaseModel)
log = logging.getLogger("consentric.refresh")


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


async def refit(services: Services, run: ModelRun) -> None:
    """Computes the successor of a run, with its settings. The quality of a model is not measured again, because that
    would take as long as the fit."""
    match run.name:
        case "rfm":
            as_of = run.config.get("as_of")
            await refresh_rfm(services, _parse(RfmConfig, run.config.get("rfm", {})), as_of)
        case "communities":
            config = _parse(CommunityConfig, run.config.get("communities", {}))
            await refresh_communities(services, config, _parse(StrengthConfig, run.config.get("strengths", {})))
        case _:
            walk = _parse(WalkFitConfig, run.config)
            await refresh_walk(services, walk.model_copy(update={"held_back": 0.0}))


def _parse(kind: type[Config], settings: Mapping[str, Any]) -> Config:
    """Returns the settings of a run; the defaults if an earlier version wrote them in another form."""
    try:
        return kind.model_validate(settings)
    except ValidationError:
        log.warning("the settings of an earlier run are not understood; the defaults are used")
        return kind()
