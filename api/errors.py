"""How errors are reported: HTTP status and exit code of each class, the message shown, the page that explains it.

The codes are attributes of the classes in `graph/errors.py`; those without a class are declared here.
Exit codes are those of BSD's sysexits.h where one fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from graph import errors
from graph.errors import ConsentricError


class ErrorMapping(NamedTuple):
    """The HTTP status and the exit code of an error class."""

    status: int
    exit_code: int


INTERNAL: Final = ErrorMapping(500, 70)

MAPPINGS: Final[Mapping[type[ConsentricError], ErrorMapping]] = {
    errors.BadInput: ErrorMapping(400, 65),
    errors.NotFound: ErrorMapping(404, 66),
    errors.Conflict: ErrorMapping(409, 73),
    errors.Unauthenticated: ErrorMapping(401, 77),
    errors.Forbidden: ErrorMapping(403, 77),
    errors.PurposeRequired: ErrorMapping(403, 64),
    errors.RateLimited: ErrorMapping(429, 75),
    errors.PayloadTooLarge: ErrorMapping(413, 65),
    errors.QueryTooComplex: ErrorMapping(400, 65),
    errors.StoreUnavailable: ErrorMapping(503, 69),
    errors.StoreInUse: ErrorMapping(503, 75),
    errors.StoreTimeout: ErrorMapping(503, 75),
    errors.MigrationRefused: ErrorMapping(503, 78),
    errors.SettingsInvalid: ErrorMapping(500, 78),
    errors.WriteInRead: INTERNAL,
    errors.ConsentricError: INTERNAL,
}

INTERNAL_MESSAGE: Final = "Something went wrong on our side. Try again; if it persists, report when it happened."

OPERATORS_ERRORS: Final = frozenset({errors.SettingsInvalid, errors.StoreInUse, errors.MigrationRefused})
OPERATORS_MESSAGE: Final = "The service can't be used at the moment; its operator has to look."
"""Shown to clients of the API for these errors; their own messages are for the command line."""

METHOD_NOT_ALLOWED: Final = "METHOD_NOT_ALLOWED"
"""Code of a request whose path exists but does not allow its method; HTTP only."""

REQUEST_TIMEOUT: Final = "REQUEST_TIMEOUT"
"""Code of a request that arrives too slowly; HTTP only."""

USAGE: Final = "USAGE"
USAGE_EXIT: Final = 64
"""Code and exit code of a command line that can't be parsed."""

INTERRUPTED: Final = "INTERRUPTED"
INTERRUPT_EXIT: Final = 130
"""Code and exit code after Ctrl-C or SIGTERM; shells use 130, too."""

CODES_BY_STATUS: Final[Mapping[int, str]] = {
    401: errors.Unauthenticated.code,
    403: errors.Forbidden.code,
    404: errors.NotFound.code,
    405: METHOD_NOT_ALLOWED,
    408: REQUEST_TIMEOUT,
    413: errors.PayloadTooLarge.code,
    429: errors.RateLimited.code,
}
"""Codes of the errors that the web framework raises, by status; any other status is BAD_USER_INPUT."""

ERROR_PAGES: Final = Path(__file__).parent.parent / "docs" / "errors"
"""One page per code, `CODE.md`, and `rejections.md` for the reasons of rejected messages."""

ERROR_PAGES_PATH: Final = "/errors"
"""The path under which the API serves these pages."""


def classify(error: BaseException) -> type[ConsentricError]:
    """Returns the nearest class in the error's ancestry that MAPPINGS holds; ConsentricError if there is none."""
    return next((kind for kind in type(error).__mro__ if kind in MAPPINGS), ConsentricError)


def is_internal(error_class: type[ConsentricError]) -> bool:
    """Returns whether errors of this class are masked: only the code, the status and a fixed message are shown."""
    return error_class.code == ConsentricError.code


def message_of(error: BaseException) -> str:
    """Returns the message that may be shown: the error's own, or a fixed one if the error is internal."""
    return INTERNAL_MESSAGE if is_internal(classify(error)) else str(error)


def public_message_of(error: BaseException) -> str:
    """Returns the message for a client of the API: no advice for operators, which names settings and folders."""
    return OPERATORS_MESSAGE if classify(error) in OPERATORS_ERRORS else message_of(error)


def code_of_status(status: int) -> str:
    """Returns the code of an error that the web framework raised with this HTTP status."""
    return CODES_BY_STATUS.get(status, errors.BadInput.code)


def documentation_of(page: str) -> str:
    """Returns the link to a code's page (or `rejections#REASON`), relative to the address of the API."""
    return f"{ERROR_PAGES_PATH}/{page}"
