"""Behaviour of the people in a scope, read into the arrays that algorithms take.

`compute_settled` ensures that a result contains no one who withdrew consent while it was computed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from algorithms.activity.manifest import Manifest, make_manifest
from algorithms.arrays import Csr, Flags, Floats, Ints
from algorithms.recommendation.ranking import StrengthConfig, build_histories, rate_strength
from algorithms.recommendation.support import SupportConfig, Supporters, choose_supporters
from graph.access.terms import read_unsettled_sources
from graph.activity.scoped import (
    PersonInScope,
    SessionHistory,
    has_accounts,
    read_histories,
    read_people_in_scope,
)
from graph.model.catalogue import ItemKey
from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.scope import PermittedScope
from graph.model.time import DAY, Millis
from privacy.gate import mint_scope
from resolvers.context import Services

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Census:
    """Everyone in a scope at an instant. `devices_only`: the store has no account at all. `left_out` are the sources
    that were being re-derived before the people were read; people with a record from one are in no scope."""

    people: Mapping[UserId, PersonInScope]
    at: Millis
    devices_only: bool
    left_out: tuple[str, ...]

    def persons(self) -> list[UserId]:
        """Everyone but the devices whose behaviour is an account's."""
        return [user for user, one in self.people.items() if not one.counted]

    def supporters(self, people: Sequence[UserId], config: SupportConfig) -> Supporters:
        """Returns which of these people support what is learnt."""
        known = [self.people[user] for user in people]
        ages = [(self.at - one.since) / DAY for one in known]
        return choose_supporters([one.account for one in known], ages, config, devices_only=self.devices_only)

    def manifest(self, run: RunId, used: Collection[UserId]) -> Manifest:
        """Makes the manifest of a run that used these people."""
        return make_manifest(run, used, {user: self.people[user].epoch for user in used})


async def take_census(services: Services, scope: PermittedScope) -> Census:
    """Reads everyone in scope. Unsettled sources are read first: one that is left out then was unsettled before."""
    left_out = await read_unsettled_sources(services.client)
    people = await read_people_in_scope(services.client, scope)
    devices_only = not any(one.account for one in people.values()) and not await has_accounts(services.client)
    return Census(people, scope.now, devices_only, tuple(left_out))


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Interactions in scope, of each person's own records and of the devices that count for them. The six arrays
    have one entry per interaction, in an order that depends on the interactions alone, so that the same graph gives the
    same arrays."""

    people: tuple[UserId, ...]
    """People with at least one interaction, sorted."""

    items: tuple[ItemKey, ...]
    """Items with at least one interaction, sorted."""

    givers: tuple[UserId, ...]
    """The users whose records the interactions are on, sorted: people, and devices that count for them."""

    census: Census
    """Everyone in scope."""

    person: Ints
    """Index of the person in `people`."""

    item: Ints
    """Index of the item in `items`."""

    giver: Ints
    """Index of the giver in `givers`."""

    proven: Flags
    """Whether the interaction is the person's beyond doubt: not that of a device that only claims to be theirs."""

    strength: Floats
    """Strength before decay (`ranking.rate_strength`)."""

    at: Ints
    """Instant, in epoch milliseconds."""

    def histories(self, config: StrengthConfig, rows: Flags | None = None) -> Csr:
        """Returns the histories, shape (people, items), of the interactions marked by `rows` (None: all). Ages count
        from the latest interaction of all."""
        rows = np.ones(len(self.at), dtype=np.bool_) if rows is None else rows
        ages = (self.at.max(initial=0) - self.at[rows]) / DAY
        shape = (len(self.people), len(self.items))
        cells = self.person[rows], self.item[rows]
        return build_histories(*cells, self.strength[rows], ages, shape=shape, config=config)

    def find_latest(self, known: Flags, most: int) -> Flags:
        """Marks the interactions with the latest `most` items of each person, of those items that `known` marks, shape
        (items,). Items with a proven interaction come first, so that a device that claims an account leaves out nothing
        of the account's own. Shape (interactions,). O(n log n)."""
        rows = np.flatnonzero(known[self.item])
        cells, place = np.unique(self.person[rows] * len(self.items) + self.item[rows], return_inverse=True)
        latest = np.full(len(cells), np.iinfo(np.int64).min)
        np.maximum.at(latest, place, self.at[rows])
        proven = np.bincount(place, weights=self.proven[rows], minlength=len(cells)) > 0
        person = cells // max(len(self.items), 1)
        order = np.lexsort((-latest, ~proven, person))
        rank = np.arange(len(cells)) - np.searchsorted(person, person)
        chosen = np.empty(len(cells), dtype=np.bool_)
        chosen[order] = rank < most
        found = np.zeros(len(self.at), dtype=np.bool_)
        found[rows] = chosen[place]
        return found

    def supporters(self, config: SupportConfig) -> Supporters:
        """Returns which of the people support what is learnt from them."""
        return self.census.supporters(self.people, config)

    def manifest(self, run: RunId) -> Manifest:
        """Makes the manifest of a run that used all of this: the people and the devices that count for them."""
        return self.census.manifest(run, {*self.people, *self.givers})

    def without(self, gone: Collection[UserId]) -> Behaviour:
        """Returns the behaviour without some people and devices, and without people of whom nothing is left. All items
        stay, so that columns keep their meaning."""
        stays = np.array([user not in gone for user in self.people], dtype=np.bool_)
        gives = np.array([user not in gone for user in self.givers], dtype=np.bool_)
        rows = stays[self.person] & gives[self.giver]
        people, person = np.unique(self.person[rows], return_inverse=True)
        givers, giver = np.unique(self.giver[rows], return_inverse=True)
        return replace(
            self,
            people=tuple(self.people[place] for place in people),
            givers=tuple(self.givers[place] for place in givers),
            person=person.astype(np.int64),
            item=self.item[rows],
            giver=giver.astype(np.int64),
            proven=self.proven[rows],
            strength=self.strength[rows],
            at=self.at[rows],
        )


