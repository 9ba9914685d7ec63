"""What the driver's exceptions mean: worth another try or not, and which error of ours they become.

What lives here: the one table from driver exception (class and code, never text) to our errors, and the pauses between
tries. What does not: the loop that tries again (`client.py`). The server's messages quote values, even those about
syntax, so they are never passed on.
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
    """Whether the server stopped the statement because it ran over its time limit."""
    return isinstance(error, Neo4jError) and error.code in TIMEOUT_CODES


def is_worth_retrying(error: Exception, *, early: bool) -> bool:
    """Whether the same work may succeed when run again from its start, the first run having left nothing behind.

    Beyond what the driver calls retryable: a lost MERGE race (ConstraintError), an entity deleted underfoot, and a
    time-out that came `early`, long before the statement's limit: the embedded engine reports a wait for another
    transaction's commit under the code of a statement that ran too long.
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


def translate(error: Exception) -> ConsentricError:
    """Our error for one of the driver's; it holds no parameter value."""
    if is_timeout(error):
        return StoreTimeout("The statement ran over its time limit and was stopped; ask for less at once.")
    if isinstance(error, ConstraintError) or (isinstance(error, Neo4jError) and error.code == ENTITY_NOT_FOUND):
        return Conflict("The write kept meeting another one on the same keys; try again.")
    if isinstance(error, AuthError):
        return StoreUnavailable("The store refused the user or password; check CONSENTRIC_STORE_USER and _PASSWORD.")
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
    """How long to wait before each further try: doubling, with full jitter so that rivals don't meet again; ends once
    `seconds` have passed since the first was asked for."""
    ceiling = first
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield random.uniform(0, ceiling)  # noqa: S311 - spreads load, hides nothing
        ceiling = min(longest, ceiling * 2)
