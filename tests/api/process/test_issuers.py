"""The allow-list of issuers: which entries are accepted, and that only strong public keys are."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from api.process.issuers import parse_issuers
from graph.errors import SettingsInvalid

KEY = Ed25519PrivateKey.generate()


def pem(key: object) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()  # type: ignore[attr-defined]


def entry(path: Path, **changes: object) -> str:
    return json.dumps([{"issuer": "https://id.example", "public_key_file": str(path)} | changes])


def write(folder: Path, text: str) -> Path:
    path = folder / "keys"
    path.write_text(text)
    return path


def key_set(*keys: dict[str, object]) -> str:
    return json.dumps({"keys": keys})


def jwk(key: Ed25519PrivateKey = KEY, **changes: object) -> dict[str, object]:
    return json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key())) | changes


def test_without_a_list_no_issuer_is_trusted() -> None:
    assert parse_issuers(None, "consentric") == []


def test_a_single_public_key_has_no_key_id(tmp_path: Path) -> None:
    path = write(tmp_path, pem(KEY.public_key()))
    (issuer,) = parse_issuers(entry(path, sources=["shop"]), "consentric")
    assert (issuer.name, list(issuer.keys), issuer.sources, issuer.clients) == (
        "https://id.example", [""], frozenset({"shop"}), None,
    )  # fmt: skip


def test_signing_keys_of_a_key_set_are_found_by_key_id(tmp_path: Path) -> None:
    rsa_jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key()))
    path = write(tmp_path, key_set(jwk(kid="a"), rsa_jwk | {"kid": "b"}, jwk(kid="c", use="enc")))
    (issuer,) = parse_issuers(entry(path, public_key_file=None, jwks_file=str(path)), "consentric")
    assert sorted(issuer.keys) == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "canary",
        "{}",
        '[{"issuer": "x"}]',
        '[{"issuer": "", "public_key_file": "k"}]',
        '[{"issuer": "x", "public_key_file": "k", "jwks_file": "k"}]',
        '[{"issuer": "x", "public_key_file": "k", "canary": 1}]',
        '[{"issuer": "x", "public_key_file": "/no/such/canary"}]',
    ],
)
def test_a_bad_list_is_refused(text: str) -> None:
    with pytest.raises(SettingsInvalid, match="CONSENTRIC_TRUSTED_ISSUERS"):
        parse_issuers(text, "consentric")


def test_names_must_be_distinct_and_not_our_own(tmp_path: Path) -> None:
    path = write(tmp_path, pem(KEY.public_key()))
    twice = json.dumps(json.loads(entry(path)) * 2)
    for text in (twice, entry(path, issuer="consentric")):
        with pytest.raises(SettingsInvalid, match="distinct names"):
            parse_issuers(text, "consentric")


@pytest.mark.parametrize(
    "text",
    [
        "canary",
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        pem(rsa.generate_private_key(65537, 1024).public_key()),
        pem(ec.generate_private_key(ec.SECP256K1()).public_key()),
    ],
)
def test_a_bad_public_key_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="CONSENTRIC_TRUSTED_ISSUERS") as caught:
        parse_issuers(entry(write(tmp_path, text)), "consentric")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "canary",
        "[]",
        '{"keys": []}',
        '{"keys": ["x"]}',
        key_set(jwk(kid="a"), jwk(kid="a")),
        key_set({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "a", "alg": "HS256"}),
        key_set(json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY)) | {"kid": "a"}),
    ],
)
def test_a_bad_key_set_is_refused(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsInvalid, match="CONSENTRIC_TRUSTED_ISSUERS"):
        parse_issuers(entry(path, public_key_file=None, jwks_file=str(path)), "consentric")
