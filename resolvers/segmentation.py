"""Segments computed from people who permit analytics: RFM, the high-value buyer, communities.

What lives here: the two use cases. What does not: scores and partitions (`algorithms/segments/rfm.py`,
`communities.py`), the statements (`graph/segments/memberships.py`). Each run keeps a manifest; memberships change in
transactions that ask again who permits them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy import sparse
from ulid import ULID

from algorithms.recommendation.ranking import DAY, StrengthConfig
from algorithms.segments.communities import (
    NOBODY,
    CommunityConfig,
    Partition,
    Trait,
    carry_numbers,
    describe_communities,
    find_communities,
    name_community,
)
from algorithms.segments.rfm import RfmConfig, RfmScores, count_grid, find_high_value, score_rfm
from graph.activity.scoped import PurchaseSums, PurchaseWindow, read_people, read_purchase_sums
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.segments import RfmFacts, SegmentKey
from graph.model.time import Millis
from graph.recommendation.runs import ModelRun, remove_earlier_runs, write_current_run
from graph.segments.definitions import SegmentDefinition, read_keys_of_kind, write_segments
from graph.segments.memberships import MembershipChanges, RunStamp, read_members, write_memberships
from graph.segments.rfm import write_rfm
from privacy.purposes import ANALYTICS
from resolvers.behaviour import Behaviour, Manifest, compute_settled, make_manifest, open_scope, read_behaviour
from resolvers.context import Services
from resolvers.recommend import read_catalogue

VERSION: Final = 1
HIGH_VALUE: Final = SegmentKey("high_value_buyer")
COMMUNITY_PREFIX: Final = "community_"


@dataclass(frozen=True, slots=True)
class RfmReport:
    """What RFM came to. `grid` counts people by recency (row, 1 first) × frequency. `left_out` withdrew meanwhile."""

    run: RunId
    people: int
    high_value: int
    grid: list[list[int]]
    left_out: int


async def refresh_rfm(services: Services, config: RfmConfig, as_of: Millis | None = None) -> RfmReport:
    """Scores everybody in scope who bought within the window that ends at `as_of` (None: now), and settles who is a
    high-value buyer."""
    run, started = RunId(str(ULID())), services.clock()
    until = started if as_of is None else as_of
    since = Millis(0) if config.window_days is None else Millis(int(until - config.window_days * DAY))
    scope = open_scope(services, ANALYTICS)
    epochs = await read_people(services.client, scope)
    window = PurchaseWindow(config.types, config.refunds, since, until)
    sums = await read_purchase_sums(services.client, list(epochs), window, scope)
    recency = [(until - entry.latest) / DAY for entry in sums]
    scores = score_rfm(recency, [entry.purchases for entry in sums], [entry.value for entry in sums])
    facts = _collect_facts(sums, recency, scores, started)
    left_out = await write_rfm(services.client, facts, run, open_scope(services, ANALYTICS))
    best = find_high_value(scores, config.high_value)
    buyers = {entry.user: _mean_score(facts[entry.user]) for entry, high in zip(sums, best, strict=True) if high}
    segment = SegmentDefinition(
        HIGH_VALUE,
        "rfm",
        "High-value buyers",
        "People who buy often, for much, and not too long ago, relative to everybody else; kept up to date.",
        ANALYTICS,
        config.model_dump(mode="json"),
    )
    await _replace_members(services, [segment], {HIGH_VALUE: buyers}, run)
    manifest = make_manifest(list(facts), epochs)
    metrics = {"high_value": len(buyers), "grid": count_grid(scores), "left_out": left_out}
    await _record_run(services, _Run("rfm", run, started, scope.now), manifest, metrics, config.model_dump(mode="json"))
    return RfmReport(run, manifest.people, len(buyers), count_grid(scores), left_out)


def _collect_facts(
    sums: Sequence[PurchaseSums], recency: Sequence[float], scores: RfmScores, now: Millis
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
        )
        for place, entry in enumerate(sums)
    }


def _mean_score(facts: RfmFacts) -> float:
    return round((facts.recency_score + facts.frequency_score + facts.monetary_score) / 3, 3)


@dataclass(frozen=True, slots=True)
class CommunityReport:
    """One community: its size, its title, and what sets it apart as (topic or title, share, lift)."""

    key: SegmentKey
    title: str
    size: int
    topics: list[tuple[str, float, float]]
    items: list[tuple[str, float, float]]


@dataclass(frozen=True, slots=True)
class CommunitiesReport:
    """What the search for communities came to. `left_out` withdrew meanwhile."""

    run: RunId
    people: int
    modularity: float
    communities: list[CommunityReport]
    left_out: int


async def refresh_communities(
    services: Services, config: CommunityConfig, strengths: StrengthConfig
) -> CommunitiesReport:
    """Finds communities anew, lets each keep the key of the one it continues, and settles who is in which."""
    run, started = RunId(str(ULID())), services.clock()
    behaviour = await read_behaviour(services, ANALYTICS, strengths)
    partition, behaviour = await compute_settled(
        services, ANALYTICS, behaviour, lambda behaviour: find_communities(behaviour.histories(strengths), config)
    )
    checked = services.clock()
    before = await _read_numbers(services, behaviour.people)
    numbers = carry_numbers(partition.labels.tolist(), before)
    keys = [SegmentKey(f"{COMMUNITY_PREFIX}{numbers[label] + 1}") for label in range(partition.count)]
    reports = _describe(partition, behaviour, strengths, await read_catalogue(services.client), keys)
    segments = [
        SegmentDefinition(
            report.key, "community", report.title, _tell(report), ANALYTICS, config.model_dump(mode="json")
        )
        for report in reports
    ]
    members: dict[SegmentKey, dict[UserId, float | None]] = {key: {} for key in keys}
    for user, label, share in zip(behaviour.people, partition.labels.tolist(), partition.belonging, strict=True):
        if label != NOBODY:
            members[keys[label]][user] = round(float(share), 4)
    left_out = await _replace_members(services, segments, members, run)
    manifest = make_manifest(behaviour.people, behaviour.epochs)
    metrics = {"modularity": partition.modularity, "sizes": partition.sizes(), "left_out": left_out}
    stamp = _Run("communities", run, started, checked)
    await _record_run(services, stamp, manifest, metrics, config.model_dump(mode="json"))
    return CommunitiesReport(run, manifest.people, partition.modularity, reports, left_out)


async def _read_numbers(services: Services, people: Sequence[UserId]) -> list[int]:
    """The number of the community that each person is in so far."""
    numbers: dict[UserId, int] = {}
    for key in await read_keys_of_kind(services.client, "community"):
        number = int(key.removeprefix(COMMUNITY_PREFIX)) - 1
        numbers.update((user, number) for user in await read_members(services.client, key))
    return [numbers.get(user, NOBODY) for user in people]


def _describe(
    partition: Partition,
    behaviour: Behaviour,
    strengths: StrengthConfig,
    catalogue: Sequence[ItemFacts],
    keys: Sequence[SegmentKey],
) -> list[CommunityReport]:
    """What sets each community apart, by topics and by items."""
    histories = behaviour.histories(strengths)
    known = {item.key: item for item in catalogue}
    topics, names = _topic_matrix(behaviour.items, known)
    titles = {column: known[key].title or key if key in known else key for column, key in enumerate(behaviour.items)}
    by_topic = describe_communities(partition, histories @ topics)
    by_item = describe_communities(partition, histories)
    sizes = partition.sizes()
    return [
        CommunityReport(
            keys[label],
            name_community(by_topic[label], names) if names else name_community(by_item[label], titles),
            sizes[label],
            [_spell(trait, names) for trait in by_topic[label]],
            [_spell(trait, titles) for trait in by_item[label]],
        )
        for label in range(partition.count)
    ]


def _topic_matrix(items: Sequence[ItemKey], known: dict[ItemKey, ItemFacts]) -> tuple[Any, dict[int, str]]:
    """Items × topics by weight, and the topics' names by column."""
    entries = [
        (row, topic, weight) for row, key in enumerate(items) if key in known for topic, weight in known[key].topics
    ]
    names = sorted({topic for _, topic, _ in entries})
    column = {topic: place for place, topic in enumerate(names)}
    cells = ([row for row, _, _ in entries], [column[topic] for _, topic, _ in entries])
    weights = np.array([weight for _, _, weight in entries], dtype=np.float64)
    return sparse.csr_array((weights, cells), shape=(len(items), len(names))), dict(enumerate(names))


