"""How the doors show errors: one table from error class to GraphQL code, HTTP status and exit code.

What lives here: the table and the lookup through an error's classes. What does not: the error classes themselves
(`graph/errors.py`) and the shape of a door's answer (`api/graphql.py`, `api/collect/`, `api/cli/`). What the table does
not hold is nobody's business outside: it shows as INTERNAL_SERVER_ERROR, 500, exit code 70 and a fixed message.
Exit codes are those of BSD's sysexits.h where one fits.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from graph import errors


class Face(NamedTuple):
    """One error class as the outside sees it."""

    code: str
    status: int
    exit_code: int


INTERNAL: Final = Face("INTERNAL_SERVER_ERROR", 500, 70)
INTERNAL_MESSAGE: Final = "Something went wrong on our side. Try again; if it stays, tell us when it happened."

FACES: Final[dict[type[Exception], Face]] = {
    errors.BadInput: Face("BAD_USER_INPUT", 400, 65),
    errors.NotFound: Face("NOT_FOUND", 404, 66),
    errors.Conflict: Face("CONFLICT", 409, 73),
    errors.Unauthenticated: Face("UNAUTHENTICATED", 401, 77),
    errors.Forbidden: Face("FORBIDDEN", 403, 77),
    errors.PurposeRequired: Face("PURPOSE_REQUIRED", 403, 64),
    errors.ConsentRequired: Face("CONSENT_REQUIRED", 403, 77),
    errors.RateLimited: Face("RATE_LIMITED", 429, 75),
    errors.PayloadTooLarge: Face("PAYLOAD_TOO_LARGE", 413, 65),
    errors.QueryTooComplex: Face("QUERY_TOO_COMPLEX", 400, 65),
    errors.StoreUnavailable: Face("STORE_UNAVAILABLE", 503, 69),
    errors.StoreInUse: Face("STORE_UNAVAILABLE", 503, 75),
    errors.StoreTimeout: Face("TIMEOUT", 503, 75),
    errors.MigrationRefused: Face("MIGRATION_REFUSED", 503, 78),
    errors.SettingsInvalid: Face("SETTINGS_INVALID", 500, 78),
    errors.WriteInRead: INTERNAL,
    errors.ConsentricError: INTERNAL,
}

USAGE_EXIT: Final = 64
"""Exit code of a command line that can't be understood; no error class stands behind it."""

INTERRUPT_EXIT: Final = 130
"""Exit code after Ctrl-C, as shells have it."""


def face_of(error: BaseException) -> Face:
    """The face of the nearest class in the error's ancestry that the table holds."""
    for kind in type(error).__mro__:
        if kind in FACES:
            return FACES[kind]
    return INTERNAL


def message_of(error: BaseException) -> str:
    """The text that may leave: the error's own where the table gives it a face, else the fixed one."""
    return INTERNAL_MESSAGE if face_of(error) is INTERNAL else str(error)
