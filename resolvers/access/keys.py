"""API keys and write keys as text: how they are made, recognised and hashed.

What lives here: the key format, its checksum, the keyed hash that is stored, and keys derived from the installation's
secret. What does not: storing and finding keys (`graph/access/sources.py`, `graph/access/clients.py`), admitting who
shows one (`resolvers/access/credentials.py`).

A key reads `cwk_<key id>_<random><checksum>`: the prefix says what it opens (`cwk` a source, `cak` a client; scanners
for leaked secrets find it by that), the key id is public and is what the store is asked for, the random part has 256
bits, the checksum lets a mistyped key be refused without asking the store. Only the keyed hash of the whole is stored.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Final
from zlib import crc32

BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
KEY_ID_ALPHABET: Final = string.digits + "abcdefghjkmnpqrstvwxyz"
KEY_ID_LENGTH: Final = 12
RANDOM_LENGTH: Final = 43
CHECKSUM_LENGTH: Final = 6
KEY_PATTERN: Final = re.compile(
    f"(cwk|cak)_([{KEY_ID_ALPHABET}]{{{KEY_ID_LENGTH}}})_([0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}})", re.ASCII
)


class KeyKind(StrEnum):
    """What a key opens; the value is its prefix."""

    WRITE = "cwk"
    API = "cak"


@dataclass(frozen=True, slots=True)
class Key:
    """A well-formed key. `text` is the secret itself: shown once to its owner, never stored or logged."""

    kind: KeyKind
    id: str
    text: str = field(repr=False)


def derive_key(secret: bytes, label: str) -> bytes:
    """A 256-bit key for one use, so that what is signed for one use never verifies for another."""
    return hmac.digest(secret, f"consentric/{label}".encode(), "sha256")


def make_key(kind: KeyKind) -> Key:
    """A new key."""
    key_id = "".join(secrets.choice(KEY_ID_ALPHABET) for _ in range(KEY_ID_LENGTH))
    body = f"{kind}_{key_id}_" + "".join(secrets.choice(BASE62) for _ in range(RANDOM_LENGTH))
    return Key(kind=kind, id=key_id, text=body + checksum(body))


def parse_key(text: str, kind: KeyKind) -> Key | None:
    """The key that the text is, or None when it can't be one of this kind: wrong form, prefix or checksum."""
    match = KEY_PATTERN.fullmatch(text)
    if match is None or match[1] != kind:
        return None
    body, given = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    return Key(kind=kind, id=match[2], text=text) if hmac.compare_digest(checksum(body), given) else None


def checksum(body: str) -> str:
    """CRC-32 of the text before it, six digits to base 62: against typing errors, no protection by itself."""
    number, digits = crc32(body.encode()), []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(BASE62))
        digits.append(BASE62[digit])
    return "".join(reversed(digits))


class KeyHasher:
    """Hashes keys for storage: HMAC-SHA256 under a key derived from the installation's secret."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        self._key = derive_key(secret, "api-key")

    def hash(self, key: Key) -> str:
        """What is stored of a key, 64 hex digits. The random part has 256 bits, so one round is enough."""
        return hmac.new(self._key, key.text.encode(), sha256).hexdigest()

    def matches(self, key: Key, stored: str) -> bool:
        """Whether the stored hash is this key's, in constant time."""
        return hmac.compare_digest(self.hash(key).encode(), stored.encode())
