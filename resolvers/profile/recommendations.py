"""Use case: items recommended to one person, from the latest interactions that the viewer may use."""

from __future__ import annotations

from collections.abc import Sequence

from graph.catalogue.reading import ItemFilter
from graph.model.recommendation import RankedItem, Strategy
from resolvers.catalogue import check_filter
from resolvers.pages import check_first
from resolvers.profile.find import PersonView
from resolvers.recommendation.serve import WALK


def recommend(
    view: PersonView, first: int, strategy: Strategy, where: ItemFilter | None
) -> Sequence[RankedItem] | None:
    """Returns recommendations from the person's latest interactions, or None if they may not be computed or shown.
    Arguments are checked first, so that an error does not reveal the permission. Raises BadInput."""
    check_first(first)
    check_filter(where)
    if not view.permits("recommendations"):
        return None
    services, now = view.request.services, view.request.now
    admits = where.admits if where else None
    recent = view.facts.recent or ()
    fresh = services.freshness.serves(WALK, services.clock())
    ranked = services.recommender.recommend(recent, first, now=now, admits=admits, strategy=strategy, fresh=fresh)
    return view.reveal(recommendations=ranked).recommendations
