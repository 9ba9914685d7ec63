"""Fitting the graph walk, measuring it and publishing it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from algorithms.recommendation.support import Supporters
from graph.model.activity import RecentInteraction
from graph.model.catalogue import ItemKey
from graph.recommendation.runs import ModelRow, read_current_run, read_model_rows
from graph.store.client import GraphClient
from resolvers.recommendation.fit import WalkFitConfig, make_rows, measure_walk, refresh_walk
from resolvers.refresh import refresh_all
from tests.context import services_of
from tests.crowd import NOW, Event, Person, count_for, run, write_crowd
from tests.tastes import CONFIG, ITEMS, two_tastes


@pytest.mark.store
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


@pytest.mark.store
async def test_the_published_run_matches_the_report(store: GraphClient) -> None:
    await write_crowd(store, two_tastes(40), ITEMS)
    services = services_of(store)
    first = await refresh_walk(services, WalkFitConfig(held_back=0))
    second = await refresh_walk(services, WalkFitConfig(seed=7))
    found = await read_current_run(store, "walk")
    assert found is not None
    assert (found.id, found.people, found.rows, found.metrics) == (second.run, 40, 20, dict(second.metrics))
    assert WalkFitConfig.model_validate(found.config) == WalkFitConfig(seed=7)
    assert (first.metrics, second.items) == ({}, 20)
    assert second.interactions == sum(len(events) for person in two_tastes(40) for events in person.events)
    assert services.recommender.run == second.run
    assert await read_model_rows(store, first.run) == []
    assert {row.item for row in await read_model_rows(store, second.run)} == {item.key for item in ITEMS}


def test_a_row_lists_the_seeds_of_an_item_strongest_first() -> None:
    keys = tuple(ItemKey(key) for key in "abcd")
    lists = sparse.csr_array(np.array([[0, 0.5, 0.2, 0], [0.1, 0, 0.2, 0], [0, 0.9, 0, 0], [0, 0.5, 0, 0]]))
    rows = make_rows(keys, lists, np.array([3.0, 2.0, 1.0, 0.0]))
    assert rows == [
        ModelRow(keys[0], (keys[1],), (0.1,), 3.0),
        ModelRow(keys[1], (keys[2], keys[0], keys[3]), (0.9, 0.5, 0.5), 2.0),
        ModelRow(keys[2], (keys[0], keys[1]), (0.2, 0.2), 1.0),
    ]
    assert make_rows((), sparse.csr_array((0, 0)), np.zeros(0)) == []


@pytest.mark.store
async def test_only_declared_items_and_pairs_that_enough_accounts_chose_are_learnt(store: GraphClient) -> None:
    pair = [[Event("i00"), Event("i01"), Event("secret")]]
    people = [Person(f"u{number}", pair) for number in range(5)]
    people += [Person(f"v{number}", [[Event("i02"), Event("i03")]]) for number in range(4)]
    people += [Person(f"w{number}", [[Event("i02")], [Event("i03")]][number % 2 :][:1]) for number in range(2)]
    people += [Person(f"d{number}", [[Event("i04"), Event("i05")]], kind="anonymous") for number in range(30)]
    await write_crowd(store, people, ITEMS)
    report = await refresh_walk(services_of(store), WalkFitConfig(held_back=0))
    rows = {row.item: row.neighbours for row in await read_model_rows(store, report.run)}
    assert rows == {"i00": ("i01",), "i01": ("i00",), "i02": (), "i03": ()}


@pytest.mark.store
async def test_what_is_only_claimed_lifts_nothing_over_the_minimum(store: GraphClient) -> None:
    rare = [[Event("i00"), Event("i01")]]
    people = [Person("victim", rare), *(Person(f"u{number}", [[Event("i02")]]) for number in range(4))]
    people += [Person(f"d{number}", rare, kind="anonymous") for number in range(4)]
    await write_crowd(store, people, ITEMS)
    for number in range(4):
        await count_for(store, f"d{number}", f"u{number}", "claimed")
    services = services_of(store)
    assert (await refresh_walk(services, WalkFitConfig(held_back=0))).items == 0
    await run(store, "MATCH ()-[c:COUNTS_FOR]->() SET c.grade = 'proven'")
    assert (await refresh_walk(services, WalkFitConfig(held_back=0))).items == 2


def everybody(people: int) -> Supporters:
    return Supporters(np.ones(people, dtype=np.bool_), 1)


def block_histories(people: int = 40, items: int = 20) -> sparse.csr_array:
    """Even people like the first half of the items, odd people the second; each likes most of theirs."""
    rng = np.random.default_rng(3)
    half = items // 2
    dense = np.zeros((people, items))
    for person in range(people):
        dense[person, rng.permutation(half)[: half - 2] + (person % 2) * half] = 1.0
    return sparse.csr_array(dense)


def test_held_back_items_are_found_again_within_a_taste() -> None:
    measured = measure_walk(block_histories(), WalkFitConfig(), everybody(40))
    assert set(measured) >= {"ndcg10", "recall10", "hit_rate10", "coverage10", "popular_ndcg10", "measured_people"}
    assert measured["ndcg10"] > measured["popular_ndcg10"] > 0
    assert measured["recall10"] > 0.9
    assert measured["coverage10"] == 1.0


def test_a_measurement_depends_on_its_seed_and_number_of_people() -> None:
    histories = block_histories()
    measured = measure_walk(histories, WalkFitConfig(), everybody(40))
    assert measured == measure_walk(histories, WalkFitConfig(), everybody(40))
    assert measured != measure_walk(histories, WalkFitConfig(seed=1), everybody(40))
    assert measure_walk(histories, WalkFitConfig(measured_people=5), everybody(40))["measured_people"] <= 5


def test_empty_histories_measure_as_zero() -> None:
    measured = measure_walk(sparse.csr_array((0, 0)), WalkFitConfig(), everybody(0))
    assert (measured["measured_people"], measured["ndcg10"]) == (0.0, 0.0)
