"""Events are placed in the same sessions, whatever order they arrive in."""

from __future__ import annotations

import pytest

from graph.store.client import GraphClient
from tests.arrivals import NOW, count, ingest, message, track

pytestmark = pytest.mark.store

MINUTE = 60_000


async def test_events_within_half_an_hour_share_a_session_in_any_order(store: GraphClient) -> None:
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


async def test_a_named_session_belongs_to_one_record(store: GraphClient) -> None:
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


async def sessions(store: GraphClient, key: str = "ada") -> list[tuple[int, int, bool]]:
    """Returns a record's sessions: minutes before now, number of events, and whether each is marked as the latest."""
    rows = await store.read(
        "MATCH (r:Record {key: $key})-[:HAD]->(s:Session) RETURN s.started_at AS at, s.events AS events, "
        "s.id = r.session_id AS latest ORDER BY at",
        key=key,
    )
    return [((row["at"] - NOW) // MINUTE, row["events"], row["latest"]) for row in rows]


async def test_the_latest_session_stays_marked_when_older_events_arrive(store: GraphClient) -> None:
    for id_, minutes in (("a", -100), ("b", -300), ("c", -290), ("d", -110), ("e", -500)):
        await ingest(store, track(id_, "ada", "Clicked", NOW + minutes * MINUTE))
    assert await sessions(store) == [(-500, 1, False), (-300, 2, False), (-110, 2, True)]
    await ingest(store, track("f", "ada", "Clicked", NOW))
    assert await sessions(store) == [(-500, 1, False), (-300, 2, False), (-110, 2, False), (0, 1, True)]


async def test_a_message_without_an_interaction_starts_no_session(store: GraphClient) -> None:
    await ingest(store, message(type="identify", messageId="a", userId="ada", traits={"age": 36}))
    assert await count(store, "MATCH (s:Session) RETURN count(s) AS n") == 0


async def test_each_record_in_a_group_has_its_own_sessions(store: GraphClient) -> None:
    names = [f"user{number}" for number in range(3)]
    await ingest(store, *(track(f"{name}-{n}", name, "Clicked", NOW - n * MINUTE) for n in range(3) for name in names))
    assert [await sessions(store, name) for name in names] == [[(-2, 3, True)]] * 3
