"""Dead letters on whichever engine is under test: one for each payload of a source, counted, listed, removed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graph.collection.dead_letters import (
    DeadLetter,
    count_letters,
    read_letters,
    remove_letters,
    write_letters,
)
from graph.model.time import Millis
from graph.store.client import GraphClient
from tests.crowd import run

pytestmark = pytest.mark.store

LETTER = DeadLetter("shop", "bad_value", "price: a number is expected.", '{"a": 1}', Millis(5), "price")
FULL = replace(LETTER, payload="x" * 40_000, truncated=True, times=3, from_file=True)


async def keep(store: GraphClient, *letters: DeadLetter) -> None:
    await store.write(lambda tx: write_letters(tx, letters))


def letters(number: int) -> list[DeadLetter]:
    found = [replace(LETTER, payload=f"payload {each}") for each in range(number)]
    return sorted(found, key=lambda letter: letter.id)


async def test_a_letter_is_read_back_as_written(store: GraphClient) -> None:
    assert await read_letters(store, 10) == []
    await keep(store, LETTER, FULL)
    assert sorted(await read_letters(store, 10), key=lambda letter: letter.times) == [LETTER, FULL]


async def test_the_same_payload_of_a_source_is_one_letter_with_the_latest_reason(store: GraphClient) -> None:
    later = replace(LETTER, reason="bad_timestamp", message="timestamp: too late.", field=None, received_at=Millis(9))
    await keep(store, LETTER, LETTER)
    await keep(store, replace(later, times=4), replace(LETTER, source="app"))
    shop, app = sorted(await read_letters(store, 10), key=lambda letter: letter.source, reverse=True)
    assert shop == replace(later, times=6)
    assert app == replace(LETTER, source="app")
    rows = await store.read("MATCH (d:DeadLetter {source: 'shop'}) RETURN d.first_at AS first")
    assert rows == [{"first": 5}]


async def test_a_letter_once_loaded_by_an_operator_stays_marked(store: GraphClient) -> None:
    for from_file in (False, True, False):
        await keep(store, replace(LETTER, from_file=from_file))
    assert [letter.from_file for letter in await read_letters(store, 10)] == [True]


async def test_letters_are_listed_once_in_pages_and_by_source_and_reason(store: GraphClient) -> None:
    kept = letters(7)
    kept[2] = replace(kept[2], reason="missing_id")
    kept[4] = replace(kept[4], reason="missing_id")
    await keep(store, *reversed(kept))
    await keep(store, replace(LETTER, source="app", reason="missing_id"))
    walked: list[DeadLetter] = []
    while page := await read_letters(store, 3, walked[-1].id if walked else "", source="shop"):
        walked += page
    assert walked == kept
    assert await read_letters(store, 10, source="shop", reason="missing_id") == [kept[2], kept[4]]
    assert len(await read_letters(store, 10, reason="missing_id")) == 3
    assert await read_letters(store, 10, source="crm") == []
    assert (await count_letters(store), await count_letters(store, "shop", "missing_id")) == (8, 2)


async def test_removed_letters_are_gone_and_the_others_remain(store: GraphClient) -> None:
    kept = letters(250)
    await keep(store, *kept)
    gone = [letter.id for letter in kept[5:]]
    for _ in range(2):
        await store.write(lambda tx: remove_letters(tx, [*gone, "unknown"]))
        assert await read_letters(store, 1000) == kept[:5]


async def test_a_letter_without_a_file_mark_counts_as_a_senders(store: GraphClient) -> None:
    await keep(store, LETTER)
    await run(store, "MATCH (d:DeadLetter) REMOVE d.from_file")
    assert await read_letters(store, 10) == [LETTER]


def test_a_letters_id_depends_only_on_source_and_payload() -> None:
    assert LETTER.id == replace(LETTER, reason="other", received_at=Millis(9), times=7).id
    others = {LETTER.id, replace(LETTER, source="app").id, replace(LETTER, payload="{}").id}
    assert len(others | {replace(LETTER, payload="half \ud83d").id}) == 4
