"""The ledger: a message is new once, no matter which transaction claims it, and a failed attempt claims nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from graph.access.terms import SourceTerms
from graph.collection.messages import claim_messages, is_claimed
from graph.model.access import Trust
from graph.model.time import Millis
from graph.store.client import GraphClient, StoreTarget, Writer

pytestmark = pytest.mark.store


async def claim(store: GraphClient, ids: Iterable[str], at: int = 1) -> set[str]:
    return (await store.write(lambda tx: claim_messages(tx, [(id_, Millis(at)) for id_ in ids]))).known


async def test_a_message_is_new_once(store: GraphClient) -> None:
    assert await claim(store, []) == set()
    assert await claim(store, ["a", "b"]) == set()
    assert await claim(store, ["b", "c"], at=2) == {"b"}
    assert await claim(store, ["a", "b", "c"], at=3) == {"a", "b", "c"}
    rows = await store.read("MATCH (m:Message) RETURN m.id AS id, m.at AS at ORDER BY id")
    assert [tuple(row.values()) for row in rows] == [("a", 1), ("b", 1), ("c", 2)]


async def test_a_claim_is_rolled_back_with_its_transaction(store: GraphClient) -> None:
    async def work(tx: Writer) -> None:
        assert (await claim_messages(tx, [("a", Millis(1))])).known == set()
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(work)
    assert not await is_claimed(store, "a")
    assert await claim(store, ["a"]) == set()
    assert await is_claimed(store, "a")


async def test_more_messages_than_a_statement_may_write(store: GraphClient) -> None:
    ids = [f"m{number}" for number in range(1001)]
    assert await claim(store, ids[::2]) == set()
    assert await claim(store, ids) == set(ids[::2])


async def test_one_of_several_racing_claims_finds_it_new(store_target: StoreTarget, store: GraphClient) -> None:
    clients = [await GraphClient.connect(store_target) for _ in range(4)]
    ids = [f"m{number}" for number in range(20)]
    orders = (ids, ids[::-1], ids[10:] + ids[:10], ids[::2])
    known = await asyncio.gather(*(claim(client, order) for client, order in zip(clients, orders, strict=True)))
    for client in clients:
        await client.close()
    new = [id_ for order, those in zip(orders, known, strict=True) for id_ in order if id_ not in those]
    assert sorted(new) == sorted(ids)


async def test_the_terms_of_sources_come_with_a_claim(store: GraphClient) -> None:
    await store.write(lambda tx: tx.run("CREATE (:Source {name: 'web', trust: 'public'})"))
    claimed = await store.write(lambda tx: claim_messages(tx, [("a", Millis(1))], ["web", "nobody"]))
    assert claimed.terms == {"web": SourceTerms(Trust.PUBLIC, {}, None)}
    assert (await store.write(lambda tx: claim_messages(tx, [("a", Millis(1))]))) == ({"a"}, {})
