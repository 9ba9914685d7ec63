"""A whole installation for tests: the real server on a real socket, its sources with their trust, clients and people.

Everything a test does to it goes through HTTP, except what an operator does on the command line.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from api.app import create_app
from api.process import runtime as composition
from api.process.background import background
from api.process.keystore import open_keys
from api.process.runtime import Runtime, open_runtime, own_issuer
from api.process.settings import Settings, load_settings
from api.server import Server, address_of, bind, open_connections
from graph.model.access import Trust
from graph.model.identity import RecordKind, RecordRef
from graph.model.time import Millis, system_clock
from graph.store.client import GraphClient
from resolvers.access import registration
from resolvers.access.credentials import CACHE_SECONDS, Authority
from resolvers.access.sources import SourceChange, change_source, make_static_hash, make_user_hash, rotate_hash_key
from resolvers.access.tokens import TokenIssuer, name_key
from resolvers.context import Services
from resolvers.identity.rederive import rederive_source

DAY: Final = 86_400_000
PREFERENCES: Final = "Segment Consent Preference Updated"
CATEGORIES: Final = {
    "analytics": "Analytics",
    "personalisation": "Functional",
    "marketing": "Advertising",
    "partner_sharing": "DataSharing",
}
FACTS: Final = """
id email phone givenName familyName gender country attributes preferences
address { street city } identifiers { kind value }
interactions(first: 100) { nodes { type item { key } } }
"""
"""What a front-end asks for. A partner may ask for the same and gets null for most of it."""


class WorldClock:
    """The real time plus what a test skips. It never shows the same instant twice."""

    def __init__(self) -> None:
        self._skipped = 0
        self._last = 0

    def __call__(self) -> Millis:
        self._last = max(self._last + 1, system_clock() + self._skipped)
        return Millis(self._last)

    def skip(self, *, days: float = 0, seconds: float = 0) -> None:
        """Moves on."""
        self._skipped += int(days * DAY + seconds * 1000)

    def monotonic(self) -> float:
        """Seconds, by which caches know the age of what they remember."""
        return time.monotonic() + self._skipped / 1000

    def forget_credentials(self) -> None:
        """Moves on until a server no longer remembers what it knows of sources and clients."""
        self.skip(seconds=CACHE_SECONDS)


@dataclass(frozen=True, slots=True)
class Sender:
    """Whoever knows a write key. Anybody can read the key of a public source in a page."""

    http: httpx.AsyncClient
    source: str
    key: str
    numbers: Any

    async def post(self, *messages: Mapping[str, Any], **headers: str) -> httpx.Response:
        """Posts a batch. Messages without an ID get one; names of `headers` are spelled with underscores."""
        batch = [{"messageId": f"{self.source}-{next(self.numbers)}", **message} for message in messages]
        head = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post("/v1/batch", json={"batch": batch}, auth=(self.key, ""), headers=head)

    async def send(self, *messages: Mapping[str, Any], **headers: str) -> None:
        """Posts messages, all of which must be accepted."""
        for start in range(0, len(messages), 200):
            some = messages[start : start + 200]
            answer = await self.post(*some, **headers)
            assert (answer.status_code, answer.json().get("accepted")) == (200, len(some)), answer.text

    async def try_send(self, *messages: Mapping[str, Any], **headers: str) -> None:
        """Posts messages as an attacker does, who doesn't mind if they are refused."""
        for start in range(0, len(messages), 200):
            answer = await self.post(*messages[start : start + 200], **headers)
            assert answer.status_code < 500, answer.text


