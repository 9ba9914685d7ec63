"""The context of use cases: the services of the process, and the viewer and instant of a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

from graph.model.activity import RecentInteraction
from graph.model.catalogue import ItemFacts
from graph.model.recommendation import RankedItem, RunId, Strategy
from graph.model.time import Millis, system_clock
from graph.store.client import GraphClient
from privacy.gate import Viewer
from privacy.policy import Policy
from resolvers.freshness import Freshness


class Recommender(Protocol):
    """Recommends items by the model in use; `resolvers.recommendation.serve.WalkRecommender` is the implementation."""

    @property
    def run(self) -> RunId | None:
        """The run whose model is in use; None before the first is loaded."""

    async def load(self, client: GraphClient, *, catalogue: bool = False) -> None:
        """Loads the current run if it has changed, and the catalogue if it is due or asked for."""

    def recommend(
        self,
        recent: Sequence[RecentInteraction],
        n: int,
        *,
        now: Millis,
        admits: Callable[[ItemFacts], bool] | None = None,
        strategy: Strategy = Strategy.AUTO,
        include_seen: bool = False,
        fresh: bool = True,
    ) -> list[RankedItem]:
        """Returns the n best items for a person with these latest interactions, best first. `admits` filters items. If
        the model is not `fresh`, it is not used."""


@dataclass(frozen=True, slots=True)
class Services:
    """The services that live as long as the process. `secret` keys every HMAC: derive a key from it with a label
    (`resolvers.access.keys.derive_key`), never use it directly."""

    client: GraphClient
    policy: Policy
    recommender: Recommender
    secret: bytes = field(repr=False)
    clock: Callable[[], Millis] = system_clock
    freshness: Freshness = field(default_factory=Freshness)

    def on_behalf_of(self, reader: str) -> Self:
        """Returns the same services, with a limit on how many reads of this reader run at once."""
        return replace(self, client=self.client.on_behalf_of(reader))


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The viewer and instant of one request. `now` is read once, so that all decisions of a request hold for the same
    instant."""

    services: Services
    viewer: Viewer
    now: Millis
