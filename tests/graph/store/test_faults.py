"""What the driver's exceptions become, and which of them are worth another try."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
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
)

from graph.errors import Conflict, ConsentricError, StoreTimeout, StoreUnavailable
from graph.store.client import GraphClient, StoreLimits, StoreTarget, Writer
from graph.store.faults import ENTITY_NOT_FOUND, TIMEOUT_CODES, is_timeout, is_worth_retrying, pauses, translate

SECRET = "jane.doe@example.org"


def from_server(code: str) -> Neo4jError:
    """What the driver makes of a server's failure."""
    return Neo4jError._hydrate_neo4j(code=code, message=f"something about '{SECRET}'")


DEADLOCK = from_server("Neo.TransientError.Transaction.DeadlockDetected")
SYNTAX = from_server("Neo.ClientError.Statement.SyntaxError")
DUPLICATE = from_server("Neo.ClientError.Schema.ConstraintValidationFailed")
VANISHED = from_server(ENTITY_NOT_FOUND)
PASSWORD = from_server("Neo.ClientError.Security.Unauthorized")

BECOMES: list[tuple[Exception, type[ConsentricError], str]] = [
    (DUPLICATE, Conflict, "meeting another one"),
    (VANISHED, Conflict, "meeting another one"),
    (DEADLOCK, StoreUnavailable, "too busy"),
    (PASSWORD, StoreUnavailable, "refuses this service"),
    (IncompleteCommit(SECRET), StoreUnavailable, "may or may not have been kept"),
    (ConnectionAcquisitionTimeoutError(SECRET), StoreUnavailable, "connections to the store are busy"),
    (ServiceUnavailable(SECRET), StoreUnavailable, "can't be reached"),
    (SessionExpired(SECRET), StoreUnavailable, "can't be reached"),
    (SYNTAX, ConsentricError, r"refused a statement \(Neo.ClientError.Statement.SyntaxError\)"),
    (DriverError(SECRET), ConsentricError, r"refused a statement \(DriverError\)"),
]


@pytest.mark.parametrize(("error", "kind", "says"), BECOMES, ids=lambda value: type(value).__name__)
def test_each_fault_becomes_one_error_that_quotes_nothing(
    error: Exception, kind: type[ConsentricError], says: str
) -> None:
    found = translate(error)
    assert type(found) is kind
    assert SECRET not in str(found)
    with pytest.raises(kind, match=says):
        raise found


def test_only_a_starting_client_is_told_which_settings_to_check() -> None:
    assert "CONSENTRIC_STORE_USER" in str(translate(PASSWORD, starting=True))
    assert "CONSENTRIC" not in str(translate(PASSWORD))


def test_the_drivers_messages_about_our_settings_are_passed_on() -> None:
    assert str(translate(ConfigurationError("unknown key: sizes"))).endswith("unknown key: sizes")


@pytest.mark.parametrize("code", sorted(TIMEOUT_CODES))
def test_a_time_out_is_retried_only_if_it_came_early(code: str) -> None:
    error = from_server(code)
    assert is_timeout(error)
    assert is_worth_retrying(error, early=True)
    assert not is_worth_retrying(error, early=False)
    assert type(translate(error)) is StoreTimeout


@pytest.mark.parametrize("error", [DUPLICATE, VANISHED, DEADLOCK, ServiceUnavailable(), SessionExpired()], ids=repr)
@pytest.mark.parametrize("early", [True, False])
def test_lost_races_and_transient_faults_are_retried(error: Exception, early: bool) -> None:
    assert is_worth_retrying(error, early=early)


@pytest.mark.parametrize("error", [SYNTAX, PASSWORD, IncompleteCommit(), AuthError(), ValueError("mine")], ids=repr)
@pytest.mark.parametrize("early", [True, False])
def test_permanent_faults_and_unconfirmed_commits_are_not_retried(error: Exception, early: bool) -> None:
    assert not is_worth_retrying(error, early=early)


@pytest.mark.store
async def test_a_duplicate_key_is_a_conflict_of_the_engines_own_kind(
    store_target: StoreTarget, store: GraphClient
) -> None:
    async def create(tx: Writer) -> None:
        await tx.run("CREATE (:Topic {key: 'x'})")

    async with await GraphClient.connect(store_target, StoreLimits(persist=0.05), explain=True) as client:
        await client.write(create)
        with pytest.raises(Conflict) as caught:
            await client.write(create)
    assert isinstance(caught.value.__cause__, ConstraintError)


def draws(many: int) -> Iterator[tuple[float, ...]]:
    return (tuple(islice(pauses(60), 12)) for _ in range(many))


def test_pauses_double_up_to_the_longest_with_full_jitter() -> None:
    ceilings = [min(0.5, 0.01 * 2**number) for number in range(12)]
    drawn = list(draws(200))
    for number, ceiling in enumerate(ceilings):
        waits = [draw[number] for draw in drawn]
        assert 0 <= min(waits) < ceiling / 2 < max(waits) <= ceiling


def test_pauses_end_when_their_time_is_up() -> None:
    assert list(pauses(0)) == []
    assert len(list(pauses(0.02))) >= 1
