"""Choosing the item facts to write from those that messages state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from graph.model.catalogue import ItemFacts, ItemKey


@dataclass(slots=True)
class ItemMemory:
    """What events last mentioned of each item, so that repeating it costs no write. Belongs to one process and holds
    only mentions that are committed. A lost entry costs one write; a stale one is harmless, since a mention
    never replaces what is declared."""

    limit: int = 50_000
    _mentioned: dict[ItemKey, tuple[object, ...]] = field(default_factory=dict)

    def is_known(self, item: ItemFacts) -> bool:
        """Whether every stated fact equals the one last mentioned."""
        known = self._mentioned.get(item.key)
        return known is not None and (
            (item.title is None or item.title == known[0])
            and (item.category is None or item.category == known[1])
            and (item.price is None or item.price == known[2])
        )

    def remember(self, items: Iterable[ItemFacts]) -> None:
        """Remembers committed mentions; forgets an item that was declared."""
        for item in items:
            known = self._mentioned.pop(item.key, (None, None, None))
            if not item.declared:
                stated = (item.title, item.category, item.price)
                self._mentioned[item.key] = tuple(
                    old if new is None else new for new, old in zip(stated, known, strict=True)
                )
        while len(self._mentioned) > self.limit:
            del self._mentioned[next(iter(self._mentioned))]


def choose_items(stated: Iterable[ItemFacts], memory: ItemMemory | None = None) -> list[ItemFacts]:
    """Returns the facts to write: every declaration, and each item's latest mention unless `memory` knows it
    already."""
    declared: list[ItemFacts] = []
    mentioned: dict[ItemKey, ItemFacts] = {}
    for item in stated:
        if item.declared:
            declared.append(item)
        elif memory is None or not memory.is_known(item):
            known = mentioned.get(item.key)
            if known is None or item.updated_at >= known.updated_at:
                mentioned[item.key] = item
    return declared + list(mentioned.values())
