"""Subject tokens: what verifies, and everything that must not."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import Unauthenticated
from graph.model.identity import RecordKind, RecordRef
from graph.model.time import Millis
from resolvers.access.tokens import REFUSED, SKEW_SECONDS, TokenIssuer, TokenVerifier, TrustedIssuer, list_algorithms

NOW = Millis(1_790_000_000_000)
KEY = Ed25519PrivateKey.generate()
OTHER = Ed25519PrivateKey.generate()
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ISSUER = TokenIssuer("consentric", "consentric", KEY)
ADA = RecordRef("shop", RecordKind.USER, "ada")
FOREIGN = TrustedIssuer("https://id.example", {"": OTHER.public_key()}, frozenset({"web"}), frozenset({"shop"}))
SEVERAL = TrustedIssuer("several", {"r": RSA_KEY.public_key(), "e": EC_KEY.public_key()})
VERIFIER = TokenVerifier([ISSUER.trusted(), FOREIGN, SEVERAL], "consentric")
TOKEN = ISSUER.sign("web", ADA, NOW, 600)


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims of the foreign issuer, changed; None takes one away."""
    good = {
        "iss": "https://id.example",
        "aud": "consentric",
        "exp": NOW // 1000 + 600,
        "client": "web",
        "source": "shop",
        "userId": "ada",
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(payload: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> str:
    return jwt.PyJWS().encode(json.dumps(payload).encode(), OTHER, algorithm="EdDSA", headers=dict(headers or {}))


def forge(header: Mapping[str, Any], payload: Mapping[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def refuse(token: str, now: Millis = NOW) -> None:
    with pytest.raises(Unauthenticated) as caught:
        VERIFIER.verify(token, now)
    assert str(caught.value) == REFUSED
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("kind", list(RecordKind))
def test_our_own_token_names_its_subject(kind: RecordKind) -> None:
    subject = RecordRef("shop", kind, "zoë@1")
    found = VERIFIER.verify(ISSUER.sign("web", subject, NOW, 600), NOW)
    assert (found.client, found.subject, found.expires_at) == ("web", subject, NOW + 600_000)


def test_a_trusted_issuer_may_sign() -> None:
    assert VERIFIER.verify(sign(claims()), NOW).subject == ADA
    assert VERIFIER.verify(sign(claims(userId=None, anonymous_id="x")), NOW).subject.kind is RecordKind.ANONYMOUS


@given(st.data())
def test_one_changed_character_is_refused(data: st.DataObject) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ "
    at = data.draw(st.integers(0, len(TOKEN) - 1))
    put = data.draw(st.sampled_from(alphabet).filter(lambda character: character != TOKEN[at]))
    refuse(TOKEN[:at] + put + TOKEN[at + 1 :])


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode() + ".e30.")))
def test_arbitrary_text_is_refused(text: str) -> None:
    refuse(text)


def test_an_unsigned_token_is_refused() -> None:
    for name in ("none", "None", "NONE", ""):
        refuse(forge({"alg": name, "typ": "JWT"}, claims()))
    refuse(forge({"typ": "JWT"}, claims()))


def test_a_public_key_is_not_accepted_as_a_shared_secret() -> None:
    """The classic confusion: HS256 keyed with what everybody knows."""
    public = OTHER.public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
    ):
        unsigned = forge({"alg": "HS256", "typ": "JWT"}, claims())[:-1]
        hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        signature = base64.urlsafe_b64encode(hmac.sign(unsigned.encode(), secret)).rstrip(b"=").decode()
        refuse(f"{unsigned}.{signature}")


