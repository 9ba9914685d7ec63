"""Proofs of who a message of a public source is about: user hashes, and subject tokens inside messages.

A user hash is computed by the company's back end, which knows who is logged in, and sent along by the page:

    v1.EXPIRY.MAC

- EXPIRY is when it expires: seconds since 1970 as a decimal number, at most 30 days ahead.
- MAC is HMAC-SHA-256 in 64 lower-case hexadecimal digits. Its key is the hash key as printed, as ASCII text
  (`chk_…`). Its message is three fields, each as its length in bytes (four bytes, big-endian) followed by its bytes in
  UTF-8: the userId, the anonymousId (empty if the message has none), and EXPIRY.

The lengths keep ("ab", "c") and ("a", "bc") apart. Whoever holds a hash can send in that user's name until it expires.

A source may also take static hashes, as other systems have them: HMAC-SHA-256 of the userId alone in UTF-8, in 64
hexadecimal digits, with the same key. They never expire, so they prove behaviour only (`Proof.STATIC`). The message of
a user hash begins with a zero byte, and no user ID has one, so neither hash can be taken for the other.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from graph.errors import BadInput, Unauthenticated
from graph.model.access import Client, Source
from graph.model.identity import Proof, RecordKind, RecordRef
from graph.model.time import DAY, Millis
from resolvers.access.keys import derive_key
from resolvers.access.tokens import SKEW_SECONDS, SubjectClaims, TokenVerifier

USER_HASH: Final = "userHash"
USER_TOKEN: Final = "userToken"  # noqa: S105 - the name of a field
"""The fields of a message's context that carry a proof."""

MOST_DAYS: Final = 30
"""How long a user hash may be valid, and how long the previous hash key stays valid after a rotation."""

HASH_FORM: Final = re.compile(r"v1\.([1-9][0-9]{0,11})\.([0-9a-f]{64})", re.ASCII)
STATIC_FORM: Final = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
REMEMBERED: Final = 4096
"""Verified tokens that are remembered: a page sends the same one with every event."""

FindClient = Callable[[str], Awaitable[Client | None]]


class InvalidProof(BadInput):
    """A proof that proves nothing. `field` names it."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class ProofTexts(NamedTuple):
    """The proofs that a message carries, as they arrived: secrets, never stored or logged."""

    user_hash: object = None
    user_token: object = None


class Proven(NamedTuple):
    """What proves the names of a message, and the sources for whose records its issuer may speak (None: for any)."""

    proof: Proof
    reach: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class HashKey:
    """The key of a source's user hashes. `text` is the secret, shown to its owner only."""

    text: str = field(repr=False)

    def sign(self, user_id: str, anonymous_id: str, expiry: int) -> str:
        """Returns the user hash of these names, valid until `expiry` in seconds since 1970."""
        fields = map(_encode, (user_id, anonymous_id, str(expiry)))
        return f"v1.{expiry}.{self._mac(b''.join(len(one).to_bytes(4, 'big') + one for one in fields))}"

    def sign_static(self, user_id: str) -> str:
        """Returns the static hash of a user ID."""
        return self._mac(_encode(user_id))

    def _mac(self, message: bytes) -> str:
        return hmac.new(self.text.encode(), message, sha256).hexdigest()


def derive_hash_key(secret: bytes, source: str, generation: int) -> HashKey:
    """Returns the hash key of a source. Each generation has a key of its own."""
    return HashKey(f"chk_{derive_key(secret, f'user-hash/{source}/{generation}').hex()}")


def list_generations(source: Source, now: Millis) -> tuple[int, ...]:
    """Returns the generations whose hashes are valid: the current one and, for 30 days after a rotation, the previous
    one."""
    current = source.hash_generation
    rotating = current > 1 and now < source.hash_rotated_at + MOST_DAYS * DAY
    return (current, current - 1) if rotating else (current,)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class ProofVerifier:
    """Verifies proofs in messages of public sources."""

    def __init__(self, secret: bytes, tokens: TokenVerifier, find_client: FindClient) -> None:
        self._secret = secret
        self._tokens = tokens
        self._find_client = find_client
        self._verified: dict[bytes, SubjectClaims] = {}

    async def verify(self, source: Source, user_id: str, anonymous_id: str, given: ProofTexts, now: Millis) -> Proven:
        """Returns what proves the names of a message of this source. Everything given must prove them.

        Raises InvalidProof. `now` is when the message was received.
        """
        proof = Proof.HASH
        if isinstance(given.user_hash, str) and STATIC_FORM.fullmatch(given.user_hash):
            self._check_static(source, user_id, given.user_hash, now)
            proof = Proof.STATIC
        elif given.user_hash is not None:
            self._check_hash(source, user_id, anonymous_id, given.user_hash, now)
        if given.user_token is None:
            return Proven(proof)
        claims = await self._check_token(RecordRef(source.name, RecordKind.USER, user_id), given.user_token, now)
        return Proven(Proof.TOKEN, claims.sources)

    def _check_hash(self, source: Source, user_id: str, anonymous_id: str, given: object, now: Millis) -> None:
        match = HASH_FORM.fullmatch(given) if isinstance(given, str) else None
        if match is None:
            raise InvalidProof("userHash must have the form v1.EXPIRY.MAC, computed by your server.", USER_HASH)
        expiry = int(match[1])
        if expiry * 1000 <= now:
            raise InvalidProof("userHash has expired: let your server compute a new one.", USER_HASH)
        if expiry > now // 1000 + MOST_DAYS * DAY // 1000 + SKEW_SECONDS:
            raise InvalidProof(f"userHash must expire within {MOST_DAYS} days.", USER_HASH)
        wanted = [key.sign(user_id, anonymous_id, expiry) for key in self._list_keys(source, now)]
        if not any(hmac.compare_digest(one, match[0]) for one in wanted):
            raise InvalidProof(
                "userHash does not prove this userId and anonymousId: check the hash key and what is hashed.",
                USER_HASH,
            )

    def _check_static(self, source: Source, user_id: str, given: str, now: Millis) -> None:
        if not source.static_hash:
            raise InvalidProof(
                "This source takes no hash of the userId alone: userHash must have the form v1.EXPIRY.MAC.", USER_HASH
            )
        wanted = [key.sign_static(user_id) for key in self._list_keys(source, now)]
        if not any(hmac.compare_digest(one, given.lower()) for one in wanted):
            raise InvalidProof("userHash does not prove this userId: check the hash key and what is hashed.", USER_HASH)

    def _list_keys(self, source: Source, now: Millis) -> list[HashKey]:
        return [derive_hash_key(self._secret, source.name, one) for one in list_generations(source, now)]

    async def _check_token(self, subject: RecordRef, given: object, now: Millis) -> SubjectClaims:
        refusal = InvalidProof("userToken is not a valid subject token for this source and userId.", USER_TOKEN)
        if not isinstance(given, str):
            raise refusal
        try:
            claims = self._verify_token(given, now)
        except Unauthenticated:
            raise refusal from None
        if claims.subject != subject or await self._find_client(claims.client) is None:
            raise refusal
        return claims

    def _verify_token(self, token: str, now: Millis) -> SubjectClaims:
        """Returns the claims of a valid token. Signatures are checked once per token; its end always."""
        digest = sha256(_encode(token)).digest()
        known = self._verified.get(digest)
        if known is not None and now < known.expires_at:
            return known
        claims = self._tokens.verify(token, now)
        self._verified[digest] = claims
        while len(self._verified) > REMEMBERED:
            self._verified.pop(next(iter(self._verified)))
        return claims
