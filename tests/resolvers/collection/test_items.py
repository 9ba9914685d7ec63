"""Which item facts are written: every declaration, and a mention only if it adds something."""

from __future__ import annotations

from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.time import Millis
from resolvers.collection.items import ItemMemory, choose_items


def mention(key: str = "p", at: int = 0, **facts: object) -> ItemFacts:
    return ItemFacts(key=ItemKey(key), updated_at=Millis(at), declared=False, **facts)  # type: ignore[arg-type]


def declare(key: str = "p", at: int = 0, **facts: object) -> ItemFacts:
    return ItemFacts(key=ItemKey(key), updated_at=Millis(at), declared=True, **facts)  # type: ignore[arg-type]


def test_all_declarations_and_the_latest_mention_of_each_item_are_written() -> None:
    old, new = mention(at=1, title="Lmp"), mention(at=2, title="Lamp")
    stated = [new, declare(at=3), mention("q"), old, declare(at=1)]
    assert choose_items(stated) == [declare(at=3), declare(at=1), new, mention("q")]


def test_a_mention_that_repeats_the_last_is_not_written() -> None:
    memory = ItemMemory()
    memory.remember([mention(title="Lamp", price=2.5)])
    repeats = [mention(at=5, title="Lamp"), mention(at=6, price=2.5), mention(at=7)]
    assert choose_items(repeats, memory) == []
    assert choose_items([mention(title="Lamp", category="home")], memory) == [mention(title="Lamp", category="home")]
    memory.remember([mention(category="home")])
    assert choose_items([mention(title="Lamp", category="home", price=2.5)], memory) == []
    assert choose_items([mention(price=3)], memory) == [mention(price=3)]


def test_a_mention_after_a_declaration_is_written_again() -> None:
    memory = ItemMemory()
    memory.remember([mention(title="Lamp"), declare(title="Lamp")])
    assert choose_items([mention(title="Lamp")], memory) == [mention(title="Lamp")]


def test_the_memory_is_bounded_and_forgets_the_oldest_mention() -> None:
    memory = ItemMemory(limit=2)
    memory.remember([mention("a"), mention("b"), mention("a"), mention("c")])
    assert [memory.is_known(mention(key)) for key in "abc"] == [True, False, True]
