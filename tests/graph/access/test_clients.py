"""Clients and their keys on whichever engine is under test: one owner of a name for good, keys that end with it."""

from __future__ import annotations

import asyncio

import pytest

from graph.access.clients import (
    claim_client_name,
    read_client,
    read_client_by_key,
    read_clients,
    write_client,
    write_client_revocation,
)
from graph.model.access import Client
from graph.model.time import Millis
from graph.store.client import GraphClient, StoreTarget, Writer

pytestmark = pytest.mark.store

WEB = Client("web", "frontend", ("personalisation", "analytics"), None, ("values",), Millis(5))
ACME = Client("acme", "partner", ("partner_sharing",), "acme ltd", (), Millis(6))


async def register(store: GraphClient, client: Client, key_id: str) -> bool:
    """Claims the name and registers the client; False where the name is taken."""

    async def work(tx: Writer) -> bool:
        if not await claim_client_name(tx, client.name):
            return False
        await write_client(tx, client, key_id, f"hash of {key_id}")
        return True

    return await store.write(work)


async def revoke(store: GraphClient, name: str, now: int) -> list[str]:
    return await store.write(lambda tx: write_client_revocation(tx, name, Millis(now)))


async def test_a_client_is_read_back_as_registered_by_name_and_by_key(store: GraphClient) -> None:
    assert await read_clients(store) == []
    for client, key_id in ((WEB, "k1"), (ACME, "k2")):
        assert await register(store, client, key_id)
        assert await read_client(store, client.name) == client
        assert await read_client_by_key(store, key_id) == (f"hash of {key_id}", client)
    assert await read_clients(store) == [ACME, WEB]
    assert await read_client(store, "app") is None
    assert await read_client_by_key(store, "k3") is None


async def test_a_taken_name_stays_with_its_client(store: GraphClient) -> None:
    await register(store, WEB, "k1")
    assert not await register(store, Client("web", "operator"), "k2")
    await revoke(store, "web", 7)
    assert not await register(store, Client("web", "operator"), "k2")
    found = await read_client(store, "web")
    assert found is not None
    assert (found.role, found.revoked_at) == ("frontend", 7)
    assert await read_client_by_key(store, "k2") is None


async def test_an_abandoned_claim_leaves_no_client(store: GraphClient) -> None:
    async def work(tx: Writer) -> None:
        assert await claim_client_name(tx, "web")
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(work)
    assert await read_clients(store) == []
    assert await register(store, WEB, "k1")


async def test_a_revocation_ends_the_client_and_its_keys_once(store: GraphClient) -> None:
    await register(store, WEB, "k1")
    await register(store, ACME, "k2")
    assert await revoke(store, "web", 7) == ["k1"]
    assert await revoke(store, "web", 8) == []
    assert await revoke(store, "nobody", 8) == []
    assert await read_client_by_key(store, "k1") is None
    assert await read_client_by_key(store, "k2") == ("hash of k2", ACME)
    assert [client.revoked_at for client in await read_clients(store)] == [None, 7]


async def test_one_of_several_racing_claims_registers_its_client_with_its_key(
    store_target: StoreTarget, store: GraphClient
) -> None:
    clients = [await GraphClient.connect(store_target) for _ in range(4)]
    won = await asyncio.gather(
        *(register(client, Client("web", f"role{n}"), f"k{n}") for n, client in enumerate(clients))
    )
    for client in clients:
        await client.close()
    assert sorted(won) == [False, False, False, True]
    winner = won.index(True)
    (found,) = await read_clients(store)
    assert found.role == f"role{winner}"
    opened = [await read_client_by_key(store, f"k{n}") is not None for n in range(4)]
    assert opened == won
