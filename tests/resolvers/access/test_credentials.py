"""Admission: who gets in, how long a revocation takes, and what asks the store."""

from __future__ import annotations

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from graph.errors import Forbidden, PurposeRequired, StoreUnavailable, Unauthenticated
from graph.model.access import Client, Trust
from graph.model.identity import RecordKind, RecordRef
from graph.model.time import Millis
from graph.store.client import GraphClient
from privacy.gate import Role, Viewer
from privacy.policy import Policy
from resolvers.access import credentials, registration
from resolvers.access.credentials import (
    BAD_CREDENTIAL,
    BAD_WRITE_KEY,
    CACHE_SECONDS,
    Authority,
    CredentialCache,
    choose_purpose,
)
from resolvers.access.keys import KeyKind, checksum, make_key
from resolvers.access.tokens import SubjectClaims, TokenIssuer, TokenVerifier
from resolvers.context import Services
from resolvers.recommendation.serve import WalkRecommender

NOW = Millis(1_790_000_000_000)
SECRET = b"s" * 32
ISSUER = TokenIssuer("consentric", "consentric", Ed25519PrivateKey.generate())
ADA = RecordRef("shop", RecordKind.USER, "ada")
store_test = pytest.mark.store


class Clock:
    """Time that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def millis(self) -> Millis:
        return Millis(NOW + int(self.seconds * 1000))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services(store: GraphClient, clock: Clock) -> Services:
    return Services(
        client=store, policy=Policy.default(), recommender=WalkRecommender(), secret=SECRET, clock=clock.millis
    )


@pytest.fixture
def authority(store: GraphClient, clock: Clock) -> Authority:
    verifier = TokenVerifier([ISSUER.trusted()], "consentric")
    return Authority(store, SECRET, verifier, clock.millis, clock.monotonic)


@store_test
async def test_a_write_key_opens_its_source_and_nothing_else(services: Services, authority: Authority) -> None:
    made = await registration.register_source(services, "shop", Trust.SERVER, user_namespace="eu")
    found = await authority.admit_source(made.write_key)
    assert (found.name, found.user_namespace) == ("shop", "eu")
    with pytest.raises(Unauthenticated, match="source's write key"):
        await authority.admit_viewer(made.write_key)


@store_test
async def test_an_api_key_is_no_write_key(services: Services, authority: Authority) -> None:
    made = await registration.register_client(services, "web", "frontend", ["personalisation"])
    with pytest.raises(Unauthenticated, match="client's API key"):
        await authority.admit_source(made.key)


@store_test
async def test_another_key_with_the_same_id_is_refused(services: Services, authority: Authority) -> None:
    made = await registration.register_source(services, "shop", Trust.SERVER)
    key_id = made.source.keys[0]
    forged = make_key(KeyKind.WRITE)
    body = f"cwk_{key_id}_{forged.text.split('_')[2][:43]}"
    text = body + checksum(body)
    with pytest.raises(Unauthenticated, match=BAD_WRITE_KEY[:20]):
        await authority.admit_source(text)
    assert (await authority.admit_source(made.write_key)).name == "shop"


@store_test
async def test_a_revocation_takes_effect_in_time(services: Services, authority: Authority, clock: Clock) -> None:
    assert CACHE_SECONDS <= 2
    source = await registration.register_source(services, "shop", Trust.SERVER)
    client = await registration.register_client(services, "web", "frontend", ["personalisation"])
    token = ISSUER.sign("web", ADA, NOW, 600)
    await authority.admit_source(source.write_key)
    await authority.admit_viewer(client.key)
    await authority.admit_viewer(token)
    await registration.revoke_source(services, "shop")
    assert await registration.revoke_client(services, "web") is True
    assert await registration.revoke_client(services, "web") is False
    clock.seconds += CACHE_SECONDS
    with pytest.raises(Unauthenticated, match=BAD_WRITE_KEY[:20]):
        await authority.admit_source(source.write_key)
    with pytest.raises(Unauthenticated, match=BAD_CREDENTIAL[:20]):
        await authority.admit_viewer(client.key)
    with pytest.raises(Unauthenticated, match=BAD_CREDENTIAL[:20]):
        await authority.admit_viewer(token)


@store_test
async def test_a_token_admits_a_subject_through_its_client(services: Services, authority: Authority) -> None:
    await registration.register_source(services, "shop", Trust.SERVER)
    await registration.register_client(services, "web", "frontend", ["personalisation", "service"])
    await registration.register_client(services, "app", "subject")
    for name in ("web", "app"):
        token = await registration.issue_token(services, ISSUER, name, ADA, 600)
        admission = await authority.admit_viewer(token)
        assert (admission.viewer.role, admission.viewer.subject) == (Role.SUBJECT, ADA)
        assert admission.viewer.client == name
        assert admission.viewer.scopes == frozenset()
        assert admission.expires_at == NOW + 600_000


@store_test
async def test_each_request_picks_its_purpose(services: Services, authority: Authority) -> None:
    made = await registration.register_client(services, "web", "frontend", ["personalisation", "service"])
    for purpose in ("personalisation", "service"):
        assert (await authority.admit_viewer(made.key, purpose)).viewer.purpose == purpose
    with pytest.raises(PurposeRequired):
        await authority.admit_viewer(made.key)
    with pytest.raises(Forbidden):
        await authority.admit_viewer(made.key, "marketing")


def test_the_only_purpose_needs_no_picking() -> None:
    assert choose_purpose(Role.FRONTEND, ("service",), None) == "service"
    assert choose_purpose(Role.AUDITOR, (), None) is None
    assert choose_purpose(Role.SUBJECT, ("service", "marketing"), None) is None
    with pytest.raises(PurposeRequired):
        choose_purpose(Role.FRONTEND, (), None)
    with pytest.raises(Forbidden):
        choose_purpose(Role.AUDITOR, (), "service")


@store_test
async def test_a_malformed_credential_never_queries_the_store(services: Services) -> None:
    """Wrong checksums, prefixes and signatures are refused by themselves: here the store is gone."""

    class Gone:
        async def read(self, *_: object, **__: object) -> None:
            raise AssertionError("the store was asked")

    blind = Authority(Gone(), SECRET, TokenVerifier([ISSUER.trusted()], "consentric"), services.clock)  # type: ignore[arg-type]
    good = make_key(KeyKind.API).text
    wrong = good[:-1] + ("0" if good[-1] != "0" else "1")
    for text in (wrong, good[4:], "cak_", "", "a.b.c", "x" * 100_000):
        with pytest.raises(Unauthenticated):
            await blind.admit_viewer(text)
        with pytest.raises(Unauthenticated):
            await blind.admit_source(text)


async def test_concurrent_requests_share_one_query(clock: Clock) -> None:
    asked: list[str] = []

    async def ask(key: str) -> str:
        asked.append(key)
        await asyncio.sleep(0)
        return key.upper()

    memory = CredentialCache(ask, clock.monotonic)
    assert await asyncio.gather(*(memory.find("a") for _ in range(50))) == ["A"] * 50
    assert asked == ["a"]
    clock.seconds += CACHE_SECONDS
    await memory.find("a")
    assert asked == ["a", "a"]


async def test_refusals_and_faults_are_not_cached(clock: Clock) -> None:
    answers: list[str | None] = ["found", None]

    async def ask(_: str) -> str | None:
        if not answers:
            raise StoreUnavailable("gone")
        return answers.pop()

    memory = CredentialCache(ask, clock.monotonic)
    assert await memory.find("a") is None
    assert await memory.find("a") == "found"
    clock.seconds += CACHE_SECONDS
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await memory.find("a")


async def test_the_cache_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "CACHE_ENTRIES", 3)
    asked: list[str] = []

    async def ask(key: str) -> str:
        asked.append(key)
        return key

    memory = CredentialCache(ask, clock.monotonic)
    for key in "abcd":
        await memory.find(key)
    await memory.find("d")
    await memory.find("a")
    assert asked == ["a", "b", "c", "d", "a"]


async def test_a_cancelled_caller_does_not_cancel_the_others(clock: Clock) -> None:
    go = asyncio.Event()

    async def ask(key: str) -> str:
        await go.wait()
        return key

    memory = CredentialCache(ask, clock.monotonic)
    first, second = asyncio.ensure_future(memory.find("a")), asyncio.ensure_future(memory.find("a"))
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    assert await second == "a"


def test_a_subject_gets_only_the_purposes_of_the_client() -> None:
    client = Client("web", "frontend", ("service",), recipient="acme", scopes=("values",))
    viewer = credentials.view_subject(client, SubjectClaims("web", ADA, NOW), None)
    assert viewer == Viewer("web", Role.SUBJECT, "service", None, ADA, frozenset())
