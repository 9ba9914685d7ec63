"""Pairwise pseudonyms: the IDs that a partner sees.

A pseudonym is the user's ID and the grant that opens the person to the partner, sealed under a key of the recipient and
the purpose. So two partners, or one partner for two purposes, can't match people by ID; a new grant gives a new
pseudonym; and no other text is accepted. Sessions and interactions get names in the same way.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import orjson

from graph.model.identity import UserId
from resolvers.access.keys import derive_key
from resolvers.access.seals import Sealer

GRANT_BYTES: Final = 16
PROFILE: Final = b"Profile"


class Pseudonyms:
    """Makes and reads the pseudonyms of one recipient and purpose."""

    __slots__ = ("_sealer",)

    def __init__(self, secret: bytes, recipient: str, purpose: str) -> None:
        label = "pseudonym/" + orjson.dumps([recipient, purpose]).decode()
        self._sealer = Sealer(derive_key(secret, label + "/1") + derive_key(secret, label + "/2"))

    def of_person(self, user: UserId, grant: str) -> str:
        """Returns the pseudonym of a user while this grant decides."""
        return self._sealer.seal(_digest(grant) + user.encode(), PROFILE)

    def read_person(self, text: str) -> tuple[UserId, bytes] | None:
        """Returns the user behind a pseudonym, and what `is_current` checks; None if the text is not one of these."""
        content = self._sealer.open(text, PROFILE)
        return None if content is None else (UserId(content[GRANT_BYTES:].decode()), content[:GRANT_BYTES])

    def of_part(self, kind: str, key: str, grant: str) -> str:
        """Returns the name of a session, an interaction or an order (`kind`) while this grant decides."""
        return self._sealer.seal(_digest(grant) + key.encode("utf-8", "surrogatepass"), kind.encode())


def is_current(digest: bytes, grant: str) -> bool:
    """Whether the grant in a pseudonym is the one that decides now."""
    return digest == _digest(grant)


def _digest(grant: str) -> bytes:
    return blake2b(grant.encode("utf-8", "surrogatepass"), digest_size=GRANT_BYTES).digest()
