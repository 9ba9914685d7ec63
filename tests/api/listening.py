"""The whole server on a real socket and a real store, for tests of what only a socket shows."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from api.app import create_app
from api.process.runtime import Runtime
from api.process.settings import load_settings
from api.server import Server, bind, open_connections
from graph.model.time import system_clock
from graph.store.client import GraphClient
from privacy.policy import Policy
from resolvers.access.credentials import Authority
from resolvers.access.tokens import TokenVerifier
from resolvers.collection.ingestor import Ingestor
from resolvers.context import Services
from resolvers.recommendation.serve import WalkRecommender
from tests.api.door import ISSUER, SECRET


@dataclass(frozen=True, slots=True)
class Listening:
    """A server that listens on loopback."""

    services: Services
    server: Server
    port: int

    def client(self, local: str = "127.0.0.1") -> httpx.AsyncClient:
        """Returns an HTTP client at a local address: on loopback, each of 127.0.0.0/8 is a client of its own."""
        transport = httpx.AsyncHTTPTransport(local_address=local)
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", transport=transport, timeout=30)

    async def connect(
        self, sent: bytes = b"", local: str = "127.0.0.1"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Opens a connection and sends the beginning of a request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(local, 0))
        writer.write(sent)
        await writer.drain()
        return reader, writer


@asynccontextmanager
async def listen(store: GraphClient, **given: Any) -> AsyncIterator[Listening]:
    """Serves a store with the given settings."""
    settings = load_settings(data_dir=Path("unused"), **given)
    policy, ready = Policy.default(), asyncio.Event()
    async with Ingestor(store, policy, system_clock) as ingestor:
        services = Services(client=store, policy=policy, recommender=WalkRecommender(), secret=SECRET)
        verifier = TokenVerifier([ISSUER.trusted()], "consentric")
        runtime = Runtime(services, ingestor, Authority(store, SECRET, verifier, system_clock))
        with bind("127.0.0.1", 0) as listener:
            server = Server(create_app(runtime, settings), open_connections(settings), ready.set)
            port = listener.getsockname()[1]
            running = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await ready.wait()
                yield Listening(services, server, port)
            finally:
                server.should_exit = server.force_exit = True
                await running
    store.observe = None


def basic(write_key: str) -> dict[str, str]:
    """Returns the header that carries a write key."""
    return {"authorization": "Basic " + base64.b64encode(f"{write_key}:".encode()).decode()}


def slow_post(path: str, *headers: str, length: int = 100_000) -> bytes:
    """Returns the head of a POST request and the first byte of its body."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: h",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        *headers,
    ]
    return "\r\n".join([*lines, "", "{"]).encode()
