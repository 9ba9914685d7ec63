"""Communities of people whose interactions are alike: found, named, and carried from run to run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graph.model.catalogue import ItemFacts
from graph.model.time import Millis
from graph.recommendation.runs import read_current_run
from graph.segments.definitions import read_keys_of_kind, read_segment
from graph.segments.memberships import read_members
from graph.store.client import GraphClient
from resolvers.refresh import refresh_all
from resolvers.segments.communities import refresh_communities
from tests.context import services_of
from tests.crowd import NOW, Event, Person, run, write_crowd
from tests.tastes import CONFIG, ITEMS, two_tastes

pytestmark = pytest.mark.store


async def test_communities_are_found_and_named_and_keep_their_keys(store: GraphClient) -> None:
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


async def test_without_topics_communities_are_described_by_declared_items(store: GraphClient) -> None:
    await write_crowd(store, two_tastes(40), [ItemFacts(item.key) for item in ITEMS])
    report = await refresh_communities(services_of(store), CONFIG.communities, CONFIG.model.strengths)
    for community in report.communities:
        assert community.topics == []
        assert community.title
        assert all(one.name.startswith("i") and one.lift > 1 and 0 < one.share <= 1 for one in community.items)
        segment = await read_segment(store, community.key, default_purpose="analytics")
        assert segment is not None
        assert segment.description is not None
        assert community.items[0].name in segment.description


async def test_membership_scores_are_shares_and_the_run_is_recorded(store: GraphClient) -> None:
    await write_crowd(store, two_tastes(), ITEMS)
    report = await refresh_communities(services_of(store), CONFIG.communities, CONFIG.model.strengths)
    rows = await store.read("MATCH (:User)-[m:IN_SEGMENT]->(:Segment) RETURN m.score AS score")
    assert len(rows) == sum(community.size for community in report.communities) == 20
    assert all(0 < row["score"] <= 1 for row in rows)
    recorded = await read_current_run(store, "communities")
    assert recorded is not None
    assert (recorded.id, recorded.people, recorded.metrics["sizes"]) == (report.run, 20, [10, 10])
    assert recorded.metrics["modularity"] == report.modularity


async def test_too_few_similar_people_form_no_community(store: GraphClient) -> None:
    await write_crowd(store, [Person("a", [[Event("i")]]), Person("b", [[Event("j")]])])
    report = await refresh_communities(services_of(store), CONFIG.communities, CONFIG.model.strengths)
    assert (report.people, report.communities, report.left_out) == (2, [], 0)
    assert await read_keys_of_kind(store, "community") == []


async def test_a_community_is_not_described_by_undeclared_items(store: GraphClient) -> None:
    await write_crowd(store, two_tastes())
    report = await refresh_communities(services_of(store), CONFIG.communities, CONFIG.model.strengths)
    assert [(one.title, one.topics, one.items) for one in report.communities] == [("Mixed", [], [])] * 2


async def test_a_community_is_shown_to_others_if_enough_accounts_are_in_it(store: GraphClient) -> None:
    await write_crowd(store, two_tastes(), ITEMS)
    await run(store, "MATCH (r:Record) WHERE r.id IN $ids SET r.kind = 'anonymous'", ids=[
        f"u{number:02}/{place}" for number in range(1, 20, 2) for place in range(2) if number > 8
    ])  # fmt: skip
    report = await refresh_communities(services_of(store), CONFIG.communities, CONFIG.model.strengths)
    found = [await read_segment(store, one.key, default_purpose="analytics") for one in report.communities]
    assert sorted(one.shown for one in found if one is not None) == [False, True]
