from __future__ import annotations

from hashlib import sha256

import pytest

from graph.model.segments import SegmentKey
from graph.recommendation.runs import read_current_run, read_model_rows
from graph.segments.definitions import read_keys_of_kind
from graph.segments.memberships import read_members
from graph.store.client import GraphClient
from resolvers.recommendation.fit import WalkFitConfig
from resolvers.refresh import RefreshConfig, refresh_all
from tests.context import services_of
from tests.crowd import NOW, Event, Person, write_crowd
from tests.tastes import CONFIG, ITEMS, two_tastes

pytestmark = pytest.mark.store


async def test_everything_is_derived_only_from_people_who_permit_it(store: GraphClient) -> None:
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
    assert len(await read_model_rows(store, run.id)) == run.rows == 17


async def test_a_community_that_no_longer_exists_loses_all_members(store: GraphClient) -> None:
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


async def test_an_empty_graph_gives_empty_results(store: GraphClient) -> None:
    report = await refresh_all(services_of(store), RefreshConfig(model=WalkFitConfig(held_back=0)))
    assert (report.walk.items, report.rfm.grid, report.communities.communities) == (0, [[0] * 5] * 5, [])
    assert report.walk.metrics == {}
