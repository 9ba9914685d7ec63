from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from algorithms.recommendation.filtering import fit_walk, measure_popularity
from graph.catalogue.items import write_items
from graph.model.activity import RecentInteraction
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.recommendation import RankedItem, RunId, Strategy
from graph.model.time import Millis
from graph.recommendation import runs as models
from graph.recommendation.runs import ModelRow, ModelRun, write_current_run, write_model_rows
from graph.store.client import GraphClient
from resolvers.recommendation import serve as recommend
from resolvers.recommendation.fit import make_rows
from resolvers.recommendation.serve import WalkRecommender, build_model, join_catalogue

NOW = Millis(1_750_000_000_000)
RUN = ModelRun(
    RunId("r1"), "walk", 1, "personalisation", Millis(1), Millis(5), Millis(4), 2, 7, "ab" * 32, rows=3, current=True
)
ROWS = [
    ModelRow(ItemKey("alien"), (ItemKey("aliens"),), (1.0,), 9.0),
    ModelRow(ItemKey("aliens"), (ItemKey("alien"), ItemKey("heat")), (0.8, 0.1), 7.0),
    ModelRow(ItemKey("heat"), (ItemKey("alien"),), (0.2,), 8.0),
]
ITEMS = [
    ItemFacts(ItemKey("alien"), "Alien", year=1979),
    ItemFacts(ItemKey("aliens"), "Aliens", year=1986),
    ItemFacts(ItemKey("heat"), "Heat", year=1995),
    ItemFacts(ItemKey("new"), "New film", year=2025),
]


def recommender_of(items: list[ItemFacts] = ITEMS, rows: list[ModelRow] = ROWS) -> WalkRecommender:
    recommender = WalkRecommender()
    recommender._model = build_model(RUN, rows)
    recommender._served = join_catalogue(recommender._model, items)
    return recommender


def did(item: str, type_: str = "PURCHASED", weight: float = 5, value: float | None = None) -> RecentInteraction:
    return RecentInteraction(ItemKey(item), type_, NOW, weight, value)


def keys(answer: list[RankedItem]) -> list[str]:
    return [ranked.item.key for ranked in answer]


def test_the_walk_comes_first_and_popular_items_fill_up() -> None:
    answer = recommender_of().recommend([did("alien")], 5, now=NOW)
    assert [(r.item.key, r.strategy) for r in answer] == [
        ("aliens", Strategy.GRAPH_WALK),
        ("heat", Strategy.GRAPH_WALK),
        ("new", Strategy.POPULAR),
    ]
    assert answer[0].item.title == "Aliens"
    assert [ranked.score for ranked in answer] == [1.0, pytest.approx(0.2 / 0.8), 1.0]


def test_reasons_name_what_the_person_did() -> None:
    recent = [did("alien", "RATED", 5, 5.0), did("heat", "VIEWED", 1)]
    best = recommender_of().recommend(recent, 1, now=NOW)[0]
    assert [reason.text for reason in best.reasons] == [
        "You rated Alien highly; people who chose it also chose this.",
        "You viewed Heat; people who chose it also chose this.",
    ]
    assert [reason.type for reason in best.reasons] == ["RATED", "VIEWED"]
    assert best.reasons[0].item is not None
    assert best.reasons[0].item.key == "alien"
    assert [reason.share for reason in best.reasons] == pytest.approx([0.8 / 0.82, 0.02 / 0.82])


def test_people_without_usable_history_get_popular_items() -> None:
    for recent in ([], [did("new")], [did("unknown")], [did("heat", "RATED", 1, 1.0)]):
        answer = recommender_of().recommend(recent, 2, now=NOW)
        assert keys(answer) == (["alien", "aliens"] if recent and recent[0].item == "heat" else ["alien", "heat"])
        assert {ranked.strategy for ranked in answer} == {Strategy.POPULAR}
        assert all(len(ranked.reasons) == 1 and ranked.reasons[0].item is None for ranked in answer)


def test_seen_items_are_included_only_on_request() -> None:
    recent = [did("alien"), did("aliens", "VIEWED", 1), did("heat", "RATED", 1, 1.0)]
    assert keys(recommender_of().recommend(recent, 5, now=NOW)) == ["new"]
    assert keys(recommender_of().recommend(recent, 5, now=NOW, include_seen=True)) == ["aliens", "alien", "heat", "new"]


def test_unavailable_or_removed_items_are_never_recommended() -> None:
    items = [replace(ITEMS[1], available=False), ITEMS[0], replace(ITEMS[3], available=True)]
    assert keys(recommender_of(items).recommend([did("alien")], 5, now=NOW)) == ["new"]
    assert keys(recommender_of(items).recommend([], 5, now=NOW)) == ["alien", "new"]


def test_a_filter_applies_to_the_walk_and_to_popular_items() -> None:
    answer = recommender_of().recommend([did("alien")], 5, now=NOW, admits=lambda item: (item.year or 0) > 1990)
    assert [(r.item.key, r.strategy) for r in answer] == [("heat", Strategy.GRAPH_WALK), ("new", Strategy.POPULAR)]


