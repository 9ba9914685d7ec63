"""RFM of people who permit analytics, kept on each person, and the segment of high-value buyers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ulid import ULID

from algorithms.arrays import Flags
from algorithms.segments.rfm import (
    RfmConfig,
    RfmGrid,
    RfmScores,
    count_grid,
    find_high_value,
    find_shown_cells,
    score_rfm,
)
from graph.activity.scoped import PurchaseSums, PurchaseWindow, read_purchase_sums
from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.segments import RfmFacts, SegmentKey
from graph.model.time import DAY, Millis
from graph.segments.definitions import SegmentDefinition
from graph.segments.rfm import write_rfm
from privacy.purposes import ANALYTICS
from resolvers.activity.behaviour import open_scope, take_census
from resolvers.context import Services
from resolvers.runs import RunInProgress, record_run
from resolvers.segments.members import VERSION, replace_members

KIND: Final = "rfm"
HIGH_VALUE: Final = SegmentKey("high_value_buyer")


@dataclass(frozen=True, slots=True)
class RfmReport:
    """The result of scoring by RFM. `left_out` counts the people who withdrew consent in the meantime."""

    run: RunId
    people: int
    high_value: int
    grid: RfmGrid
    left_out: int


async def refresh_rfm(services: Services, config: RfmConfig, as_of: Millis | None = None) -> RfmReport:
    """Scores everyone in scope who bought within the window that ends at `as_of` (None: now), and replaces the members
    of the segment of high-value buyers."""
    run, started = RunId(str(ULID())), services.clock()
    until = started if as_of is None else as_of
    since = Millis(0) if config.window_days is None else Millis(int(until - config.window_days * DAY))
    scope = open_scope(services, ANALYTICS)
    census = await take_census(services, scope)
    window = PurchaseWindow(config.types, config.refunds, since, until)
    sums = await read_purchase_sums(services.client, census.persons(), window, scope)
    recency = [(until - entry.latest) / DAY for entry in sums]
    scores = score_rfm(recency, [entry.purchases for entry in sums], [entry.value for entry in sums])
    supporters = census.supporters([entry.user for entry in sums], config.support)
    facts = _collect_facts(sums, recency, scores, find_shown_cells(scores.cells(), supporters), started)
    left_out = await write_rfm(services.client, facts, run, open_scope(services, ANALYTICS))
    best = find_high_value(scores, config.high_value)
    buyers = {entry.user: _mean_score(facts[entry.user]) for entry, high in zip(sums, best, strict=True) if high}
    segment = SegmentDefinition(
        HIGH_VALUE,
        KIND,
        "High-value buyers",
        "People who buy often, for much, and not too long ago, relative to everybody else; kept up to date.",
        ANALYTICS,
        config.model_dump(mode="json"),
        shown=supporters.suffice(best),
    )
    await replace_members(services, KIND, [segment], {HIGH_VALUE: buyers}, run)
    manifest = census.manifest(run, {giver for entry in sums for giver in (entry.user, *entry.givers)})
    metrics = {"high_value": len(buyers), "grid": count_grid(scores), "left_out": left_out}
    progress = RunInProgress("rfm", run, VERSION, ANALYTICS, started, scope.now, census.left_out)
    settings = {"rfm": config.model_dump(mode="json"), "as_of": as_of}
    await record_run(services, progress, manifest, metrics, settings)
    return RfmReport(run, len(facts), len(buyers), count_grid(scores), left_out)


def _collect_facts(
    sums: Sequence[PurchaseSums], recency: Sequence[float], scores: RfmScores, shown: Flags, now: Millis
) -> dict[UserId, RfmFacts]:
    cells = scores.cells()
    return {
        entry.user: RfmFacts(
            recency=recency[place],
            frequency=float(entry.purchases),
            monetary=float(entry.value),
            recency_score=int(scores.recency[place]),
            frequency_score=int(scores.frequency[place]),
            monetary_score=int(scores.monetary[place]),
            cell=cells[place],
            computed_at=now,
            shown=bool(shown[place]),
        )
        for place, entry in enumerate(sums)
    }


def _mean_score(facts: RfmFacts) -> float:
    return round((facts.recency_score + facts.frequency_score + facts.monetary_score) / 3, 3)
