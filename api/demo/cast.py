"""The cast of the demonstration: MovieLens people joined to FEBRL persons and spread over three systems.

A seed decides everything that the data sets leave open: which FEBRL person a MovieLens person is, which system keeps
which of their rows, through which record a rating comes, which fifth of the ratings is held back, and who states what
about consent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from api.demo.datasets import FebrlRow, Movie, MovieLens, MoviePerson, Rating
from graph.model.consent import ConsentState
from graph.model.identity import RecordKind, RecordRef
from graph.model.time import DAY, Millis

SEED: Final = 20261123
HELD_BACK: Final = 0.2
SYSTEMS: Final = ("shop-web", "shop-app", "crm")
"""The three systems: the first keeps a person's original row, the others keep its duplicates."""

PARTNER: Final = "acme-media"
OTHER_PARTNER: Final = "globex-ads"
STATED_AT: Final = Millis(893_980_800_000)  # 1998-05-01, after the last rating
HOUR: Final = 3_600_000
YEAR: Final = 365 * DAY
CENTURY: Final = 100 * YEAR

FIRST_PARTY: Final = ("analytics", "personalisation", "marketing")


@dataclass(frozen=True, slots=True)
class Statement:
    """A consent statement of a record. `expires_after` is in milliseconds from `at`."""

    record: RecordRef
    purpose: str
    state: ConsentState
    at: Millis
    recipient: str | None = None
    expires_after: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the cast: who rated, the FEBRL rows that the systems keep, and the person's consent statements."""

    movie_person: MoviePerson
    records: tuple[tuple[RecordRef, FebrlRow], ...]
    device: RecordRef | None
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Cast:
    """Everything that the demonstration loads, and the ratings that it holds back for evaluation."""

    members: tuple[Member, ...]
    movies: tuple[Movie, ...]
    ratings: tuple[tuple[RecordRef, Rating], ...]
    held_back: tuple[Rating, ...]

    def truth(self) -> dict[RecordRef, str]:
        """Returns the person of every source record: FEBRL's ground truth, and the device of each person."""
        named = {ref: member.movie_person.id for member in self.members for ref, _ in member.records}
        return named | {member.device: member.movie_person.id for member in self.members if member.device}


def assemble_cast(movielens: MovieLens, groups: dict[str, tuple[FebrlRow, ...]], seed: int = SEED) -> Cast:
    """Joins the two data sets, deterministically for a `seed`.

    `groups` is FEBRL's ground truth: the rows of each person, the original first.
    """
    rng = np.random.default_rng(seed)
    persons = choose_persons(groups, len(movielens.people))
    members = tuple(
        make_member(number, person, rows, rng)
        for number, (person, rows) in enumerate(zip(movielens.people, persons, strict=True))
    )
    held = rng.random(len(movielens.ratings)) < HELD_BACK
    loaded = tuple(rating for rating, back in zip(movielens.ratings, held, strict=True) if not back)
    return Cast(
        members=members,
        movies=movielens.movies,
        ratings=spread_ratings(members, loaded, rng),
        held_back=tuple(rating for rating, back in zip(movielens.ratings, held, strict=True) if back),
    )


def choose_persons(groups: dict[str, tuple[FebrlRow, ...]], count: int) -> list[tuple[FebrlRow, ...]]:
    """Returns `count` FEBRL persons with at most one row per system, in the source's order, those with duplicates
    first."""
    fitting = [rows for rows in groups.values() if len(rows) <= len(SYSTEMS)]
    return sorted(fitting, key=lambda rows: len(rows) == 1)[:count]


def make_member(number: int, person: MoviePerson, rows: tuple[FebrlRow, ...], rng: np.random.Generator) -> Member:
    """Returns one person, whose row k is in system k under an ID of that system. Half of them first used a device."""
    records = tuple(
        (RecordRef(system, RecordKind.USER, f"{system[-3:]}-{number:04d}"), row)
        for system, row in zip(SYSTEMS, rows, strict=False)
    )
    device = RecordRef(SYSTEMS[0], RecordKind.ANONYMOUS, f"device-{rng.integers(1 << 48):012x}")
    used = rng.random() < 0.5
    return Member(person, records, device if used else None, draw_statements(records[0][0], records[-1][0], rng))


