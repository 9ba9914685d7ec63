"""The watch: a withdrawal makes the runs that used the person stale, and they are computed again without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from graph.activity import scoped
from graph.model.recommendation import RunId
from graph.model.time import Millis
from graph.recommendation.runs import claim_refit, read_current_run, read_current_runs, read_runs
from graph.store.client import GraphClient
from resolvers.context import Services
from resolvers.freshness import STALE_MILLIS
from resolvers.refresh import VERSIONS, refresh_all
from resolvers.withdrawals import CLAIM, GRACE, OVERLAP, Watch
from tests.context import services_of
from tests.crowd import NOW, Event, Person, run, write_crowd
from tests.tastes import CONFIG, ITEMS, two_tastes

pytestmark = pytest.mark.store


class Clock:
    def __init__(self) -> None:
        self.now = int(NOW)

    def __call__(self) -> Millis:
        return Millis(self.now)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def services(store: GraphClient, clock: Clock) -> Services:
    """A store with everything computed from people of two tastes, a while ago."""
    await write_crowd(store, two_tastes(), ITEMS)
    services = services_of(store, clock)
    await refresh_all(services, CONFIG)
    clock.now += 10 * OVERLAP
    return services


@asynccontextmanager
async def watching(services: Services) -> AsyncIterator[Watch]:
    watch = Watch(services)
    try:
        yield watch
    finally:
        await watch.close()


async def withdraw(services: Services, user: str, *kept: str) -> None:
    await run(
        services.client,
        "MATCH (u:User {id: $id}) SET u.permits = $permits, u.permits_changed_at = $now",
        id=user,
        permits=list(kept),
        now=services.clock(),
    )


async def stale_runs(services: Services) -> dict[str, Millis | None]:
    return {one.name: one.stale_since for one in await read_current_runs(services.client, 9)}


async def test_nothing_is_stale_without_a_withdrawal(services: Services) -> None:
    async with watching(services) as watch:
        await watch.look()
        assert watch._refits == {}
    assert await stale_runs(services) == dict.fromkeys(VERSIONS)


async def test_a_withdrawal_makes_the_runs_that_used_the_person_stale(services: Services, clock: Clock) -> None:
    await withdraw(services, "u03", "analytics")
    async with watching(services) as watch:
        await watch.look()
        assert await stale_runs(services) == {"walk": clock.now, "rfm": None, "communities": None}
        assert watch._refits == {}
        assert services.freshness.serves("walk", Millis(clock.now + STALE_MILLIS))
        assert not services.freshness.serves("walk", Millis(clock.now + STALE_MILLIS + 1))


async def test_stale_runs_are_computed_again_without_the_person(services: Services, clock: Clock) -> None:
    before = {one.name: one for one in await read_current_runs(services.client, 9)}
    await withdraw(services, "u03")
    clock.now += GRACE
    async with watching(services) as watch:
        await watch.look()
        await watch.settle()
        await watch.look()
        after = {one.name: one for one in await read_current_runs(services.client, 9)}
        assert {name: after[name].people - before[name].people for name in VERSIONS} == dict.fromkeys(VERSIONS, -1)
        assert await stale_runs(services) == dict.fromkeys(VERSIONS)
        assert services.freshness.serves("walk", Millis(clock.now + STALE_MILLIS))
        assert services.recommender.run == after["walk"].id
    assert (after["rfm"].config, after["communities"].config) == (before["rfm"].config, before["communities"].config)
    ended = [one for one in await read_runs(services.client, 9) if not one.current]
    assert {one.stale_since for one in ended} == {clock.now - GRACE}


async def test_people_who_were_not_used_make_nothing_stale(services: Services, store: GraphClient) -> None:
    await write_crowd(store, [Person("new", [[Event("i00")]])])
    await withdraw(services, "new")
    async with watching(services) as watch:
        await watch.look()
    assert await stale_runs(services) == dict.fromkeys(VERSIONS)


async def test_a_person_merged_into_one_who_permits_has_not_left(services: Services, store: GraphClient) -> None:
    await withdraw(services, "u03")
    await run(
        store,
        "MATCH (u:User {id: 'u03'}), (v:User {id: 'u04'}) SET u.retired_at = 1 CREATE (u)-[:RETIRED_INTO {at: 1}]->(v)",
    )
    async with watching(services) as watch:
        await watch.look()
        assert await stale_runs(services) == dict.fromkeys(VERSIONS)
        await withdraw(services, "u04")
        await watch.look()
        assert None not in (await stale_runs(services)).values()


async def test_runs_leave_out_an_unsettled_source_and_take_it_in_once_it_is_settled(
    services: Services, store: GraphClient, clock: Clock
) -> None:
    await run(store, "CREATE (:Source {name: 'web', trust_epoch: 1, settled_epoch: 0})")
    await run(store, "MATCH (r:Record {id: 'u03/0'}) SET r.source = 'web'")
    async with watching(services) as watch:
        await watch.look()
        assert await stale_runs(services) == dict.fromkeys(VERSIONS, clock.now)
        clock.now += GRACE
        await watch.look()
        await watch.settle()
        await watch.look()
    runs = await read_current_runs(services.client, 9)
    assert {(one.people, one.left_out, one.stale_since) for one in runs} == {(19, ("web",), None)}
    await run(store, "MATCH (s:Source {name: 'web'}) SET s.settled_epoch = 1")
    async with watching(services) as watch:
        await watch.look()
        clock.now += GRACE
        await watch.look()
        await watch.settle()
    runs = await read_current_runs(services.client, 9)
    assert {(one.people, one.left_out, one.stale_since) for one in runs} == {(20, (), None)}


async def test_only_one_process_computes_a_run(services: Services, clock: Clock) -> None:
    await withdraw(services, "u03", "analytics")
    clock.now += GRACE
    current = await read_current_run(services.client, "walk")
    assert current is not None
    assert await claim_refit(services.client, current.id, "other", clock(), Millis(clock.now + CLAIM))
    async with watching(services) as watch:
        await watch.look()
        assert watch._refits == {}
        clock.now += CLAIM + 1
        await watch.look()
        assert list(watch._refits) == [current.id]


async def test_a_model_that_another_process_replaced_is_loaded(services: Services, store: GraphClient) -> None:
    other = services_of(store, services.clock)
    await refresh_all(other, CONFIG)
    assert services.recommender.run != other.recommender.run
    async with watching(services) as watch:
        await watch.look()
    assert services.recommender.run == other.recommender.run


@pytest.mark.parametrize("change", ["m.version = 0", "m.members = null"])
async def test_a_run_of_other_code_or_without_a_filter_is_not_served(
    services: Services, store: GraphClient, clock: Clock, change: str
) -> None:
    await run(store, f"MATCH (m:ModelRun {{name: 'walk'}}) SET {change}")
    async with watching(services) as watch:
        await watch.look()
        assert not services.freshness.serves("walk", clock())
        await watch.settle()
        await watch.look()
        assert services.freshness.serves("walk", clock())


async def test_a_crowd_of_people_who_were_not_used_makes_nothing_stale_and_hides_nobody_who_was(
    services: Services, store: GraphClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoped, "LEAVERS_PAGE", 2)
    crowd = [f"new{number}" for number in range(5)]
    await write_crowd(store, [Person(name, [[Event("i00")]]) for name in crowd])
    for name in crowd:
        await withdraw(services, name)
    async with watching(services) as watch:
        await watch.look()
        assert await stale_runs(services) == dict.fromkeys(VERSIONS)
        clock.now += 1
        await withdraw(services, "u03", "analytics")
        await watch.look()
        assert (await stale_runs(services))["walk"] == clock.now


async def test_a_claim_is_for_a_current_run(services: Services, clock: Clock) -> None:
    assert not await claim_refit(services.client, RunId("none"), "me", clock(), Millis(clock.now + 1))


async def test_a_run_is_not_stale_from_before_it_was_checked(services: Services, clock: Clock) -> None:
    run_of = {one.name: one for one in await read_current_runs(services.client, 9)}
    clock.now = run_of["walk"].consent_at - OVERLAP // 2
    await withdraw(services, "u03", "analytics")
    clock.now += OVERLAP
    async with watching(services) as watch:
        await watch.look()
    assert (await stale_runs(services))["walk"] == run_of["walk"].consent_at
