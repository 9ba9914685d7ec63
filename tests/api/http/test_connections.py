"""Slow and idle connections end, and there are only so many: over sockets, against the real server."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest

from api.http.connections import MAX_HEAD
from graph.store.client import GraphClient
from tests.api.listening import Listening, listen, slow_post

pytestmark = pytest.mark.store

FAST: dict[str, Any] = {"head_seconds": 0.5, "body_seconds": 0.5}
PATIENCE = 20
"""Seconds after which a test gives up; the server takes one or two."""


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """Returns what arrives until the server ends the connection, with or without a reset."""
    found = b""
    async with asyncio.timeout(PATIENCE):
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                found += data
    return found


async def is_served(served: Listening, local: str = "127.0.0.1") -> bool:
    async with served.client(local) as http:
        return (await http.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"POST /v1/batch HT", "The head of the request took too long"),
        (b"POST /v1/batch HTTP/1.1\r\nHost: h\r\nX-A", "The head of the request took too long"),
        (slow_post("/v1/batch"), "The body of the request took too long"),
        (slow_post("/graphql"), "The body of the request took too long"),
        (b"POST /v1/batch HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", "The body of the request"),
    ],
)
async def test_a_request_that_does_not_arrive_gets_408(store: GraphClient, sent: bytes, message: str) -> None:
    async with listen(store, **FAST) as served:
        reader, writer = await served.connect(sent)
        head, _, body = (await read_all(reader)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        error = json.loads(body)["error"]
        assert error["code"] == "REQUEST_TIMEOUT"
        assert error["message"].startswith(message)
        writer.close()


async def test_a_connection_without_a_request_is_closed(store: GraphClient) -> None:
    async with listen(store, **FAST) as served:
        for sent in (b"", b"\r\n"):
            reader, writer = await served.connect(sent)
            assert b"200 OK" not in await read_all(reader)
            writer.close()


async def test_a_trickle_does_not_keep_a_connection_open(store: GraphClient) -> None:
    async with listen(store, **FAST) as served:
        reader, writer = await served.connect(slow_post("/v1/batch"))
        reading = asyncio.create_task(read_all(reader))
        while not reading.done():
            writer.write(b" ")
            await asyncio.sleep(0.1)
        assert b" 408 " in await reading
        writer.close()


async def test_a_body_that_goes_on_after_its_response_ends_too(store: GraphClient) -> None:
    async with listen(store, **FAST) as served:
        reader, writer = await served.connect(slow_post("/v1/batch", "Authorization: Basic eDo="))
        reading = asyncio.create_task(read_all(reader))
        while not reading.done():
            writer.write(b" ")
            await asyncio.sleep(0.1)
        assert (await reading).startswith(b"HTTP/1.1 401 ")
        writer.close()


async def test_an_endless_head_is_refused(store: GraphClient) -> None:
    async with listen(store) as served:
        reader, writer = await served.connect(b"GET / HTTP/1.1\r\nHost: h\r\nX-Long: ")
        reading = asyncio.create_task(read_all(reader))
        sent = 0
        while not reading.done() and sent < 16 * MAX_HEAD:
            writer.write(b"x" * 4096)
            sent += 4096
            await asyncio.sleep(0.001)
        assert (await reading)[:12] in (b"HTTP/1.1 431", b"")
        assert sent < 16 * MAX_HEAD
        writer.close()


async def test_slow_bodies_do_not_pile_up(store: GraphClient) -> None:
    """Before there were limits, 1,500 slow bodies stayed open for as long as their senders wished."""
    async with listen(store, **FAST, address_connections=100) as served:
        opened = [await served.connect(slow_post("/v1/batch"), "127.0.0.5") for _ in range(300)]
        assert await is_served(served)
        assert len(served.server.connections) <= 100 + 1
        for reader, writer in opened:
            await read_all(reader)
            writer.close()
        assert await is_served(served, "127.0.0.5")


async def test_an_address_has_only_so_many_connections(store: GraphClient) -> None:
    async with listen(store, address_connections=3) as served:
        opened = [await served.connect(b"", "127.0.0.5") for _ in range(4)]
        refused = await read_all(opened[3][0])
        assert refused.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
        assert b"retry-after: 1" in refused
        assert json.loads(refused.partition(b"\r\n\r\n")[2])["error"]["code"] == "RATE_LIMITED"
        assert await is_served(served)
        for _, writer in opened:
            writer.close()
        async with asyncio.timeout(PATIENCE):
            while len(served.server.connections):  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.01)
        assert await is_served(served, "127.0.0.5")


async def test_a_trusted_proxy_may_open_more_connections_than_an_address(store: GraphClient) -> None:
    async with listen(store, address_connections=3, connections=8, trusted_proxies="127.0.0.5") as served:
        opened = [await served.connect(b"", "127.0.0.5") for _ in range(9)]
        assert (await read_all(opened[8][0])).startswith(b"HTTP/1.1 429 ")
        assert len(served.server.connections) == 8
        for _, writer in opened:
            writer.close()


async def test_requests_on_one_connection_are_served_beyond_the_time_for_one(store: GraphClient) -> None:
    async with listen(store, **FAST) as served, served.client() as http:
        for _ in range(8):
            assert (await http.get("/healthz")).status_code == 200
            await asyncio.sleep(0.3)


async def test_pipelined_requests_are_all_answered(store: GraphClient) -> None:
    async with listen(store, **FAST) as served:
        reader, writer = await served.connect(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 5)
        assert (await read_all(reader)).count(b"200 OK") == 5
        writer.close()


async def test_a_connection_sends_only_so_many_requests_ahead(store: GraphClient) -> None:
    async with listen(store) as served:
        reader, writer = await served.connect(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 5_000)
        assert (await read_all(reader)).count(b"200 OK") < 100
        writer.close()


async def test_who_is_one_too_many_learns_why(store: GraphClient) -> None:
    async with listen(store, address_connections=2) as served:
        kept = [await served.connect(b"", "127.0.0.5") for _ in range(2)]
        for _ in range(80):
            reader, writer = await served.connect(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", "127.0.0.5")
            assert b" 429 " in await reader.readline()
            writer.close()
        silent = [await served.connect(b"", "127.0.0.5") for _ in range(100)]
        async with asyncio.timeout(PATIENCE):
            while len(served.server.server_state.connections) > 2:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.05)
        for _, writer in kept + silent:
            writer.close()
