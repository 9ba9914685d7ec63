"""The cast of the demonstration, assembled from small data of the same form."""

from __future__ import annotations

from uuid import UUID

from api.demo.cast import FIRST_PARTY, HELD_BACK, PARTNER, SYSTEMS, WEB, Cast, assemble_cast, choose_persons
from api.demo.datasets import FebrlRow, Movie, MovieLens, MoviePerson, Rating
from graph.model.consent import ConsentState
from graph.model.identity import RecordKind
from graph.model.time import Millis

PEOPLE = 400


def febrl_row(person: int, duplicate: int | None) -> FebrlRow:
    name = f"rec-{person}-org" if duplicate is None else f"rec-{person}-dup-{duplicate}"
    return FebrlRow(
        name, str(person), duplicate, "ann", "lee", "1", "road", None, "town", "2000", "nsw", "19800101", str(person)
    )


def small_cast(seed: int = 1) -> Cast:
    people = tuple(MoviePerson(str(n), 30, "F", "writer", "12345") for n in range(PEOPLE))
    ratings = tuple(
        Rating(str(n), str(item), 4, Millis(880_000_000_000 + item)) for n in range(PEOPLE) for item in range(20)
    )
    movies = tuple(Movie(str(item), f"Film {item}", 1990, ("Drama",)) for item in range(20))
    groups = {str(n): (febrl_row(n, None), *(febrl_row(n, copy) for copy in range(n % 5))) for n in range(2 * PEOPLE)}
    return assemble_cast(MovieLens(people, movies, ratings), groups, seed)


def test_the_cast_depends_on_the_seed_only() -> None:
    assert small_cast(3) == small_cast(3)
    assert small_cast(3) != small_cast(4)


def test_each_system_keeps_at_most_one_row_of_a_person() -> None:
    for member in small_cast().members:
        systems = [ref.source for ref, _ in member.records]
        assert systems == [system.name for system in SYSTEMS[: len(systems)]]
        assert len({row.person for _, row in member.records}) == 1


def test_persons_with_duplicates_come_first() -> None:
    groups = {str(n): tuple(febrl_row(n, copy or None) for copy in range(n % 5 + 1)) for n in range(50)}
    sizes = [len(rows) for rows in choose_persons(groups, 25)]
    assert all(size <= len(SYSTEMS) for size in sizes)
    assert sizes.index(1) == sum(size > 1 for size in sizes)


def test_every_rating_is_loaded_once_or_held_back() -> None:
    cast = small_cast()
    loaded = [(rating.person, rating.item) for _, rating in cast.ratings]
    held = [(rating.person, rating.item) for rating in cast.held_back]
    assert len(set(loaded + held)) == len(loaded) + len(held) == PEOPLE * 20
    assert abs(len(held) / (PEOPLE * 20) - HELD_BACK) < 0.03


def test_ratings_come_through_a_persons_own_records_and_first_the_device() -> None:
    cast = small_cast()
    own = {member.movie_person.id: member for member in cast.members}
    first: dict[str, RecordKind] = {}
    for ref, rating in cast.ratings:
        member = own[rating.person]
        assert ref in {record for record, _ in member.records} | ({member.device.record} if member.device else set())
        first.setdefault(rating.person, ref.kind)
    devices = [first[person] for person, member in own.items() if member.device]
    assert devices.count(RecordKind.ANONYMOUS) > 0.9 * len(devices)
    assert all(first[person] is RecordKind.USER for person, member in own.items() if not member.device)


def test_statements_cover_every_state_and_silence() -> None:
    members = small_cast().members
    assert {statement.state for member in members for statement in member.statements} == set(ConsentState)
    assert any(not member.statements for member in members)
    assert {statement.recipient for member in members for statement in member.statements} == {None, PARTNER}


def test_devices_belong_to_the_web_site_and_have_names_that_nobody_can_guess() -> None:
    devices = small_cast().devices
    assert {device.record.source for device in devices} == {WEB.name}
    assert all(UUID(device.record.key).version == 4 for device in devices)
    assert 0.5 < sum(device.vouched for device in devices) / len(devices) < 0.8


def test_whoever_consents_at_the_shop_consents_on_the_device_and_nobody_shares_there() -> None:
    for member in small_cast().members:
        if member.device is not None:
            banner = [s for s in member.statements if s.record == member.device.record]
            gave = any(s.state is ConsentState.GIVEN for s in member.statements if s.record.source != WEB.name)
            assert [s.purpose for s in banner if s.state is ConsentState.GIVEN] == (list(FIRST_PARTY) if gave else [])


def test_the_ground_truth_covers_every_account_and_no_device() -> None:
    cast = small_cast()
    assert cast.truth().keys() == {record for member in cast.members for record, _ in member.records}
