"""Every error that Consentric raises deliberately, under one root; each class has one stable code.

The code is the same in GraphQL, over HTTP, on the command line and in logs. `api/errors.py` maps each class to an HTTP
status and an exit code; `docs/errors/` has one page per code. Messages say what to do and never quote personal data.
"""

from __future__ import annotations

from typing import ClassVar


class ConsentricError(Exception):
    """Root of all deliberate errors. Programs may branch on `code`; the message may change.

    A class without a code of its own is internal: its message never leaves the process.
    """

    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"


class BadInput(ConsentricError):
    """What the caller sent can't be used; the message names the field and what is expected."""

    code = "BAD_USER_INPUT"


class NotFound(ConsentricError):
    """What the request names does not exist, or this viewer may not know that it does."""

    code = "NOT_FOUND"


class Conflict(ConsentricError):
    """The request contradicts what the graph already holds."""

    code = "CONFLICT"


class Unauthenticated(ConsentricError):
    """No credential, or one that does not verify."""

    code = "UNAUTHENTICATED"


class Forbidden(ConsentricError):
    """The credential is valid, but its role does not allow this."""

    code = "FORBIDDEN"


class PurposeRequired(ConsentricError):
    """The client has several purposes, or none, and the request does not pick one of them."""

    code = "PURPOSE_REQUIRED"


class RateLimited(ConsentricError):
    """Too much work is waiting, or a client asks too often; try again after `retry_after` seconds."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PayloadTooLarge(ConsentricError):
    """A body, batch or event is over its limit."""

    code = "PAYLOAD_TOO_LARGE"


class QueryTooComplex(ConsentricError):
    """A query is too deep, too wide or too costly for one request."""

    code = "QUERY_TOO_COMPLEX"


class StoreUnavailable(ConsentricError):
    """The store can't be reached or is too busy. Nothing was written; the caller may try again."""

    code = "STORE_UNAVAILABLE"


class StoreInUse(ConsentricError):
    """Another process holds the embedded store's folder."""

    code = "STORE_IN_USE"


class StoreTimeout(ConsentricError):
    """A statement or a request exceeded its time limit and was stopped."""

    code = "TIMEOUT"


class WriteInRead(ConsentricError):
    """A read was asked to run a statement that writes: a mistake in our code, so it is internal."""


class MigrationRefused(ConsentricError):
    """The migrations recorded in the graph disagree with those in the code."""

    code = "MIGRATION_REFUSED"


class SettingsInvalid(ConsentricError):
    """A setting in the environment can't be used."""

    code = "SETTINGS_INVALID"
