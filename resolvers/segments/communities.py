"""Communities of people whose interactions are alike, as segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from scipy import sparse
from ulid import ULID

from algorithms.arrays import Csr
from algorithms.recommendation.ranking import StrengthConfig
from algorithms.segments.communities import (
    NOBODY,
    CommunityConfig,
    DistinctiveFeature,
    Partition,
    carry_numbers,
    describe_communities,
    find_communities,
    name_community,
)
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.segments import SegmentKey
from graph.segments.definitions import SegmentDefinition, read_keys_of_kind
from graph.segments.memberships import read_members
from privacy.purposes import ANALYTICS
from resolvers.activity.behaviour import Behaviour, compute_settled, make_manifest, read_behaviour
from resolvers.catalogue import read_catalogue
from resolvers.context import Services
from resolvers.runs import RunInProgress, record_run
from resolvers.segments.members import VERSION, replace_members

KIND: Final = "community"
KEY_PREFIX: Final = "community_"
"""The key of a community is this and its number, counted from 1."""


class Distinction(NamedTuple):
    """A topic or item that sets a community apart: its name, its share (0–1) of the community's strengths, and its
    lift, that share over its share of everyone's."""

    name: str
    share: float
    lift: float


@dataclass(frozen=True, slots=True)
class CommunityReport:
    """One community: its key, title and size, and the topics and items that set it apart, most distinctive first."""

    key: SegmentKey
    title: str
    size: int
    topics: list[Distinction]
    items: list[Distinction]


@dataclass(frozen=True, slots=True)
class CommunitiesReport:
    """The result of a search for communities. `left_out` counts the people who withdrew consent in the meantime."""

    run: RunId
    people: int
    modularity: float
    communities: list[CommunityReport]
    left_out: int


async def refresh_communities(
    services: Services, config: CommunityConfig, strengths: StrengthConfig
) -> CommunitiesReport:
    """Recomputes communities and replaces their members. A community keeps the key of the one it continues."""
    run, started = RunId(str(ULID())), services.clock()
    behaviour = await read_behaviour(services, ANALYTICS, strengths)
    partition, behaviour = await compute_settled(
        services, ANALYTICS, behaviour, lambda behaviour: find_communities(behaviour.histories(strengths), config)
    )
    checked = services.clock()
    before = await _read_numbers(services, behaviour.people)
    numbers = carry_numbers(partition.labels.tolist(), before)
    keys = [SegmentKey(f"{KEY_PREFIX}{numbers[label] + 1}") for label in range(partition.count)]
    reports = _describe(partition, behaviour, strengths, await read_catalogue(services.client), keys)
    segments = [
        SegmentDefinition(report.key, KIND, report.title, _tell(report), ANALYTICS, config.model_dump(mode="json"))
        for report in reports
    ]
    members: dict[SegmentKey, dict[UserId, float | None]] = {key: {} for key in keys}
    for user, label, share in zip(behaviour.people, partition.labels.tolist(), partition.belonging, strict=True):
        if label != NOBODY:
            members[keys[label]][user] = round(float(share), 4)
    left_out = await replace_members(services, KIND, segments, members, run)
    manifest = make_manifest(behaviour.people, behaviour.epochs)
    metrics = {"modularity": partition.modularity, "sizes": partition.sizes(), "left_out": left_out}
    progress = RunInProgress("communities", run, VERSION, ANALYTICS, started, checked)
    await record_run(services, progress, manifest, metrics, config.model_dump(mode="json"))
    return CommunitiesReport(run, manifest.people, partition.modularity, reports, left_out)


async def _read_numbers(services: Services, people: Sequence[UserId]) -> list[int]:
    """Returns the number of the community that each person is currently in, or `NOBODY`."""
    numbers: dict[UserId, int] = {}
    for key in await read_keys_of_kind(services.client, KIND):
        number = int(key.removeprefix(KEY_PREFIX)) - 1
        numbers.update((user, number) for user in await read_members(services.client, key))
    return [numbers.get(user, NOBODY) for user in people]


def _describe(
    partition: Partition,
    behaviour: Behaviour,
    strengths: StrengthConfig,
    catalogue: Sequence[ItemFacts],
    keys: Sequence[SegmentKey],
) -> list[CommunityReport]:
    """Describes each community by the topics and the items that set it apart."""
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
            [_distinguish(feature, names) for feature in by_topic[label]],
            [_distinguish(feature, titles) for feature in by_item[label]],
        )
        for label in range(partition.count)
    ]


def _topic_matrix(items: Sequence[ItemKey], known: dict[ItemKey, ItemFacts]) -> tuple[Csr, dict[int, str]]:
    """Returns the topics' weights, shape (items, topics), and the topics' names by column."""
    entries = [
        (row, topic, weight) for row, key in enumerate(items) if key in known for topic, weight in known[key].topics
    ]
    names = sorted({topic for _, topic, _ in entries})
    column = {topic: place for place, topic in enumerate(names)}
    cells = ([row for row, _, _ in entries], [column[topic] for _, topic, _ in entries])
    weights = np.array([weight for _, _, weight in entries], dtype=np.float64)
    return sparse.csr_array((weights, cells), shape=(len(items), len(names))), dict(enumerate(names))


def _distinguish(feature: DistinctiveFeature, names: dict[int, str]) -> Distinction:
    return Distinction(names[feature.column], round(feature.share, 4), round(feature.lift, 3))


def _tell(report: CommunityReport) -> str:
    distinctions = ", ".join(f"{one.name} ({one.lift:.1f} times the average)" for one in report.topics or report.items)
    return (
        f"People whose interactions are alike. What sets them apart: {distinctions}."
        if distinctions
        else "People who are alike."
    )
