"""The assembled application on a real store: its routes, its checks, and what production turns off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request

from api.app import create_app
from api.http.health import Readiness
from api.process.runtime import Runtime
from api.process.settings import load_settings
from graph.errors import StoreUnavailable
from graph.model.access import Trust
from graph.model.time import system_clock
from graph.store.client import GraphClient, Writer
from privacy.policy import Policy
from resolvers.access.credentials import Authority
from resolvers.access.registration import register_client, register_source
from resolvers.access.tokens import TokenIssuer, TokenVerifier
from resolvers.collection.ingestor import Ingestor
from resolvers.context import Services
from resolvers.recommendation.serve import WalkRecommender

SECRET = b"s" * 32
ISSUER = TokenIssuer("consentric", "consentric", Ed25519PrivateKey.generate())
pytestmark = pytest.mark.store


@asynccontextmanager
async def open_app(store: GraphClient, **settings: object) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    verifier = TokenVerifier([ISSUER.trusted()], "consentric")
    policy = Policy.default()
    async with Ingestor(store, policy, system_clock) as ingestor:
        services = Services(client=store, policy=policy, recommender=WalkRecommender(), secret=SECRET)
        runtime = Runtime(services, ingestor, Authority(store, SECRET, verifier, system_clock))
        app = create_app(runtime, load_settings(data_dir=Path("unused"), **settings))
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield http, services
    store.observe = None


async def test_the_root_links_to_the_api(store: GraphClient) -> None:
    async with open_app(store) as (http, _):
        response = await http.get("/")
        assert response.status_code == 200
        assert "/graphql" in response.text


async def test_a_migrated_app_is_alive_and_ready(store: GraphClient) -> None:
    async with open_app(store) as (http, _):
        assert (await http.get("/healthz")).json() == {"status": "alive"}
        response = await http.get("/readyz")
        assert (response.status_code, response.json()["status"]) == (200, "ready")


async def test_a_graph_of_another_version_is_not_ready(store: GraphClient) -> None:
    async def change(tx: Writer) -> None:
        await tx.run("MATCH (m:Migration {version: 1}) SET m.kept = m.checksum, m.checksum = 'other'")

    async def restore(tx: Writer) -> None:
        await tx.run("MATCH (m:Migration {version: 1}) SET m.checksum = m.kept REMOVE m.kept")

    async with open_app(store) as (http, _):
        await store.write(change)
        try:
            response = await http.get("/readyz")
        finally:
            await store.write(restore)
        assert response.status_code == 503
        assert response.json() == {"status": "unready", "store": "reachable", "migrations": "refused"}
        assert (await http.get("/healthz")).status_code == 200


class Gone:
    """A client whose store is away."""

    async def read(self, *_: object, **__: object) -> None:
        raise StoreUnavailable("gone")


async def test_an_unreachable_store_is_not_ready() -> None:
    assert await Readiness(Gone()).check() == {"store": "unreachable", "migrations": "unknown"}  # type: ignore[arg-type]


async def test_a_message_sent_with_a_write_key_shows_in_the_profile(store: GraphClient) -> None:
    async with open_app(store) as (http, services):
        source = await register_source(services, "shop", Trust.SERVER)
        client = await register_client(services, "web", "frontend", ["service"])
        batch = {"batch": [{"type": "identify", "messageId": "1", "userId": "ada", "traits": {"firstName": "Ada"}}]}
        sent = await http.post("/v1/batch", json=batch, auth=(source.write_key, ""))
        assert (sent.status_code, sent.json()["accepted"]) == (200, 1)
        query = '{ profile(by: {record: {source: "shop", key: "ada"}}) { givenName } }'
        seen = await http.post("/graphql", json={"query": query}, headers={"Authorization": f"Bearer {client.key}"})
        assert seen.json() == {"data": {"profile": {"givenName": "Ada"}}}
        metrics = (await http.get("/metrics")).text
        assert 'consentric_requests_total{method="POST",route="/v1/batch",status="200"} 1.0' in metrics
        assert 'consentric_store_seconds_count{kind="write",outcome="done"}' in metrics
        assert 'consentric_messages_total{outcome="accepted"} 1.0' in metrics
        assert "ada" not in metrics.lower()


async def test_write_keys_and_api_keys_are_not_interchangeable(store: GraphClient) -> None:
    async with open_app(store) as (http, services):
        source = await register_source(services, "shop", Trust.SERVER)
        client = await register_client(services, "web", "frontend", ["service"])
        sent = await http.post("/v1/batch", json={"batch": []}, auth=(client.key, ""))
        assert (sent.status_code, sent.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
        headers = {"Authorization": f"Bearer {source.write_key}"}
        seen = await http.post("/graphql", json={"query": "{ purposes { key } }"}, headers=headers)
        assert (seen.status_code, seen.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")


async def test_an_unregistered_purpose_is_forbidden(store: GraphClient) -> None:
    async with open_app(store) as (http, services):
        client = await register_client(services, "web", "frontend", ["service"])
        headers = {"Authorization": f"Bearer {client.key}", "Consentric-Purpose": "marketing"}
        seen = await http.post("/graphql", json={"query": "{ purposes { key } }"}, headers=headers)
        assert (seen.status_code, seen.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")


async def test_graphiql_is_off_in_production(store: GraphClient) -> None:
    page = {"Accept": "text/html"}
    async with open_app(store) as (http, _):
        assert "graphiql" in (await http.get("/graphql", headers=page)).text.lower()
    async with open_app(store, env="production") as (http, _):
        assert "graphiql" not in (await http.get("/graphql", headers=page)).text.lower()
        assert (await http.get("/graphiql/page.html")).status_code == 404


async def test_only_listed_origins_are_allowed(store: GraphClient) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with open_app(store, cors_origins=("https://shop.example",)) as (http, _):
        good = await http.options("/graphql", headers=preflight | {"Origin": "https://shop.example"})
        assert good.headers["access-control-allow-origin"] == "https://shop.example"
        bad = await http.options("/graphql", headers=preflight | {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in bad.headers
    async with open_app(store) as (http, _):
        none = await http.options("/graphql", headers=preflight | {"Origin": "https://shop.example"})
        assert "access-control-allow-origin" not in none.headers


async def test_any_page_may_send_to_collection_with_a_public_key(store: GraphClient) -> None:
    origin = {"Origin": "https://any.example"}
    preflight = origin | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with open_app(store, cors_origins=("https://shop.example",)) as (http, services):
        source = await register_source(services, "site", Trust.PUBLIC)
        asked = await http.options("/v1/track", headers=preflight)
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, "*")
        event = {"event": "x", "anonymousId": "a"}
        sent = await http.post("/v1/track", json=event, auth=(source.write_key, ""), headers=origin)
        assert (sent.status_code, sent.headers["access-control-allow-origin"]) == (200, "*")
        assert "access-control-allow-credentials" not in sent.headers


@pytest.mark.parametrize("env", ["development", "production"])
async def test_the_documentation_of_an_error_needs_no_credential(store: GraphClient, env: str) -> None:
    async with open_app(store, env=env) as (http, services):
        source = await register_source(services, "shop", Trust.SERVER)
        asked = await http.post("/graphql", json={"query": "{ purposes { key } }"})
        sent = await http.post("/v1/track", json={"event": "x"}, auth=(source.write_key, ""))
        links = [
            asked.json()["errors"][0]["extensions"]["documentation"],
            (await http.get("/nowhere")).json()["error"]["documentation"],
            (await http.get("/v1/batch")).json()["error"]["documentation"],
            (await http.post("/v1/batch", json={"batch": []})).json()["error"]["documentation"],
            sent.json()["error"]["documentation"],
        ]
        pages = [(await http.get(link)).text for link in links]
        assert [page.partition("\n")[0] for page in pages] == [
            "# UNAUTHENTICATED", "# NOT_FOUND", "# METHOD_NOT_ALLOWED", "# UNAUTHENTICATED", "# Rejections",
        ]  # fmt: skip
        assert f"\n## {links[-1].partition('#')[2]}\n" in pages[-1]


async def test_whoever_asks_during_a_check_waits_for_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = 0

    async def check(_: Readiness) -> dict[str, str]:
        nonlocal checks
        checks += 1
        await asyncio.sleep(0.01)
        return {"store": "reachable", "migrations": "current"}

    monkeypatch.setattr(Readiness, "check", check)
    readiness, request = Readiness(Gone()), Request({"type": "http"})  # type: ignore[arg-type]
    answers = await asyncio.gather(*(readiness.report_ready(request) for _ in range(20)))
    assert ({answer.status_code for answer in answers}, checks) == ({200}, 1)
    await readiness.report_ready(request)
    assert checks == 2
