"""User hashes and subject tokens in messages: what they prove, and what they don't."""

from __future__ import annotations

import hmac
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from graph.model.access import Client, Source, Trust
from graph.model.identity import Proof, RecordKind, RecordRef
from graph.model.time import DAY, Millis
from resolvers.access.proofs import (
    MOST_DAYS,
    REMEMBERED,
    HashKey,
    InvalidProof,
    ProofTexts,
    ProofVerifier,
    Proven,
    derive_hash_key,
    list_generations,
)
from resolvers.access.tokens import TokenIssuer, TokenVerifier, TrustedIssuer

NOW = Millis(1_790_000_000_000)
SOON = NOW // 1000 + 3600
SECRET = b"s" * 32
SITE = Source("site", trust=Trust.PUBLIC)
ISSUER = TokenIssuer("consentric", "consentric", Ed25519PrivateKey.generate())
TOKEN_CLIENTS = {"web": Client("web", "frontend")}


async def find_client(name: str) -> Client | None:
    return TOKEN_CLIENTS.get(name)


def verifier(*issuers: TrustedIssuer) -> ProofVerifier:
    return ProofVerifier(SECRET, TokenVerifier(issuers or [ISSUER.trusted()], "consentric"), find_client)


async def verify(
    given: ProofTexts,
    *,
    source: Source = SITE,
    user: str = "u17",
    anonymous: str = "a1",
    now: int = NOW,
    by: ProofVerifier | None = None,
) -> Proven:
    return await (by or verifier()).verify(source, user, anonymous, given, Millis(now))


def hash_of(user: str = "u17", anonymous: str = "a1", expiry: int = SOON, generation: int = 1) -> ProofTexts:
    return ProofTexts(user_hash=derive_hash_key(SECRET, "site", generation).sign(user, anonymous, expiry))


def token_of(user: str = "u17", source: str = "site", client: str = "web", seconds: int = 600) -> ProofTexts:
    return ProofTexts(user_token=ISSUER.sign(client, RecordRef(source, RecordKind.USER, user), NOW, seconds))


def test_the_encoding_is_the_one_that_is_documented() -> None:
    fields = b"\0\0\0\x03\xc3\xbc1" + b"\0\0\0\x02a1" + b"\0\0\0\x0a1790003600"
    assert HashKey("chk_0").sign("ü1", "a1", 1790003600) == (
        "v1.1790003600." + hmac.new(b"chk_0", fields, "sha256").hexdigest()
    )


def test_each_source_and_generation_has_a_hash_key_of_its_own() -> None:
    keys = {derive_hash_key(SECRET, name, n).text for name in ("site", "shop") for n in (1, 2)}
    assert len(keys) == 4
    assert all(key.startswith("chk_") and len(key) == 68 for key in keys)
    assert all(key not in repr(derive_hash_key(SECRET, "site", 1)) for key in keys)


async def test_a_user_hash_proves_its_names() -> None:
    assert (await verify(hash_of())).proof is Proof.HASH
    assert (await verify(hash_of(anonymous=""), anonymous="")).proof is Proof.HASH
    assert (await verify(hash_of(user="half \ud83d"), user="half \ud83d")).proof is Proof.HASH


@pytest.mark.parametrize(
    ("user", "anonymous"), [("u18", "a1"), ("u17", "a2"), ("u17", ""), ("u17a", "1"), ("U17", "a1"), ("", "u17a1")]
)
async def test_a_user_hash_proves_no_other_names(user: str, anonymous: str) -> None:
    with pytest.raises(InvalidProof, match="does not prove") as caught:
        await verify(hash_of(), user=user, anonymous=anonymous)
    assert caught.value.field == "userHash"


async def test_a_user_hash_of_another_source_proves_nothing() -> None:
    with pytest.raises(InvalidProof, match="does not prove"):
        await verify(hash_of(), source=replace(SITE, name="site2"))


