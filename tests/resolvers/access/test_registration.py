"""Registration: one owner of a name, one good key, and nothing written for what makes no sense."""

from __future__ import annotations

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from graph.errors import BadInput, Conflict, NotFound, Unauthenticated
from graph.model.access import Source, Trust
from graph.model.identity import RecordKind, RecordRef
from graph.model.time import Millis
from graph.store.client import GraphClient
from privacy.gate import Role
from privacy.policy import Policy
from resolvers.access import registration
from resolvers.access.credentials import Authority
from resolvers.access.tokens import LONGEST_TOKEN_SECONDS, TokenIssuer, TokenVerifier
from resolvers.context import Services
from resolvers.recommendation.serve import WalkRecommender
from tests.sources import register

pytestmark = pytest.mark.store

NOW = Millis(1_790_000_000_000)
SECRET = b"s" * 32
ISSUER = TokenIssuer("consentric", "consentric", Ed25519PrivateKey.generate())
ADA = RecordRef("shop", RecordKind.USER, "ada")


@pytest.fixture
def services(store: GraphClient) -> Services:
    return Services(
        client=store, policy=Policy.default(), recommender=WalkRecommender(), secret=SECRET, clock=lambda: NOW
    )


@pytest.fixture
def authority(store: GraphClient) -> Authority:
    """Admits with no memory, so that a revocation counts at once."""
    ticks = iter(range(0, 10**6, 10))
    verifier = TokenVerifier([ISSUER.trusted()], "consentric")
    return Authority(store, SECRET, verifier, lambda: NOW, lambda: next(ticks))


async def test_the_store_holds_no_key(services: Services) -> None:
    source = await registration.register_source(services, "shop", Trust.SERVER)
    client = await registration.register_client(services, "web", "frontend", ["personalisation"])
    rows = await services.client.read("MATCH (n) WHERE n:ApiKey OR n:Source OR n:Client RETURN properties(n) AS all")
    assert len(rows) == 4
    for key in (source.write_key, client.key):
        assert key not in str(rows)
        assert key.split("_")[2] not in str(rows)
        assert key not in repr((source, client))


async def test_a_source_has_one_valid_key_at_a_time(services: Services, authority: Authority) -> None:
    first = await registration.register_source(services, "shop", Trust.SERVER)
    with pytest.raises(Conflict):
        await registration.register_source(services, "shop", Trust.SERVER)
    assert await registration.revoke_source(services, "shop") == list(first.source.keys)
    assert await registration.revoke_source(services, "shop") == []
    second = await registration.register_source(services, "shop", Trust.SERVER)
    assert (await registration.list_sources(services))[0].keys == second.source.keys
    with pytest.raises(Unauthenticated):
        await authority.admit_source(first.write_key)
    assert (await authority.admit_source(second.write_key)).name == "shop"


async def test_a_namespace_does_not_change(services: Services) -> None:
    await registration.register_source(services, "shop", Trust.SERVER, user_namespace="eu")
    await registration.revoke_source(services, "shop")
    with pytest.raises(Conflict):
        await registration.register_source(services, "shop", Trust.SERVER, user_namespace="us")
    assert (await registration.list_sources(services))[0].keys == ()


async def test_registering_at_once_gives_one_key(services: Services) -> None:
    tries = [registration.register_source(services, "shop", Trust.SERVER) for _ in range(8)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(result).__name__ for result in done) == ["Conflict"] * 7 + ["RegisteredSource"]
    assert len((await registration.list_sources(services))[0].keys) == 1


async def test_the_name_of_a_revoked_client_is_never_reused(services: Services) -> None:
    await registration.register_client(services, "web", "frontend", ["personalisation"])
    await registration.revoke_client(services, "web")
    with pytest.raises(Conflict):
        await registration.register_client(services, "web", "operator")
    (client,) = await registration.list_clients(services)
    assert (client.role, client.revoked_at) == ("frontend", NOW)


@pytest.mark.parametrize("role", ["partner", "auditor", "operator"])
async def test_a_token_for_any_other_role_is_refused(services: Services, authority: Authority, role: str) -> None:
    await registration.register_source(services, "shop", Trust.SERVER)
    recipient = "acme" if role == "partner" else None
    await registration.register_client(services, "x", role, recipient=recipient)
    with pytest.raises(BadInput):
        await registration.issue_token(services, ISSUER, "x", ADA, 600)
    with pytest.raises(Unauthenticated):
        await authority.admit_viewer(ISSUER.sign("x", ADA, NOW, 600))


