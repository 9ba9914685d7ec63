"""A graph that the code before sources had a trust wrote is brought over: grades, people, devices, denials, permits.

`graph_before_trust.json` was written by `dev/graphs/before_trust.py`, whose docstring tells how.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from graph.consent.permits import read_user_logs
from graph.model.identity import UserId
from graph.model.time import Millis
from graph.schema import UNIQUE_KEYS, Label
from graph.store.client import GraphClient, Writer
from migrations.runner import migrate
from migrations.step import MigrationState
from migrations.steps import STEPS
from privacy.policy import Policy
from privacy.purposes import IDENTITY_LINKING, Permit
from privacy.rules import PermitReason
from resolvers.consent.permits import check_permits, judge
from resolvers.identity.batch import resolve_all
from resolvers.identity.candidates import count_candidates
from resolvers.identity.rederive import RederiveReport, settle_sources

pytestmark = pytest.mark.store

GRAPH: Final = json.loads(Path(__file__).with_name("graph_before_trust.json").read_bytes())
RECORDS: Final = {node["id"]: f"{node['source']}:{node['key']}" for node in GRAPH["nodes"]["Record"]}
POLICY: Final = Policy.default()
TABLET, PHONE, LAPTOP = (f"web:0b6f7c1e-4d2a-4c1b-9e3f-00000000000{n}" for n in range(3))
MALLORY, LONELY, GUEST = (f"web:0b6f7c1e-4d2a-4c1b-9e3f-00000000001{n}" for n in range(3))
DENIALS: Final = frozenset({"refused", "withdrawn", "revoked", "objected", "invalidated"})


def clock() -> Millis:
    return Millis(GRAPH["now"])


async def run(store: GraphClient, statement: str, **parameters: Any) -> list[dict[str, Any]]:
    return await store.write(lambda tx: tx.run(statement, **parameters))


@pytest.fixture
async def old(store: GraphClient) -> GraphClient:
    """A store with the old graph, which holds the first two migrations only."""
    await run(store, "MATCH (m:Migration) WHERE m.version > 2 DELETE m")
    for label, nodes in GRAPH["nodes"].items():
        await run(store, f"UNWIND $nodes AS facts CREATE (n:{label}) SET n = facts", nodes=nodes)
    grouped: dict[tuple[str, str, str], list[Any]] = {}
    for kind, left, start, right, end, facts in GRAPH["relationships"]:
        grouped.setdefault((kind, left, right), []).append([start, end, facts])
    for (kind, left, right), rows in grouped.items():
        keys = UNIQUE_KEYS[Label(left)], UNIQUE_KEYS[Label(right)]
        match = f"MATCH (a:{left} {{{keys[0]}: row[0]}}) MATCH (b:{right} {{{keys[1]}: row[1]}})"
        await run(store, f"UNWIND $rows AS row {match} CREATE (a)-[r:{kind}]->(b) SET r = row[2]", rows=rows)
    return store


async def bring_over(store: GraphClient, **options: Any) -> RederiveReport:
    await migrate(store)
    return await settle_sources(store, POLICY, clock, fence=0, **options)


async def find_people(store: GraphClient) -> dict[str, list[str]]:
    """Returns the records of each live person, by the person's ID."""
    rows = await store.read(
        """
        MATCH (r:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL AND u.retired_at IS NULL
        RETURN u.id AS user, collect(r.id) AS records
        """
    )
    return {row["user"]: sorted(RECORDS[record] for record in row["records"]) for row in rows}


async def find_permits(store: GraphClient) -> dict[str, set[str]]:
    """Returns what the person of each record permits."""
    rows = await store.read(
        "MATCH (r:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL RETURN r.id AS id, u.permits AS permits"
    )
    return {RECORDS[row["id"]]: set(row["permits"]) for row in rows}


async def dump(store: GraphClient) -> list[str]:
    """Returns everything in the graph but touch counters, as sorted lines."""
    nodes = await run(store, "MATCH (n) RETURN labels(n) AS what, properties(n) AS facts")
    edges = await run(
        store,
        """
        MATCH (a)-[r]->(b)
        RETURN [type(r), properties(a), properties(b)] AS what, properties(r) AS facts
        """,
    )
    rows = [[row["what"], row["facts"]] for row in (*nodes, *edges) if row["what"] not in (["Lock"], ["Migration"])]
    for what, facts in rows:
        for one in (*what, facts):
            if isinstance(one, dict):
                one.pop("_v", None)
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


