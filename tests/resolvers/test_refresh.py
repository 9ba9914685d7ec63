from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from algorithms.segments.communities import CommunityConfig
from algorithms.segments.rfm import RfmConfig
from graph.model.activity import RecentInteraction
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.identity import UserId
from graph.model.segments import SegmentKey
from graph.model.time import Millis
from graph.recommendation.runs import read_current_run, read_model_rows
from graph.segments.definitions import read_keys_of_kind, read_segment
from graph.segments.memberships import read_members
from graph.store.client import GraphClient
from privacy.policy import Policy
from resolvers.activity import behaviour as behaviours
from resolvers.activity.behaviour import Behaviour, compute_settled, read_behaviour
from resolvers.context import Services
from resolvers.recommendation.fit import WalkFitConfig
from resolvers.recommendation.serve import WalkRecommender
from resolvers.refresh import RefreshConfig, refresh_all
from tests.crowd import NOW, Event, Person, set_permits, write_crowd

pytestmark = pytest.mark.store

CONFIG = RefreshConfig(
    rfm=RfmConfig(types=("RATED",), window_days=None),
    communities=CommunityConfig(neighbours=20, resolution=0.5, smallest=3),
)
ITEMS = [
    ItemFacts(ItemKey(f"i{number:02}"), f"Film {number}", topics=(("War" if number < 10 else "Comedy", 1.0),))
    for number in range(20)
]


def services_of(store: GraphClient, clock: Callable[[], Millis] = lambda: NOW) -> Services:
    return Services(client=store, policy=Policy.default(), recommender=WalkRecommender(), secret=b"s" * 32, clock=clock)


