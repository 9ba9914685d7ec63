"""Sources and their write keys on whichever engine is under test: a namespace for good, keys that come and go."""

from __future__ import annotations

import asyncio

import pytest

from graph.access.clients import read_client_by_key, write_client
from graph.access.sources import (
    lock_source,
    read_source,
    read_source_by_key,
    read_source_keys,
    read_sources,
    revoke_source_keys,
    write_hash_generation,
    write_source,
    write_source_key,
    write_trust,
)
from graph.access.terms import settle_source
from graph.model.access import ALWAYS, Client, Source, Trust
from graph.model.time import Millis
from graph.store.client import GraphClient, StoreTarget, Writer
from tests.sources import register

pytestmark = pytest.mark.store


async def create(store: GraphClient, name: str, namespace: str = "", now: int = 1) -> str:
    source = Source(name, namespace, Millis(now))
    return (await store.write(lambda tx: write_source(tx, source))).user_namespace


async def give_key(store: GraphClient, name: str, key_id: str, now: int = 2) -> None:
    await store.write(lambda tx: write_source_key(tx, name, key_id, f"hash of {key_id}", Millis(now)))


async def keys(store: GraphClient, name: str) -> list[str]:
    return sorted(await store.write(lambda tx: read_source_keys(tx, name)))


async def test_a_source_without_a_key_exists_and_no_key_opens_it(store: GraphClient) -> None:
    assert await read_sources(store) == []
    assert await create(store, "shop", "eu") == "eu"
    assert await read_source(store, "shop") == Source("shop", "eu", Millis(1), ())
    assert await read_sources(store) == [Source("shop", "eu", Millis(1), ())]
    assert await keys(store, "shop") == []
    assert await read_source(store, "crm") is None
    assert await read_source_by_key(store, "k1") is None


async def test_the_first_namespace_and_date_are_kept(store: GraphClient) -> None:
    await create(store, "shop", "eu", now=1)
    await create(store, "crm", now=2)
    assert await create(store, "shop", "us", now=9) == "eu"
    assert await create(store, "crm", "us", now=9) == ""
    assert await read_sources(store) == [Source("crm", "", Millis(2), ()), Source("shop", "eu", Millis(1), ())]


async def test_keys_open_their_source_until_they_are_revoked(store: GraphClient) -> None:
    for name in ("shop", "crm"):
        await create(store, name)
    for name, key_id in (("shop", "k2"), ("shop", "k1"), ("crm", "k3")):
        await give_key(store, name, key_id)
    assert await keys(store, "shop") == ["k1", "k2"]
    assert await read_source_by_key(store, "k1") == ("hash of k1", Source("shop", "", Millis(1)))
    assert [source.keys for source in await read_sources(store)] == [("k3",), ("k1", "k2")]
    revoked = await store.write(lambda tx: revoke_source_keys(tx, "shop", Millis(5)))
    assert sorted(revoked) == ["k1", "k2"]
    assert await store.write(lambda tx: revoke_source_keys(tx, "shop", Millis(6))) == []
    assert await keys(store, "shop") == []
    assert await read_source_by_key(store, "k1") is None
    await give_key(store, "shop", "k4", now=7)
    assert [source.keys for source in await read_sources(store)] == [("k3",), ("k4",)]
    assert await keys(store, "crm") == ["k3"]


async def test_a_key_for_an_unknown_source_opens_nothing(store: GraphClient) -> None:
    await give_key(store, "shop", "k1")
    assert await read_sources(store) == []
    assert await read_source_by_key(store, "k1") is None
    assert await store.write(lambda tx: revoke_source_keys(tx, "shop", Millis(5))) == []


async def test_keys_of_sources_and_of_clients_do_not_open_each_other(store: GraphClient) -> None:
    async def register(tx: Writer) -> None:
        await tx.run("CREATE (:Client {name: 'shop'})")
        await write_client(tx, Client("shop", "operator"), "k1", "hash of k1")

    await store.write(register)
    await create(store, "shop")
    await give_key(store, "shop", "k2")
    assert await read_source_by_key(store, "k1") is None
    assert await read_client_by_key(store, "k2") is None
    assert await keys(store, "shop") == ["k2"]


async def test_racing_registrations_create_one_source_with_one_namespace(
    store_target: StoreTarget, store: GraphClient
) -> None:
    clients = [await GraphClient.connect(store_target) for _ in range(4)]
    found = await asyncio.gather(*(create(client, "shop", f"n{n}") for n, client in enumerate(clients)))
    for client in clients:
        await client.close()
    assert len(set(found)) == 1
    assert [(source.name, source.user_namespace) for source in await read_sources(store)] == [("shop", found[0])]


async def test_a_source_keeps_the_trust_it_was_registered_with(store: GraphClient) -> None:
    site = Source("site", trust=Trust.PUBLIC, jurisdiction="DE", static_hash=True)
    shop = Source("shop", trust=Trust.SERVER, verifies={"email": ALWAYS})
    await register(store, site, shop)
    await register(store, Source("site", trust=Trust.RECORD))
    assert await read_sources(store) == [shop, site]
    await give_key(store, "site", "k1")
    assert await read_source_by_key(store, "k1") == ("hash of k1", site)


async def test_a_lowered_trust_is_unsettled_until_its_epoch_is_derived(store: GraphClient) -> None:
    await register(store, Source("crm", trust=Trust.RECORD))
    lowered = Source("crm", trust=Trust.SERVER, verifies={"phone": ALWAYS}, jurisdiction="US-CA", trust_epoch=2)
    await store.write(lambda tx: write_trust(tx, lowered))
    assert await read_source(store, "crm") == lowered
    assert not lowered.settled
    assert not await store.write(lambda tx: settle_source(tx, "crm", 1))
    assert await store.write(lambda tx: settle_source(tx, "crm", 2))
    settled = await store.write(lambda tx: lock_source(tx, "crm"))
    assert settled is not None
    assert (settled.settled_epoch, settled.settled) == (2, True)
    assert await store.write(lambda tx: lock_source(tx, "shop")) is None


async def test_hash_keys_are_numbered(store: GraphClient) -> None:
    await register(store, Source("site", trust=Trust.PUBLIC))
    rotated = await store.write(lambda tx: write_hash_generation(tx, "site", Millis(7)))
    assert rotated is not None
    assert (rotated.hash_generation, rotated.hash_rotated_at) == (2, 7)
    assert await read_source(store, "site") == rotated
    assert await store.write(lambda tx: write_hash_generation(tx, "shop", Millis(7))) is None


async def test_a_source_from_before_trust_existed_is_a_server(store: GraphClient) -> None:
    async def work(tx: Writer) -> None:
        await tx.run("CREATE (:Source {name: 'old', created_at: 1, user_namespace: ''})")

    await store.write(work)
    assert await read_source(store, "old") == Source("old", "", Millis(1), trust=Trust.SERVER)
