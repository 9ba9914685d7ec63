"""Communities of people whose interactions are alike, as segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from scipy import sparse
from ulid import ULID

from algorithms.arrays import Csr
from algorithms.recommendation.filtering import keep_items
from algorithms.recommendation.ranking import StrengthConfig
from algorithms.recommendation.support import Supporters
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
from resolvers.activity.behaviour import compute_settled, read_behaviour
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
    supporters = behaviour.supporters(config.support)
    histories, catalogue = behaviour.histories(strengths), await read_catalogue(services.client)
    reports = _describe(partition, _Basis(histories, behaviour.items, catalogue, supporters), keys)
    definition = config.model_dump(mode="json")
    segments = [
        SegmentDefinition(
            report.key,
            KIND,
            report.title,
            _tell(report),
            ANALYTICS,
            definition,
            shown=supporters.suffice(partition.labels == label),
        )
        for label, report in enumerate(reports)
    ]
    members: dict[SegmentKey, dict[UserId, float | None]] = {key: {} for key in keys}
    for user, label, share in zip(behaviour.people, partition.labels.tolist(), partition.belonging, strict=True):
        if label != NOBODY:
            members[keys[label]][user] = round(float(share), 4)
    left_out = await replace_members(services, KIND, segments, members, run)
    manifest = behaviour.manifest(run)
    metrics = {"modularity": partition.modularity, "sizes": partition.sizes(), "left_out": left_out}
    progress = RunInProgress("communities", run, VERSION, ANALYTICS, started, checked, behaviour.census.left_out)
    settings = {"communities": definition, "strengths": strengths.model_dump(mode="json")}
    await record_run(services, progress, manifest, metrics, settings)
    return CommunitiesReport(run, len(behaviour.people), partition.modularity, reports, left_out)


async def _read_numbers(services: Services, people: Sequence[UserId]) -> list[int]:
    """Returns the number of the community that each person is currently in, or `NOBODY`."""
    numbers: dict[UserId, int] = {}
    for key in await read_keys_of_kind(services.client, KIND):
        number = int(key.removeprefix(KEY_PREFIX)) - 1
        numbers.update((user, number) for user in await read_members(services.client, key))
    return [numbers.get(user, NOBODY) for user in people]


@dataclass(frozen=True, slots=True)
class _Basis:
    """What communities are described by: the histories, the items of their columns, the catalogue, the supporters."""

    histories: Csr
    items: Sequence[ItemKey]
    catalogue: Sequence[ItemFacts]
    supporters: Supporters


def _describe(partition: Partition, basis: _Basis, keys: Sequence[SegmentKey]) -> list[CommunityReport]:
    """Describes each community by the topics and the declared items that set it apart and that enough of its people
    chose."""
    known = {item.key: item for item in basis.catalogue}
    declared = keep_items(basis.histories, np.array([item in known for item in basis.items], dtype=np.bool_))
    topics, names = _topic_matrix(basis.items, known)
    titles = {column: known[key].title or key for column, key in enumerate(basis.items) if key in known}
    by_topic = describe_communities(partition, declared @ topics, supporters=basis.supporters)
    by_item = describe_communities(partition, declared, supporters=basis.supporters)
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