def _spell(trait: Trait, names: dict[int, str]) -> tuple[str, float, float]:
    return names[trait.column], round(trait.share, 4), round(trait.lift, 3)


def _tell(report: CommunityReport) -> str:
    told = ", ".join(f"{name} ({lift:.1f} times the average)" for name, _, lift in report.topics or report.items)
    return f"People whose interactions are alike. What sets them apart: {told}." if told else "People who are alike."


async def _replace_members(
    services: Services,
    segments: Sequence[SegmentDefinition],
    members: dict[SegmentKey, dict[UserId, float | None]] | dict[SegmentKey, dict[UserId, float]],
    run: RunId,
) -> int:
    """Makes these the members of these segments, and of all others of the same kind nobody. Answers how many were left
    out because they permit it no more."""
    kind = segments[0].kind if segments else "community"
    await write_segments(services.client, segments, run, services.clock())
    leaving: list[tuple[UserId, SegmentKey]] = []
    for key in await read_keys_of_kind(services.client, kind):
        wanted = members.get(key, {})
        leaving += [(user, key) for user in await read_members(services.client, key) if user not in wanted]
    belonging = tuple((user, key, score) for key in members for user, score in sorted(members[key].items()))
    changes = MembershipChanges(tuple(leaving), belonging)
    stamp = RunStamp(run, services.clock())
    return await write_memberships(services.client, changes, stamp, open_scope(services, ANALYTICS))


@dataclass(frozen=True, slots=True)
class _Run:
    name: str
    id: RunId
    started_at: Millis
    consent_at: Millis


async def _record_run(
    services: Services, run: _Run, manifest: Manifest, metrics: dict[str, Any], config: dict[str, Any]
) -> None:
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
