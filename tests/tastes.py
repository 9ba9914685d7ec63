"""People of two tastes in films, for tests of what is computed from behaviour."""

from __future__ import annotations

import numpy as np

from algorithms.segments.communities import CommunityConfig
from algorithms.segments.rfm import RfmConfig
from graph.model.catalogue import ItemFacts, ItemKey
from resolvers.refresh import RefreshConfig
from tests.crowd import Event, Person

CONFIG = RefreshConfig(
    rfm=RfmConfig(types=("RATED",), window_days=None),
    communities=CommunityConfig(neighbours=20, resolution=0.5, smallest=3),
)
ITEMS = [
    ItemFacts(ItemKey(f"i{number:02}"), f"Film {number}", topics=(("War" if number < 10 else "Comedy", 1.0),))
    for number in range(20)
]


def two_tastes(size: int = 20, permits: tuple[str, ...] = ("personalisation", "analytics")) -> list[Person]:
    """Even people rate films 0–9 highly, odd people 10–19; later people rate more. Two records each."""
    rng = np.random.default_rng(4)
    people: list[Person] = []
    for number in range(size):
        taste = rng.permutation(10)[: 4 + number * 5 // size] + (number % 2) * 10
        events = [Event(f"i{item:02}", "RATED", days_ago=float(size - number), weight=5.0, value=5.0) for item in taste]
        people.append(Person(f"u{number:02}", [events[:2], events[2:]], permits=permits, epoch=number + 1))
    return people