async def test_every_holding_is_graded_and_sources_are_settled_servers(old: GraphClient) -> None:
    statuses = await migrate(old)
    changed = {status.version: status.state for status in statuses if status.changed}
    assert changed == dict.fromkeys((5, 6, 7), MigrationState.APPLIED)
    unsettled = "MATCH (s:Source) WHERE s.settled_epoch < s.trust_epoch RETURN count(s) AS n"
    assert await old.read(unsettled) == [{"n": 4}]
    report = await settle_sources(old, POLICY, clock, fence=0)
    assert report.sources == 4
    assert report.separated == 8
    assert report.split == 4
    assert await old.read(unsettled) == [{"n": 0}]
    rows = await old.read("MATCH (s:Source) RETURN DISTINCT s.trust AS trust, s.verifies AS verifies")
    assert rows == [{"trust": "server", "verifies": []}]
    grades = await old.read(
        "MATCH (r:Record)-[h:IDENTIFIED_BY]->(i) RETURN DISTINCT r.kind AS record, i.kind AS kind, h.grade AS grade"
    )
    assert {tuple(row.values()) for row in grades} == {
        ("user", "user_id", "proven"),
        ("user", "anonymous_id", "proven"),
        ("user", "loyalty", "proven"),
        ("user", "email", "stated"),
        ("user", "phone", "stated"),
        ("anonymous", "email", "stated"),
    }
    wrong = """
    MATCH (i:Identifier)
    WHERE i.degree <> COUNT { MATCH (i)<-[h:IDENTIFIED_BY]-(:Record) WHERE h.grade = 'proven' }
    RETURN i.kind AS kind
    """
    assert await old.read(wrong) == []


async def test_people_are_components_of_accounts_and_devices_are_alone(old: GraphClient) -> None:
    before = await find_people(old)
    (ada,) = [user for user, records in before.items() if "web:ada" in records]
    await bring_over(old)
    people = await find_people(old)
    assert sorted(records for records in people.values() if len(records) > 1) == [
        ["crm:c-dora", "shop:dora"],
        ["crm:frank", "shop:frank"],
    ]
    assert sum(map(len, people.values())) == len(RECORDS)
    assert people[ada] in (["web:ada"], ["crm:c-ada"])
    nobody = "MATCH (u:User) WHERE u.retired_at IS NULL AND NOT (u)<-[:RESOLVES_TO]-(:Record) RETURN count(u) AS n"
    assert await old.read(nobody) == [{"n": 0}]
    linked = """
    MATCH (r:Record)-[l:LINKED]-(:Record) WHERE l.to IS NULL AND r.kind = 'anonymous' RETURN count(l) AS n
    """
    assert await old.read(linked) == [{"n": 0}]
    assert (await count_candidates(old)).pairs == {"email": 7, "phone": 1}


async def test_devices_count_for_the_accounts_that_used_them(old: GraphClient) -> None:
    await bring_over(old)
    rows = await old.read("MATCH (d)-[c:COUNTS_FOR]->(a) RETURN d.id AS device, a.id AS account, c.grade AS grade")
    assert {(RECORDS[row["device"]], RECORDS[row["account"]], row["grade"]) for row in rows} == {
        (TABLET, "web:ada", "proven"),
        (PHONE, "web:ada", "proven"),
        ("kiosk:kiosk-1", "kiosk:gus", "proven"),
        ("web:carols-device", "web:carol", "proven"),
        ("web:a1", "web:olga", "proven"),
        ("web:pias-device", "web:pia", "proven"),
    }


def find_denied(people: Iterable[list[str]]) -> dict[str, set[tuple[str, str | None]]]:
    """Returns what somebody of each record's person denied."""
    events = {node["id"]: node for node in GRAPH["nodes"]["ConsentEvent"]}
    own: dict[str, set[tuple[str, str | None]]] = {}
    for kind, _, record, _, event, _ in GRAPH["relationships"]:
        if kind == "DECIDED" and events[event]["state"] in DENIALS:
            about = events[event]["purpose"], events[event].get("recipient")
            own.setdefault(RECORDS[record], set()).add(about)
    return {one: set().union(*(own.get(other, ()) for other in records)) for records in people for one in records}


