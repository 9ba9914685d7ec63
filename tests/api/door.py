"""A GraphQL endpoint on a real store, for tests: real credentials, real ingestion, HTTP in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from api.auth import admit_request
from api.collection.origin import Origin
from api.collection.segment.mapping import read_message
from api.graphql.endpoint import GraphQLEndpoint
from api.process.runtime import Runtime
from graph.access.sources import read_source
from graph.model.access import Source, Trust
from graph.model.identity import RecordKind, RecordRef
from graph.model.time import Millis
from graph.store.client import GraphClient
from privacy.policy import Policy
from resolvers.access import registration
from resolvers.access.credentials import Authority
from resolvers.access.tokens import TokenIssuer, TokenVerifier
from resolvers.collection.ingestor import Ingestor
from resolvers.context import RequestContext, Services
from resolvers.recommendation.serve import WalkRecommender
from tests.sources import VERIFIED, register

START = Millis(1_790_000_000_000)
SECRET = b"k" * 32
ISSUER = TokenIssuer("consentric", "consentric", Ed25519PrivateKey.generate())
URL = "/graphql"


class Clock:
    """A clock that advances by a millisecond each time it is read, and by whatever the test adds to `now`."""

    def __init__(self) -> None:
        self.now = int(START)

    def __call__(self) -> Millis:
        self.now += 1
        return Millis(self.now)


@dataclass
class Door:
    """The endpoint as a test uses it: registration, loading and queries. `keys` holds API keys by client name."""

    runtime: Runtime
    clock: Clock
    http: httpx.AsyncClient
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        return self.runtime.services

    async def client(self, name: str, role: str, *purposes: str, recipient: str | None = None, **more: Any) -> str:
        """Registers a client and returns its API key."""
        made = await registration.register_client(
            self.services, name, role, purposes=purposes, recipient=recipient, **more
        )
        self.keys[name] = made.key
        return made.key

    async def token(self, client: str, user: str, source: str = "shop") -> str:
        """Returns a subject token."""
        subject = RecordRef(source, RecordKind.USER, user)
        return ISSUER.sign(client, subject, self.clock(), 3600)

    async def load(self, *lines: Mapping[str, Any], source: str = "shop") -> None:
        """Ingests lines in the format of `consentric load`."""
        await register(self.services.client, Source(source, verifies=VERIFIED))
        known = await read_source(self.services.client, source)
        assert known is not None
        origin = Origin(known, self.clock(), self.services.policy, own_types=True, received_earlier=True)
        await self.runtime.ingestor.submit([read_message(dict(line), origin) for line in lines])

    async def send(
        self, query: str, key: str | None = None, variables: Mapping[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        """Posts one operation. Names of `headers` are spelled with underscores."""
        head = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            head["authorization"] = f"Bearer {key}"
        return await self.http.post(URL, json={"query": query, "variables": variables or {}}, headers=head)

    async def ask(self, query: str, key: str | None = None, variables: Mapping[str, Any] | None = None) -> Any:
        """Returns the data of an operation, which must have no errors."""
        answer = (await self.send(query, key, variables)).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def codes(self, query: str, key: str | None = None, variables: Mapping[str, Any] | None = None) -> list[str]:
        """Returns the error codes of an operation."""
        answer = (await self.send(query, key, variables)).json()
        return [error["extensions"]["code"] for error in answer.get("errors", ())]


@asynccontextmanager
async def open_door(
    store: GraphClient, *, production: bool = False, policy: Policy | None = None, **options: Any
) -> AsyncIterator[Door]:
    """Opens an endpoint on a store, with the source `shop` registered."""
    clock, policy = Clock(), policy or Policy.default()
    verifier = TokenVerifier([ISSUER.trusted()], "consentric")
    async with Ingestor(store, policy, clock) as ingestor:
        services = Services(client=store, policy=policy, recommender=WalkRecommender(), secret=SECRET, clock=clock)
        runtime = Runtime(services, ingestor, Authority(store, SECRET, verifier, clock))

        async def admit(request: Request) -> RequestContext | None:
            return await admit_request(request, runtime) if "authorization" in request.headers else None

        app = Starlette(routes=[Route(URL, GraphQLEndpoint(admit, ingestor, production=production, **options))])
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as http:
            await registration.register_source(services, "shop", Trust.SERVER, verifies=list(VERIFIED))
            yield Door(runtime, clock, http)


def given(user: str, *purposes: str, state: str = "given", **more: Any) -> Sequence[dict[str, Any]]:
    """Returns consent lines of one user, one per purpose."""
    return [{"type": "consent", "userId": user, "purpose": purpose, "state": state, **more} for purpose in purposes]


def identify(user: str, **traits: Any) -> dict[str, Any]:
    """Returns an identify line."""
    return {"type": "identify", "userId": user, "traits": traits}


def viewed(user: str, item: str, message: str, at: int | None = None, event: str = "Product Viewed") -> dict[str, Any]:
    """Returns a track line about one item."""
    line = {"type": "track", "userId": user, "event": event, "messageId": message, "properties": {"product_id": item}}
    return line if at is None else line | {"timestamp": at}
