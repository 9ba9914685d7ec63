"""The checks of `consentric doctor` that need a store."""

from __future__ import annotations

import pytest

from api.cli.doctor import Finding, State, examine_store
from graph.consent.policy_version import write_policy_version
from graph.model.time import system_clock
from graph.store.client import GraphClient, Writer
from privacy.policy import Policy
from tests.api.door import given, identify, open_door

pytestmark = pytest.mark.store

POLICY = Policy.default()


async def find_permits(store: GraphClient, policy: Policy | None = POLICY) -> list[Finding]:
    return [finding async for finding in examine_store(store, policy) if finding.check == "permits"]


async def load(store: GraphClient) -> None:
    async with open_door(store) as door:
        for name in ("ada", "bob"):
            await door.load(identify(name), *given(name, "analytics", state="refused"))


async def tamper(store: GraphClient) -> str:
    """Gives one person a permit that they refused. Returns their ID."""

    async def work(tx: Writer) -> str:
        rows = await tx.run(
            """
            MATCH (:Record {key: 'ada'})-[:RESOLVES_TO]->(u:User)
            SET u.permits = u.permits + ['analytics']
            RETURN u.id AS user
            """
        )
        return str(rows[0]["user"])

    return await store.write(work)


async def test_stored_permits_are_compared_with_the_consent_logs(store: GraphClient) -> None:
    await load(store)
    (finding,) = await find_permits(store)
    assert (finding.state, finding.found) == (State.OK, "agree with the consent logs of 2 people")
    user = await tamper(store)
    (finding,) = await find_permits(store)
    assert finding.state is State.FAILED
    assert finding.found == f"1 of 2 people differ from their consent logs, such as {user}"
    assert "CONSENTRIC_POLICY" in finding.advice


async def test_an_incomplete_check_states_how_many_people_it_covers(
    store: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(store)
    monkeypatch.setattr("resolvers.consent.permits.PAGE", 1)
    monkeypatch.setattr("api.cli.doctor.MOST_PEOPLE", 1)
    (finding,) = await find_permits(store)
    assert (finding.state, finding.found) == (State.OK, "agree with the consent logs of the first 1 people")


async def test_permits_of_another_policy_are_not_compared(store: GraphClient) -> None:
    await load(store)
    await tamper(store)
    await store.write(lambda tx: write_policy_version(tx, "another", system_clock()))
    (finding,) = await find_permits(store)
    assert finding.state is State.WARNING
    assert finding.found == f"computed under policy another, not {POLICY.version}"
    assert await find_permits(store, None) == []
