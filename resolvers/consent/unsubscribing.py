"""Unsubscribe links: sealed tokens that take one consent of one record back, as often as they are used.

Nothing is stored. A token is encrypted and authenticated (AES-SIV, RFC 5297), so that a link in a mail shows nobody's
user ID and can't be changed to another person or purpose.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from graph.errors import BadInput
from graph.model.consent import ConsentState, ConsentStatement
from graph.model.time import Millis
from privacy.policy import Policy
from resolvers.access.keys import derive_key
from resolvers.consent.statements import NamedRecord, check_statement

UNSUBSCRIBE_METHOD: Final = "unsubscribe_link"
LABEL: Final = b"unsubscribe/1"
LONGEST_TOKEN: Final = 8192


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """What a link takes back: the consent of a record to a purpose, for one recipient or all."""

    record: NamedRecord
    purpose: str
    recipient: str | None
    client: str

    def statement(self, now: Millis) -> ConsentStatement:
        """Returns the denial."""
        return ConsentStatement(
            purpose=self.purpose,
            state=ConsentState.WITHDRAWN,
            effective_at=now,
            recipient=self.recipient,
            method=UNSUBSCRIBE_METHOD,
        )


def seal_unsubscription(secret: bytes, one: Unsubscription, policy: Policy) -> str:
    """Returns the token of a link. Raises BadInput if the record or the purpose can't be used."""
    check_statement(one.statement(Millis(0)), policy)
    record = one.record
    if not (record.user_id or record.anonymous_id) or (record.user_id and record.anonymous_id):
        raise BadInput("record: give either userId or anonymousId.")
    parts = [record.source, record.user_id, record.anonymous_id, one.purpose, one.recipient, one.client]
    sealed = _cipher(secret).encrypt(json.dumps(parts).encode(), [LABEL])
    return urlsafe_b64encode(sealed).decode().rstrip("=")


def open_unsubscription(secret: bytes, token: str) -> Unsubscription | None:
    """Returns what a token takes back, or None if it is not one of ours."""
    if not token or len(token) > LONGEST_TOKEN:
        return None
    try:
        sealed = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        if urlsafe_b64encode(sealed).decode().rstrip("=") != token:
            return None
        source, user, anonymous, purpose, recipient, client = json.loads(_cipher(secret).decrypt(sealed, [LABEL]))
    except (InvalidTag, ValueError):
        return None
    return Unsubscription(NamedRecord(source, user, anonymous), purpose, recipient, client)


def _cipher(secret: bytes) -> AESSIV:
    return AESSIV(derive_key(secret, "unsubscribe"))
