"""Evaluation of the demonstration: linkage against FEBRL's ground truth, recommendations against held-back ratings.

Neither linkage nor the model has seen the data that it is evaluated against.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from scipy import sparse

from algorithms.identity.evaluation import PairwiseScore, score_partition
from algorithms.recommendation.evaluation import measure_ranking
from api.demo.cast import Cast
from api.demo.questions import RANKINGS, ApiClient, keys_of
from graph.identity.records import read_people_of_records
from graph.model.identity import RecordId, UserId
from graph.store.client import GraphClient

LIKED: Final = 4
PLACES: Final = 10
PAGE: Final = 400


async def evaluate_linkage(client: GraphClient, cast: Cast) -> PairwiseScore:
    """Returns pairwise precision and recall of the people found, over all source records of the cast."""
    truth = {ref.id: person for ref, person in cast.truth().items()}
    records = list(truth)
    found: dict[RecordId, UserId] = {}
    for start in range(0, len(records), PAGE):
        people = await read_people_of_records(client, records[start : start + PAGE])
        found |= {record: user for record, (user, _) in people.items()}
    return score_partition(found, truth)


async def evaluate_recommendations(api: ApiClient, cast: Cast) -> dict[str, Any]:
    """Returns nDCG@10 and coverage, on the held-back ratings, of what the API recommends and of popularity.

    Only people who permit recommendations count.
    """
    relevant: dict[str, set[str]] = {}
    for rating in cast.held_back:
        if rating.value >= LIKED:
            relevant.setdefault(rating.person, set()).add(rating.item)
    walk, popular, liked = [], [], []
    for member in cast.members:
        items = relevant.get(member.movie_person.id)
        profile = await api.ask_profile(RANKINGS, member.records[0][0], first=PLACES) if items else None
        lists = (keys_of(profile["walk"]), keys_of(profile["popular"])) if profile else (None, None)
        if items and lists[0] is not None and lists[1] is not None:
            walk.append(lists[0])
            popular.append(lists[1])
            liked.append(items)
    columns = {movie.id: column for column, movie in enumerate(cast.movies)}
    quality = measure_ranking(as_ranking(walk, columns), as_relevant(liked, columns))
    baseline = measure_ranking(as_ranking(popular, columns), as_relevant(liked, columns))
    return {
        "ndcg10": round(quality.ndcg, 4),
        "popular_ndcg10": round(baseline.ndcg, 4),
        "people": quality.people,
        "coverage": round(quality.coverage, 4),
        "popular_coverage": round(baseline.coverage, 4),
    }


def as_ranking(lists: Sequence[Sequence[str]], columns: dict[str, int]) -> Any:
    """Returns lists of item keys as an int array of shape (people, PLACES), padded with -1."""
    ranking = np.full((len(lists), PLACES), -1, dtype=np.int64)
    for row, keys in enumerate(lists):
        ranking[row, : len(keys)] = [columns[key] for key in keys]
    return ranking


def as_relevant(liked: Sequence[set[str]], columns: dict[str, int]) -> Any:
    """Returns sets of item keys as a sparse array of shape (people, items)."""
    rows = [row for row, items in enumerate(liked) for _ in items]
    cells = [columns[item] for items in liked for item in sorted(items)]
    return sparse.csr_array((np.ones(len(rows)), (rows, cells)), shape=(len(liked), len(columns)))
