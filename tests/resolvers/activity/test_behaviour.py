"""Behaviour of the people in a scope, as arrays: equal for equal graphs, and without people who withdrew meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from algorithms.arrays import Flags
from algorithms.recommendation.support import SupportConfig
from graph.activity.scoped import read_people_in_scope
from graph.model.catalogue import ItemKey
from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.store.client import GraphClient
from resolvers.activity import behaviour as behaviours
from resolvers.activity.behaviour import Behaviour, compute_settled, open_scope, read_behaviour
from tests.context import services_of
from tests.crowd import DAY, NOW, Event, Person, count_for, run, set_permits, write_crowd
from tests.tastes import CONFIG, ITEMS, two_tastes

pytestmark = pytest.mark.store

STRENGTHS = CONFIG.model.strengths
A, B, C = UserId("a"), UserId("b"), UserId("c")


async def test_a_person_who_withdraws_during_a_run_is_left_out(store: GraphClient) -> None:
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


@pytest.fixture
async def three(store: GraphClient) -> GraphClient:
    """Three people who permit analytics, the last without items, and a fourth who permits nothing."""
    await write_crowd(
        store,
        [
            Person(B, [[Event("j"), Event("i", "VIEWED", weight=1.0)]], epoch=2),
            Person(A, [[Event("i")], [Event("j", days_ago=3), Event("j")]], epoch=7),
            Person(C, [[Event(None, "SEARCHED")]], epoch=9),
            Person("d", [[Event("k")]], permits=()),
        ],
    )
    return store


async def read(store: GraphClient) -> Behaviour:
    return await read_behaviour(services_of(store), "analytics", STRENGTHS)


async def test_each_interaction_is_one_entry_with_people_and_items_sorted(three: GraphClient) -> None:
    found = await read(three)
    assert (found.people, found.items) == ((A, B), (ItemKey("i"), ItemKey("j")))
    assert {user: one.epoch for user, one in found.census.people.items()} == {A: 7, B: 2, C: 9}
    assert (found.givers, found.giver.tolist(), found.proven.all()) == ((A, B), found.person.tolist(), True)
    assert (found.person.tolist(), found.item.tolist()) == ([0, 0, 0, 1, 1], [0, 1, 1, 0, 1])
    assert found.at.tolist()[1] < found.at.tolist()[2]
    assert found.strength[3] < found.strength[4]
    assert found.histories(STRENGTHS).shape == (2, 2)


async def test_leaving_people_out_removes_their_rows_and_keeps_all_items(three: GraphClient) -> None:
    found = await read(three)
    without = found.without({A, UserId("nobody")})
    assert (without.people, without.items) == ((B,), found.items)
    assert (without.person.tolist(), without.item.tolist()) == ([0, 0], [0, 1])
    assert without.strength.tolist() == found.strength.tolist()[3:]
    assert without.histories(STRENGTHS).shape == (1, 2)
    nobody = found.without({A, B})
    assert (nobody.people, nobody.at.tolist(), nobody.histories(STRENGTHS).shape) == ((), [], (0, 2))


async def test_without_permitting_people_the_arrays_are_empty(store: GraphClient) -> None:
    await write_crowd(store, [Person(A, [[Event("i")]], permits=("marketing",))])
    found = await read(store)
    assert (found.people, found.items, found.at.tolist()) == ((), (), [])
    assert found.histories(STRENGTHS).shape == (0, 0)


async def test_a_result_has_the_epochs_read_after_it_was_computed(three: GraphClient) -> None:
    behaviour = await read(three)
    await set_permits(three, "b", ["analytics"])
    count, settled = await compute_settled(services_of(three), "analytics", behaviour, lambda current: len(current.at))
    assert (count, settled.people) == (5, (A, B))
    people = settled.census.people
    assert people == await read_people_in_scope(three, open_scope(services_of(three), "analytics")) != {}
    assert people[B].epoch == 3


async def test_a_scope_applies_to_the_instant_at_which_it_is_opened(store: GraphClient) -> None:
    scope = open_scope(services_of(store), "analytics")
    assert (scope.purpose, scope.permit, scope.now) == ("analytics", "analytics", NOW)


@pytest.fixture
async def devices(store: GraphClient) -> GraphClient:
    """An account with a proven and a claimed device, and a device on its own."""
    await write_crowd(
        store,
        [
            Person("u", [[Event("i")]]),
            *(Person(name, [[Event(name)]], kind="anonymous") for name in ("d1", "d2", "d3")),
        ],
    )
    await count_for(store, "d1", "u")
    await count_for(store, "d2", "u", "claimed")
    return store


async def test_a_device_counts_with_its_account_and_not_again_on_its_own(devices: GraphClient) -> None:
    found = await read(devices)
    assert (found.people, found.givers) == (("d3", "u"), ("d1", "d2", "d3", "u"))
    assert [found.items[place] for place in found.item[found.person == 1]] == ["d1", "d2", "i"]
    assert found.histories(STRENGTHS).sum(axis=1).tolist() == [1.0, 3.0]
    assert found.histories(STRENGTHS, found.proven).sum(axis=1).tolist() == [1.0, 2.0]


async def test_what_a_device_gave_leaves_with_it(devices: GraphClient) -> None:
    found = await read(devices)
    await set_permits(devices, "d1", [])
    _, settled = await compute_settled(services_of(devices), "analytics", found, lambda current: len(current.at))
    assert (settled.people, settled.givers) == (("d3", "u"), ("d2", "d3", "u"))
    assert settled.manifest(RunId("r")).people == 4 - 1
    assert found.without({UserId("u")}).people == ("d3",)


async def test_people_with_an_account_support_what_is_learnt_if_there_are_any(devices: GraphClient) -> None:
    found = await read(devices)
    supporters = found.supporters(SupportConfig())
    assert (supporters.people.tolist(), supporters.least) == ([False, True], 5)
    await run(devices, "MATCH (u:User {id: 'u'}) DETACH DELETE u")
    left = (await read(devices)).supporters(SupportConfig())
    assert (left.people.tolist(), left.least) == ([False] * 3, 5)
    await run(devices, "MATCH (r:Record {kind: 'user'}) DETACH DELETE r")
    await run(devices, "MATCH (u:User {id: 'd1'}) SET u.created_at = $old", old=NOW - 2 * DAY)
    alone = (await read(devices)).supporters(SupportConfig())
    assert (alone.people.tolist(), alone.least) == ([True, False, False], 20)


async def test_of_each_person_the_latest_known_items_are_found_and_proven_ones_first(store: GraphClient) -> None:
    old, new = [Event("i", days_ago=9), Event("i", days_ago=8)], [Event("j", days_ago=5), Event("k", days_ago=4)]
    claimed = Person(B, [[Event("l", days_ago=1), Event("k", days_ago=2)]], kind="anonymous")
    await write_crowd(store, [Person(A, [old, new]), claimed, Person(C, [[Event("l")]])])
    await count_for(store, B, A, grade="claimed")
    found = await read(store)
    everything = np.ones(4, dtype=np.bool_)

    def name(known: Flags, most: int) -> list[tuple[UserId, ItemKey]]:
        rows = np.flatnonzero(found.find_latest(known, most)).tolist()
        return [(found.people[found.person[row]], found.items[found.item[row]]) for row in rows]

    assert name(everything, 1) == [(A, "k"), (A, "k"), (C, "l")]
    assert name(everything, 3) == [(A, "i"), (A, "i"), (A, "j"), (A, "k"), (A, "k"), (C, "l")]
    assert found.find_latest(everything, 4).all()
    assert name(np.array([True, False, False, True]), 1) == [(A, "i"), (A, "i"), (C, "l")]
    assert not found.find_latest(~everything, 1).any()


async def test_nothing_is_found_in_an_empty_graph(store: GraphClient) -> None:
    assert (await read(store)).find_latest(np.zeros(0, dtype=np.bool_), 1).tolist() == []
