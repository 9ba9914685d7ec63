"""Sessions and interactions as statements keep them: bounds that only widen, each interaction with all it carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from graph.activity.sessions import (
    FEW,
    SessionBounds,
    SessionStart,
    SessionWindow,
    read_sessions_around,
    write_interactions,
    write_sessions,
)
from graph.model.activity import Interaction, SessionId
from graph.model.catalogue import ItemKey
from graph.model.identity import RecordId
from graph.model.message import Message
from graph.model.time import Millis
from graph.schema import InteractionType
from graph.store.client import GraphClient, chunk_rows
from tests.crowd import run

pytestmark = pytest.mark.store

WEB, APP = RecordId("web"), RecordId("app")
S, T = SessionId("s"), SessionId("t")


def message(id_: str, at: int, *interactions: Interaction) -> Message:
    return Message(id_, "shop", None, Millis(at), Millis(at), interactions=interactions)


def viewed(item: str | None = "i") -> Interaction:
    return Interaction("VIEWED", None if item is None else ItemKey(item))


async def create(store: GraphClient, *records: str) -> None:
    for some in chunk_rows(records):
        await run(store, "UNWIND $ids AS id CREATE (:Record {id: id})", ids=list(some))


async def begin(store: GraphClient, *starts: tuple[SessionId, RecordId, int, bool]) -> None:
    rows = [SessionStart(id_, record, Millis(at), latest) for id_, record, at, latest in starts]
    await store.write(lambda tx: write_sessions(tx, rows))


async def add(store: GraphClient, *events: tuple[SessionId, Message]) -> None:
    await store.write(lambda tx: write_interactions(tx, events))


async def around(store: GraphClient, *windows: tuple[RecordId, int, int]) -> list[SessionBounds]:
    rows = [SessionWindow(record, Millis(start), Millis(end)) for record, start, end in windows]
    found = await store.write(lambda tx: read_sessions_around(tx, rows))
    return sorted(found, key=lambda one: one.id)


async def bounds(store: GraphClient) -> dict[str, tuple[int, int, int]]:
    rows = await store.read("MATCH (s:Session) RETURN s.id AS id, s.started_at AS a, s.ended_at AS b, s.events AS n")
    return {row["id"]: (row["a"], row["b"], row["n"]) for row in rows}


async def test_a_session_begins_once_and_the_latest_is_marked_on_its_record(store: GraphClient) -> None:
    await create(store, WEB)
    await begin(store, (S, WEB, 10, True), (T, WEB, 5, False), (SessionId("none"), RecordId("none"), 5, True))
    await begin(store, (S, WEB, 99, False))
    assert await bounds(store) == {"s": (10, 10, 0), "t": (5, 5, 0)}
    rows = await store.read(
        "MATCH (r:Record)-[h:HAD]->(s:Session) RETURN r.session_id AS latest, count(h) AS edges, count(s) AS sessions"
    )
    assert rows == [{"latest": "s", "edges": 2, "sessions": 2}]


async def test_sessions_that_meet_a_window_of_their_record_are_found(store: GraphClient) -> None:
    await create(store, WEB, APP)
    await begin(store, (S, WEB, 10, True), (T, WEB, 40, False), (SessionId("u"), APP, 20, True))
    await add(store, (S, message("m", 20, viewed())))
    s, t = SessionBounds(S, WEB, Millis(10), Millis(20)), SessionBounds(T, WEB, Millis(40), Millis(40))
    for window, expected in (
        ((0, 9), []), ((0, 10), [s]), ((12, 15), [s]), ((20, 30), [s]), ((21, 39), []), ((20, 40), [s, t]),
    ):  # fmt: skip
        assert await around(store, (WEB, *window)) == expected, window
    assert await around(store, (RecordId("none"), 0, 99)) == []
    assert await around(store) == []


async def test_an_event_widens_its_session_on_either_side_and_counts_once(store: GraphClient) -> None:
    await create(store, WEB)
    await begin(store, (S, WEB, 10, True))
    await add(store, (S, message("a", 15, viewed())), (S, message("b", 4, viewed("i"), viewed("j"), viewed(None))))
    assert await bounds(store) == {"s": (4, 15, 2)}
    await add(store, (S, message("c", 9, viewed(None))))
    assert await bounds(store) == {"s": (4, 15, 3)}
    await add(store)
    await add(store, (S, message("d", 99)), (SessionId("none"), message("e", 99, viewed("k"))))
    assert await bounds(store) == {"s": (4, 15, 3)}
    assert await store.read("MATCH (i:Item) RETURN i.key AS key ORDER BY key") == [{"key": "i"}, {"key": "j"}]


async def interactions(store: GraphClient) -> list[tuple[object, ...]]:
    rows = await store.read(
        "MATCH (:Session)-[x]->(j) RETURN x.message_id AS id, x.at AS at, type(x) AS type, j.key AS item, "
        "x.name AS name, x.weight AS weight, x.value AS value, x.quantity AS quantity, x.order AS order ORDER BY id"
    )
    return [tuple(row.values()) for row in rows]


async def test_an_interaction_is_kept_with_all_it_carries(store: GraphClient) -> None:
    await create(store, WEB)
    await begin(store, (S, WEB, 1, True))
    full = Interaction("PURCHASED", ItemKey("i"), "Order Completed", 3.0, 20.0, 2.0, "o1")
    await add(
        store,
        (S, message("a", 1, full)),
        (S, message("b", 2, full, replace(full, type="INTERACTED", item=None), viewed("j"))),
    )
    rest = ("Order Completed", 3.0, 20.0, 2.0, "o1")
    assert await interactions(store) == [
        ("a", 1, "PURCHASED", "i", *rest),
        ("b#1", 2, "PURCHASED", "i", *rest),
        ("b#2", 2, "INTERACTED", None, *rest),
        ("b#3", 2, "VIEWED", "j", None, 1.0, None, None, None),
    ]


@pytest.mark.parametrize("times", [1, FEW // len(InteractionType) + 1])
async def test_each_type_is_kept_with_and_without_an_item_few_or_many(store: GraphClient, times: int) -> None:
    await create(store, WEB)
    await begin(store, (S, WEB, 1, True))
    kinds: Sequence[tuple[InteractionType, str | None]] = [(t, item) for t in InteractionType for item in ("i", None)]
    await add(
        store,
        *(
            (S, message(f"{type_}/{item}/{number}", 1, Interaction(type_.value, item and ItemKey(item))))
            for number in range(times)
            for type_, item in kinds
        ),
    )
    rows = await store.read("MATCH (:Session)-[x]->(j) RETURN type(x) AS type, j.key AS item, count(x) AS n")
    assert {(row["type"], row["item"]): row["n"] for row in rows} == {(t.value, item): times for t, item in kinds}


async def test_more_than_a_statement_may_write(store: GraphClient) -> None:
    names = [f"{number:03}" for number in range(501)]
    await create(store, *names)
    await begin(store, *((SessionId(name), RecordId(name), 1, True) for name in names))
    for item in ("i", None):
        await add(store, *((SessionId(name), message(f"{item}/{name}", 2, viewed(item))) for name in names))
    assert len(await around(store, *((RecordId(name), 0, 9) for name in names))) == 501
    assert await bounds(store) == dict.fromkeys(names, (1, 2, 2))
