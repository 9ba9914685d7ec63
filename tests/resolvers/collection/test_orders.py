"""Batch = incremental: whatever the order and the groups in which messages are processed, their receipts decide.

Random messages of public sources, back ends and systems of record, about people who share addresses, cards and devices,
with events in the past and in the future, are written in the order of receipt, in other orders and groups, and decided
again by the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

import pytest
from orjson import OPT_SORT_KEYS, dumps, loads

from graph.consent.bars import parse_bars
from graph.model.access import Source, Trust
from graph.model.identity import Proof
from graph.model.message import Message
from graph.model.time import DAY, Millis
from graph.store.client import GraphClient
from resolvers.collection.arrival import Arrival
from resolvers.collection.transaction import write_arrivals
from resolvers.identity.batch import resolve_all
from tests.arrivals import NOW, POLICY, message, register
from tests.conftest import empty

pytestmark = pytest.mark.store

WEB: Final = Source("web", trust=Trust.PUBLIC)
CHECKS_SINCE: Final = Millis(NOW - 5 * DAY)
SHOP: Final = Source("shop", verifies={"email": CHECKS_SINCE}, jurisdiction="US-CA")
TILL: Final = Source("till")
CRM: Final = Source("crm", trust=Trust.RECORD, user_namespace="crm")
SOURCES: Final = (WEB, SHOP, TILL, CRM)
PEOPLE: Final = ("ada", "bob", "cyd")
DEVICES: Final = ("visitor", "5f0c6e1a-3b7d-4c52-9e8f-0a1b2c3d4e5f", "ab12" * 8)
CATEGORIES: Final = ("Analytics", "Functional", "DataSharing")


def draw_names(rng: Random, source: Source) -> dict[str, Any]:
    """Returns whom a message is about, and what proves it."""
    device = rng.choice(DEVICES)
    if source is CRM:
        return {"userId": f"c-{rng.choice(PEOPLE)}"}
    if source is WEB:
        proof = rng.choice([None, None, Proof.HASH])
        user = {"userId": rng.choice(PEOPLE)} if proof or rng.random() < 0.5 else {}
        return {"anonymousId": device, "proof": proof} | user
    return {"userId": rng.choice(PEOPLE)} | ({"anonymousId": device} if rng.random() < 0.3 else {})


def draw_facts(rng: Random) -> dict[str, Any]:
    """Returns contact data and a card, some of them shared, or given up."""
    traits: dict[str, Any] = {}
    if rng.random() < 0.6:
        traits["email"] = rng.choice([*(f"{name}@x.org" for name in PEOPLE), None])
    if rng.random() < 0.3:
        traits["phone"] = rng.choice(["+4930111111", "+4930222222"])
    cards = [{"id": rng.choice(["c1", "c2", "c3"]), "type": "card"}] if rng.random() < 0.3 else []
    return {"type": "identify", "traits": traits, "context": {"externalIds": cards}}


def draw_consent(rng: Random, *, carried: bool) -> dict[str, Any]:
    """Returns a statement about some purposes, made or merely carried along."""
    given = rng.random() < 0.6
    some = dict.fromkeys(rng.sample(CATEGORIES, rng.randint(1, 2)), given)
    event = "Clicked" if carried else "Segment Consent Preference Updated"
    return {"type": "track", "event": event, "context": {"consent": {"categoryPreferences": some}}}


def draw_messages(rng: Random, number: int, *, carried: bool) -> list[Message]:
    """Returns messages in the order of receipt, no two received at once."""
    received = sorted(rng.sample(range(NOW - 10 * DAY, NOW), number))
    found = []
    for place, instant in enumerate(received):
        source = rng.choice(SOURCES)
        names = draw_names(rng, source)
        raw = draw_facts(rng) if rng.random() < 0.6 else draw_consent(rng, carried=carried and rng.random() < 0.5)
        if source is SHOP and rng.random() < 0.1:
            raw, names = {"type": "alias", "previousId": rng.choice(DEVICES)}, {"userId": rng.choice(PEOPLE)}
        at = instant + rng.choice([-20 * DAY, -DAY, 0, 0, DAY])
        found.append(message(source, at=at, received=instant, messageId=f"m{place}", **raw, **names))
    return found


async def process(store: GraphClient, groups: Sequence[Sequence[Message]]) -> None:
    await empty(store)
    await register(store, *SOURCES)
    for group in groups:
        arrivals = [Arrival.of(one) for one in group]
        await store.write(lambda tx, arrivals=arrivals: write_arrivals(tx, arrivals, POLICY, NOW))  # type: ignore[misc]


def draw_groups(rng: Random, messages: Sequence[Message]) -> list[list[Message]]:
    waiting = rng.sample(messages, len(messages))
    groups = []
    while waiting:
        size = rng.randint(1, 6)
        groups.append(waiting[:size])
        waiting = waiting[size:]
    return groups


READ_PEOPLE = """
MATCH (r:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL
RETURN u.id AS user, collect(r.source + ':' + r.kind + ':' + r.key) AS records, u.permits AS permits,
       u.permit_ends AS ends
"""

READ_EDGES = """
MATCH (r:Record)-[h:IDENTIFIED_BY|CLAIMS]->(i:Identifier)
RETURN type(h) AS type, r.source + ':' + r.key AS record, i.kind + ':' + i.value AS identifier,
       h.grade AS grade, h.since AS since, h.ended AS ended, h.proof AS proof
"""

READ_IDENTIFIERS = """
MATCH (i:Identifier)
RETURN i.kind + ':' + i.value AS identifier, i.degree AS degree, i.refused AS refused, i.bars AS bars
"""

READ_DEVICES = """
MATCH (d:Record)-[c:COUNTS_FOR]->(a:Record)
RETURN d.source + ':' + d.key AS device, a.source + ':' + a.key AS account, c.grade AS grade, c.received AS received
"""

READ_LINKS = """
MATCH (a:Record)-[l:LINKED]->(b:Record) WHERE l.to IS NULL
RETURN a.source + ':' + a.key AS a, b.source + ':' + b.key AS b, l.status AS status, l.rule AS rule, l.reason AS reason
"""

READ_RECORDS = """
MATCH (r:Record)
RETURN r.source + ':' + r.key AS record, r.contacts AS contacts, r.first_claim AS first_claim, r.denies AS denies,
       r.linking_objected AS objected
"""


async def snapshot(store: GraphClient) -> dict[str, list[str]]:
    """Everything that was derived, without IDs of people and without instants of writing."""
    found: dict[str, list[dict[str, Any]]] = {"people": [], "identifiers": [], "records": []}
    for row in await store.read(READ_PEOPLE):
        permits = dict(zip(row["permits"], row["ends"] or [0] * len(row["permits"]), strict=True))
        found["people"].append({"records": sorted(row["records"]), "permits": sorted(permits.items())})
    for row in await store.read(READ_IDENTIFIERS):
        found["identifiers"].append(row | {"bars": sorted(map(str, parse_bars(row["bars"])))})
    for row in await store.read(READ_RECORDS):
        found["records"].append(row | {"contacts": loads(row["contacts"] or "{}")})
    for name, statement in (("edges", READ_EDGES), ("devices", READ_DEVICES), ("links", READ_LINKS)):
        found[name] = await store.read(statement)
    return {name: sorted(dumps(row, option=OPT_SORT_KEYS).decode() for row in rows) for name, rows in found.items()}


@pytest.mark.parametrize("carried", [False, True], ids=["stated", "carried"])
@pytest.mark.parametrize("seed", range(12))
async def test_receipts_decide_and_not_the_order_of_processing(store: GraphClient, seed: int, carried: bool) -> None:
    rng = Random(seed)
    messages = draw_messages(rng, 24, carried=carried)
    await process(store, [[one] for one in messages])
    expected = await snapshot(store)
    assert len(expected["people"]) > 1
    for _ in range(2):
        await process(store, draw_groups(rng, messages))
        found = await snapshot(store)
        assert [sorted(set(found[name]) ^ set(expected[name])) for name in expected] == [[] for _ in expected]
    report = await resolve_all(store, POLICY, lambda: NOW)
    assert (report.opened, report.ended, report.merged, report.split) == (0, 0, 0, 0)
    assert await snapshot(store) == expected
