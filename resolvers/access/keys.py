"""API keys and write keys: their format, checksum and hash, and keys derived from the installation's secret.

A key has the form `cwk_<key id>_<random><checksum>`. The prefix tells what the key is for (`cwk` a source that keeps it
secret, `cpk` a public source, `cak` a client) and lets secret scanners find leaked keys. The key ID is public; the
store looks keys up by it. The random part has 256 bits. The checksum lets a mistyped key be refused without a query.
Only a keyed hash of the whole key is stored.
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
    f"(cwk|cpk|cak)_([{KEY_ID_ALPHABET}]{{{KEY_ID_LENGTH}}})_([0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}})",
    re.ASCII,
)


class KeyKind(StrEnum):
    """What a key is for. The value is its prefix."""

    WRITE = "cwk"
    PUBLIC = "cpk"
    API = "cak"


@dataclass(frozen=True, slots=True)
class Key:
    """A well-formed key. `text` is the secret: shown to its owner once, never stored or logged."""

    kind: KeyKind
    id: str
    text: str = field(repr=False)


def derive_key(secret: bytes, label: str) -> bytes:
    """Derives a 256-bit key for one use, so that what is signed for one use never verifies for another."""
    return hmac.digest(secret, f"consentric/{label}".encode(), "sha256")


def make_key(kind: KeyKind) -> Key:
    """Makes a new key."""
    key_id = "".join(secrets.choice(KEY_ID_ALPHABET) for _ in range(KEY_ID_LENGTH))
    body = f"{kind}_{key_id}_" + "".join(secrets.choice(BASE62) for _ in range(RANDOM_LENGTH))
    return Key(kind=kind, id=key_id, text=body + checksum(body))


def parse_key(text: str, kind: KeyKind) -> Key | None:
    """Parses a key; returns None if the form, prefix or checksum is wrong."""
    match = KEY_PATTERN.fullmatch(text)
    if match is None or match[1] != kind:
        return None
    body, given = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    return Key(kind=kind, id=match[2], text=text) if hmac.compare_digest(checksum(body), given) else None


def checksum(body: str) -> str:
    """Returns the CRC-32 of the text as six base-62 digits. It catches typing errors but protects nothing."""
    number, digits = crc32(body.encode()), []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(BASE62))
        digits.append(BASE62[digit])
    return "".join(reversed(digits))


class KeyHasher:
    """Hashes keys for storage: HMAC-SHA256 with a key derived from the installation's secret."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        self._key = derive_key(secret, "api-key")

    def hash(self, key: Key) -> str:
        """Returns the hash that is stored, 64 hex digits. With 256 random bits, one round is enough."""
        return hmac.new(self._key, key.text.encode(), sha256).hexdigest()

    def matches(self, key: Key, stored: str) -> bool:
        """Returns whether the stored hash is this key's, in constant time."""
        return hmac.compare_digest(self.hash(key).encode(), stored.encode())