def draw_statements(first: RecordRef, last: RecordRef, rng: np.random.Generator) -> tuple[Statement, ...]:
    """Draws the consent statements of one person. Over many people, they cover every state and silence.

    Seven in ten people permit the purposes of the first party, and half of them sharing with the partner. Most of the
    others deny one purpose in one of the ways of `DENIALS`, such as withdrawing in another system, objecting or letting
    consent expire. The rest refuse personalisation or state nothing.
    """
    draw = rng.random()
    if draw < 0.70:
        return (*give(first), *share(first, rng), *renew(first, rng))
    if draw < 0.94:
        denials = tuple(DENIALS)
        return (*give(first), *DENIALS[denials[int(rng.integers(len(denials)))]](first, last))
    if draw < 0.97:
        return (Statement(first, "personalisation", ConsentState.REFUSED, STATED_AT),)
    return ()


def give(record: RecordRef) -> tuple[Statement, ...]:
    """Returns consent to every purpose of the first party."""
    return tuple(Statement(record, purpose, ConsentState.GIVEN, STATED_AT) for purpose in FIRST_PARTY)


def share(record: RecordRef, rng: np.random.Generator) -> tuple[Statement, ...]:
    """Returns consent to sharing with one partner, from half the people. Nobody consents to the other."""
    if rng.random() < 0.5:
        return ()
    return (Statement(record, "partner_sharing", ConsentState.GIVEN, STATED_AT, PARTNER),)


def renew(record: RecordRef, rng: np.random.Generator) -> tuple[Statement, ...]:
    """Returns a renewal a week later that lasts a century, from one person in ten."""
    if rng.random() < 0.9:
        return ()
    at = Millis(STATED_AT + 7 * DAY)
    return (Statement(record, "personalisation", ConsentState.RENEWED, at, expires_after=CENTURY),)


def _later(purpose: str, state: ConsentState, record: RecordRef) -> tuple[Statement, ...]:
    return (Statement(record, purpose, state, Millis(STATED_AT + DAY)),)


def _lapse(first: RecordRef, _: RecordRef) -> tuple[Statement, ...]:
    at = Millis(STATED_AT + HOUR)
    return (Statement(first, "personalisation", ConsentState.RENEWED, at, expires_after=YEAR),)


DENIALS: Final[dict[str, Callable[[RecordRef, RecordRef], tuple[Statement, ...]]]] = {
    "withdrawn": lambda _, last: _later("personalisation", ConsentState.WITHDRAWN, last),
    "refused": lambda _, last: _later("analytics", ConsentState.REFUSED, last),
    "revoked": lambda first, _: _later("personalisation", ConsentState.REVOKED, first),
    "objected": lambda first, _: _later("marketing", ConsentState.OBJECTED, first),
    "unlinked": lambda first, _: _later("identity_linking", ConsentState.OBJECTED, first),
    "expired": lambda first, _: _later("personalisation", ConsentState.EXPIRED, first),
    "lapsed": _lapse,
    "invalidated": lambda first, _: _later("analytics", ConsentState.INVALIDATED, first),
    "unknown": lambda first, _: _later("marketing", ConsentState.UNKNOWN, first),
}
"""The ways of denying a purpose after consenting to it, as functions of the person's first and last record."""


def spread_ratings(
    members: Sequence[Member], ratings: Sequence[Rating], rng: np.random.Generator
) -> tuple[tuple[RecordRef, Rating], ...]:
    """Returns the ratings in order of time, each with the record through which it comes.

    A person's first tenth comes through the device, if there is one, and each other rating through a random system that
    knows the person.
    """
    of = {member.movie_person.id: member for member in members}
    on_device = {
        person: count // 10 if of[person].device else 0 for person, count in Counter(r.person for r in ratings).items()
    }
    spread: list[tuple[RecordRef, Rating]] = []
    for rating in sorted(ratings, key=lambda r: (r.at, r.person, r.item)):
        member = of[rating.person]
        if member.device is not None and on_device[rating.person] > 0:
            on_device[rating.person] -= 1
            spread.append((member.device, rating))
        else:
            spread.append((member.records[int(rng.integers(len(member.records)))][0], rating))
    return tuple(spread)
