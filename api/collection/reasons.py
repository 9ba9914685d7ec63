"""Why an entry is rejected: stable codes, and the error that carries one.

Responses, dead letters and load reports use these codes. Messages name a field of the format and what it must be, but
never a value.
"""

from __future__ import annotations

from enum import StrEnum

from graph.errors import BadInput
from resolvers.collection.ingestor import STORE_REFUSED
from resolvers.collection.transaction import MessageOutcome


class RejectionReason(StrEnum):
    """Codes of rejection, explained in `docs/errors/rejections.md`. Stable, because programs branch on them."""

    MALFORMED_JSON = "malformed_json"
    BAD_UNICODE = "bad_unicode"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    NOT_AN_OBJECT = "not_an_object"
    UNKNOWN_TYPE = "unknown_type"
    MISSING_FIELD = "missing_field"
    MISSING_ID = "missing_id"
    BLOCKED_ID = "blocked_id"
    BAD_ID = "bad_id"
    UNPROVEN_USER = "unproven_user"
    BAD_PROOF = "bad_proof"
    WRONG_TYPE = "wrong_type"
    BAD_TIMESTAMP = "bad_timestamp"
    BAD_VALUE = "bad_value"
    TOO_MANY_TRAITS = MessageOutcome.TOO_MANY_TRAITS.value
    TOO_MANY_CONSENTS = MessageOutcome.TOO_MANY_CONSENTS.value
    UNKNOWN_SOURCE = "unknown_source"
    STORE_REFUSED = STORE_REFUSED


def parse_reason(text: str) -> RejectionReason:
    """Returns a reason by its code. Raises BadInput, which lists all of them, if there is none of this code."""
    try:
        return RejectionReason(text)
    except ValueError:
        raise BadInput(f"There is no such reason; there are {', '.join(RejectionReason)}.") from None


class Rejected(BadInput):
    """An entry that can never be accepted as it is: sending it again changes nothing."""

    def __init__(self, reason: RejectionReason, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
