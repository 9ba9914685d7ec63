"""What a use case is given, on a real store: services of this process, and one request of a viewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graph.model.time import Millis
from graph.store.client import GraphClient
from privacy.gate import Role, Viewer
from privacy.policy import Policy
from resolvers.context import RequestContext, Services
from resolvers.recommendation.serve import WalkRecommender
from tests.crowd import NOW


def services_of(store: GraphClient, clock: Callable[[], Millis] = lambda: NOW) -> Services:
    return Services(client=store, policy=Policy.default(), recommender=WalkRecommender(), secret=b"s" * 32, clock=clock)


def request_of(store: GraphClient, role: Role = Role.OPERATOR, **viewer: Any) -> RequestContext:
    return RequestContext(services_of(store), Viewer("client", role, **viewer), NOW)