def open_scope(services: Services, purpose: str) -> PermittedScope:
    """Opens the scope of a purpose as of now."""
    return mint_scope(purpose, services.policy, services.clock())


async def read_behaviour(services: Services, purpose: str, config: StrengthConfig) -> Behaviour:
    """Reads all interactions with items of the people who permit a purpose."""
    scope = open_scope(services, purpose)
    census = await take_census(services, scope)
    sessions: list[SessionHistory] = []
    async for page in read_histories(services.client, census.persons(), scope):
        sessions.extend(page)
    return await asyncio.to_thread(_arrange, sessions, census, config)


def _arrange(sessions: list[SessionHistory], census: Census, config: StrengthConfig) -> Behaviour:
    people = sorted({session.user for session in sessions})
    givers = sorted({session.giver for session in sessions})
    items = sorted({item for session in sessions for item in session.items})
    row = {user: place for place, user in enumerate(people)}
    donor = {user: place for place, user in enumerate(givers)}
    column = {item: place for place, item in enumerate(items)}
    sizes = [len(session.items) for session in sessions]
    person = np.repeat(np.array([row[session.user] for session in sessions], dtype=np.int64), sizes)
    giver = np.repeat(np.array([donor[session.giver] for session in sessions], dtype=np.int64), sizes)
    proven = np.repeat(np.array([session.proven for session in sessions], dtype=np.bool_), sizes)
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
    order = np.lexsort((proven, giver, strength, at, item, person))
    arrays = (person[order], item[order], giver[order], proven[order], strength[order], at[order])
    return Behaviour(tuple(people), tuple(items), tuple(givers), census, *arrays)


async def compute_settled(
    services: Services, purpose: str, behaviour: Behaviour, compute: Callable[[Behaviour], T]
) -> tuple[T, Behaviour]:
    """Computes off the event loop, then checks again who permits the purpose; if someone no longer does, computes again
    without them. A result therefore contains only people who still permitted the purpose after it was computed."""
    while True:
        result = await asyncio.to_thread(compute, behaviour)
        census = await take_census(services, open_scope(services, purpose))
        gone = {*behaviour.people, *behaviour.givers} - census.people.keys()
        if not gone:
            return result, replace(behaviour, census=census)
        behaviour = behaviour.without(gone)
