"""Unsubscribe links: sealed tokens that take one consent of one record back, as often as they are used.

Nothing is stored. A token is sealed, so that a link in a mail shows nobody's user ID and can't be changed to another
person or purpose.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from graph.errors import BadInput
from graph.model.consent import ConsentState, ConsentStatement
from graph.model.time import Millis
from privacy.policy import Policy
from resolvers.access.keys import derive_key
from resolvers.access.seals import Sealer
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
    return _sealer(secret).seal(json.dumps(parts).encode(), LABEL)


def open_unsubscription(secret: bytes, token: str) -> Unsubscription | None:
    """Returns what a token takes back, or None if it is not one of ours."""
    content = _sealer(secret).open(token, LABEL) if len(token) <= LONGEST_TOKEN else None
    if content is None:
        return None
    source, user, anonymous, purpose, recipient, client = json.loads(content)
    return Unsubscription(NamedRecord(source, user, anonymous), purpose, recipient, client)


def _sealer(secret: bytes) -> Sealer:
    return Sealer(derive_key(secret, "unsubscribe"))
