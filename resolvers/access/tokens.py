"""Subject tokens: JWTs (RFC 7519) that state who a person is at a source, and which client they use.

A token is valid if its issuer is on the allow-list, one of the issuer's public keys verifies it with an algorithm meant
for that kind of key, and `iss`, `aud`, `exp` and our own claims are present and correct. Keys come from the allow-list
only: the headers `jwk`, `jku`, `x5u` and `x5c` are ignored. Our claims are `client`, `source` and exactly one of
`userId` and `anonymousId` (also spelled `user_id`, `anonymous_id`). Every fault leads to the same `Unauthenticated`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.utils import base64url_decode, base64url_encode

from graph.errors import Unauthenticated
from graph.model.identity import RecordKind, RecordRef
from graph.model.time import Millis

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey

MAX_TOKEN_CHARACTERS: Final = 8192
SKEW_SECONDS: Final = 30
LONGEST_TOKEN_SECONDS: Final = 24 * 3600
"""How long a token may be valid if no other limit is set."""

MIN_RSA_BITS: Final = 2048
COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
SUBJECT_CLAIMS: Final = {
    "userId": RecordKind.USER,
    "user_id": RecordKind.USER,
    "anonymousId": RecordKind.ANONYMOUS,
    "anonymous_id": RecordKind.ANONYMOUS,
}
REFUSED: Final = "The token does not verify: get a new one from an issuer that this server trusts."


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer whose tokens are accepted: its public keys by key ID, and the clients and sources that it may name
    (None for any)."""

    name: str
    keys: Mapping[str, PublicKey]
    clients: frozenset[str] | None = None
    sources: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class SubjectClaims:
    """What a verified token states, and the sources that its issuer may speak for (None for any)."""

    client: str
    subject: RecordRef = field(repr=False)
    expires_at: Millis
    sources: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Our own issuer: its name, its private key and the audience of its tokens."""

    name: str
    audience: str
    key: Ed25519PrivateKey = field(repr=False)

    def sign(self, client: str, subject: RecordRef, now: Millis, seconds: int) -> str:
        """Signs a token for a subject who uses the client, valid for `seconds` from `now`."""
        claim = "userId" if subject.kind is RecordKind.USER else "anonymousId"
        claims = {
            "iss": self.name,
            "aud": self.audience,
            "iat": now // 1000,
            "exp": now // 1000 + seconds,
            "client": client,
            "source": subject.source,
            claim: subject.key,
        }
        return jwt.encode(claims, self.key, algorithm="EdDSA", headers={"kid": name_key(self.key.public_key())})

    def trusted(self) -> TrustedIssuer:
        """Returns this issuer as an entry of the allow-list."""
        public = self.key.public_key()
        return TrustedIssuer(self.name, {name_key(public): public})


def name_key(key: Ed25519PublicKey) -> str:
    """Returns a key ID derived from the public key, 16 hex digits."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def list_algorithms(key: PublicKey) -> Sequence[str]:
    """Returns the signature algorithms that a key may be used with. The kind of key decides, never the token. Empty for
    weak keys and unsupported curves."""
    if isinstance(key, Ed25519PublicKey):
        return ("EdDSA",)
    if isinstance(key, RSAPublicKey):
        return ("RS256", "PS256") if key.key_size >= MIN_RSA_BITS else ()
    curves = {SECP256R1: "ES256", SECP384R1: "ES384"}
    name = curves.get(type(key.curve))
    return (name,) if name else ()


class TokenVerifier:
    """Verifies tokens against the allow-list."""

    def __init__(
        self, issuers: Sequence[TrustedIssuer], audience: str, longest_seconds: int = LONGEST_TOKEN_SECONDS
    ) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._audience = audience
        self._longest = longest_seconds

    def verify(self, token: str, now: Millis) -> SubjectClaims:
        """Returns the claims of a valid token. Raises Unauthenticated, always with the same text, if it isn't valid."""
        try:
            return self._verify(token, now)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
            raise Unauthenticated(REFUSED) from None

    def _verify(self, token: str, now: Millis) -> SubjectClaims:
        if len(token) > MAX_TOKEN_CHARACTERS or not COMPACT.fullmatch(token):
            raise ValueError("not a compact token")
        if any(base64url_encode(base64url_decode(part)).decode() != part for part in token.split(".")):
            raise ValueError("not in canonical form")
        header = jwt.get_unverified_header(token)
        unverified = jwt.decode(token, options={"verify_signature": False})
        issuer = self._issuers[expect_text(unverified, "iss")]
        key = pick_key(issuer, header)
        claims = jwt.decode(
            token,
            key,
            algorithms=list(list_algorithms(key)),
            audience=self._audience,
            issuer=issuer.name,
            options={
                "require": ["iss", "aud", "exp"],
                "verify_exp": False,  # times are checked below, by our own clock
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
        check_times(claims, now, self._longest)
        return read_claims(claims, issuer)


def pick_key(issuer: TrustedIssuer, header: Mapping[str, Any]) -> PublicKey:
    """Returns the issuer's key that the header's `kid` names or, without `kid`, the issuer's only key.

    Raises ValueError or KeyError if there is no such key.
    """
    if "crit" in header:
        raise ValueError("extensions are not understood")
    if "kid" in header:
        return issuer.keys[expect_text(header, "kid")]
    if len(issuer.keys) != 1:
        raise ValueError("no key id, several keys")
    return next(iter(issuer.keys.values()))


def check_times(claims: Mapping[str, Any], now: Millis, longest: int) -> None:
    """Raises ValueError if the token has expired, isn't valid yet, or is made for more than `longest` seconds: from its
    `iat`, and from now. Our clock may be 30 s behind the issuer's."""
    seconds = now / 1000
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
    if not all(type(value) in (int, float) for value in times.values()):
        raise ValueError("a time is not a number")
    begun = all(times[name] <= seconds + SKEW_SECONDS for name in ("nbf", "iat") if name in times)
    if not begun or not seconds < times["exp"]:
        raise ValueError("not now")
    if times["exp"] - min(times.get("iat", seconds), seconds) > longest + SKEW_SECONDS:
        raise ValueError("for too long")


def read_claims(claims: Mapping[str, Any], issuer: TrustedIssuer) -> SubjectClaims:
    """Reads our own claims. Raises ValueError if the issuer may not name the client or source."""
    client, source = expect_text(claims, "client"), expect_text(claims, "source")
    if issuer.clients is not None and client not in issuer.clients:
        raise ValueError("not a client of this issuer")
    if issuer.sources is not None and source not in issuer.sources:
        raise ValueError("not a source of this issuer")
    (name,) = SUBJECT_CLAIMS.keys() & claims.keys()
    subject = RecordRef(source, SUBJECT_CLAIMS[name], expect_text(claims, name))
    return SubjectClaims(client, subject, Millis(int(claims["exp"] * 1000)), issuer.sources)


def expect_text(claims: Mapping[str, Any], name: str) -> str:
    """Returns a claim. Raises ValueError unless it is a non-empty string."""
    value = claims[name]
    if not isinstance(value, str) or not value:
        raise ValueError("not a string")
    return value
