from __future__ import annotations

import pytest

from graph.activity import scoped
from graph.activity.scoped import (
    PersonInScope,
    PurchaseWindow,
    SessionHistory,
    has_accounts,
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
from tests.crowd import DAY, NOW, Event, Person, count_for, run, set_permits, write_crowd

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
    assert await read_people_in_scope(store, scope_of()) == {
        "1": PersonInScope(4, NOW, account=True, counted=False),
        "4": PersonInScope(1, NOW, account=True, counted=False),
    }
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


async def histories_of(store: GraphClient, *users: str) -> list[SessionHistory]:
    return [e async for page in read_histories(store, [UserId(u) for u in users], scope_of()) for e in page]


WINDOW = PurchaseWindow(("PURCHASED",), (), Millis(0), NOW)


@pytest.fixture
async def devices(store: GraphClient) -> GraphClient:
    """An account, with a device that counts for it as proven, one that is only claimed, and one that doesn't permit
    analytics; and a device on its own."""
    people = [Person("u", [[Event("a", value=1.0, order="o1")]])]
    people += [
        Person("d1", [[Event("b", value=2.0, order="o1")]], kind="anonymous"),
        Person("d2", [[Event("c", value=4.0)]], kind="anonymous"),
        Person("d3", [[Event("d", value=8.0)]], kind="anonymous", permits=("personalisation",)),
        Person("d4", [[Event("e", value=16.0)]], kind="anonymous"),
    ]
    await write_crowd(store, people)
    for device, grade in (("d1", "proven"), ("d2", "claimed"), ("d3", "proven")):
        await count_for(store, device, "u", grade)
    return store


async def test_devices_count_for_their_account_where_both_permit(devices: GraphClient) -> None:
    found = await histories_of(devices, "u")
    assert sorted((one.items, one.giver, one.proven) for one in found) == [
        (["a"], "u", True),
        (["b"], "d1", True),
        (["c"], "d2", False),
    ]
    assert {one.user for one in found} == {"u"}
    sums = await read_purchase_sums(devices, [UserId("u")], WINDOW, scope_of())
    assert [(s.purchases, s.value, s.givers) for s in sums] == [(2, 7.0, ("d1", "d2", "u"))]


async def test_a_device_that_counts_for_an_account_is_no_person_of_its_own(devices: GraphClient) -> None:
    found = await read_people_in_scope(devices, scope_of())
    assert {user: (one.account, one.counted) for user, one in found.items()} == {
        "d1": (False, True),
        "d2": (False, True),
        "d4": (False, False),
        "u": (True, False),
    }
    await set_permits(devices, "u", [])
    left = await read_people_in_scope(devices, scope_of())
    assert {user: one.counted for user, one in left.items()} == {"d1": False, "d2": False, "d4": False}


async def test_a_device_without_a_tie_does_not_count(devices: GraphClient) -> None:
    await run(devices, "MATCH ()-[c:COUNTS_FOR]->() DELETE c")
    assert [one.items for one in await histories_of(devices, "u")] == [["a"]]
    assert not any(one.counted for one in (await read_people_in_scope(devices, scope_of())).values())


async def test_people_with_a_record_of_an_unsettled_source_are_in_no_scope(devices: GraphClient) -> None:
    await run(devices, "CREATE (:Source {name: 'web', trust_epoch: 2, settled_epoch: 1})")
    await run(devices, "MATCH (r:Record) WHERE r.id IN ['d1/0', 'd4/0'] SET r.source = 'web'")
    assert await people_in(devices, scope_of()) == ["d2", "u"]
    assert sorted(one.giver for one in await histories_of(devices, "u", "d4")) == ["d2", "u"]
    everyone = [UserId(user) for user in ("d1", "d2", "d4", "u")]
    assert await read_still_in_scope(devices, everyone, scope_of()) == {"d2", "u"}
    assert [s.givers for s in await read_purchase_sums(devices, everyone, WINDOW, scope_of())] == [("d2",), ("d2", "u")]
    await run(devices, "MATCH (s:Source {name: 'web'}) SET s.settled_epoch = 2")
    assert await people_in(devices, scope_of()) == ["d1", "d2", "d4", "u"]


async def test_accounts_are_found_if_there_are_any(store: GraphClient) -> None:
    await write_crowd(store, [Person("d", [[Event("a")]], kind="anonymous")])
    assert not await has_accounts(store)
    await write_crowd(store, [Person("u", [[Event("a")]])])
    assert await has_accounts(store)