def test_a_strategy_can_be_used_alone() -> None:
    recommender = recommender_of()
    assert keys(recommender.recommend([did("alien")], 5, now=NOW, strategy=Strategy.GRAPH_WALK)) == ["aliens", "heat"]
    assert keys(recommender.recommend([did("alien")], 5, now=NOW, strategy=Strategy.POPULAR)) == [
        "heat",
        "aliens",
        "new",
    ]
    assert recommender.recommend([], 5, now=NOW, strategy=Strategy.GRAPH_WALK) == []


@pytest.mark.store
async def test_a_model_that_is_not_fresh_is_not_used(store: GraphClient) -> None:
    recommender = WalkRecommender()
    await store.write(lambda tx: write_items(tx, ITEMS))
    await write_model_rows(store, RUN.id, ROWS)
    await write_current_run(store, RUN)
    await recommender.load(store)
    seen = [did("alien")]
    assert keys(recommender.recommend(seen, 3, now=NOW)) == ["aliens", "heat", "new"]
    assert recommender.recommend(seen, 3, now=NOW, strategy=Strategy.GRAPH_WALK, fresh=False) == []
    answer = recommender.recommend([], 4, now=NOW, fresh=False)
    assert [(ranked.item.key, ranked.score) for ranked in answer] == [
        ("alien", 1.0),
        ("aliens", 1 / 2),
        ("heat", 1 / 3),
        ("new", 1 / 4),
    ]


def test_without_a_model_nothing_is_recommended() -> None:
    assert WalkRecommender().recommend([did("alien")], 5, now=NOW) == []
    assert WalkRecommender().run is None


def test_stored_rows_give_back_the_fitted_lists() -> None:
    rng = np.random.default_rng(9)
    histories = sparse.csr_array((rng.random((60, 25)) < 0.2).astype(float))
    lists = fit_walk(histories)
    items = tuple(ItemKey(f"i{number:02}") for number in range(25))
    model = build_model(RUN, make_rows(items, lists, measure_popularity(histories)))
    assert model.items == items
    served = sparse.csr_array((model.lists.weights, model.lists.targets, model.lists.start), shape=(25, 25))
    assert abs(served - lists).max() == 0
    assert model.lists.popularity.tolist() == measure_popularity(histories).tolist()


@pytest.mark.store
async def test_the_current_run_is_loaded_once(store: GraphClient) -> None:
    recommender = WalkRecommender()
    await recommender.load(store)
    assert recommender.run is None
    await store.write(lambda tx: write_items(tx, ITEMS))
    await write_model_rows(store, RUN.id, ROWS)
    await write_current_run(store, RUN)
    await recommender.load(store)
    assert recommender.run == "r1"
    assert keys(recommender.recommend([did("alien")], 2, now=NOW)) == ["aliens", "heat"]
    served = recommender._served
    await recommender.load(store)
    assert recommender._served is served


@pytest.mark.store
async def test_a_later_run_replaces_the_earlier_only_once_it_is_complete(store: GraphClient) -> None:
    recommender = WalkRecommender()
    await store.write(lambda tx: write_items(tx, ITEMS))
    await write_model_rows(store, RUN.id, ROWS)
    await write_current_run(store, RUN)
    await recommender.load(store)
    later = replace(RUN, id=RunId("r2"), rows=2)
    await write_model_rows(store, later.id, ROWS[:1])
    await write_current_run(store, later)
    await recommender.load(store)
    assert recommender.run == "r1"
    await write_model_rows(store, later.id, ROWS[1:2])
    await recommender.load(store)
    assert recommender.run == "r2"


@pytest.mark.store
async def test_the_catalogue_is_read_again_when_due_or_requested(
    store: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resolvers.catalogue.CATALOGUE_PAGE", 2)
    monkeypatch.setattr(models, "ROWS_READ", 2)
    recommender = WalkRecommender()
    await store.write(lambda tx: write_items(tx, ITEMS))
    await write_model_rows(store, RUN.id, ROWS)
    await write_current_run(store, RUN)
    await recommender.load(store)
    assert len(recommender.recommend([], 10, now=NOW)) == 4
    later = replace(ITEMS[0], available=False, updated_at=Millis(NOW + 1))
    await store.write(lambda tx: write_items(tx, [later, ItemFacts(ItemKey("newer"))]))
    await recommender.load(store)
    assert "newer" not in keys(recommender.recommend([], 10, now=NOW))
    await recommender.load(store, catalogue=True)
    assert keys(recommender.recommend([], 10, now=NOW)) == ["heat", "aliens", "new", "newer"]
    monkeypatch.setattr(recommend, "CATALOGUE_SECONDS", 0.0)
    await recommender.load(store, catalogue=True)
    await store.write(lambda tx: write_items(tx, [ItemFacts(ItemKey("newest"))]))
    await recommender.load(store)
    assert "newest" in keys(recommender.recommend([], 10, now=NOW))
