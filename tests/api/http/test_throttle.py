"""One client or one address can't use up what the others need: over HTTP, against the real server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from graph.model.access import Trust
from graph.store.client import GraphClient
from resolvers.access.registration import register_client, register_source
from tests.api.listening import Listening, basic, listen, slow_post

pytestmark = pytest.mark.store

EVENT = {"userId": "ada", "event": "Signed Up"}
QUERY = {"query": "{ purposes { key } }"}
WRONG = "cwk_wrongwrong12_" + "x" * 43


async def source(served: Listening, name: str) -> dict[str, str]:
    return basic((await register_source(served.services, name, Trust.SERVER)).write_key)


async def viewer(served: Listening, name: str) -> dict[str, str]:
    made = await register_client(served.services, name, "frontend", purposes=("personalisation",))
    return {"authorization": f"Bearer {made.key}"}


async def statuses(http: httpx.AsyncClient, number: int, path: str, body: Any, headers: dict[str, str]) -> list[int]:
    return [(await http.post(path, json=body, headers=headers)).status_code for _ in range(number)]


async def hold(served: Listening, number: int, local: str, *headers: str) -> list[asyncio.StreamWriter]:
    """Opens requests whose bodies don't arrive, and waits until the server has them."""
    writers = [(await served.connect(slow_post("/v1/batch", *headers), local))[1] for _ in range(number)]
    await wait_for(served, number)
    return writers


async def wait_for(served: Listening, number: int) -> None:
    """Waits until so many requests are in progress."""
    async with asyncio.timeout(20):
        while len(served.server.server_state.tasks) != number:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.01)


async def test_a_source_that_sends_too_often_is_slowed_down_and_the_others_are_not(store: GraphClient) -> None:
    async with listen(store, client_rate="5/day") as served, served.client() as http:
        loud, quiet = await source(served, "loud"), await source(served, "quiet")
        assert sorted(await statuses(http, 8, "/v1/track", EVENT, loud)) == [200] * 5 + [429] * 3
        refused = await http.post("/v1/batch", json={"batch": [EVENT]}, headers=loud)
        assert refused.json()["error"]["code"] == "RATE_LIMITED"
        assert 1 <= int(refused.headers["retry-after"]) <= 86_400
        assert (await http.get(refused.json()["error"]["documentation"])).status_code == 200
        assert await statuses(http, 3, "/v1/track", EVENT, quiet) == [200] * 3


async def test_a_viewer_that_asks_too_often_is_slowed_down_and_the_others_are_not(store: GraphClient) -> None:
    async with listen(store, client_rate="5/day") as served, served.client() as http:
        loud, quiet = await viewer(served, "loud"), await viewer(served, "quiet")
        assert sorted(await statuses(http, 8, "/graphql", QUERY, loud)) == [200] * 5 + [429] * 3
        refused = await http.post("/graphql", json=QUERY, headers=loud)
        assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert 1 <= int(refused.headers["retry-after"]) <= 86_400
        assert await statuses(http, 3, "/graphql", QUERY, quiet) == [200] * 3


async def test_an_address_that_asks_too_often_is_slowed_down_whatever_key_it_uses(store: GraphClient) -> None:
    async with listen(store, address_rate="6/day") as served, served.client() as http:
        keys = [await source(served, f"source-{n}") for n in range(4)]
        found = [status for key in keys for status in await statuses(http, 2, "/v1/track", EVENT, key)]
        assert found == [200] * 6 + [429] * 2
        async with served.client("127.0.0.2") as other:
            assert await statuses(other, 2, "/v1/track", EVENT, keys[3]) == [200] * 2


async def test_an_address_has_only_so_many_requests_in_progress(store: GraphClient) -> None:
    async with listen(store, address_concurrency=4) as served, served.client("127.0.0.3") as http:
        key = await source(served, "shop")
        writers = await hold(served, 4, "127.0.0.3")
        for path, body in (("/v1/track", EVENT), ("/graphql", QUERY)):
            refused = await http.post(path, json=body, headers=key)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        async with served.client() as other:
            assert await statuses(other, 1, "/v1/track", EVENT, key) == [200]
        for writer in writers:
            writer.close()
        await wait_for(served, 0)
        assert await statuses(http, 1, "/v1/track", EVENT, key) == [200]


async def test_slow_bodies_take_no_place_of_the_source_whose_key_they_carry(store: GraphClient) -> None:
    async with listen(store, client_concurrency=2) as served, served.client() as http:
        key = await source(served, "shop")
        writers = await hold(served, 10, "127.0.0.3", f"Authorization: {key['authorization']}")
        assert await statuses(http, 3, "/v1/track", EVENT, key) == [200] * 3
        for writer in writers:
            writer.close()


async def test_a_client_has_only_so_many_requests_in_progress(store: GraphClient) -> None:
    async with listen(store, client_concurrency=2) as served, served.client() as http:
        loud, quiet = await source(served, "loud"), await source(served, "quiet")

        async def send(n: int, key: dict[str, str]) -> int:
            batch = [EVENT | {"type": "track", "messageId": f"{n}-{m}"} for m in range(200)]
            return (await http.post("/v1/batch", json={"batch": batch}, headers=key)).status_code

        found = await asyncio.gather(*(send(n, loud) for n in range(12)), send(99, quiet))
        assert set(found[:12]) == {200, 429}
        assert found[12] == 200
        assert await send(100, loud) == 200


async def test_failures_count_against_the_address_and_lock_nobody_out(store: GraphClient) -> None:
    async with listen(store, stranger_rate="4/day") as served, served.client() as http:
        key, known = await source(served, "shop"), await viewer(served, "web")
        assert await statuses(http, 2, "/v1/track", EVENT, basic(WRONG)) == [401] * 2
        assert await statuses(http, 1, "/v1/track", EVENT | {"writeKey": WRONG}, {}) == [401]
        assert await statuses(http, 2, "/graphql", QUERY, {"authorization": "Bearer wrong"}) == [401, 429]
        assert await statuses(http, 1, "/v1/track", EVENT, {}) == [429]
        assert await statuses(http, 1, "/graphql", {"query": "{ __typename }"}, {}) == [429]
        assert await statuses(http, 2, "/v1/track", EVENT, key) == [200] * 2
        assert await statuses(http, 2, "/graphql", QUERY, known) == [200] * 2


async def test_only_a_trusted_proxy_can_name_the_address(store: GraphClient) -> None:
    async def ask(http: httpx.AsyncClient, *clients: str) -> list[int]:
        return [(await http.get("/graphql?query={__typename}", headers=forwarded(one))).status_code for one in clients]

    def forwarded(client: str) -> dict[str, str]:
        return {"x-forwarded-for": client, "accept": "application/json"}

    async with listen(store, address_rate="2/day", trusted_proxies="127.0.0.4/32") as served:
        async with served.client() as http:
            assert await ask(http, "192.0.2.1", "192.0.2.2", "192.0.2.3") == [200, 200, 429]
        async with served.client("127.0.0.4") as proxy:
            assert await ask(proxy, "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1") == [200] * 4
            assert await ask(proxy, "203.0.113.1, 192.0.2.1", "192.0.2.2") == [429, 200]


async def test_pages_outside_the_limits_are_served_to_a_limited_address(store: GraphClient) -> None:
    async with listen(store, address_rate="1/day") as served, served.client() as http:
        assert await statuses(http, 2, "/v1/track", EVENT, {}) == [401, 429]
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/errors/RATE_LIMITED")).status_code == 200
