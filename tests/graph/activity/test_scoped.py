from __future__ import annotations

import pytest

from graph.activity import scoped
from graph.activity.scoped import (
    PurchaseWindow,
    read_histories,
    read_people_in_scope,
    read_purchase_sums,
    read_still_in_scope,
)
from graph.model.identity import UserId
from graph.model.scope import PermittedScope
from graph.model.time import Millis
from graph.store.client import GraphClient
from privacy.gate import mint_scope
from privacy.policy import Policy
from tests.crowd import DAY, NOW, Event, Person, run, set_permits, write_crowd

pytestmark = pytest.mark.store


def scope_of(purpose: str = "analytics", now: Millis = NOW, recipient: str | None = None) -> PermittedScope:
    return mint_scope(purpose, Policy.default(), now, recipient)


async def people_in(store: GraphClient, scope: PermittedScope) -> list[str]:
    return list(await read_people_in_scope(store, scope))


async def test_only_people_who_currently_permit_the_purpose_are_read(store: GraphClient) -> None:
    bought = [[Event("a")]]
    await write_crowd(
        store,
        [
            Person("1", bought, epoch=4),
            Person("2", bought, permits=("personalisation",)),
            Person("3", bought, permits=()),
            Person("4", bought, until=Millis(NOW + 1)),
            Person("5", bought, until=NOW),
        ],
    )
    await run(store, "CREATE (:User {id: '6', permits: ['analytics'], retired_at: 1})")
    await run(store, "CREATE (:User {id: '7'})")
    assert await read_people_in_scope(store, scope_of()) == {"1": 4, "4": 1}
    everyone = [UserId(str(number)) for number in range(1, 8)]
    read = [entry.user async for page in read_histories(store, everyone, scope_of()) for entry in page]
    assert sorted(read) == ["1", "4"]
    window = PurchaseWindow(("PURCHASED",), (), Millis(0), NOW)
    assert [sums.user for sums in await read_purchase_sums(store, everyone, window, scope_of())] == ["1", "4"]
    still = await store.write(lambda tx: read_still_in_scope(tx, everyone, scope_of()))
    assert still == {"1", "4"}


async def test_a_permit_for_every_recipient_counts_unless_this_one_is_barred(store: GraphClient) -> None:
    blanket, barred = "partner_sharing@*", "!partner_sharing@acme"
    await write_crowd(
        store,
        [
            Person("1", permits=("partner_sharing@acme",)),
            Person("2", permits=(blanket,)),
            Person("3", permits=(blanket, barred)),
            Person("4", permits=("partner_sharing@other",)),
        ],
    )
    assert await people_in(store, scope_of("partner_sharing", recipient="acme")) == ["1", "2"]


async def test_pages_neither_lose_nor_repeat_people(store: GraphClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoped, "PEOPLE_PAGE", 3)
    monkeypatch.setattr(scoped, "HISTORIES_PAGE", 2)
    names = [f"p{number:02}" for number in range(12)]
    await write_crowd(store, [Person(name, [[Event("a"), Event("b")]]) for name in reversed(names)])
    assert await people_in(store, scope_of()) == names
    read = [e async for page in read_histories(store, [UserId(n) for n in names], scope_of()) for e in page]
    assert sorted(session.user for session in read) == names
    assert [sorted(session.items) for session in read] == [["a", "b"]] * 12


async def test_a_history_covers_all_records_of_a_person(store: GraphClient) -> None:
    first = Event("a", "VIEWED", days_ago=3, weight=1)
    second = Event("b", "RATED", days_ago=2, weight=4, value=4)
    await write_crowd(store, [Person("1", [[first], [second, Event(None, "SEARCHED")]])])
    entries = [e async for page in read_histories(store, [UserId("1")], scope_of()) for e in page]
    assert sorted((e.items, e.types, e.at, e.weights, e.graded) for e in entries) == [
        (["a"], ["VIEWED"], [NOW - 3 * DAY], [1.0], [False]),
        (["b"], ["RATED"], [NOW - 2 * DAY], [4.0], [True]),
    ]


async def test_ended_resolutions_do_not_count(store: GraphClient) -> None:
    await write_crowd(store, [Person("1", [[Event("a")]])])
    await run(store, "MATCH (:Record)-[l:RESOLVES_TO]->(:User) SET l.to = 1")
    assert [page async for page in read_histories(store, [UserId("1")], scope_of())] == [[]]


async def test_purchase_sums_count_orders_and_deduct_refunds(store: GraphClient) -> None:
    history = [
        Event("a", days_ago=10, value=20.0, order="o1"),
        Event("b", days_ago=10, value=30.0, order="o1"),
        Event("a", days_ago=5, value=7.5),
        Event(None, days_ago=4, value=2.5, order="o2"),
        Event("b", "REFUNDED", days_ago=3, value=30.0),
        Event("c", "VIEWED", days_ago=2, value=99.0),
        Event("c", days_ago=400, value=1000.0),
        Event("c", days_ago=-1, value=1000.0),
    ]
    await write_crowd(
        store, [Person("1", [history[:3], history[3:]]), Person("2", [[Event("a", "REFUNDED", value=5.0)]])]
    )
    window = PurchaseWindow(("PURCHASED",), ("REFUNDED",), Millis(NOW - 365 * DAY), NOW)
    sums = await read_purchase_sums(store, [UserId("1"), UserId("2")], window, scope_of())
    assert [(s.user, s.latest, s.purchases, s.value) for s in sums] == [("1", NOW - 4 * DAY, 3, pytest.approx(30.0))]


async def test_a_withdrawal_takes_effect_for_the_next_read(store: GraphClient) -> None:
    await write_crowd(store, [Person("1", [[Event("a")]])])
    assert await people_in(store, scope_of()) == ["1"]
    await set_permits(store, "1", ["personalisation"])
    assert await people_in(store, scope_of()) == []
    assert [page async for page in read_histories(store, [UserId("1")], scope_of())] == [[]]
