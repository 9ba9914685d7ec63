"""Replaying dead letters, page by page: those that are now accepted are removed, the others stay."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from graph.collection.dead_letters import DeadLetter, read_letters, write_letters
from graph.errors import BadInput, NotFound
from graph.model.access import Source
from graph.model.activity import Interaction
from graph.model.catalogue import ItemKey
from graph.model.identity import RecordKind, RecordRef
from graph.model.message import Message
from graph.model.time import Millis
from graph.store.client import GraphClient
from privacy.policy import Policy
from resolvers.collection import dead_letters
from resolvers.collection.dead_letters import find_letters, list_letters, replay_letters
from resolvers.collection.ingestor import Ingestor
from tests.arrivals import register

pytestmark = pytest.mark.store

NOW = Millis(1_790_000_000_000)
ADA = RecordRef("shop", RecordKind.USER, "ada")


def letter(payload: str, source: str = "shop", reason: str = "bad_value", *, truncated: bool = False) -> DeadLetter:
    return DeadLetter(source, reason, "no", payload, NOW, truncated=truncated)


def read(kept: DeadLetter) -> Message:
    """Reads a letter whose payload is an item's key: `bad` still can't be read, `half` can be read but not stored."""
    if kept.payload.startswith("bad"):
        raise BadInput("still bad")
    interaction = Interaction("VIEWED", ItemKey(f"{kept.payload} \ud83d" if kept.payload == "half" else kept.payload))
    return Message(f"{kept.source}|{kept.payload}", kept.source, ADA, NOW, NOW, interactions=(interaction,))


@pytest.fixture
async def ingestor(store: GraphClient) -> AsyncIterator[Ingestor]:
    await register(store, Source("shop"), Source("app"), Source("crm"))
    async with Ingestor(store, Policy.default(), lambda: NOW) as ingestor:
        yield ingestor


async def keep(store: GraphClient, *letters: DeadLetter) -> None:
    await store.write(lambda tx: write_letters(tx, letters))


async def payloads(store: GraphClient) -> list[str]:
    return sorted(kept.payload for kept in await read_letters(store, 100))


async def test_accepted_letters_are_removed_and_the_rest_stay(store: GraphClient, ingestor: Ingestor) -> None:
    kept = [letter("bad"), letter("cut", truncated=True)]
    await keep(store, *kept, letter("a"), letter("b"))
    report = await replay_letters(store, ingestor, read)
    assert (report.accepted, report.duplicate, sorted(report.kept)) == (2, 0, sorted(one.id for one in kept))
    assert await payloads(store) == ["bad", "cut"]
    assert await store.read("MATCH (i:Item) RETURN i.key AS key ORDER BY key") == [{"key": "a"}, {"key": "b"}]


async def test_letters_that_the_store_refuses_stay(store: GraphClient, ingestor: Ingestor) -> None:
    await keep(store, letter("half"), letter("a"))
    report = await replay_letters(store, ingestor, read)
    assert (report.accepted, report.kept) == (1, [letter("half").id])
    assert "half" in await payloads(store)
    assert "a" not in await payloads(store)


async def test_a_letter_accepted_before_is_removed_as_a_duplicate(store: GraphClient, ingestor: Ingestor) -> None:
    await keep(store, letter("a"))
    await replay_letters(store, ingestor, read)
    await keep(store, letter("a"))
    report = await replay_letters(store, ingestor, read)
    assert (report.accepted, report.duplicate, report.kept) == (0, 1, [])
    assert await payloads(store) == []
    assert await store.read("MATCH ()-[v:VIEWED]->() RETURN count(v) AS n") == [{"n": 1}]


async def test_letters_of_other_sources_and_reasons_stay(store: GraphClient, ingestor: Ingestor) -> None:
    await keep(store, letter("a"), letter("b", "app"), letter("c", reason="missing_id"))
    assert (await replay_letters(store, ingestor, read, source="shop", reason="bad_value")).accepted == 1
    assert await payloads(store) == ["b", "c"]
    assert (await replay_letters(store, ingestor, read, source="app")).accepted == 1
    assert (await replay_letters(store, ingestor, read, reason="other")).accepted == 0
    assert await payloads(store) == ["c"]


async def test_every_letter_is_replayed_once_over_many_pages(
    store: GraphClient, ingestor: Ingestor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "PAGE", 3)
    bad = [letter(f"bad {number}") for number in range(5)]
    await keep(store, *bad, *(letter(f"good {number}") for number in range(6)))
    report = await replay_letters(store, ingestor, read)
    assert (report.accepted, sorted(report.kept)) == (6, sorted(one.id for one in bad))
    assert len(await list_letters(store, 3)) == 3
    assert len(await list_letters(store, 9, (await list_letters(store, 3))[-1].id)) == 2
    assert await list_letters(store, 9, source="app") == []


async def test_a_replay_without_letters_gives_an_empty_report(store: GraphClient, ingestor: Ingestor) -> None:
    report = await replay_letters(store, ingestor, read)
    assert (report.accepted, report.duplicate, report.kept) == (0, 0, [])


async def test_letters_of_an_unknown_source_are_refused(store: GraphClient, ingestor: Ingestor) -> None:
    await keep(store, letter("a"), letter("b", source="gone"))
    assert await find_letters(store) == 2
    assert await find_letters(store, "shop") == 1
    assert await find_letters(store, "shop", "bad_timestamp") == 0
    assert await find_letters(store, "gone") == 1
    with pytest.raises(NotFound, match="no source nope"):
        await find_letters(store, "nope")
