"""Who plays in the demonstration: MovieLens people joined to FEBRL persons, spread over three systems.

What lives here: the joints, and nothing but joints, all drawn from one seed: which FEBRL person a MovieLens person is,
which of its rows is kept by which system, through which record a rating came, which fifth of the ratings is held back,
what was said about consent. What does not: the lines that are loaded (`lines.py`), the data itself (`datasets.py`).
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
from graph.model.time import Millis

SEED: Final = 20261123
HELD_BACK: Final = 0.2
SYSTEMS: Final = ("shop-web", "shop-app", "crm")
"""The three systems: the original row of a person lies in the first, its duplicates in the others."""

PARTNER: Final = "acme-media"
OTHER_PARTNER: Final = "globex-ads"
SPOKEN_AT: Final = Millis(893_980_800_000)  # 1998-05-01, when the last rating has been given
HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
YEAR: Final = 365 * DAY
CENTURY: Final = 100 * YEAR

FIRST_PARTY: Final = ("analytics", "personalisation", "marketing")


@dataclass(frozen=True, slots=True)
class Saying:
    """One consent statement of one record. `expires_after` is milliseconds from `at`."""

    record: RecordRef
    purpose: str
    state: ConsentState
    at: Millis
    recipient: str | None = None
    expires_after: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One person of the cast: who watched, the FEBRL rows that systems keep of them, and what they said."""

    movie_person: MoviePerson
    records: tuple[tuple[RecordRef, FebrlRow], ...]
    device: RecordRef | None
    sayings: tuple[Saying, ...]


@dataclass(frozen=True, slots=True)
class Cast:
    """All that the demonstration loads, and what it holds back to judge itself by."""

    members: tuple[Member, ...]
    movies: tuple[Movie, ...]
    heard: tuple[tuple[RecordRef, Rating], ...]
    held_back: tuple[Rating, ...]

    def truth(self) -> dict[RecordRef, str]:
        """Every source record and the person it is: FEBRL's truth, and the device each person was seen on."""
        named = {ref: member.movie_person.id for member in self.members for ref, _ in member.records}
        return named | {member.device: member.movie_person.id for member in self.members if member.device}


def assemble_cast(movielens: MovieLens, groups: dict[str, tuple[FebrlRow, ...]], seed: int = SEED) -> Cast:
    """Joins the two data sets. `groups` is FEBRL's truth, the original first; deterministic in `seed`."""
    rng = np.random.default_rng(seed)
    persons = choose_persons(groups, len(movielens.people))
    members = tuple(
        make_member(number, person, rows, rng)
        for number, (person, rows) in enumerate(zip(movielens.people, persons, strict=True))
    )
    back = rng.random(len(movielens.ratings)) < HELD_BACK
    heard = tuple(r for r, held in zip(movielens.ratings, back, strict=True) if not held)
    return Cast(
        members=members,
        movies=movielens.movies,
        heard=spread_ratings(members, heard, rng),
        held_back=tuple(r for r, held in zip(movielens.ratings, back, strict=True) if held),
    )


def choose_persons(groups: dict[str, tuple[FebrlRow, ...]], count: int) -> list[tuple[FebrlRow, ...]]:
    """FEBRL persons whose rows fit one a system, those with duplicates before those without, in the source's order."""
    fitting = [rows for rows in groups.values() if len(rows) <= len(SYSTEMS)]
    return sorted(fitting, key=lambda rows: len(rows) == 1)[:count]


def make_member(number: int, person: MoviePerson, rows: tuple[FebrlRow, ...], rng: np.random.Generator) -> Member:
    """One person: row k lies in system k under an id of that system; every second one was first seen on a device."""
    records = tuple(
        (RecordRef(system, RecordKind.USER, f"{system[-3:]}-{number:04d}"), row)
        for system, row in zip(SYSTEMS, rows, strict=False)
    )
    device = RecordRef(SYSTEMS[0], RecordKind.ANONYMOUS, f"device-{rng.integers(1 << 48):012x}")
    seen = rng.random() < 0.5
    return Member(person, records, device if seen else None, speak(records[0][0], records[-1][0], rng))


def speak(first: RecordRef, last: RecordRef, rng: np.random.Generator) -> tuple[Saying, ...]:
    """What one person said about consent, by a seeded rule that covers every state and silence.

    Seven in ten permit the first party's purposes, half of those also sharing with the partner. The others take turns
    through the ways of saying no: refusing, withdrawing (in another system), objecting, letting it expire, and so on.
    """
    draw = rng.random()
    if draw < 0.70:
        return (*give(first), *share(first, rng), *renew(first, rng))
    if draw < 0.94:
        denials = tuple(DENIALS)
        return (*give(first), *DENIALS[denials[int(rng.integers(len(denials)))]](first, last))
    if draw < 0.97:
        return (Saying(first, "personalisation", ConsentState.REFUSED, SPOKEN_AT),)
    return ()


def give(record: RecordRef) -> tuple[Saying, ...]:
    """Yes to every purpose of the first party."""
    return tuple(Saying(record, purpose, ConsentState.GIVEN, SPOKEN_AT) for purpose in FIRST_PARTY)


def share(record: RecordRef, rng: np.random.Generator) -> tuple[Saying, ...]:
    """Half say yes to one partner; nobody says yes to the other."""
    if rng.random() < 0.5:
        return ()
    return (Saying(record, "partner_sharing", ConsentState.GIVEN, SPOKEN_AT, PARTNER),)


def renew(record: RecordRef, rng: np.random.Generator) -> tuple[Saying, ...]:
    """One in ten says yes again a week later, until the end of the century after next."""
    if rng.random() < 0.9:
        return ()
    at = Millis(SPOKEN_AT + 7 * DAY)
    return (Saying(record, "personalisation", ConsentState.RENEWED, at, expires_after=CENTURY),)


def _later(purpose: str, state: ConsentState, record: RecordRef) -> tuple[Saying, ...]:
    return (Saying(record, purpose, state, Millis(SPOKEN_AT + DAY)),)


def _lapse(first: RecordRef, _: RecordRef) -> tuple[Saying, ...]:
    at = Millis(SPOKEN_AT + HOUR)
    return (Saying(first, "personalisation", ConsentState.RENEWED, at, expires_after=YEAR),)


DENIALS: Final[dict[str, Callable[[RecordRef, RecordRef], tuple[Saying, ...]]]] = {
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
"""The ways of saying no, each after a yes: a function of the person's first and last record."""


def spread_ratings(
    members: Sequence[Member], ratings: Sequence[Rating], rng: np.random.Generator
) -> tuple[tuple[RecordRef, Rating], ...]:
    """Through which record each rating came: a person's first tenth on the device, if there is one; the rest by chance
    through one of the systems that know the person. In order of time."""
    of = {member.movie_person.id: member for member in members}
    waiting = {
        person: count // 10 if of[person].device else 0 for person, count in Counter(r.person for r in ratings).items()
    }
    spread: list[tuple[RecordRef, Rating]] = []
    for rating in sorted(ratings, key=lambda r: (r.at, r.person, r.item)):
        member = of[rating.person]
        if member.device is not None and waiting[rating.person] > 0:
            waiting[rating.person] -= 1
            spread.append((member.device, rating))
        else:
            spread.append((member.records[int(rng.integers(len(member.records)))][0], rating))
    return tuple(spread)
