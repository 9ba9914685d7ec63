"""How the demonstration is measured: linkage against FEBRL's truth, recommendations against ratings held back.

Nothing measured against was seen by linkage or by the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from scipy import sparse

from algorithms.identity.evaluation import PairwiseScore, score_partition
from algorithms.recommendation.evaluation import measure_ranking
from api.demo.cast import Cast
from api.demo.questions import TASTE, Asker, keys_of
from graph.identity.users import find_users_of_records
from graph.model.identity import RecordId, UserId
from graph.store.client import GraphClient

LIKED: Final = 4
PLACES: Final = 10
PAGE: Final = 400


async def judge_linkage(client: GraphClient, cast: Cast) -> PairwiseScore:
    """Pairwise precision and recall of the people found, over all source records of the cast."""
    truth = {ref.id: person for ref, person in cast.truth().items()}
    records = list(truth)
    found: dict[RecordId, UserId] = {}
    for start in range(0, len(records), PAGE):
        found |= await find_users_of_records(client, records[start : start + PAGE])
    return score_partition(found, truth)


async def judge_recommendations(asker: Asker, cast: Cast) -> dict[str, Any]:
    """nDCG@10 of what the API recommends to those who permit it, and of popularity, on the ratings held back."""
    wanted: dict[str, set[str]] = {}
    for rating in cast.held_back:
        if rating.value >= LIKED:
            wanted.setdefault(rating.person, set()).add(rating.item)
    walk, popular, liked = [], [], []
    for member in cast.members:
        items = wanted.get(member.movie_person.id)
        answer = await asker.ask_of(TASTE, member.records[0][0], first=PLACES) if items else None
        lists = (keys_of(answer["walk"]), keys_of(answer["popular"])) if answer else (None, None)
        if items and lists[0] is not None and lists[1] is not None:
            walk.append(lists[0])
            popular.append(lists[1])
            liked.append(items)
    columns = {movie.id: column for column, movie in enumerate(cast.movies)}
    quality = measure_ranking(as_ranking(walk, columns), as_relevant(liked, columns))
    beside = measure_ranking(as_ranking(popular, columns), as_relevant(liked, columns))
    return {
        "ndcg10": round(quality.ndcg, 4),
        "popular_ndcg10": round(beside.ndcg, 4),
        "people": quality.people,
        "coverage": round(quality.coverage, 4),
        "popular_coverage": round(beside.coverage, 4),
    }


def as_ranking(lists: Sequence[Sequence[str]], columns: dict[str, int]) -> Any:
    """Lists of item keys as an int array (people, PLACES), -1 where a list is short."""
    ranking = np.full((len(lists), PLACES), -1, dtype=np.int64)
    for row, keys in enumerate(lists):
        ranking[row, : len(keys)] = [columns[key] for key in keys]
    return ranking


def as_relevant(liked: Sequence[set[str]], columns: dict[str, int]) -> Any:
    """Sets of item keys as a sparse array (people, items)."""
    rows = [row for row, items in enumerate(liked) for _ in items]
    cells = [columns[item] for items in liked for item in sorted(items)]
    return sparse.csr_array((np.ones(len(rows)), (rows, cells)), shape=(len(liked), len(columns)))
