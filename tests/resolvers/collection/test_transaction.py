"""What messages leave in the graph, on the real store."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import orjson
import pytest

from api.collection.origin import Origin
from api.collection.segment.mapping import read_message
from graph.identity.traits import parse_traits
from graph.model.access import Source
from graph.model.identity import RecordKind, RecordRef
from graph.model.message import Message
from graph.model.time import Millis
from graph.store.client import GraphClient
from privacy.policy import Policy
from resolvers.collection.ingestor import Ingestor
from resolvers.collection.transaction import MessageOutcome

pytestmark = pytest.mark.store

NOW = Millis(1_790_000_000_000)
MINUTE = 60_000
SHOP = Source("shop")
POLICY = Policy.default()


def message(
    source: Source = SHOP, *, at: int = NOW, received: int = NOW, from_file: bool = False, **raw: Any
) -> Message:
    raw.setdefault("timestamp", at)
    return read_message(raw, Origin(source, Millis(received), POLICY, own_types=from_file, received_earlier=from_file))


def track(id_: str, user: str, event: str, at: int = NOW, **rest: Any) -> Message:
    return message(type="track", messageId=id_, userId=user, event=event, at=at, **rest)


async def ingest(store: GraphClient, *messages: Message) -> list[MessageOutcome]:
    async with Ingestor(store, POLICY, lambda: NOW) as ingestor:
        return await ingestor.submit(messages)


async def count(store: GraphClient, statement: str, **parameters: Any) -> int:
    return int((await store.read(statement, **parameters))[0]["n"])


async def profile(store: GraphClient, ref: RecordRef) -> dict[str, Any]:
    rows = await store.read("MATCH (r:Record {id: $id}) RETURN r.traits AS traits", id=ref.id)
    return {name: trait.value for name, trait in parse_traits(rows[0]["traits"]).items() if trait.value is not None}


def user(key: str, source: str = "shop") -> RecordRef:
    return RecordRef(source, RecordKind.USER, key)


async def test_a_message_makes_record_person_session_and_interaction(store: GraphClient) -> None:
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
               item.key AS item, item.title AS title, item.price AS price, item.category AS category
        """
    )
    assert rows == [
        {
            "source": "shop", "key": "ada", "kind": "user_id", "value": "ada", "ended": None,
            "permits": ["identity_linking", "service"], "started": NOW, "till": NOW, "events": 1,
            "id": "shop|m1", "at": NOW, "weight": 1.0, "money": None, "keys": rows[0]["keys"],
            "item": "p1", "title": "Lamp", "price": 12.5, "category": "home",
        }
    ]  # fmt: skip
    assert sorted(rows[0]["keys"]) == ["at", "message_id", "weight"]


async def test_a_message_counts_once_in_a_group_later_and_at_once(store: GraphClient) -> None:
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


async def test_the_same_message_id_of_another_source_is_another_message(store: GraphClient) -> None:
    app = message(Source("app"), type="track", messageId="m1", userId="ada", event="Signed Up")
    assert await ingest(store, track("m1", "ada", "Signed Up"), app) == [MessageOutcome.ACCEPTED] * 2


