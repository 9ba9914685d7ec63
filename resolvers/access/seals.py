"""Sealed texts: encrypted and authenticated by AES-SIV (RFC 5297), in base64url without padding.

The same content gives the same text, nobody without the key can read one or make one up, and there is no second
spelling of any.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV


class Sealer:
    """Seals and opens texts under one key of 32, 48 or 64 bytes. What was sealed in a context opens only in the same
    one."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESSIV(key)

    def seal(self, content: bytes, *context: bytes) -> str:
        """Returns the sealed text of a content."""
        return _spell(self._cipher.encrypt(content, list(context)))

    def open(self, text: str, *context: bytes) -> bytes | None:
        """Returns the content of a sealed text; None for any other text."""
        try:
            sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            content = self._cipher.decrypt(sealed, list(context))
        except (InvalidTag, ValueError):
            return None
        return content if _spell(sealed) == text else None


def _spell(sealed: bytes) -> str:
    return urlsafe_b64encode(sealed).decode().rstrip("=")
