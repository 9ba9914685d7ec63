"""Behaviour of the people in a scope, read into the arrays that algorithms take, and the manifest of whose data a run
used.

`compute_settled` ensures that a result contains no one who withdrew consent while it was computed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeVar

import numpy as np

from algorithms.arrays import Csr, Floats, Ints
from algorithms.recommendation.ranking import StrengthConfig, build_histories, rate_strength
from graph.activity.scoped import SessionHistory, read_histories, read_people_in_scope
from graph.model.catalogue import ItemKey
from graph.model.identity import UserId
from graph.model.scope import PermittedScope
from graph.model.time import DAY
from privacy.gate import mint_scope
from resolvers.context import Services

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Interactions in scope. The four arrays have one entry per interaction, in an order that depends on the
    interactions alone, so that the same graph gives the same arrays."""

    people: tuple[UserId, ...]
    """People with at least one interaction, sorted."""

    items: tuple[ItemKey, ...]
    """Items with at least one interaction, sorted."""

    epochs: Mapping[UserId, int]
    """Consent epoch of everyone in scope."""

    person: Ints
    """Index of the person in `people`."""

    item: Ints
    """Index of the item in `items`."""

    strength: Floats
    """Strength before decay (`ranking.rate_strength`)."""

    at: Ints
    """Instant, in epoch milliseconds."""

    def histories(self, config: StrengthConfig) -> Csr:
        """Returns the histories, shape (people, items). Ages count from the latest interaction of all."""
        ages = (self.at.max(initial=0) - self.at) / DAY
        shape = (len(self.people), len(self.items))
        return build_histories(self.person, self.item, self.strength, ages, shape=shape, config=config)

    def without(self, gone: Collection[UserId]) -> Behaviour:
        """Returns the behaviour without some people. All items stay, so that columns keep their meaning."""
        kept = np.array([user not in gone for user in self.people], dtype=np.bool_)
        rows = kept[self.person]
        return replace(
            self,
            people=tuple(user for user in self.people if user not in gone),
            person=(np.cumsum(kept) - 1)[self.person[rows]],
            item=self.item[rows],
            strength=self.strength[rows],
            at=self.at[rows],
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """Whose data a run used: how many people, the highest consent epoch among them, the SHA-256 of their IDs."""

    people: int
    epoch: int
    people_sha256: str


def make_manifest(people: Collection[UserId], epochs: Mapping[UserId, int]) -> Manifest:
    """Makes the manifest of a run. The hash is over the IDs, sorted, one per line."""
    digest = sha256("".join(f"{user}\n" for user in sorted(people)).encode()).hexdigest()
    return Manifest(len(people), max((epochs[user] for user in people), default=0), digest)


def open_scope(services: Services, purpose: str) -> PermittedScope:
    """Opens the scope of a purpose as of now."""
    return mint_scope(purpose, services.policy, services.clock())


async def read_behaviour(services: Services, purpose: str, config: StrengthConfig) -> Behaviour:
    """Reads all interactions with items of the people who permit a purpose."""
    scope = open_scope(services, purpose)
    epochs = await read_people_in_scope(services.client, scope)
    sessions: list[SessionHistory] = []
    async for page in read_histories(services.client, list(epochs), scope):
        sessions.extend(page)
    return await asyncio.to_thread(_arrange, sessions, epochs, config)


def _arrange(sessions: list[SessionHistory], epochs: Mapping[UserId, int], config: StrengthConfig) -> Behaviour:
    people = sorted({session.user for session in sessions})
    items = sorted({item for session in sessions for item in session.items})
    row = {user: place for place, user in enumerate(people)}
    column = {item: place for place, item in enumerate(items)}
    person = np.array([row[session.user] for session in sessions for _ in session.items], dtype=np.int64)
    item = np.array([column[item] for session in sessions for item in session.items], dtype=np.int64)
    at = np.array([at for session in sessions for at in session.at], dtype=np.int64)
    strength = np.array(
        [
            rate_strength(type_, weight, graded, config)
            for session in sessions
            for type_, weight, graded in zip(session.types, session.weights, session.graded, strict=True)
        ],
        dtype=np.float64,
    )
    order = np.lexsort((strength, at, item, person))
    return Behaviour(tuple(people), tuple(items), epochs, person[order], item[order], strength[order], at[order])


async def compute_settled(
    services: Services, purpose: str, behaviour: Behaviour, compute: Callable[[Behaviour], T]
) -> tuple[T, Behaviour]:
    """Computes off the event loop, then checks again who permits the purpose; if someone no longer does, computes again
    without them. A result therefore contains only people who still permitted the purpose after it was computed."""
    while True:
        result = await asyncio.to_thread(compute, behaviour)
        permitting = await read_people_in_scope(services.client, open_scope(services, purpose))
        gone = set(behaviour.people) - permitting.keys()
        if not gone:
            return result, replace(behaviour, epochs=permitting)
        behaviour = behaviour.without(gone)