async def test_a_denial_still_holds_for_everyone_for_whom_it_held(old: GraphClient) -> None:
    denied = find_denied((await find_people(old)).values())
    before = await find_permits(old)
    await bring_over(old)
    held = 0
    for user, records in (await find_people(old)).items():
        (log,) = await read_user_logs(old, [UserId(user)])
        states = judge(log, POLICY, clock())
        for record in records:
            for purpose, recipient in denied[record]:
                permit = Permit(purpose, recipient)
                if purpose != IDENTITY_LINKING and str(permit) not in before[record]:
                    assert states[permit].reason in (PermitReason.DENIED, PermitReason.BARRED), (record, purpose)
                    held += 1
    assert held == 16


async def test_denials_of_former_people_survive_later_changes_of_trust(old: GraphClient) -> None:
    await bring_over(old)
    await run(old, "MATCH (s:Source {name: 'web'}) SET s.trust = 'public', s.trust_epoch = 2")
    await settle_sources(old, POLICY, clock, fence=0)
    permits = await find_permits(old)
    assert "analytics" not in permits["shop:bob"] | permits["web:bob-web"] | permits["crm:c-bob"]


OPENED: Final = {"web:kim": {"partner_sharing@*"}}
"""What a record's person permits now and did not before, where a rule opens it on purpose. Kim's two records were one
person by an address that nobody checks. Silence is judged by the jurisdictions of one's own records: the shop's states
California, where partners may get what one has not objected to; the CRM's Germany no longer counts for it."""


async def test_permits_are_never_wider_than_before_but_where_a_rule_opens_them(old: GraphClient) -> None:
    before = await find_permits(old)
    await bring_over(old)
    after = await find_permits(old)
    opened = {record: new for record, permits in after.items() if (new := permits - before[record])}
    assert opened == OPENED
    assert "analytics" in before["shop:nina"] - after["shop:nina"]
    check = await check_permits(old, POLICY, clock)
    assert (check.complete, check.differences) == (True, ())


async def test_an_address_that_was_taken_up_again_is_current(old: GraphClient) -> None:
    await bring_over(old)
    rows = await old.read(
        """
        MATCH (:Record {source: 'web', key: 'ada'})-[h:IDENTIFIED_BY]->(i:Identifier {kind: 'email'})
        RETURN i.value AS value, h.ended IS NULL AS current ORDER BY value
        """
    )
    assert [tuple(row.values()) for row in rows] == [("ada@example.org", True), ("ada@new.example.org", False)]


async def test_the_batch_and_a_second_run_change_nothing(old: GraphClient) -> None:
    await bring_over(old)
    there = await dump(old)
    report = await resolve_all(old, POLICY, clock)
    assert (report.opened, report.ended, report.merged, report.split) == (0, 0, 0, 0)
    assert await dump(old) == there
    assert await bring_over(old) == RederiveReport()
    await run(old, "MATCH (m:Migration) WHERE m.version > 2 DELETE m")
    await run(old, "MATCH (s:Source) SET s.settled_epoch = 0")
    again = await bring_over(old)
    assert (again.regraded, again.separated, again.merged, again.split) == (0, 0, 0, 0)
    assert await dump(old) == there


class Interrupted(Exception):
    """What ends a run early."""


async def test_an_interrupted_run_starts_over(old: GraphClient) -> None:
    def interrupt(records: int) -> None:
        if records > 12:
            raise Interrupted

    before = await find_permits(old)
    with pytest.raises(Interrupted):
        await bring_over(old, progress=interrupt)
    assert (await bring_over(old)).sources == 4
    after = await find_permits(old)
    assert {record: new for record, permits in after.items() if (new := permits - before[record])} == OPENED
    assert (await check_permits(old, POLICY, clock)).differences == ()
    assert len(await find_people(old)) == len(RECORDS) - 2


async def test_a_statement_interrupted_in_its_pages_is_safe_to_run_again(old: GraphClient) -> None:
    async def half(tx: Writer, statement: str) -> None:
        await tx.run(statement, after="", until="8")

    for statement in STEPS[4].statements:
        await old.write(partial(half, statement=statement))
    await bring_over(old)
    assert len(await find_people(old)) == len(RECORDS) - 2
    twice = """
    MATCH (r:Record)-[h:IDENTIFIED_BY|CLAIMS]->(i:Identifier)
    WITH r, i, count(h) AS edges WHERE edges > 1
    RETURN count(r) AS n
    """
    assert await old.read(twice) == [{"n": 0}]