@dataclass(frozen=True, slots=True)
class Reader:
    """Whoever has an API key or a subject token."""

    http: httpx.AsyncClient
    credential: str
    purpose: str | None = None

    async def post(self, query: str, **variables: Any) -> httpx.Response:
        """Posts one operation."""
        headers = {"authorization": f"Bearer {self.credential}"}
        if self.purpose is not None:
            headers["consentric-purpose"] = self.purpose
        return await self.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)

    async def ask(self, query: str, **variables: Any) -> Any:
        """Returns the data of an operation, which must have no errors."""
        answer = (await self.post(query, **variables)).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def see(self, key: Mapping[str, Any], facts: str = FACTS) -> Any:
        """Returns what this reader sees of a person, or None."""
        return (await self.ask(f"query($by: ProfileKey!) {{ profile(by: $by) {{ {facts} }} }}", by=key))["profile"]

    async def see_me(self, facts: str = FACTS) -> Any:
        """Returns what the person of this token sees of themselves."""
        return (await self.ask(f"{{ me {{ {facts} }} }}"))["me"]

    async def state(self, purpose: str, state: str = "GIVEN", **more: Any) -> Any:
        """States a consent: by a person about themselves, by an operator about a record."""
        mutation = "mutation($input: ConsentInput!) { recordConsent(input: $input) { accepted duplicate } }"
        return await self.ask(mutation, input={"purpose": purpose, "state": state, **more})

    async def withdraw(self, purpose: str, **more: Any) -> Any:
        """Takes a consent back."""
        mutation = "mutation($input: WithdrawInput!) { withdrawConsent(input: $input) { accepted duplicate } }"
        return await self.ask(mutation, input={"purpose": purpose, **more})

    async def consents(self, key: Mapping[str, Any] | None = None) -> dict[tuple[str, str | None], bool]:
        """Returns which purposes are permitted, as this reader is told."""
        facts = "consents { purpose recipient permitted }"
        seen = await (self.see_me(facts) if key is None else self.see(key, facts))
        return {(one["purpose"], one["recipient"]): one["permitted"] for one in seen["consents"]} if seen else {}


@dataclass(frozen=True, slots=True)
class World:
    """A running installation."""

    runtime: Runtime
    issuer: TokenIssuer
    http: httpx.AsyncClient
    clock: WorldClock

    @property
    def services(self) -> Services:
        """What commands of an operator work on."""
        return self.runtime.services

    async def source(self, name: str, trust: Trust, namespace: str = "", **more: Any) -> Sender:
        """Registers a source, as `consentric source create` does."""
        made = await registration.register_source(self.services, name, trust, user_namespace=namespace, **more)
        return Sender(self.http, name, made.write_key, count(1))

    async def set_source(self, name: str, **changes: Any) -> None:
        """Changes what a source is trusted with, as `consentric source set` does."""
        await change_source(self.services, name, SourceChange(**changes))
        await rederive_source(self.services, name, fence=0)

    async def user_hash(self, source: str, user: str, device: str = "", days: int = 1) -> str:
        """Returns a user hash, as the company's back end computes it for a page."""
        return await make_user_hash(self.services, source, user, device, days)

    async def static_hash(self, source: str, user: str) -> str:
        """Returns a hash of the user ID alone, as the company's back end computes it for other systems, too. The source
        takes such hashes from now on."""
        await self.set_source(source, static_hash=True)
        self.clock.forget_credentials()
        return await make_static_hash(self.services, source, user)

    async def rotate_hash_key(self, source: str) -> None:
        """Gives the user hashes of a source a new key."""
        await rotate_hash_key(self.services, source)

    async def client(self, name: str, role: str, *purposes: str, **more: Any) -> Reader:
        """Registers a client, as `consentric client create` does."""
        made = await registration.register_client(self.services, name, role, purposes, **more)
        return Reader(self.http, made.key, purposes[0] if len(purposes) > 1 else None)

    async def token(self, client: str, source: str, user: str) -> Reader:
        """Returns a person with a token, as the company's back end issues it after the login."""
        subject = RecordRef(source, RecordKind.USER, user)
        return Reader(self.http, await registration.issue_token(self.services, self.issuer, client, subject, 3600))


