"""A key is revoked; whoever holds it goes on using it. After a second it opens nothing, even on an open connection."""

from __future__ import annotations

import httpx
import pytest

from graph.model.access import Trust
from resolvers.access.credentials import CACHE_SECONDS
from resolvers.access.registration import revoke_client, revoke_source
from tests.world import Sender, World

pytestmark = pytest.mark.store


def test_a_server_remembers_what_it_knows_of_a_key_for_a_second() -> None:
    assert CACHE_SECONDS == 1


def connect(world: World, kept: int) -> httpx.AsyncClient:
    """Returns a client that keeps its connection open between requests, or opens a new one for each."""
    return httpx.AsyncClient(base_url=world.http.base_url, limits=httpx.Limits(max_keepalive_connections=kept))


@pytest.mark.parametrize("kept", [1, 0], ids=["kept connection", "new connections"])
async def test_a_revoked_api_key_opens_nothing_after_a_second(world: World, kept: int) -> None:
    front = await world.client("front", "frontend", "service")
    async with connect(world, kept) as http:
        headers = {"authorization": f"Bearer {front.credential}"}

        async def use() -> int:
            return (await http.post("/graphql", json={"query": "{ purposes { key } }"}, headers=headers)).status_code

        assert await use() == 200
        await revoke_client(world.services, "front")
        world.clock.forget_credentials()
        assert [await use(), await use()] == [401, 401]


@pytest.mark.parametrize("kept", [1, 0], ids=["kept connection", "new connections"])
async def test_a_revoked_write_key_writes_nothing_after_a_second(world: World, kept: int) -> None:
    shop = await world.source("shop", Trust.SERVER)
    async with connect(world, kept) as http:
        sender = Sender(http, shop.source, shop.key, shop.numbers)

        async def use() -> int:
            return (await sender.post({"type": "track", "event": "e", "userId": "u"})).status_code

        assert await use() == 200
        await revoke_source(world.services, "shop")
        world.clock.forget_credentials()
        assert [await use(), await use()] == [401, 401]