async def test_events_within_half_an_hour_share_a_session_in_whatever_order(store: GraphClient) -> None:
    minutes = [0, 20, 45, 80, 100, 200]
    for round_, order in enumerate([minutes, minutes[::-1], [80, 20, 0, 200, 100, 45]]):
        for minute in order:
            assert await ingest(
                store, track(f"{round_}-{minute}", f"ada{round_}", "Clicked", NOW + minute * MINUTE - 10**8)
            )
        rows = await store.read(
            """
            MATCH (r:Record {key: $key})-[:HAD]->(s:Session)
            RETURN s.started_at AS started, s.ended_at AS ended, s.events AS events ORDER BY started
            """,
            key=f"ada{round_}",
        )
        spans = [
            ((r["started"] - NOW + 10**8) // MINUTE, (r["ended"] - NOW + 10**8) // MINUTE, r["events"]) for r in rows
        ]
        assert spans == [(0, 45, 3), (80, 100, 2), (200, 200, 1)], order


async def test_a_named_session_is_the_records_own(store: GraphClient) -> None:
    await ingest(
        store,
        track("a", "ada", "Clicked", NOW - 5 * 3_600_000, context={"sessionId": 7}),
        track("b", "ada", "Clicked", NOW, context={"sessionId": 7}),
        track("c", "bob", "Clicked", NOW, context={"sessionId": 7}),
    )
    rows = await store.read(
        "MATCH (r:Record)-[:HAD]->(s:Session) "
        "RETURN r.key AS key, s.events AS events, s.ended_at - s.started_at AS long"
    )
    assert sorted((r["key"], r["events"], r["long"]) for r in rows) == [("ada", 2, 5 * 3_600_000), ("bob", 1, 0)]


async def test_both_ids_in_a_message_make_one_person(store: GraphClient) -> None:
    anonymous = message(type="track", messageId="a", anonymousId="visitor", event="Clicked", at=NOW - 1000)
    both = message(type="track", messageId="b", anonymousId="visitor", userId="ada", event="Clicked")
    for given in (anonymous, both, track("c", "ada", "Clicked")):
        await ingest(store, given)
    rows = await store.read(
        """
        MATCH (r:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL
        RETURN u.id AS user, collect(r.kind) AS kinds
        """
    )
    assert [sorted(row["kinds"]) for row in rows] == [["anonymous", "user"]]
    assert await count(store, "MATCH (r:Record {kind: 'user'})-[:HAD]->(s:Session)-[e]->(s) RETURN count(e) AS n") == 2


async def test_both_ids_in_one_group_with_the_anonymous_past(store: GraphClient) -> None:
    await ingest(
        store,
        message(type="track", messageId="b", anonymousId="visitor", userId="ada", event="Clicked"),
        message(type="track", messageId="a", anonymousId="visitor", event="Clicked", at=NOW - 1000),
    )
    assert await count(store, "MATCH (u:User) WHERE u.retired_at IS NULL RETURN count(u) AS n") == 1


async def test_an_address_links_two_systems_but_not_two_users_of_one(store: GraphClient) -> None:
    traits = {"email": "ada@example.org"}
    await ingest(store, message(type="identify", messageId="a", userId="ada", traits=traits))
    await ingest(store, message(Source("crm"), type="identify", messageId="b", userId="c-7", traits=traits, at=NOW + 1))
    await ingest(store, message(type="identify", messageId="c", userId="eve", traits=traits, at=NOW + 2))
    rows = await store.read(
        """
        MATCH (r:Record)-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL
        RETURN u.id AS user, collect(r.key) AS keys
        """
    )
    assert sorted(sorted(row["keys"]) for row in rows) == [["ada", "c-7"], ["eve"]]


@pytest.mark.parametrize("previous_is_user", [False, True])
async def test_an_alias_links_whom_it_names(store: GraphClient, previous_is_user: bool) -> None:
    name = {"userId": "old"} if previous_is_user else {"anonymousId": "old"}
    await ingest(store, message(type="track", messageId="a", event="Clicked", **name))
    await ingest(store, message(type="alias", messageId="b", previousId="old", userId="ada"))
    assert await count(store, "MATCH (u:User) WHERE u.retired_at IS NULL RETURN count(u) AS n") == 1
    assert await count(store, "MATCH (r:Record) RETURN count(r) AS n") == 2


async def test_an_alias_of_somebody_unknown_waits_for_them(store: GraphClient) -> None:
    await ingest(store, message(type="alias", messageId="b", previousId="old", userId="ada"))
    await ingest(store, message(type="track", messageId="a", event="Clicked", anonymousId="old"))
    assert await count(store, "MATCH (u:User) WHERE u.retired_at IS NULL RETURN count(u) AS n") == 1


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


async def test_a_purchase_with_products(store: GraphClient) -> None:
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


async def test_item_facts_are_kept_whatever_events_mention(store: GraphClient) -> None:
    mention = {"product_id": "p1", "name": "Lmp", "price": 1, "category": "misc"}
    given = [
        track("a", "ada", "Product Viewed", NOW - 5, properties=mention),
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
            "title": "Lamp", "price": 12.5, "year": 1999, "available": False, "category": "misc",
            "attributes": orjson.dumps({"colour": "red"}).decode(),
        }  # fmt: skip


async def test_topics_are_those_of_the_latest_declaration(store: GraphClient) -> None:
    await ingest(store, item("p1", NOW - 10, topics=["old", "both"]))
    await ingest(store, item("p1", NOW - 5, topics=["both", {"key": "new", "weight": 0.5}]))
    await ingest(store, item("p1", NOW - 20, topics=["older"]))
    rows = await store.read("MATCH (:Item {key: 'p1'})-[a:ABOUT]->(t:Topic) RETURN t.key AS key, a.weight AS weight")
    assert sorted((r["key"], r["weight"]) for r in rows) == [("both", 1.0), ("new", 0.5)]


async def test_unicode_at_its_worst_is_kept(store: GraphClient) -> None:
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


PREFERENCES = "MATCH (r:Record)-[:DECIDED]->(e:ConsentEvent) RETURN count(e) AS n"


def carrying(id_: str, at: int, user_id: str = "ada", **categories: bool) -> Message:
    return track(id_, user_id, "Clicked", at, context={"consent": {"categoryPreferences": categories}})


async def permits(store: GraphClient, key: str = "ada") -> list[str]:
    rows = await store.read(
        "MATCH (r:Record {key: $key})-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL RETURN u.permits AS permits", key=key
    )
    return sorted(rows[0]["permits"])


async def test_repeated_preferences_are_written_only_when_they_differ(store: GraphClient) -> None:
    await ingest(store, *(carrying(f"a{n}", NOW - 1000 + n, Analytics=True, Functional=False) for n in range(5)))
    assert await count(store, PREFERENCES) == 2
    assert await permits(store) == ["analytics", "identity_linking", "service"]
    await ingest(store, carrying("b", NOW - 500, Analytics=True, Functional=False))
    assert await count(store, PREFERENCES) == 2
    await ingest(store, carrying("c", NOW - 400, Analytics=False, Functional=True))
    assert await count(store, PREFERENCES) == 4
    assert await permits(store) == ["identity_linking", "personalisation", "service"]


async def test_a_repeated_denial_outdoes_what_another_record_said_in_between(store: GraphClient) -> None:
    await ingest(store, message(type="alias", messageId="x", userId="ada", previousId="eve"))
    await ingest(store, carrying("a", NOW - 1000, Analytics=False))
    eve = {"type": "consent", "anonymousId": "eve", "purpose": "analytics", "state": "given", "assurance": 1}
    await ingest(store, message(messageId="b", at=NOW - 900, from_file=True, **eve))
    assert "analytics" in await permits(store)
    await ingest(store, carrying("c", NOW - 800, Analytics=False))
    assert "analytics" not in await permits(store)


async def test_the_preference_event_is_always_written(store: GraphClient) -> None:
    consent = {"consent": {"categoryPreferences": {"Analytics": True, "Unheard": True}}}
    for number in range(2):
        given = track(f"{number}", "ada", "Segment Consent Preference Updated", NOW - 10 + number, context=consent)
        await ingest(store, given)
    rows = await store.read("MATCH (e:ConsentEvent)-[:FOR]->(p:Purpose) RETURN p.key AS purpose, e.assurance AS sure")
    assert rows == [{"purpose": "analytics", "sure": 1}] * 2
    assert await count(store, "MATCH (s:Session) RETURN count(s) AS n") == 0
    assert "analytics" in await permits(store)


async def test_a_consent_line_is_in_force_once_it_is_acknowledged(store: GraphClient) -> None:
    line = {"type": "consent", "userId": "ada", "purpose": "personalisation", "state": "given"}
    await ingest(
        store, message(messageId="a", from_file=True, at=NOW - 10, notice="privacy", noticeVersion="3", **line)
    )
    assert "personalisation" in await permits(store)
    await ingest(store, message(messageId="b", from_file=True, at=NOW - 5, **line | {"state": "withdrawn"}))
    assert "personalisation" not in await permits(store)
    assert await count(store, "MATCH (:ConsentEvent)-[:UNDER]->(n:Notice) RETURN count(n) AS n") == 1


async def test_shared_addresses_make_one_person_across_sources(store: GraphClient) -> None:
    for source in ("shop", "app"):
        traits = {"email": "Ada@Example.org" if source == "shop" else "ada@example.org "}
        await ingest(
            store, message(Source(source, source), type="identify", messageId="m", userId=f"{source}-1", traits=traits)
        )
    assert await count(store, "MATCH (u:User) WHERE u.retired_at IS NULL RETURN count(u) AS n") == 1