async def test_a_user_hash_expires() -> None:
    with pytest.raises(InvalidProof, match="has expired"):
        await verify(hash_of(expiry=NOW // 1000))
    with pytest.raises(InvalidProof, match="within 30 days"):
        await verify(hash_of(expiry=NOW // 1000 + MOST_DAYS * 86_400 + 60))
    assert (await verify(hash_of(expiry=NOW // 1000 + MOST_DAYS * 86_400))).proof is Proof.HASH


async def test_the_expiry_of_a_user_hash_cannot_be_moved() -> None:
    mac = str(hash_of().user_hash).split(".")[2]
    with pytest.raises(InvalidProof, match="does not prove"):
        await verify(ProofTexts(user_hash=f"v1.{SOON + 1}.{mac}"))


@pytest.mark.parametrize(
    "text", ["", "v1", "v2.1.a", f"v1.{SOON}.{'A' * 64}", f"v1.0{SOON}.{'a' * 64}", 5, {}, "x" * 9999]
)
async def test_a_malformed_user_hash_is_refused(text: object) -> None:
    with pytest.raises(InvalidProof, match=r"form v1\.EXPIRY\.MAC"):
        await verify(ProofTexts(user_hash=text))


OPEN_SITE = replace(SITE, static_hash=True)


def static_of(user: str = "u17", generation: int = 1) -> ProofTexts:
    return ProofTexts(user_hash=derive_hash_key(SECRET, "site", generation).sign_static(user))


def test_a_static_hash_is_the_one_that_others_have() -> None:
    assert HashKey("chk_0").sign_static("ü1") == hmac.new(b"chk_0", b"\xc3\xbc1", "sha256").hexdigest()


async def test_a_static_hash_proves_its_user_where_the_source_takes_it() -> None:
    given = static_of()
    upper = ProofTexts(user_hash=str(given.user_hash).upper())
    for one, anonymous in ((given, "a1"), (given, ""), (upper, "a2")):
        assert await verify(one, source=OPEN_SITE, anonymous=anonymous) == Proven(Proof.STATIC)
    with pytest.raises(InvalidProof, match="takes no hash of the userId alone") as caught:
        await verify(given)
    assert caught.value.field == "userHash"
    assert (await verify(hash_of(), source=OPEN_SITE)).proof is Proof.HASH


async def test_a_static_hash_proves_no_other_user_and_nothing_elsewhere() -> None:
    for options in ({"user": "u18"}, {"user": "U17"}, {"source": replace(OPEN_SITE, name="site2")}):
        with pytest.raises(InvalidProof, match="does not prove this userId:"):
            await verify(static_of(), **{"source": OPEN_SITE, **options})


async def test_neither_hash_is_taken_for_the_other() -> None:
    mac = str(hash_of().user_hash).split(".")[2]
    static = str(static_of().user_hash)
    for text in (mac, f"v1.{SOON}.{static}"):
        with pytest.raises(InvalidProof, match="does not prove"):
            await verify(ProofTexts(user_hash=text), source=OPEN_SITE)


@pytest.mark.parametrize("text", ["a" * 63, "a" * 65, "g" * 64, "a" * 63 + "\n", "\uff11" * 64, f"0x{'a' * 62}"])
async def test_a_malformed_static_hash_is_refused(text: str) -> None:
    with pytest.raises(InvalidProof, match="form v1"):
        await verify(ProofTexts(user_hash=text), source=OPEN_SITE)


async def test_a_token_beside_a_static_hash_proves_what_it_does_alone() -> None:
    token = token_of().user_token
    given = ProofTexts(static_of().user_hash, token)
    assert (await verify(given, source=OPEN_SITE)).proof is Proof.TOKEN
    with pytest.raises(InvalidProof):
        await verify(ProofTexts(static_of("u18").user_hash, token), source=OPEN_SITE)


async def test_static_hashes_of_two_hash_keys_are_valid_while_the_key_rotates() -> None:
    rotated = replace(OPEN_SITE, hash_generation=3, hash_rotated_at=NOW)
    for generation in (2, 3):
        assert (await verify(static_of(generation=generation), source=rotated)).proof is Proof.STATIC
    for generation in (1, 4):
        with pytest.raises(InvalidProof):
            await verify(static_of(generation=generation), source=rotated)


async def test_two_hash_keys_are_valid_while_the_key_rotates() -> None:
    rotated = replace(SITE, hash_generation=3, hash_rotated_at=NOW)
    assert list_generations(rotated, NOW) == (3, 2)
    for generation in (2, 3):
        assert (await verify(hash_of(generation=generation), source=rotated)).proof is Proof.HASH
    for generation in (1, 4):
        with pytest.raises(InvalidProof):
            await verify(hash_of(generation=generation), source=rotated)
    assert list_generations(rotated, Millis(NOW + MOST_DAYS * DAY)) == (3,)
    assert list_generations(SITE, NOW) == (1,)


async def test_a_subject_token_proves_its_user() -> None:
    by = verifier()
    for _ in range(2):
        assert (await verify(token_of(), by=by)).proof is Proof.TOKEN
    with pytest.raises(InvalidProof):
        await verify(token_of(), now=NOW + 601_000, by=by)


@pytest.mark.parametrize(
    "given",
    [
        token_of(user="u18"), token_of(source="shop"), token_of(client="nobody"),
        ProofTexts(user_token="x.y.z"), ProofTexts(user_token=5), ProofTexts(user_token=""),
        ProofTexts(user_token=ISSUER.sign("web", RecordRef("site", RecordKind.ANONYMOUS, "u17"), NOW, 600)),
        ProofTexts(user_token=TokenIssuer("consentric", "consentric", Ed25519PrivateKey.generate()).sign(
            "web", RecordRef("site", RecordKind.USER, "u17"), NOW, 600)),
    ],
)  # fmt: skip
async def test_any_other_token_proves_nothing(given: ProofTexts) -> None:
    with pytest.raises(InvalidProof, match="not a valid subject token") as caught:
        await verify(given)
    assert caught.value.field == "userToken"


async def test_an_issuer_speaks_only_for_its_sources() -> None:
    restricted = replace(ISSUER.trusted(), sources=frozenset({"shop"}))
    with pytest.raises(InvalidProof):
        await verify(token_of(), by=verifier(restricted))
    of_site = verifier(replace(restricted, sources=frozenset({"site"})))
    assert await verify(token_of(), by=of_site) == Proven(Proof.TOKEN, frozenset({"site"}))


async def test_every_proof_that_is_given_must_hold() -> None:
    good, bad = hash_of(), hash_of(user="u18")
    token = token_of().user_token
    assert (await verify(ProofTexts(good.user_hash, token))).proof is Proof.TOKEN
    with pytest.raises(InvalidProof):
        await verify(ProofTexts(bad.user_hash, token))
    with pytest.raises(InvalidProof):
        await verify(ProofTexts(good.user_hash, "x.y.z"))


async def test_remembered_tokens_are_bounded() -> None:
    by = verifier()
    by._verified.update(
        {bytes(str(n), "ascii"): by._verify_token(str(token_of().user_token), NOW) for n in range(REMEMBERED)}
    )
    await verify(token_of(seconds=700), by=by)
    assert len(by._verified) == REMEMBERED
