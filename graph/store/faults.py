"""What the driver's exceptions mean: whether to retry, and which of our errors they become.

Decisions rest on an exception's class and code, never on its text. The server's messages quote values, even in syntax
errors, so they are never passed on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Final

from neo4j.exceptions import (
    AuthError,
    ConfigurationError,
    ConnectionAcquisitionTimeoutError,
    ConstraintError,
    DriverError,
    IncompleteCommit,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
    TransientError,
)

from graph.errors import Conflict, ConsentricError, StoreTimeout, StoreUnavailable

ENTITY_NOT_FOUND: Final = "Neo.ClientError.Statement.EntityNotFound"
TIMEOUT_CODES: Final = frozenset(
    (
        "Neo.ClientError.Transaction.TransactionTimedOut",
        "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
        "Neo.TransientError.Transaction.Timeout",
    )
)

DriverFault = (Neo4jError, DriverError)


def is_timeout(error: Exception) -> bool:
    """Returns whether the server stopped the statement because it exceeded its time limit."""
    return isinstance(error, Neo4jError) and error.code in TIMEOUT_CODES


def is_worth_retrying(error: Exception, *, early: bool) -> bool:
    """Returns whether the same work may succeed if it is run again from the start.

    The driver's own list of retryable errors is extended by: a lost MERGE race (ConstraintError), an entity deleted by
    another transaction, and a time-out that came `early`, long before the statement's limit. The embedded engine uses
    the code of a statement time-out when it waits too long for another transaction's commit.
    """
    if isinstance(error, IncompleteCommit):
        return False
    if is_timeout(error):
        return early
    if isinstance(error, ConstraintError):
        return True
    if isinstance(error, Neo4jError) and error.code == ENTITY_NOT_FOUND:
        return True
    return isinstance(error, DriverFault) and error.is_retryable()


def translate(error: Exception, *, starting: bool = False) -> ConsentricError:
    """Returns our error for one of the driver's. Its message quotes no parameter value.

    Messages reach clients of the API, so they name no setting. Only an error while `starting`, which the operator sees,
    names what to check.
    """
    if is_timeout(error):
        return StoreTimeout("The statement exceeded its time limit and was stopped; ask for less at once.")
    if isinstance(error, ConstraintError) or (isinstance(error, Neo4jError) and error.code == ENTITY_NOT_FOUND):
        return Conflict("The write kept meeting another one on the same keys; try again.")
    if isinstance(error, AuthError):
        if starting:
            return StoreUnavailable(
                "The store refused the user or password; check CONSENTRIC_STORE_USER and _PASSWORD."
            )
        return StoreUnavailable("The store refuses this service; its operator has to look.")
    if isinstance(error, IncompleteCommit):
        return StoreUnavailable(
            "The connection broke while the write was being confirmed: it may or may not have been kept. Send it again."
        )
    if isinstance(error, ConnectionAcquisitionTimeoutError):
        return StoreUnavailable("All connections to the store are busy; try again after a pause.")
    if isinstance(error, ServiceUnavailable | SessionExpired):
        return StoreUnavailable("The store can't be reached; check that it runs and that its address is right.")
    if isinstance(error, TransientError):
        return StoreUnavailable("The store is too busy with other work on the same data; try again after a pause.")
    if isinstance(error, ConfigurationError):
        return ConsentricError(f"The connection to the store is configured wrongly: {error}")
    code = error.code if isinstance(error, Neo4jError) else type(error).__name__
    return ConsentricError(f"The store refused a statement ({code}); the store's own log says why.")


def pauses(seconds: float, first: float = 0.01, longest: float = 0.5) -> Iterator[float]:
    """Yields the pause before each retry, in seconds, until `seconds` have passed since the first.

    The upper bound doubles each time. Full jitter keeps competing writers from meeting again.
    """
    ceiling = first
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield random.uniform(0, ceiling)  # noqa: S311 - spreads load, hides nothing
        ceiling = min(longest, ceiling * 2)