def two_tastes(size: int = 20, permits: tuple[str, ...] = ("personalisation", "analytics")) -> list[Person]:
    """Even people rate films 0–9 highly, odd people 10–19; later people rate more. Two records each."""
    rng = np.random.default_rng(4)
    people: list[Person] = []
    for number in range(size):
        taste = rng.permutation(10)[: 4 + number * 5 // size] + (number % 2) * 10
        events = [Event(f"i{item:02}", "RATED", days_ago=float(size - number), weight=5.0, value=5.0) for item in taste]
        people.append(Person(f"u{number:02}", [events[:2], events[2:]], permits=permits, epoch=number + 1))
    return people


async def test_everything_is_derived_from_those_who_permit_it(store: GraphClient) -> None:
    outsider = [[Event("i00", "RATED", value=5.0), Event("i19", "RATED", value=5.0)]]
    people = [
        *two_tastes(),
        Person("only_analytics", outsider, permits=("analytics",)),
        Person("only_personal", outsider, permits=("personalisation",)),
        Person("neither", outsider, permits=()),
    ]
    await write_crowd(store, people, ITEMS)
    services = services_of(store)
    report = await refresh_all(services, CONFIG)
    assert report.walk.people == 21
    assert report.rfm.people == report.communities.people == 21
    inside = {person.id for person in two_tastes()}
    run = await read_current_run(store, "walk")
    assert run is not None
    assert (run.people, run.epoch, run.consent_at) == (21, 20, NOW)
    assert (
        run.people_sha256 == sha256("".join(f"{u}\n" for u in sorted(inside | {"only_personal"})).encode()).hexdigest()
    )
    scored = await store.read("MATCH (u:User) WHERE u.rfm_run IS NOT NULL RETURN u.id AS user")
    assert {row["user"] for row in scored} == inside | {"only_analytics"}
    assert services.recommender.run == report.walk.run == run.id
    assert len(await read_model_rows(store, run.id)) == run.rows == 20


async def test_the_model_recommends_within_a_taste(store: GraphClient) -> None:
    await write_crowd(store, two_tastes(), ITEMS)
    services = services_of(store)
    report = await refresh_all(services, CONFIG)
    recent = [RecentInteraction(ItemKey("i12"), "RATED", NOW, 5.0, 5.0)]
    best = services.recommender.recommend(recent, 5, now=NOW)
    assert {ranked.item.topics[0][0] for ranked in best} == {"Comedy"}
    assert best[0].reasons[0].text.startswith("You rated Film 12 highly")
    assert 0 < report.walk.metrics["popular_ndcg10"] <= 1
    assert report.walk.metrics["ndcg10"] > report.walk.metrics["popular_ndcg10"]


async def test_communities_are_found_named_and_keep_their_keys(store: GraphClient) -> None:
    await write_crowd(store, two_tastes(), ITEMS)
    services = services_of(store)
    first = (await refresh_all(services, CONFIG)).communities
    assert [community.size for community in first.communities] == [10, 10]
    assert first.modularity > 0.3
    members = {community.key: await read_members(store, community.key) for community in first.communities}
    titles = {community.key: community.title for community in first.communities}
    for key, users in members.items():
        assert {int(user[1:]) % 2 for user in users} == {0 if titles[key] == "War" else 1}
    extra = [replace(person, id=f"x{person.id}") for person in two_tastes(60)[40:] if int(person.id[1:]) % 2]
    await write_crowd(store, extra)
    later = services_of(store, lambda: Millis(NOW + 1000))
    second = (await refresh_all(later, CONFIG)).communities
    assert {community.key: community.title for community in second.communities} == titles
    since = await store.read(
        "MATCH (:User {id: 'u01'})-[m:IN_SEGMENT]->(s:Segment {kind: 'community'}) "
        "RETURN m.since AS since, m.until AS until, m.run AS run"
    )
    assert since == [{"since": NOW, "until": None, "run": second.run}]
    found = await read_segment(store, first.communities[0].key, default_purpose="analytics")
    assert found is not None
    assert (found.purpose, found.kind, found.version) == ("analytics", "community", 1)


async def test_a_community_that_is_no_more_is_left_by_all(store: GraphClient) -> None:
    await write_crowd(store, two_tastes(), ITEMS)
    services = services_of(store)
    await refresh_all(services, CONFIG)
    await store.write(lambda tx: tx.run("MATCH (u:User) SET u.permits = []"))
    report = await refresh_all(services, CONFIG)
    assert (report.walk.people, report.rfm.people, report.communities.people) == (0, 0, 0)
    for key in [*await read_keys_of_kind(store, "community"), SegmentKey("high_value_buyer")]:
        assert await read_members(store, key) == []
    assert services.recommender.run == report.walk.run
    assert await store.read("MATCH (u:User) WHERE u.rfm_run IS NOT NULL RETURN u.id AS user") == []


async def test_high_value_is_relative_and_moves(store: GraphClient) -> None:
    await write_crowd(store, two_tastes(), ITEMS)
    services = services_of(store)
    report = (await refresh_all(services, CONFIG)).rfm
    buyers = await read_members(store, SegmentKey("high_value_buyer"))
    assert len(buyers) == report.high_value
    assert buyers == sorted(f"u{number:02}" for number in range(20 - len(buyers), 20))
    assert sum(map(sum, report.grid)) == report.people == 20
    row = (await store.read("MATCH (u:User {id: 'u19'}) RETURN properties(u) AS user"))[0]["user"]
    assert (row["rfm_recency"], row["rfm_frequency"], row["rfm_monetary"]) == (1.0, 8.0, 40.0)
    assert row["rfm_recency_score"] == 5
    later = [Event(f"i{n:02}", "RATED", days_ago=0.5, weight=5.0, value=50.0) for n in range(20)] * 3
    await write_crowd(store, [Person(f"y{number}", [later]) for number in range(30)])
    await refresh_all(services, CONFIG)
    assert set(await read_members(store, SegmentKey("high_value_buyer"))) == {f"y{number}" for number in range(30)}


async def test_who_withdraws_during_a_run_is_computed_out_of_it(store: GraphClient) -> None:
    await write_crowd(store, two_tastes(), ITEMS)
    services = services_of(store)
    behaviour = await read_behaviour(services, "analytics", CONFIG.model.strengths)
    await set_permits(store, "u03", ["personalisation"])
    used: list[tuple[UserId, ...]] = []

    def compute(current: Behaviour) -> float:
        used.append(current.people)
        return float(current.strength.sum())

    total, settled = await compute_settled(services, "analytics", behaviour, compute)
    assert ["u03" in people for people in used] == [True, False]
    assert "u03" not in settled.people
    own = (await read_behaviour(services, "analytics", CONFIG.model.strengths)).strength.sum()
    assert total == pytest.approx(own)


async def test_reading_twice_gives_the_same_arrays(store: GraphClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await write_crowd(store, two_tastes(), ITEMS)
    services = services_of(store)
    first = await read_behaviour(services, "analytics", CONFIG.model.strengths)
    monkeypatch.setattr("graph.activity.scoped.HISTORIES_PAGE", 3)
    again = await behaviours.read_behaviour(services, "analytics", CONFIG.model.strengths)
    assert (first.people, first.items) == (again.people, again.items)
    for name in ("person", "item", "strength", "at"):
        assert getattr(first, name).tolist() == getattr(again, name).tolist()


async def test_an_empty_graph_is_refreshed_to_nothing(store: GraphClient) -> None:
    report = await refresh_all(services_of(store), RefreshConfig(model=WalkFitConfig(held_back=0)))
    assert (report.walk.items, report.rfm.grid, report.communities.communities) == (0, [[0] * 5] * 5, [])
    assert report.walk.metrics == {}