def test_a_key_in_the_header_is_ignored() -> None:
    attacker = Ed25519PrivateKey.generate()
    jwk = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(attacker.public_key()))
    for header in ({"jwk": jwk}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example/cert"}):
        refuse(jwt.encode(claims(), attacker, algorithm="EdDSA", headers=header))
        assert VERIFIER.verify(sign(claims(), header), NOW).client == "web"


def test_critical_extensions_are_refused() -> None:
    refuse(sign(claims(), {"crit": ["b64"]}))


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "client", "source", "userId"])
def test_a_missing_claim_is_refused(name: str) -> None:
    refuse(sign(claims(**{name: None})))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"iss": ["https://id.example"]},
        {"aud": "another"},
        {"aud": []},
        {"aud": 7},
        {"client": "crm-web"},
        {"source": "crm"},
        {"client": ""},
        {"userId": ""},
        {"userId": 7},
        {"userId": ["ada"]},
        {"anonymousId": "x"},
        {"user_id": "ada"},
        {"exp": "soon"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"nbf": NOW // 1000 + SKEW_SECONDS + 1},
        {"iat": NOW // 1000 + SKEW_SECONDS + 1},
        {"iat": "now"},
        {"iat": float("nan")},
        {"nbf": float("nan")},
    ],
)
def test_a_wrong_claim_is_refused(changes: dict[str, Any]) -> None:
    refuse(sign(claims(**changes)))


def test_a_list_of_audiences_may_hold_ours() -> None:
    assert VERIFIER.verify(sign(claims(aud=["another", "consentric"])), NOW).client == "web"


def test_a_token_expires_to_the_millisecond() -> None:
    end = Millis((NOW // 1000 + 600) * 1000)
    assert VERIFIER.verify(TOKEN, Millis(end - 1)).client == "web"
    refuse(TOKEN, end)


def test_an_issuers_clock_may_be_half_a_minute_ahead() -> None:
    assert VERIFIER.verify(sign(claims(iat=NOW // 1000 + SKEW_SECONDS, nbf=NOW // 1000)), NOW).client == "web"


def test_the_key_id_selects_the_key() -> None:
    good = claims(iss="several")
    assert VERIFIER.verify(jwt.encode(good, RSA_KEY, "RS256", {"kid": "r"}), NOW).client == "web"
    assert VERIFIER.verify(jwt.encode(good, RSA_KEY, "PS256", {"kid": "r"}), NOW).client == "web"
    assert VERIFIER.verify(jwt.encode(good, EC_KEY, "ES256", {"kid": "e"}), NOW).client == "web"
    refuse(jwt.encode(good, RSA_KEY, "RS256", {"kid": "e"}))
    refuse(jwt.encode(good, RSA_KEY, "RS256", {"kid": "unknown"}))
    refuse(jwt.encode(good, RSA_KEY, "RS256"))
    refuse(jwt.encode(good, RSA_KEY, "RS512", {"kid": "r"}))


def test_a_key_of_another_issuer_is_refused() -> None:
    refuse(jwt.encode(claims(iss="consentric"), OTHER, "EdDSA"))
    refuse(jwt.encode(claims(), KEY, "EdDSA"))


def test_weak_keys_have_no_algorithm() -> None:
    assert list_algorithms(rsa.generate_private_key(65537, 1024).public_key()) == ()
    assert list_algorithms(ec.generate_private_key(ec.SECP256K1()).public_key()) == ()


def test_a_huge_token_is_refused_without_parsing() -> None:
    refuse(sign(claims(note="x" * 9000)))


def test_nothing_secret_is_shown() -> None:
    assert "ada" not in repr(VERIFIER.verify(TOKEN, NOW))
    assert "Ed25519" not in repr(ISSUER)


@pytest.mark.parametrize(("issued", "seconds", "good"), [(None, 600, True), (None, 900, False), (-590, 20, False)])
def test_no_issuer_makes_tokens_that_live_for_too_long(issued: int | None, seconds: int, good: bool) -> None:
    strict = TokenVerifier([ISSUER.trusted(), FOREIGN], "consentric", 550)
    iat = None if issued is None else NOW // 1000 + issued
    tokens = [sign(claims(exp=NOW // 1000 + (seconds - 40 if good else seconds), iat=iat))]
    if issued is None:
        tokens.append(ISSUER.sign("web", ADA, NOW, seconds - 40 if good else seconds))
    for token in tokens:
        if good:
            assert strict.verify(token, NOW).subject == ADA
        else:
            with pytest.raises(Unauthenticated):
                strict.verify(token, NOW)
