"""Records as a transaction finds and leaves them, and the text in which one remembers its identifiers."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.consent.log import mark_denying
from graph.identity.records import (
    MOST_KNOWN,
    Carried,
    KnownIdentifiers,
    NewPerson,
    RecordCall,
    TouchedRecord,
    mark_person,
    read_people_of_records,
    touch_records,
    write_carried,
    write_contacts,
    write_known,
    write_people,
    write_traits,
)
from graph.model.identity import Grade, RecordId, RecordKind, RecordRef, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, StoreTarget, Writer
from tests.crowd import run
from tests.newcomers import ARRIVED, email, record, ref, user, write_newcomers

LATER = Millis(ARRIVED + 500)


async def touch(store: GraphClient, *calls: RecordCall, now: Millis = LATER) -> dict[RecordId, TouchedRecord]:
    return await store.write(lambda tx: touch_records(tx, calls, now))


def call(name: str, *, traits: bool = False, person: bool = False) -> RecordCall:
    return RecordCall(ref(name), record(name), traits, person)


@pytest.mark.store
async def test_a_record_is_new_once_and_keeps_its_name_and_date(store: GraphClient) -> None:
    visitor = RecordRef("app", RecordKind.ANONYMOUS, "v1")
    assert await touch(store) == {}
    first = await touch(store, call("a"), RecordCall(visitor, visitor.id))
    assert {found.id: (found.source, found.new) for found in first.values()} == {
        record("a"): ("shop", True), visitor.id: ("app", True),
    }  # fmt: skip
    again = await touch(store, call("a"), call("b"), now=Millis(LATER + 1))
    assert [again[record(name)].new for name in "ab"] == [False, True]
    rows = await store.read(
        "MATCH (r:Record) RETURN r.source AS source, r.kind AS kind, r.key AS key, r.created_at AS at ORDER BY at, key"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("shop", "user", "a", LATER), ("app", "anonymous", "v1", LATER), ("shop", "user", "b", LATER + 1),
    ]  # fmt: skip


@pytest.mark.store
async def test_an_empty_record_reads_as_empty(store: GraphClient) -> None:
    await touch(store, call("a"))
    (found,) = (await touch(store, call("a", traits=True, person=True))).values()
    assert (found.session, found.session_start, found.session_end, found.traits, found.person) == (None,) * 5
    assert (found.known.write(), found.carried, found.carried_at) == ("", None, None)


@pytest.mark.store
async def test_a_touched_record_holds_what_was_written_and_asked_for(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b")
    await run(
        store,
        "MATCH (r:Record {id: $id}) SET r.session_id = 's' CREATE (:Session {id: 's', started_at: 3, ended_at: 7}) "
        "WITH r MATCH (r)-[:RESOLVES_TO]->(u:User) SET u.consent_epoch = 4",
        id=record("a"),
    )
    known = KnownIdentifiers()
    known.add(email("a").id, Grade.STATED, Millis(5))

    async def write(tx: Writer) -> None:
        await write_traits(tx, [(record("a"), '{"age":[36,1]}'), (record("none"), "{}")], LATER)
        await write_known(tx, [(record("a"), known)])
        await write_carried(tx, [Carried(record("a"), "digest", Millis(6))])
        await write_contacts(tx, [(record("a"), '{"email":{}}')])
        await mark_denying(tx, {record("a"): {"analytics": Millis(1)}})

    await store.write(write)
    plain = (await touch(store, call("a"), call("b")))[record("a")]
    assert (plain.session, plain.session_start, plain.session_end) == ("s", 3, 7)
    assert plain.known.find(email("a").id) == (Grade.STATED, 5)
    assert (plain.carried, plain.carried_at, plain.denies) == ("digest", 6, True)
    assert (plain.traits, plain.contacts, plain.person) == (None, None, None)
    asked = await touch(store, call("a", traits=True, person=True), call("b"))
    assert (asked[record("a")].traits, asked[record("a")].person) == ('{"age":[36,1]}', mark_person(user("a"), 4))
    assert asked[record("a")].contacts == '{"email":{}}'
    assert (asked[record("b")].traits, asked[record("b")].contacts, asked[record("b")].denies) == (None, None, False)
    rows = await store.read("MATCH (r:Record) RETURN r.updated_at AS at ORDER BY at")
    assert [row["at"] for row in rows] == [ARRIVED, LATER]


@pytest.mark.store
async def test_a_moved_record_names_its_live_person_only(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b")
    await run(
        store,
        "MATCH (r:Record {id: $a})-[m:RESOLVES_TO]->(:User) MATCH (u:User {id: $b}) SET m.to = 5 "
        "CREATE (r)-[:RESOLVES_TO {`from`: 5}]->(u)",
        a=record("a"),
        b=user("b"),
    )
    found = await touch(store, call("a", person=True), call("b", person=True))
    assert {one.person for one in found.values()} == {mark_person(user("b"), 0)}
    people = await store.write(lambda tx: read_people_of_records(tx, [record("a"), record("b"), record("none")]))
    assert people == {record(name): (user("b"), 0) for name in "ab"}


@pytest.mark.store
async def test_a_new_record_gets_a_person_with_what_silence_permits_and_its_source(store: GraphClient) -> None:
    await write_newcomers(store, "a", "b")
    rows = await store.read(
        "MATCH (s:Source)<-[:FROM]-(r:Record)-[x:RESOLVES_TO]->(u:User) RETURN s.name AS source, u.id AS user, "
        "u.permits AS permits, u.consent_epoch AS epoch, x.`from` AS since ORDER BY user"
    )
    assert [tuple(row.values()) for row in rows] == [("shop", user(name), ["service"], 0, ARRIVED) for name in "ab"]
    assert await store.read("MATCH (s:Source) RETURN count(s) AS n") == [{"n": 1}]


@pytest.mark.store
async def test_more_records_than_a_statement_may_write(store: GraphClient) -> None:
    names = [f"{number:03}" for number in range(501)]
    await write_newcomers(store, *names)
    ids = [record(name) for name in names]

    async def write(tx: Writer) -> None:
        await write_traits(tx, [(id_, f'["{id_}"]') for id_ in ids], LATER)
        await write_known(tx, [(id_, KnownIdentifiers(f"{id_}p1;")) for id_ in ids])
        await write_contacts(tx, [(id_, f'["{id_}"]') for id_ in ids])
        await write_carried(tx, [Carried(id_, id_, Millis(2)) for id_ in ids])

    await store.write(write)
    found = await touch(store, *(call(name, traits=True, person=True) for name in names))
    for name, id_ in zip(names, ids, strict=True):
        one = found[id_]
        assert (one.new, one.traits, one.carried) == (False, f'["{id_}"]', id_)
        assert (one.known.find(id_), one.contacts) == ((Grade.PROVEN, 1), f'["{id_}"]')
        assert one.person == mark_person(user(name), 0)


@pytest.mark.store
async def test_a_record_that_arrives_twice_is_new_once(store_target: StoreTarget, store: GraphClient) -> None:
    clients = [await GraphClient.connect(store_target) for _ in range(4)]
    await run(store, "CREATE (:Source {name: 'shop'})")

    async def arrive(tx: Writer, name: str, person: str) -> bool:
        new = (await touch_records(tx, [call(name)], LATER))[record(name)].new
        if new:
            await write_people(tx, [NewPerson(record(name), UserId(person), "shop", ())], LATER)
        return new

    for name in "abcde":
        new = await asyncio.gather(
            *(c.write(lambda tx, n=name, p=place: arrive(tx, n, f"{n}{p}")) for place, c in enumerate(clients))  # type: ignore[misc]
        )
        assert sorted(new) == [False, False, False, True]
    for client in clients:
        await client.close()
    assert await store.read("MATCH (:Record)-[x:RESOLVES_TO]->(:User) RETURN count(x) AS n") == [{"n": 5}]


# the identifiers that a record remembers


GRADES = list(Grade)
Note = tuple[str, Grade, int]


def known_of(*entries: Note) -> KnownIdentifiers:
    known = KnownIdentifiers()
    for value, grade, since in entries:
        known.add(email(value).id, grade, Millis(since))
    return known


NOTES = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(GRADES), st.integers(-(10**15), 10**15)), max_size=12
)


@given(NOTES, NOTES)
def test_the_last_entry_added_counts_before_and_after_writing(first: list[Note], then: list[Note]) -> None:
    known = KnownIdentifiers(known_of(*first).write())
    for value, grade, since in then:
        known.add(email(value).id, grade, Millis(since))
    last = {value: (grade, since) for value, grade, since in [*first, *then]}
    for read in (known, KnownIdentifiers(known.write())):
        assert {value: read.find(email(value).id) for value in "abcdef"} == {v: last.get(v) for v in "abcdef"}


@given(NOTES)
def test_a_record_lacks_what_is_better_or_earlier(notes: list[Note]) -> None:
    """Adding only what is lacking leaves the best grade with its earliest receipt, in any order."""
    known = KnownIdentifiers()
    for value, grade, since in notes:
        if known.lacks(email(value).id, grade, Millis(since)):
            known.add(email(value).id, grade, Millis(since))
        assert not known.lacks(email(value).id, grade, Millis(since))
    for value in {value for value, *_ in notes}:
        rank, negative = max((grade.rank, -since) for name, grade, since in notes if name == value)
        assert known.find(email(value).id) == (GRADES[rank], -negative)


def test_only_the_latest_of_too_many_identifiers_are_kept() -> None:
    values = [f"{number:03}" for number in range(MOST_KNOWN)]
    full = KnownIdentifiers(known_of(*((value, Grade.PROVEN, 1) for value in values)).write())
    assert full.full
    full.add(email("000").id, Grade.PROVEN, Millis(0))
    full.add(email("new").id, Grade.CLAIMED, Millis(2))
    kept = KnownIdentifiers(full.write())
    assert [kept.find(email(value).id) for value in ("new", "000", "001", "002")] == [
        (Grade.CLAIMED, 2), (Grade.PROVEN, 0), None, (Grade.PROVEN, 1),
    ]  # fmt: skip
