"""People whose records state consents, written directly to a store, for tests of what these permit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graph.model.consent import ConsentState, ConsentStatement
from graph.model.identity import Proof, RecordId, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer
from privacy.gate import SubjectPermits
from privacy.policy import Policy
from privacy.states import initial_permits
from resolvers.consent.permits import PermitDifference, check_permits, refresh_permits
from resolvers.consent.recording import NewStatement, Recorded, record_consents

POLICY = Policy.default()
BASE = initial_permits(POLICY)
NOW = Millis(1_800_000_000_000)
ANNE = UserId("anne")
WEB, APP = RecordId("web-1"), RecordId("app-1")

WRITE_PERSON = """
MERGE (u:User {id: $user})
ON CREATE SET u.permits = $permits, u.consent_epoch = 0, u.created_at = 0
WITH u
UNWIND $records AS id
MERGE (r:Record {id: id})
ON CREATE SET r.source = 'shop', r.kind = 'user', r.key = id
MERGE (r)-[x:RESOLVES_TO]->(u)
"""


async def person(store: GraphClient, user: str, *records: str) -> None:
    async def work(tx: Writer) -> None:
        await tx.run(WRITE_PERSON, user=user, records=list(records), permits=list(BASE))

    await store.write(work)


def statement_of(
    purpose: str, state: str = "given", at: int = NOW, *, recipient: str | None = None, **more: object
) -> ConsentStatement:
    statement = ConsentStatement(purpose, ConsentState(state), Millis(at), recipient=recipient, assurance=1)
    return replace(statement, **more)  # type: ignore[arg-type]


async def append(
    store: GraphClient,
    record: str,
    *statements: ConsentStatement,
    ids: Sequence[str] = (),
    users: Sequence[str] = (ANNE,),
    now: int = NOW,
    proof: Proof | None = None,
) -> Recorded:
    """Records statements received at `now`, and refreshes the permits of users and of whom a denial reaches."""
    names = ids or [f"{record}/{s.purpose}/{s.recipient}/{s.state}/{s.effective_at}" for s in statements]

    async def work(tx: Writer) -> Recorded:
        at = Millis(now)
        rows = [NewStatement(RecordId(record), name, s, at, proof) for name, s in zip(names, statements, strict=True)]
        recorded = await record_consents(tx, rows, at)
        await refresh_permits(tx, {*(UserId(u) for u in users), *recorded.hearers}, POLICY, at)
        return recorded

    return await store.write(work)


async def read_stored(store: GraphClient, user: str = ANNE) -> SubjectPermits:
    rows = await store.read(
        "MATCH (u:User {id: $id}) RETURN u.permits AS p, u.permits_until AS t, u.consent_epoch AS e, "
        "u.permit_ends AS ends, u.permit_grants AS grants",
        id=user,
    )
    ends, grants = tuple(rows[0]["ends"] or ()), tuple(rows[0]["grants"] or ())
    return SubjectPermits(tuple(rows[0]["p"]), rows[0]["t"], rows[0]["e"], ends=ends, grants=grants)


async def differences(store: GraphClient, policy: Policy, now: Millis) -> tuple[PermitDifference, ...]:
    check = await check_permits(store, policy, lambda: now)
    assert check.complete
    return check.differences


async def count_events(store: GraphClient) -> int:
    return int((await store.read("MATCH (e:ConsentEvent) RETURN count(e) AS n"))[0]["n"])