def restrict_issuer(folder: Path, *sources: str) -> tuple[TokenIssuer, str]:
    """Returns an issuer of tokens that may speak for some sources only, and the setting that admits it."""
    issuer = TokenIssuer("https://login.example", load_settings(data_dir=folder).audience, Ed25519PrivateKey.generate())
    public = issuer.key.public_key()
    file = folder / "login.json"
    file.write_text(json.dumps({"keys": [{**json.loads(OKPAlgorithm.to_jwk(public)), "kid": name_key(public)}]}))
    return issuer, json.dumps([{"issuer": issuer.name, "jwks_file": str(file), "sources": sources}])


def settings_for(store: GraphClient, folder: Path, **given: Any) -> Settings:
    """Returns settings of a server whose keys are in a folder."""
    return load_settings(data_dir=folder, **given)


@asynccontextmanager
async def open_world(store: GraphClient, folder: Path, **given: Any) -> AsyncIterator[World]:
    """Starts a server on the store of the tests, on a port of its own."""
    clock, settings = WorldClock(), settings_for(store, folder, **given)

    @asynccontextmanager
    async def borrow(_: Settings) -> AsyncIterator[GraphClient]:
        yield store

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(composition, "open_client", borrow)
        patch.setattr(composition, "system_clock", clock)
        patch.setattr(composition, "Authority", partial(Authority, monotonic=clock.monotonic))
        async with (
            open_runtime(settings) as runtime,
            background(runtime.services),
            serve(runtime, settings) as http,
        ):
            yield World(runtime, own_issuer(settings, open_keys(settings)), http, clock)
    store.observe = None


@asynccontextmanager
async def serve(runtime: Runtime, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Serves an open runtime on a real socket."""
    started = asyncio.Event()
    with bind("127.0.0.1", 0) as listener:
        server = Server(create_app(runtime, settings), open_connections(settings), started.set)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await started.wait()
        try:
            async with httpx.AsyncClient(base_url=address_of(listener), timeout=60) as http:
                yield http
        finally:
            await stop(server, serving)


async def stop(server: Server, serving: asyncio.Task[None]) -> None:
    """Ends a server to which nobody is connected any more. Its own shutdown would wait for those who might be."""
    for one in server.servers:
        one.close()
        await one.wait_closed()
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


def record(source: str, key: str) -> dict[str, Any]:
    """Names a person by the user ID that a source knows them under."""
    return {"record": {"source": source, "key": key}}


def browser(source: str, key: str) -> dict[str, Any]:
    """Names a person by the anonymous ID of a device."""
    return {"record": {"source": source, "key": key, "kind": "ANONYMOUS"}}


def identifier(kind: str, value: str) -> dict[str, Any]:
    """Names a person by an identifier."""
    return {"identifier": {"kind": kind, "value": value}}


def new_device() -> str:
    """Returns an anonymous ID in the form of a secret, as Segment's libraries make it."""
    return str(uuid.uuid4())


def identify(traits: Mapping[str, Any] | None = None, **names: Any) -> dict[str, Any]:
    """Returns an identify message; `names` are `userId`, `anonymousId`, `context` and so on."""
    return {"type": "identify", "traits": dict(traits or {}), **names}


def view(item: str, **names: Any) -> dict[str, Any]:
    """Returns a message about an item that was looked at."""
    return {"type": "track", "event": "Product Viewed", "properties": {"product_id": item}, **names}


def prefer(purpose: str, given: bool = True, **names: Any) -> dict[str, Any]:
    """Returns the message of a consent banner about one purpose."""
    context = {**names.pop("context", {}), "consent": {"categoryPreferences": {CATEGORIES[purpose]: given}}}
    return {"type": "track", "event": PREFERENCES, "context": context, **names}


def external(kind: str, value: str) -> dict[str, Any]:
    """Returns a context with an external ID."""
    return {"externalIds": [{"type": kind, "id": value, "collection": "users", "encoding": "none"}]}


def viewed(seen: Any) -> set[str]:
    """Returns the keys of the items in the interactions that a reader sees."""
    page = (seen or {}).get("interactions")
    return {node["item"]["key"] for node in page["nodes"] if node["item"]} if page else set()
