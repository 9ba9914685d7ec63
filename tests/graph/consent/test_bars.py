"""Bars on identifiers: what is kept of the denials of several records, in any order, and who hears of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.consent import bars as bars_module
from graph.consent.bars import (
    MOST_DENIERS,
    MOST_HEARERS,
    MOST_IDENTIFIERS,
    UnheardBars,
    add_bars,
    find_hearers,
    finish_unheard,
    mark_stale,
    merge_bars,
    parse_bars,
    read_barrable,
    read_crowd,
    read_unheard,
    write_bars,
)
from graph.identity.identifiers import NewHolding, write_claims, write_holdings
from graph.model.consent import UNPROVEN, Bar
from graph.model.identity import Grade, IdentifierRef, RecordId
from graph.model.time import Millis
from graph.store.client import GraphClient
from tests.crowd import run
from tests.newcomers import email, record, user, write_newcomers

ADA, BEN = email("ada"), email("ben")
NOW = Millis(5_000)


def bar(
    at: int = 1, assurance: int = 1, name: str = "a", purpose: str = "analytics", recipient: str | None = None
) -> Bar:
    return Bar(purpose, recipient, assurance, Millis(at), record(name), f"{name}-{at}", since=Millis(at))


async def attach(store: GraphClient, identifier: IdentifierRef, *names: str, grade: Grade = Grade.PROVEN) -> None:
    rows = [NewHolding(record(name), identifier, grade, Millis(place)) for place, name in enumerate(names)]
    await store.write(lambda tx: (write_claims if grade is Grade.CLAIMED else write_holdings)(tx, rows))


async def add(store: GraphClient, *bars: Bar, to: IdentifierRef = ADA) -> set[str]:
    return await store.write(lambda tx: add_bars(tx, {to.id: bars}))


async def stored(store: GraphClient, identifier: IdentifierRef = ADA) -> list[Bar]:
    rows = await store.read("MATCH (i:Identifier {id: $id}) RETURN i.bars AS bars", id=identifier.id)
    return parse_bars(rows[0]["bars"])


BARS = st.lists(
    st.builds(
        bar,
        st.integers(0, 9),
        st.sampled_from([UNPROVEN, 0, 1, 2]),
        st.sampled_from("abcdefghij"),
        st.sampled_from(["analytics", "partner_sharing"]),
        st.sampled_from([None, "acme", "bolt"]),
    ),
    max_size=40,
)


@given(BARS)
def test_bars_are_read_back_as_they_were_written(bars: list[Bar]) -> None:
    assert sorted(parse_bars(write_bars(bars)), key=str) == sorted(bars, key=str)
    distinct = list({(*one[:3], one.record): one for one in bars}.values())
    assert write_bars(distinct) == write_bars(distinct[::-1])
    assert parse_bars(None) == []


def hears(bars: list[Bar], denied: Bar, *, own: str = "", ended: int = 99) -> bool:
    """Whether somebody with a record, who held the identifier until an instant, hears a denial, or a later one like
    it."""
    subject = denied.purpose, denied.recipient, denied.assurance
    own_record = record(own) if own else None
    return any(
        one[:3] == subject and one.record != own_record and one.since < ended and one.at >= denied.at for one in bars
    )


@given(BARS, st.integers(0, 40), st.sampled_from("abc"), st.integers(1, 10))
def test_no_bar_hides_another(bars: list[Bar], cut: int, own: str, ended: int) -> None:
    """Whatever is left later, in whatever order: all but its own record hear a denial, former holders, too."""
    merged = merge_bars(bars)
    assert write_bars(merge_bars([*merge_bars(bars[cut:]), *bars[:cut]])) == write_bars(merged)
    assert write_bars(merge_bars([*merged, *merged])) == write_bars(merged)
    for denied in bars:
        assert hears(merged, denied, own="" if denied.record == record(own) else own)
        if denied.at < ended:
            assert hears(merged, denied, ended=ended)
    assert len(merged) <= MOST_DENIERS * len({one[:3] for one in bars})


@pytest.mark.store
async def test_the_first_and_the_latest_denial_of_each_record_and_assurance_are_kept_in_any_order(
    store: GraphClient,
) -> None:
    denials = [bar(1), bar(9, assurance=UNPROVEN, name="b"), bar(4, name="b"), bar(4, name="a"), bar(2, assurance=2)]
    kept = {denials[3]._replace(since=Millis(1)), denials[1], denials[2], denials[4]}
    await write_newcomers(store, "a")
    await attach(store, ADA, "a")
    for some in itertools.islice(itertools.permutations(denials), 0, 120, 17):
        await run(store, "MATCH (i:Identifier) REMOVE i.bars")
        for one in some:
            await add(store, one)
        assert set(await stored(store)) == kept
        await run(store, "MATCH (i:Identifier) REMOVE i.bars")
        await add(store, *some)
        assert set(await stored(store)) == kept


@pytest.mark.store
async def test_what_a_bar_denies_is_kept_apart(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    await attach(store, ADA, "a")
    all_ = [bar(1, recipient=r, purpose=p) for r in (None, "acme") for p in ("analytics", "partner_sharing")]
    await add(store, *all_)
    assert set(await stored(store)) == set(all_)


@pytest.mark.store
async def test_only_what_changes_the_bars_of_an_identifier_counts(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    await attach(store, ADA, "a")
    assert await add(store, bar(3)) == {ADA.id}
    assert await add(store, bar(3)) == set()
    assert await add(store, bar(2)) == {ADA.id}, "an earlier one, for former holders"
    assert await add(store, bar(5)) == {ADA.id}
    assert await add(store, bar(3, assurance=UNPROVEN)) == {ADA.id}
    assert await add(store, bar(8, assurance=UNPROVEN)) == {ADA.id}
    assert max(one.at for one in await stored(store)) == 8
    assert await add(store, bar(3), to=email("nobody")) == set()


@pytest.mark.store
async def test_a_record_leaves_its_denials_on_the_identifiers_that_it_has_had_longest(store: GraphClient) -> None:
    own = [email(f"{number:02}") for number in range(MOST_IDENTIFIERS + 2)]
    await write_newcomers(store, "a", "b")
    rows = [NewHolding(record("a"), one, Grade.PROVEN, Millis(place)) for place, one in enumerate(own[1:], 1)]
    await store.write(lambda tx: write_holdings(tx, rows))
    await store.write(lambda tx: write_claims(tx, [NewHolding(record("a"), own[0], Grade.CLAIMED, Millis(0))]))
    found = await store.write(lambda tx: read_barrable(tx, [record("a"), record("b"), RecordId("none")]))
    assert found == {
        record("a"): {
            one.id: Grade.PROVEN if place else Grade.CLAIMED for place, one in enumerate(own[:MOST_IDENTIFIERS])
        }
    }


@pytest.mark.store
async def test_devices_come_last_among_the_identifiers_that_are_barred(store: GraphClient) -> None:
    await write_newcomers(store, "a")
    devices = [IdentifierRef("anonymous_id", f"d{number:02}") for number in range(MOST_IDENTIFIERS + 2)]
    rows = [NewHolding(record("a"), one, Grade.PROVEN, Millis(1)) for one in devices]
    await store.write(lambda tx: write_holdings(tx, [*rows, NewHolding(record("a"), ADA, Grade.STATED, Millis(9))]))
    found = await store.write(lambda tx: read_barrable(tx, [record("a")]))
    assert next(iter(found[record("a")])) == ADA.id
    assert len(found[record("a")]) == MOST_IDENTIFIERS


async def hearers(store: GraphClient, *identifiers: IdentifierRef) -> set[str]:
    return set(await store.write(lambda tx: find_hearers(tx, [one.id for one in identifiers], NOW)))


@pytest.mark.store
async def test_everyone_who_holds_an_identifier_hears_of_it_and_nobody_who_claims_it(store: GraphClient) -> None:
    await write_newcomers(store, *"abcd")
    await attach(store, ADA, "a", "b")
    await attach(store, ADA, "d", grade=Grade.CLAIMED)
    await attach(store, BEN, "c", grade=Grade.STATED)
    assert await hearers(store, ADA) == {user("a"), user("b")}
    assert await hearers(store, ADA, BEN) == {user("a"), user("b"), user("c")}
    await run(store, "MATCH (:Record {id: $id})-[x:RESOLVES_TO]->() SET x.to = 1", id=record("b"))
    assert await hearers(store, ADA) == {user("a")}


@pytest.mark.store
async def test_where_too_many_would_hear_all_become_stale_at_once(store: GraphClient) -> None:
    names = [f"{number:02}" for number in range(MOST_HEARERS + 1)]
    await write_newcomers(store, *names, "other")
    await attach(store, ADA, *names[:-1])
    assert len(await hearers(store, ADA)) == MOST_HEARERS
    await attach(store, ADA, names[-1], grade=Grade.STATED)
    await attach(store, BEN, "other")
    assert await hearers(store, ADA, BEN) == {user("other")}
    rows = await store.read("MATCH (u:User) RETURN u.permits_until AS until, u.permit_ends AS ends, count(u) AS n")
    assert {(row["until"], *(row["ends"] or [])): row["n"] for row in rows} == {(1, 1): len(names), (None,): 1}


@pytest.mark.store
async def test_where_thousands_would_hear_they_are_left_for_later(
    store: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bars_module, "MOST_MARKED", MOST_HEARERS)
    names = [f"{number:02}" for number in range(MOST_HEARERS + 1)]
    await write_newcomers(store, *names)
    await attach(store, ADA, *names)
    assert await hearers(store, ADA) == set()
    assert await read_unheard(store) == [UnheardBars(ADA.id, NOW)]
    crowd = await read_crowd(store, ADA.id)
    assert set(crowd) == {user(name) for name in names}
    await store.write(lambda tx: mark_stale(tx, crowd, NOW))
    await store.write(lambda tx: finish_unheard(tx, UnheardBars(ADA.id, Millis(NOW - 1))))
    assert await read_unheard(store), "further bars came since"
    await store.write(lambda tx: finish_unheard(tx, UnheardBars(ADA.id, NOW)))
    assert await read_unheard(store) == []
    rows = await store.read("MATCH (u:User) WHERE u.permits_until = 1 RETURN count(u) AS n")
    assert rows[0]["n"] == len(names)
