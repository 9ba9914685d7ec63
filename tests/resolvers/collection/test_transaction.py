"""What messages write to the graph, on the real store."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import orjson
import pytest

from graph.identity.traits import parse_traits
from graph.model.access import Source
from graph.model.identity import RecordKind, RecordRef
from graph.model.message import Message
from graph.store.client import GraphClient
from resolvers.collection.ingestor import Ingestor
from resolvers.collection.transaction import MessageOutcome
from tests.arrivals import NOW, POLICY, count, ingest, message, track

pytestmark = pytest.mark.store


async def profile(store: GraphClient, ref: RecordRef) -> dict[str, Any]:
    rows = await store.read("MATCH (r:Record {id: $id}) RETURN r.traits AS traits", id=ref.id)
    return {name: trait.value for name, trait in parse_traits(rows[0]["traits"]).items() if trait.value is not None}


def user(key: str, source: str = "shop") -> RecordRef:
    return RecordRef(source, RecordKind.USER, key)


async def test_a_message_creates_record_person_session_and_interaction(store: GraphClient) -> None:
    product = {"product_id": "p1", "name": "Lamp", "price": 12.5, "category": "home"}
    assert await ingest(store, track("m1", "ada", "Product Viewed", properties=product)) == [MessageOutcome.ACCEPTED]
    rows = await store.read(
        """
        MATCH (src:Source)<-[:FROM]-(r:Record)-[x:RESOLVES_TO]->(u:User)
        MATCH (r)-[:IDENTIFIED_BY]->(i:Identifier)
        MATCH (r)-[:HAD]->(s:Session)-[e:VIEWED]->(item:Item)
        RETURN src.name AS source, r.key AS key, i.kind AS kind, i.value AS value, u.permits AS permits,
               x.to AS ended, s.started_at AS started, s.ended_at AS till, s.events AS events,
               e.message_id AS id, e.at AS at, e.weight AS weight, e.value AS money, keys(e) AS keys,
               properties(item) AS item
        """
    )
    assert rows == [
        {
            "source": "shop", "key": "ada", "kind": "user_id", "value": "ada", "ended": None,
            "permits": ["identity_linking", "service"], "started": NOW, "till": NOW, "events": 1,
            "id": "shop|m1", "at": NOW, "weight": 1.0, "money": None, "keys": rows[0]["keys"],
            "item": {"key": "p1"},
        }
    ]  # fmt: skip
    assert sorted(rows[0]["keys"]) == ["at", "message_id", "weight"]


async def test_a_message_counts_once_within_a_group_later_and_concurrently(store: GraphClient) -> None:
    first = track("m1", "ada", "Product Viewed", properties={"product_id": "p1"})
    assert await ingest(store, first, first) == [MessageOutcome.ACCEPTED, MessageOutcome.DUPLICATE]
    assert await ingest(store, first) == [MessageOutcome.DUPLICATE]
    async with Ingestor(store, POLICY, lambda: NOW) as one, Ingestor(store, POLICY, lambda: NOW) as other:
        for n in range(10):
            again = track(f"n{n}", "ada", "Product Viewed", properties={"product_id": "p1"})
            answers = await asyncio.gather(*(each.submit([again]) for each in (one, other, one, other)))
            assert sorted(outcome for answer in answers for outcome in answer) == [MessageOutcome.ACCEPTED] + 3 * [
                MessageOutcome.DUPLICATE
            ]
    assert await count(store, "MATCH (:Session)-[e:VIEWED]->(:Item) RETURN count(e) AS n") == 11


async def test_message_ids_of_different_sources_are_different_messages(store: GraphClient) -> None:
    app = message(Source("app"), type="track", messageId="m1", userId="ada", event="Signed Up")
    assert await ingest(store, track("m1", "ada", "Signed Up"), app) == [MessageOutcome.ACCEPTED] * 2


async def test_traits_do_not_depend_on_the_order_of_arrival(store: GraphClient) -> None:
    said = [
        {"email": "a@example.org", "plan": "free", "firstName": "Ada"},
        {"email": "b@example.org", "plan": "pro", "phone": "+43 1 5880158"},
        {"plan": None, "lastName": "King", "age": 36},
        {"phone": None, "beta": {"x": [1, 2]}, "firstName": "Augusta"},
    ]
    answers = []
    for number, order in enumerate(itertools.permutations(range(len(said)))):
        key = f"ada{number}"
        together = number % 2
        messages = [
            message(type="identify", messageId=f"{number}-{n}", userId=key, traits=said[n], at=NOW - 10_000 + n)
            for n in order
        ]
        await ingest(store, *messages) if together else [await ingest(store, one) for one in messages]
        answers.append(await profile(store, user(key)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0] == {
        "email": "b@example.org", "givenName": "Augusta", "familyName": "King", "age": 36,
        "attributes.beta": {"x": [1, 2]},
    }  # fmt: skip


async def test_a_purchase_writes_one_interaction_per_product(store: GraphClient) -> None:
    order = {
        "order_id": "o1", "revenue": 100, "products": [
            {"product_id": "p1", "price": 10, "quantity": 2, "name": "Lamp"},
            {"sku": "p2", "price": "5.50"}, {"name": "?"},
        ],
    }  # fmt: skip
    await ingest(store, track("m1", "ada", "Order Completed", properties=order))
    rows = await store.read(
        """
        MATCH (s:Session)-[e:PURCHASED]->(i:Item)
        RETURN e.message_id AS id, i.key AS item, e.value AS value, e.quantity AS quantity, e.order AS order
        ORDER BY item
        """
    )
    assert rows == [
        {"id": "shop|m1#1", "item": "p1", "value": 20.0, "quantity": 2.0, "order": "o1"},
        {"id": "shop|m1#2", "item": "p2", "value": 5.5, "quantity": None, "order": "o1"},
    ]
    assert await count(store, "MATCH (s:Session) RETURN s.events AS n") == 1


async def test_an_event_without_an_item_is_kept_on_its_session(store: GraphClient) -> None:
    await ingest(
        store,
        track("a", "ada", "Signed Up"),
        track("b", "ada", "Products Searched", properties={"query": "lamp"}),
        message(type="page", messageId="c", userId="ada", properties={"url": "https://x.example/a/b?token=1#f"}),
    )
    rows = await store.read("MATCH (s:Session)-[e]->(s) RETURN type(e) AS type, e.name AS name ORDER BY type")
    assert [(r["type"], r["name"]) for r in rows] == [
        ("INTERACTED", "Signed Up"),
        ("SEARCHED", "lamp"),
        ("VIEWED", "/a/b"),
    ]
    assert await count(store, "MATCH (i:Item) RETURN count(i) AS n") == 0


def item(id_: str, at: int = NOW, **facts: Any) -> Message:
    return message(type="item", messageId=f"{id_}-{at}-{sorted(facts)}", itemId=id_, at=at, from_file=True, **facts)


async def test_items_have_the_facts_that_were_declared_whatever_events_say(store: GraphClient) -> None:
    said = {"product_id": "p1", "name": "Lmp", "price": 1, "category": "misc"}
    given = [
        track("a", "ada", "Product Viewed", NOW - 5, properties=said),
        item("p1", NOW - 10, title="Lamp", price=12.5, topics=["light", {"key": "home", "weight": 0.5}]),
        track("b", "ada", "Product Viewed", NOW, properties={"product_id": "p1"}),
        item("p1", NOW - 15, title="Older lamp"),
        item("p1", NOW - 20, title="Old lamp", year=1999, topics=["old"]),
        item("p1", NOW - 2, available=False, attributes={"colour": "red"}),
    ]
    for seed in range(4):
        random.Random(seed).shuffle(given)
        await store.write(lambda tx: tx.run("MATCH (n) WHERE n:Item OR n:Topic OR n:Message DETACH DELETE n"))
        for one in given:
            await ingest(store, one)
        rows = await store.read(
            "MATCH (i:Item) RETURN i.title AS title, i.price AS price, i.year AS year, i.available AS available, "
            "i.category AS category, i.attributes AS attributes"
        )
        assert len(rows) == 1
        assert rows[0] == {
            "title": "Lamp", "price": 12.5, "year": 1999, "available": False, "category": None,
            "attributes": orjson.dumps({"colour": "red"}).decode(),
        }  # fmt: skip


async def test_topics_are_those_of_the_latest_declaration(store: GraphClient) -> None:
    await ingest(store, item("p1", NOW - 10, topics=["old", "both"]))
    await ingest(store, item("p1", NOW - 5, topics=["both", {"key": "new", "weight": 0.5}]))
    await ingest(store, item("p1", NOW - 20, topics=["older"]))
    rows = await store.read("MATCH (:Item {key: 'p1'})-[a:ABOUT]->(t:Topic) RETURN t.key AS key, a.weight AS weight")
    assert sorted((r["key"], r["weight"]) for r in rows) == [("both", 1.0), ("new", 0.5)]


async def test_unusual_unicode_is_kept(store: GraphClient) -> None:
    texts = {
        "nul": "a\0b", "rtl": "\u202eabc\u202c", "marks": "a" + "\u0301" * 3000, "emoji": "\U0001f468\u200d\U0001f469",
        "none": "\ufffe\uffff", "quote": "'\"\\`$${}", "long": "x" * 20_000,
    }  # fmt: skip
    assert await ingest(store, message(type="identify", messageId="m", userId="ada\U0001f600", traits=texts)) == [
        MessageOutcome.ACCEPTED
    ]
    kept = await profile(store, user("ada\U0001f600"))
    assert kept == {f"attributes.{name}": text for name, text in texts.items()}
    for name, text in texts.items():
        key = text[:512]
        assert await ingest(store, track(name, "ada", text[:500], properties={"product_id": key, "name": text}))
        assert await count(store, "MATCH (:Session)-[e]->(i:Item {key: $key}) RETURN count(e) AS n", key=key) == 1