async def test_a_token_needs_a_client_and_a_source(services: Services, authority: Authority) -> None:
    with pytest.raises(NotFound, match="client"):
        await registration.issue_token(services, ISSUER, "web", ADA, 600)
    await registration.register_client(services, "web", "frontend", ["personalisation"])
    with pytest.raises(NotFound, match="source"):
        await registration.issue_token(services, ISSUER, "web", ADA, 600)
    with pytest.raises(BadInput):
        await registration.issue_token(services, ISSUER, "web", ADA, 0)
    with pytest.raises(Unauthenticated):
        await authority.admit_viewer(ISSUER.sign("nobody", ADA, NOW, 600))


async def test_a_partner_is_registered_for_a_recipient(services: Services, authority: Authority) -> None:
    made = await registration.register_client(services, "acme", "partner", recipient="Acme Ltd")
    assert made.client.purposes == ("partner_sharing",)
    viewer = (await authority.admit_viewer(made.key)).viewer
    assert (viewer.role, viewer.purpose, viewer.recipient) == (Role.PARTNER, "partner_sharing", "acme ltd")


@pytest.mark.parametrize(
    ("role", "purposes", "recipient", "scopes"),
    [
        ("king", [], None, []),
        ("frontend", [], None, []),
        ("frontend", ["partner_sharing"], None, []),
        ("frontend", ["personalisation", "espionage"], None, []),
        ("frontend", ["personalisation"], "acme", []),
        ("partner", ["partner_sharing"], None, []),
        ("partner", ["marketing"], "acme", []),
        ("partner", [], "a@b", []),
        ("partner", [], "*", []),
        ("auditor", [], None, ["everything"]),
        ("auditor", [], None, ["values"]),
    ],
)
async def test_a_registration_that_makes_no_sense_writes_nothing(
    services: Services, role: str, purposes: list[str], recipient: str | None, scopes: list[str]
) -> None:
    with pytest.raises(BadInput):
        await registration.register_client(services, "x", role, purposes, recipient=recipient, scopes=scopes)
    assert await registration.list_clients(services) == []


@pytest.mark.parametrize("name", ["x y", "x|y", "ö", ".x", "x" * 65, "x\n", "x\0"])
async def test_a_strange_name_is_refused_and_not_repeated(services: Services, name: str) -> None:
    with pytest.raises(BadInput):
        await registration.register_source(services, name, Trust.SERVER)
    with pytest.raises(NotFound) as caught:
        await registration.revoke_client(services, name)
    assert name not in str(caught.value)
    assert await registration.list_sources(services) == []


async def test_purposes_and_scopes_are_kept_once_in_their_order(services: Services) -> None:
    made = await registration.register_client(
        services, "web", "frontend", ["service", "analytics", "service"], scopes=["values", "values"]
    )
    assert (made.client.purposes, made.client.scopes) == (("service", "analytics"), ("values",))
    assert await registration.list_clients(services) == [made.client]


async def test_a_source_without_a_key_gets_one(services: Services, authority: Authority) -> None:
    await register(services.client, Source("shop", created_at=Millis(5)))
    made = await registration.register_source(services, "shop", Trust.SERVER)
    assert (await authority.admit_source(made.write_key)).created_at == 5


async def test_a_source_that_has_a_key_keeps_it_when_another_registration_is_refused(
    services: Services, authority: Authority
) -> None:
    made = await registration.register_source(services, "shop", Trust.SERVER, user_namespace="eu")
    for namespace in ("eu", "us", ""):
        with pytest.raises(Conflict):
            await registration.register_source(services, "shop", Trust.SERVER, user_namespace=namespace)
    assert (await authority.admit_source(made.write_key)).user_namespace == "eu"
    assert [source.keys for source in await registration.list_sources(services)] == [made.source.keys]


async def test_revoking_something_unknown_is_refused(services: Services) -> None:
    with pytest.raises(NotFound, match="no source shop"):
        await registration.revoke_source(services, "shop")
    with pytest.raises(NotFound, match="no client web"):
        await registration.revoke_client(services, "web")


async def test_a_token_requires_a_named_person_and_a_valid_client(services: Services) -> None:
    await registration.register_source(services, "shop", Trust.SERVER)
    await registration.register_client(services, "web", "frontend", ["personalisation"])
    for seconds in (-1, 0, LONGEST_TOKEN_SECONDS + 1):
        with pytest.raises(BadInput, match="1 to 86400 seconds"):
            await registration.issue_token(services, ISSUER, "web", ADA, seconds)
    with pytest.raises(BadInput, match="it is empty"):
        await registration.issue_token(services, ISSUER, "web", RecordRef("shop", RecordKind.USER, ""), 600)
    assert await registration.issue_token(services, ISSUER, "web", ADA, LONGEST_TOKEN_SECONDS)
    await registration.revoke_client(services, "web")
    with pytest.raises(NotFound, match="client web in use"):
        await registration.issue_token(services, ISSUER, "web", ADA, 600)
